//! What lies over the picture: the big button, the spinner, and the states that say in words what is the matter.

use domain::video::PlaybackState;
use leptos::prelude::*;

use super::{
    icons::{self, icon},
    request::Request,
    state::Phase,
    store::Store,
};

/// The overlay of the current phase.
pub(super) fn overlay(store: Store) -> impl IntoView {
    let layer = Memo::new(move |_| Layer::of(store.phase.get(), store.media.with(|media| media.started || media.wanted)));
    view! {
        <div class="player-overlay">
            {move || match layer.get() {
                Layer::None => ().into_any(),
                Layer::Play => big_button(store, "Play", icons::PLAY).into_any(),
                Layer::Replay => big_button(store, "Play again:", icons::REPLAY).into_any(),
                Layer::Spinner => spinner(store).into_any(),
                Layer::Processing => processing(store).into_any(),
                Layer::Failed => failed(store).into_any(),
            }}
        </div>
        <Show when=move || store.sound.with(|sound| sound.muted_by_browser)>
            <button class="player-unmute" type="button" on:click=move |_| store.send(Request::ToggleMute)>
                {icon(Signal::stored(icons::SILENT))}
                "Turn sound on"
            </button>
        </Show>
    }
}

/// Which of them; a phase's details do not make a new one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Layer {
    None,
    Play,
    Replay,
    Spinner,
    Processing,
    Failed,
}

impl Layer {
    fn of(phase: Phase, touched: bool) -> Self {
        match phase {
            Phase::Idle => Self::Play,
            Phase::Paused | Phase::Loading if !touched => Self::Play,
            Phase::Loading | Phase::Buffering => Self::Spinner,
            Phase::Playing | Phase::Paused => Self::None,
            Phase::Ended => Self::Replay,
            Phase::Processing => Self::Processing,
            Phase::Failed | Phase::Trouble(_) => Self::Failed,
        }
    }
}

fn big_button(store: Store, verb: &'static str, path: &'static str) -> impl IntoView {
    view! {
        <button
            class="player-big"
            type="button"
            aria-label=move || store.playback.with(|playback| format!("{verb} {}", playback.title))
            on:click=move |_| store.send(Request::TogglePlay)
        >
            {icon(Signal::stored(path))}
        </button>
    }
}

fn spinner(store: Store) -> impl IntoView {
    view! {
        <div class="player-wait" role="status">
            <span class="player-spinner" aria-hidden="true"></span>
            <span class=move || if store.waiting.get() { "player-words" } else { "player-hidden" }>
                {move || if store.waiting.get() { "Waiting for the network; will go on by itself" } else { "Loading" }}
            </span>
        </div>
    }
}

fn processing(store: Store) -> impl IntoView {
    let progress = move || store.playback.with(|playback| playback.progress);
    view! {
        <div class="player-message">
            <p class="player-heading" role="status">"This video is being prepared"</p>
            <div class="player-progress">
                <progress max="100" value=progress aria-label="Prepared"></progress>
                <span>{move || format!("{} %", progress())}</span>
            </div>
            <p>"It will be here as soon as it is ready; no need to reload."</p>
        </div>
    }
}

/// A failure of the video, or trouble with playing it.
fn failed(store: Store) -> impl IntoView {
    let words = move || match store.phase.get() {
        Phase::Trouble(trouble) => trouble.words(),
        _ => ("This video could not be prepared", "Its owner can see why, and what to do about it."),
    };
    let remedy = move || match store.phase.get() {
        Phase::Trouble(trouble) => trouble.remedy(),
        _ => None,
    };
    view! {
        <div class="player-message">
            <p class="player-heading" role="alert">{move || words().0}</p>
            <p>{move || words().1}</p>
            {move || {
                remedy().map(|label| view! {
                    <button class="player-remedy" type="button" on:click=move |_| store.send(Request::Retry)>{label}</button>
                })
            }}
        </div>
    }
}

/// What stands there without JavaScript.
pub(super) fn without_script(state: PlaybackState) -> &'static str {
    match state {
        PlaybackState::Playable => "<p class=\"player-message player-plain\">Turn on JavaScript in this browser to play the video.</p>",
        PlaybackState::Processing => "<p class=\"player-message player-plain\">This video is being prepared. Reload the page to see how far it is.</p>",
        PlaybackState::Failed => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::player::state::Trouble;

    #[test]
    fn loading_ahead_of_play_keeps_the_big_button() {
        assert_eq!(Layer::of(Phase::Loading, false), Layer::Play);
        assert_eq!(Layer::of(Phase::Loading, true), Layer::Spinner);
        assert_eq!(Layer::of(Phase::Paused, true), Layer::None);
        assert_eq!(Layer::of(Phase::Trouble(Trouble::Gone), true), Layer::Failed);
    }
}
