//! The row of controls: each shows one piece of the state and sends one request.

use leptos::prelude::*;

use super::{
    icons::{self, icon},
    menu::settings,
    phase::Phase,
    request::Request,
    seek_bar::seek_bar,
    state::State,
    store::Store,
};

/// Seek bar and buttons; out of the way where there is nothing to control.
pub(super) fn controls(store: Store) -> impl IntoView {
    view! {
        <div class="player-controls" hidden=store.flag(|state| !state.phase().controllable())>
            {seek_bar(store)}
            <div class="player-row">
                {button(store, play_face, |_| false, "k Space", "player-button", Request::TogglePlay)}
                {button(store, sound_face, |_| false, "m", "player-button", Request::ToggleMute)}
                {volume(store)}
                <span class="player-time" aria-hidden="true">{store.text(|state| state.timeline.digits())}</span>
                <span class="player-gap"></span>
                {settings(store)}
                {button(
                    store,
                    picture_in_picture_face,
                    |state| !state.screen.can_picture_in_picture,
                    "i",
                    "player-button player-pip",
                    Request::TogglePictureInPicture,
                )}
                {button(
                    store,
                    full_screen_face,
                    |state| !state.screen.can_full,
                    "f",
                    "player-button",
                    Request::ToggleFullScreen,
                )}
            </div>
        </div>
    }
}

/// Name and icon: both change with what pressing the button does.
type Face = (&'static str, &'static str);

/// An icon button.
fn button(
    store: Store,
    face: fn(&State) -> Face,
    hidden: fn(&State) -> bool,
    keys: &'static str,
    class: &'static str,
    request: Request,
) -> impl IntoView {
    let face = store.memo(face);
    view! {
        <button
            class=class
            type="button"
            hidden=store.flag(hidden)
            aria-label=Signal::derive(move || face.get().0.to_owned())
            aria-keyshortcuts=keys
            on:click=store.sends(request)
        >
            {icon(Signal::derive(move || face.get().1.to_owned()))}
        </button>
    }
}

fn play_face(state: &State) -> Face {
    match state.phase() {
        Phase::Ended => ("Play again", icons::REPLAY),
        _ if state.media.wanted => ("Pause", icons::PAUSE),
        _ => ("Play", icons::PLAY),
    }
}

fn sound_face(state: &State) -> Face {
    match state.sound {
        sound if sound.silent() => ("Unmute", icons::SILENT),
        sound if sound.volume < 0.5 => ("Mute", icons::SOUND_LOW),
        _ => ("Mute", icons::SOUND),
    }
}

fn picture_in_picture_face(state: &State) -> Face {
    (if state.screen.picture_in_picture { "Leave picture in picture" } else { "Picture in picture" }, icons::PICTURE_IN_PICTURE)
}

fn full_screen_face(state: &State) -> Face {
    if state.screen.full { ("Exit full screen", icons::EXIT_FULL_SCREEN) } else { ("Full screen", icons::FULL_SCREEN) }
}

fn volume(store: Store) -> impl IntoView {
    view! {
        <input
            class="player-volume"
            type="range"
            min="0"
            max="100"
            step="5"
            aria-label="Volume"
            aria-valuetext=store.text(|state| state.sound.words())
            value="100"
            prop:value=store.text(|state| state.sound.percent().to_string())
            on:input=move |event| {
                if let Ok(percent) = event_target_value(&event).parse::<u32>() {
                    store.send(Request::SetVolume(f64::from(percent) / 100.0));
                }
            }
        />
    }
}
