//! Under the picture: the title and how to change it, where the video stands, and what can be done about a failure.

use domain::video::{Stage, Video};
use leptos::{ev::KeyboardEvent, form::ActionForm, html, prelude::*};
use wasm_bindgen::JsCast;
use web_sys::HtmlElement;

use super::steps::{Steps, steps_of};
use crate::{
    components::{
        announcer::Announcer,
        chips::{Chips, chips_of},
        clock::{Clock, Moment},
        confirm::Confirm,
        fields::{FormError, error_of},
    },
    icons::{Glyph, Icon},
    server_fns::videos::{DeleteVideo, RenameVideo, RetryVideo},
    uploader::{desk::Uploads, drop_overlay::FileChooser},
};

/// Title, state and what can be done.
#[component]
pub fn VideoHead(
    /// The video.
    video: RwSignal<Video>,
) -> impl IntoView {
    let uploads = expect_context::<Uploads>();
    let id = video.with_untracked(|video| video.id);
    let created_at_ms = video.with_untracked(|video| video.created_at_ms);
    let local = Memo::new(move |_| uploads.percent_of(id));
    let chips = Memo::new(move |_| video.with(|video| chips_of(video, local.get())));
    let steps = Memo::new(move |_| video.with(|video| steps_of(video, local.get())));
    let clock = expect_context::<Clock>();
    let elsewhere = Memo::new(move |_| clock.alive() && local.get().is_none() && video.with(|video| video.stage == Stage::Uploading));
    let under_way = Memo::new(move |_| video.with(|video| video.stage != Stage::Ready));
    view! {
        <div class="video-head">
            <Rename video/>
            <Delete video/>
        </div>
        <p class="meta"><Chips chips/><span>"Uploaded "<Moment at_ms=created_at_ms/></span></p>
        <Show when=move || under_way.get()><Steps steps/></Show>
        <Show when=move || elsewhere.get()>
            <p class="small muted">"Its file is being sent from another tab or device. If that was closed, delete this video and upload the file again."</p>
        </Show>
        <Failed video/>
    }
}

#[component]
fn Rename(video: RwSignal<Video>) -> impl IntoView {
    let announcer = expect_context::<Announcer>();
    let action = ServerAction::<RenameVideo>::new();
    let error = error_of(action.value());
    let id = video.with_untracked(|video| video.id.to_string());
    let title = Memo::new(move |_| video.with(|video| video.title.clone()));
    let details = NodeRef::<html::Details>::new();
    let input = NodeRef::<html::Input>::new();
    // A title that was refused stays in the field, also when the page was drawn anew.
    let kept = error.with_untracked(|error| error.as_ref().and_then(|error| error.kept.clone()));
    let refused = kept.is_some();

    Effect::new(move |_| {
        if let Some(Ok(renamed)) = action.value().get() {
            video.set(renamed);
            if let Some(details) = details.get_untracked() {
                details.set_open(false);
            }
            announcer.say("Title saved", false);
        }
    });
    let on_key = move |event: KeyboardEvent| {
        if let (Some(details), "Escape") = (details.get_untracked(), event.key().as_str()) {
            details.set_open(false);
            if let Ok(Some(summary)) = details.query_selector("summary") {
                drop(summary.unchecked_into::<HtmlElement>().focus());
            }
        }
    };
    let on_toggle = move |_| {
        if let (Some(details), Some(input)) = (details.get_untracked(), input.get_untracked()) {
            if details.open() {
                drop(input.focus());
                input.select();
            } else {
                input.set_value(&title.get_untracked());
            }
        }
    };
    view! {
        <h1 class="video-title">{title}</h1>
        <details class="rename" node_ref=details open=refused on:toggle=on_toggle>
            <summary class="button"><Icon glyph=Glyph::Pencil/>"Rename"</summary>
            <ActionForm action=action attr:class="rename-form" on:keydown=on_key>
                <input type="hidden" name="id" value=id/>
                <input
                    node_ref=input
                    name="title"
                    aria-label="Title"
                    required
                    maxlength="200"
                    value=kept.unwrap_or_else(|| title.get_untracked())
                    aria-describedby="rename-error"
                />
                <button class="button primary">"Save"</button>
                <FormError id="rename-error" error/>
            </ActionForm>
        </details>
    }
}

#[component]
fn Delete(video: RwSignal<Video>) -> impl IntoView {
    let action = ServerAction::<DeleteVideo>::new();
    let error = error_of(action.value());
    let id = video.with_untracked(|video| video.id.to_string());
    let question = Signal::derive(move || video.with(|video| format!("Delete “{}”?", video.title)));
    view! {
        <Confirm
            id="delete-video"
            button_class="button danger"
            button=ViewFn::from(|| view! { <Icon glyph=Glyph::Trash/>"Delete" })
            question
            consequence="The file, everything made of it and its links go at once. This cannot be undone."
        >
            <ActionForm action=action>
                <input type="hidden" name="id" value=id/>
                <button class="button danger solid">"Delete video"</button>
                <FormError id="delete-error" error/>
            </ActionForm>
        </Confirm>
    }
}

/// Why it failed, and what to do now; or why it waits, where the uploader can do nothing about it.
#[component]
fn Failed(video: RwSignal<Video>) -> impl IntoView {
    let chooser = expect_context::<FileChooser>();
    let clock = expect_context::<Clock>();
    let action = ServerAction::<RetryVideo>::new();
    let error = error_of(action.value());
    let id = video.with_untracked(|video| video.id);
    let failure =
        Memo::new(move |_| video.with(|video| video.failure.clone().filter(|_| matches!(video.stage, Stage::Failed | Stage::Queued))));
    Effect::new(move |_| {
        if let Some(Ok(retried)) = action.value().get() {
            video.set(retried);
        }
    });
    move || {
        failure.get().map(|failure| {
            let waits = failure.code.waits();
            let again = if waits {
                ().into_any()
            } else if failure.code.worth_retrying() {
                view! {
                    <ActionForm action=action>
                        <input type="hidden" name="id" value=id.to_string()/>
                        <button class="button"><Icon glyph=Glyph::Retry/>"Try again"</button>
                    </ActionForm>
                }
                .into_any()
            } else {
                view! {
                    <button type="button" class="button" disabled=move || !clock.alive() on:click=move |_| chooser.open()>
                        <Icon glyph=Glyph::Upload/>"Upload it again"
                    </button>
                }
                .into_any()
            };
            view! {
                <section class="failure" aria-label=if waits { "Why it waits" } else { "Why it failed" }>
                    <Icon glyph=Glyph::Alert/>
                    <div><p>{failure.message}</p><p class="small muted">"Code: "<code>{failure.code.as_str()}</code></p></div>
                    {again}
                    <FormError id="retry-error" error/>
                </section>
            }
        })
    }
}
