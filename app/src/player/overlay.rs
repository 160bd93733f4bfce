//! What lies over the picture: the big button, the spinner, and the states that say in words what is the matter. All of it is in
//! the page from the start and hidden or shown, so that nothing has to be built while the viewer waits.

use domain::video::PlaybackState;
use leptos::prelude::*;

use super::{
    icons::{self, icon, still},
    phase::{Layer, Phase},
    request::Request,
    store::Store,
};

/// All layers; at most one shows.
pub(super) fn overlay(store: Store) -> impl IntoView {
    view! {
        <div class="player-overlay">
            {big_button(store)}
            {spinner(store)}
            {message(store)}
        </div>
        <button
            class="player-unmute"
            type="button"
            hidden=store.flag(|state| !state.sound.muted_by_browser)
            on:click=store.sends(Request::ToggleMute)
        >
            {still(icons::SILENT)}
            "Turn sound on"
        </button>
    }
}

fn big_button(store: Store) -> impl IntoView {
    let label = store.text(|state| {
        let verb = if state.layer() == Layer::Replay { "Play again:" } else { "Play" };
        format!("{verb} {}", state.playback.title)
    });
    let path = store.text(|state| (if state.layer() == Layer::Replay { icons::REPLAY } else { icons::PLAY }).to_owned());
    view! {
        <button
            class="player-big"
            type="button"
            hidden=store.flag(|state| !matches!(state.layer(), Layer::Play | Layer::Replay))
            aria-label=label
            on:click=store.sends(Request::TogglePlay)
        >
            {icon(path)}
        </button>
    }
}

fn spinner(store: Store) -> impl IntoView {
    let words = store.text(|state| match (state.layer(), state.waiting) {
        (Layer::Spinner, _) if state.playback.arriving && state.media.started => "Waiting for the rest of the upload".to_owned(),
        (Layer::Spinner, _) if state.playback.growing && state.media.started => {
            "The rest is still being processed; will go on by itself".to_owned()
        }
        (Layer::Spinner, true) => "Waiting for the network; will go on by itself".to_owned(),
        (Layer::Spinner, false) => "Loading".to_owned(),
        _ => String::new(),
    });
    // What is not over in a moment is told to everybody, the rest to who hears the page alone.
    let lasts = store.flag(|state| state.waiting || state.media.started && (state.playback.arriving || state.playback.growing));
    view! {
        <div class="player-wait" role="status" hidden=store.flag(|state| state.layer() != Layer::Spinner)>
            <span class="player-spinner" aria-hidden="true"></span>
            <span class="player-words" data-lasts=lasts>{words}</span>
        </div>
    }
}

/// A state in words, with progress or a button where there is one.
fn message(store: Store) -> impl IntoView {
    view! {
        <div class="player-message" hidden=store.flag(|state| state.layer() != Layer::Message)>
            <p class="player-heading" role="status">{store.text(|state| state.phase().words().0.to_owned())}</p>
            <div class="player-progress" hidden=store.flag(|state| state.phase() != Phase::Processing)>
                <progress max="100" value=store.text(|state| state.playback.progress.to_string()) aria-label="Prepared"></progress>
                <span>{store.text(|state| format!("{} %", state.playback.progress))}</span>
            </div>
            <p>{store.text(|state| state.phase().words().1.to_owned())}</p>
            <button
                class="player-remedy"
                type="button"
                hidden=store.flag(|state| state.phase().remedy().is_none())
                on:click=store.sends(Request::Retry)
            >
                {store.text(|state| state.phase().remedy().unwrap_or_default().to_owned())}
            </button>
        </div>
    }
}

/// What stands there without JavaScript, as HTML.
pub(super) const fn without_script(state: PlaybackState) -> &'static str {
    match state {
        PlaybackState::Playable => "<p class=\"player-plain\">Turn on JavaScript in this browser to play the video.</p>",
        PlaybackState::Processing => "<p class=\"player-plain\">This video is being prepared. Reload the page to see how far it is.</p>",
        PlaybackState::Failed => "<p class=\"player-plain\">This video could not be prepared.</p>",
    }
}
