//! What can be continued, above the library: which file to choose again, how much of it is there, and until when it is kept.

use domain::upload::{UnfinishedUpload, bytes_in_words};
use leptos::{html, prelude::*, task::spawn_local};
use web_sys::HtmlInputElement;

use super::{
    engine::Uploader,
    resume::Offer,
    words::{self, IN_ANOTHER_TAB},
};
use crate::{
    components::{confirm::Confirm, words::date},
    live::{Live, LiveEvent},
};

/// The card. Nothing is shown while there is nothing to continue.
#[component]
pub fn ResumeCard() -> impl IntoView {
    let uploader = expect_context::<Uploader>();
    follow(uploader);
    let offers = Memo::new(move |_| uploader.offers());
    let ids = Memo::new(move |_| offers.with(|offers| offers.iter().map(|offer| offer.upload.upload_id).collect::<Vec<_>>()));
    view! {
        <Show when=move || ids.with(|ids| !ids.is_empty())>
            <section class="resume" aria-labelledby="resume-title">
                <h2 id="resume-title">{move || offers.with(|offers| words::can_be_continued(offers))}</h2>
                <ul>
                    <For each=move || offers.get() key=|offer| offer.upload.upload_id let(offer)>
                        {
                            let first = offer.clone();
                            let now = Memo::new(move |_| {
                                offers.with(|offers| offers.iter().find(|now| now.upload.upload_id == first.upload.upload_id).cloned()).unwrap_or(first.clone())
                            });
                            view! { <Row offer=offer.upload now/> }
                        }
                    </For>
                </ul>
            </section>
        </Show>
    }
}

/// Keeps the list true while the page is open.
fn follow(uploader: Uploader) {
    expect_context::<Live>().on(move |event| {
        match event {
            // Whatever happened before may have been missed.
            LiveEvent::Ready => spawn_local(uploader.look_for_unfinished()),
            LiveEvent::Deleted(video) => drop(uploader.unfinished.try_update(|unfinished| unfinished.forget(video))),
            LiveEvent::Video(video) => drop(uploader.unfinished.try_update(|unfinished| unfinished.follow(&video))),
        }
    });
}

#[component]
fn Row(offer: UnfinishedUpload, now: Memo<Offer>) -> impl IntoView {
    let uploader = expect_context::<Uploader>();
    let input = NodeRef::<html::Input>::new();
    let problem = RwSignal::new(None::<String>);
    let offer = StoredValue::new(offer);
    let choose = move |_| {
        if let Some(input) = input.get_untracked() {
            input.click();
        }
    };
    let chosen = move |_| {
        let Some(input) = input.get_untracked() else { return };
        let input: &HtmlInputElement = &input;
        let Some(file) = input.files().and_then(|files| files.item(0)) else { return };
        // So that choosing the same file again is a change again.
        input.set_value("");
        problem.set(None);
        spawn_local(async move {
            if let Err(sentence) = uploader.go_on(offer.get_value(), file).await {
                problem.try_set(Some(sentence.to_owned()));
            }
        });
    };
    let discard = move |_| {
        spawn_local(async move {
            if uploader.discard(offer.get_value()).await.is_err() {
                problem.try_set(Some("It could not be discarded now. Try again in a moment.".to_owned()));
            }
        });
    };
    let name = offer.with_value(|offer| offer.file_name.clone());
    let question = format!("Discard the upload of {name}?");
    let gone = format!(
        "The {} that have arrived are deleted.",
        bytes_in_words(offer.with_value(|offer| offer.size / 100 * u64::from(offer.percent)))
    );
    let elsewhere = Memo::new(move |_| now.with(|now| now.elsewhere));
    let line = move || now.with(|now| words::offer_line(now, &date(now.upload.expires_at_ms)));
    let id = offer.with_value(|offer| format!("discard-{}", offer.upload_id));
    let shown = name.clone();
    view! {
        <li>
            <b title=name.clone()>{name.clone()}</b>
            <span class="small muted num">{line}</span>
            <input node_ref=input type="file" class="visually-hidden" tabindex="-1" aria-hidden="true" on:change=chosen/>
            <span class="resume-buttons" hidden=move || elsewhere.get()>
                <button type="button" class="button" on:click=choose><span>{format!("Choose {shown} again")}</span></button>
                <Confirm
                    id=id
                    button_class="text-button"
                    button=ViewFn::from(|| "Discard")
                    button_label=format!("Discard the upload of {name}")
                    question=Signal::stored(question)
                    consequence=Signal::stored(gone)
                >
                    <button type="button" class="button danger" on:click=discard>"Discard"</button>
                </Confirm>
            </span>
            <p class="form-error small" role="alert">{move || if elsewhere.get() { Some(IN_ANOTHER_TAB.to_owned()) } else { problem.get() }}</p>
        </li>
    }
}
