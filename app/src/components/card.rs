//! One video in the library.

use domain::video::Video;
use leptos::prelude::*;

use super::{
    chips::{Chips, chips_of, progress_of},
    clock::Moment,
    words,
};
use crate::{
    icons::{Glyph, Icon},
    uploader::desk::Uploads,
};

/// A card: poster, length, title, state and age. The whole picture and title are one link.
#[component]
pub fn Card(
    /// The video, as it changes.
    video: Signal<Video>,
    /// Whether it is seen as soon as the page is: its picture is fetched with the page then, and not once somebody scrolls near it.
    #[prop(optional)]
    first: bool,
) -> impl IntoView {
    let uploads = expect_context::<Uploads>();
    let id = video.with_untracked(|video| video.id);
    let created_at_ms = video.with_untracked(|video| video.created_at_ms);
    let local = Memo::new(move |_| uploads.percent_of(id));
    let title = Memo::new(move |_| video.with(|video| video.title.clone()));
    let poster = Memo::new(move |_| video.with(|video| video.poster_url.clone()));
    let length = Memo::new(move |_| video.with(Video::duration_ms));
    let loading = if first { "eager" } else { "lazy" };
    let progress = Memo::new(move |_| video.with(|video| progress_of(video, local.get())));
    let chips = Memo::new(move |_| video.with(|video| chips_of(video, local.get())));
    let failure = Memo::new(move |_| video.with(|video| video.failure.as_ref().map(|failure| failure.message.clone())));
    view! {
        <article class="card">
            <a href=format!("/videos/{id}")>
                <div class="thumb">
                    {move || match poster.get() {
                        Some(url) => view! { <img src=url alt="" width="640" height="360" loading=loading decoding="async"/> }.into_any(),
                        None => view! { <span class="thumb-blank"><Icon glyph=Glyph::Film/></span> }.into_any(),
                    }}
                    {move || length.get().map(|ms| view! { <span class="length num">{words::duration(ms)}</span> })}
                    {move || progress.get().map(|_| view! {
                        <progress class="flow" max="100" aria-hidden="true" value=move || progress.get().unwrap_or(100).to_string()></progress>
                    })}
                </div>
                <h2 title=title>{title}</h2>
            </a>
            <p class="meta"><Chips chips/><Moment at_ms=created_at_ms/></p>
            {move || failure.get().map(|text| view! { <p class="card-failure small">{text}</p> })}
        </article>
    }
}
