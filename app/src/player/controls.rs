//! The row of controls: each shows one piece of the store and sends one request.

use leptos::prelude::*;

use super::{
    icons::{self, icon},
    menu::settings,
    request::Request,
    seek_bar::seek_bar,
    state::Phase,
    store::Store,
};

/// Seek bar and buttons; out of the way where there is nothing to control.
pub(super) fn controls(store: Store) -> impl IntoView {
    view! {
        <div class="player-controls" hidden=move || !store.phase.get().controllable()>
            {seek_bar(store)}
            <div class="player-row">
                {play_button(store)}
                {mute_button(store)}
                {volume(store)}
                <span class="player-time" aria-hidden="true">{move || store.timeline.with(|timeline| timeline.digits())}</span>
                <span class="player-gap"></span>
                {settings(store)}
                {picture_in_picture_button(store)}
                {full_screen_button(store)}
            </div>
        </div>
    }
}

/// An icon button. Its name changes with what pressing it does.
pub(super) fn button(
    store: Store,
    label: Signal<&'static str>,
    path: Signal<&'static str>,
    keys: &'static str,
    class: &'static str,
    request: Request,
) -> impl IntoView {
    view! {
        <button
            class=class
            type="button"
            aria-label=move || label.get()
            aria-keyshortcuts=keys
            on:click=move |_| store.send(request)
        >
            {icon(path)}
        </button>
    }
}

fn play_button(store: Store) -> impl IntoView {
    let face = Memo::new(move |_| match store.phase.get() {
        Phase::Ended => ("Play again", icons::REPLAY),
        _ if store.media.with(|media| media.wanted) => ("Pause", icons::PAUSE),
        _ => ("Play", icons::PLAY),
    });
    let (label, path) = (Signal::derive(move || face.get().0), Signal::derive(move || face.get().1));
    button(store, label, path, "k Space", "player-button", Request::TogglePlay)
}

fn mute_button(store: Store) -> impl IntoView {
    let face = Memo::new(move |_| match store.sound.get() {
        sound if sound.silent() => ("Unmute", icons::SILENT),
        sound if sound.volume < 0.5 => ("Mute", icons::SOUND_LOW),
        _ => ("Mute", icons::SOUND),
    });
    let (label, path) = (Signal::derive(move || face.get().0), Signal::derive(move || face.get().1));
    button(store, label, path, "m", "player-button", Request::ToggleMute)
}

fn volume(store: Store) -> impl IntoView {
    let percent = move || store.sound.with(|sound| sound.percent()).to_string();
    view! {
        <input
            class="player-volume"
            type="range"
            min="0"
            max="100"
            step="5"
            aria-label="Volume"
            aria-valuetext=move || store.sound.with(|sound| sound.words())
            value="100"
            prop:value=percent
            on:input=move |event| {
                if let Ok(percent) = event_target_value(&event).parse::<f64>() {
                    store.send(Request::SetVolume(percent / 100.0));
                }
            }
        />
    }
}

fn picture_in_picture_button(store: Store) -> impl IntoView {
    let active = Memo::new(move |_| store.screen.with(|screen| screen.picture_in_picture));
    let label = Signal::derive(move || if active.get() { "Leave picture in picture" } else { "Picture in picture" });
    let path = Signal::stored(icons::PICTURE_IN_PICTURE);
    view! {
        <Show when=move || store.screen.with(|screen| screen.can_picture_in_picture)>
            {button(store, label, path, "i", "player-button player-pip", Request::TogglePictureInPicture)}
        </Show>
    }
}

fn full_screen_button(store: Store) -> impl IntoView {
    let full = Memo::new(move |_| store.screen.with(|screen| screen.full));
    let label = Signal::derive(move || if full.get() { "Exit full screen" } else { "Full screen" });
    let path = Signal::derive(move || if full.get() { icons::EXIT_FULL_SCREEN } else { icons::FULL_SCREEN });
    view! {
        <Show when=move || store.screen.with(|screen| screen.can_full)>
            {button(store, label, path, "f", "player-button", Request::ToggleFullScreen)}
        </Show>
    }
}
