//! The player: one component for the video page, the watch page and the embed. It knows no router and no server function: the page
//! gives it a [`Playback`] and a way to ask for a fresh one.
//!
//! How it is cut: `state`, `phase`, `quality`, `keys`, `recovery` and `clock` are plain values, tested on the host; `store` holds them as
//! signals; `engine` with `observe` and `perform` is the browser's side, over `hls` and what the page had begun (`starter`); `controls`, `seek_bar`, `menu` and `overlay` show the
//! store and send a `Request`. A control never touches the video.

mod autoplay;
mod clock;
mod controls;
mod engine;
mod hls;
mod hls_extern;
mod icons;
mod keys;
mod ladder;
mod menu;
mod observe;
mod overlay;
mod perform;
mod phase;
mod preferences;
mod quality;
mod recovery;
mod renewal;
mod request;
mod screen;
mod script;
mod seek_bar;
mod start;
mod starter;
mod state;
mod store;
mod timer;

use std::time::Duration;

use domain::{grant::Lifetime, video::Playback};
use leptos::{
    ev::{KeyboardEvent, PointerEvent},
    html,
    prelude::*,
};
use wasm_bindgen::JsCast;
use web_sys::{Element, Event, HtmlElement};

use self::{
    engine::Engine,
    keys::Focus,
    phase::{Phase, Trouble},
    request::Request,
    store::Store,
};
pub use self::{script::HLS_SCRIPT, start::StartOptions};

/// How often a page is asked whether a video that is being prepared can be played by now.
const POLL: Duration = Duration::from_secs(2);

/// Plays a video, or says why it does not.
///
/// `renew` is called when a fresh [`Playback`] is wanted, and says for how long: regularly while the video is being prepared, before the
/// addresses of one that plays run out, and when one was refused. The page answers by setting `playback` (the same value again is fine), or `gone` where the video is not to be had any more.
#[component]
pub fn Player(
    /// What to play.
    #[prop(into)]
    playback: Signal<Playback>,
    /// Asks the page for a fresh `playback`.
    renew: Callback<Lifetime>,
    /// The page learnt that the video is private now, or deleted.
    #[prop(optional, into)]
    gone: Signal<bool>,
    /// How to begin.
    #[prop(optional)]
    start: StartOptions,
) -> impl IntoView {
    let store = Store::new(playback.get_untracked());
    let group = NodeRef::<html::Div>::new();
    run(store, group, playback, gone, renew, start);
    view! {
        <div
            class="player"
            role="group"
            tabindex="0"
            dir="ltr"
            aria-label=store.text(|state| format!("{}, video player", state.playback.title))
            data-player-state=store.text(|state| state.phase().word().to_owned())
            data-idle=store.flag(|state| state.idle && state.plays())
            node_ref=group
            on:keydown=move |event| on_key(&event, store)
            on:pointermove=move |event| on_hover(&event, store, Request::Wake)
            on:pointerleave=move |event| on_hover(&event, store, Request::Leave)
        >
            // Gives the player its shape before anything is loaded, so that nothing jumps; the picture fits itself in.
            <svg class="player-shape" aria-hidden="true" viewBox=store.text(|state| format!("0 0 {} {}", state.playback.size.0, state.playback.size.1))></svg>
            <video
                class="player-video"
                data-testid="video"
                poster=Signal::derive(move || playback.with(|playback| playback.poster_url.clone()))
                preload="auto"
                playsinline
                on:pointerup=move |event| on_press(&event, store)
                on:dblclick=store.sends(Request::ToggleFullScreen)
            ></video>
            <noscript inner_html=overlay::without_script(store.look(|state| state.playback.state))></noscript>
            {overlay::overlay(store)}
            <p class="player-note" role="status" data-shown=store.flag(|state| !state.note.is_empty())>{store.text(|state| state.note.clone())}</p>
            {controls::controls(store)}
        </div>
    }
}

/// Ties the engine to the rendered elements and to the page's news. Effects run in the browser only.
fn run(
    store: Store,
    group: NodeRef<html::Div>,
    playback: Signal<Playback>,
    gone: Signal<bool>,
    renew: Callback<Lifetime>,
    start: StartOptions,
) {
    Effect::new(move |_| {
        let group: Option<HtmlElement> = group.get().map(Into::into);
        let video = group.as_ref().and_then(|group| group.query_selector("video").ok().flatten());
        if let (Some(group), Some(video)) = (group, video) {
            store.set_engine(Some(Engine::start(store, group, video.unchecked_into(), renew, start)));
        }
    });
    Effect::new(move |_| {
        let (news, gone) = (playback.get(), gone.get());
        if store.look(|state| state.playback.playback_id != news.playback_id) {
            // The page went on to another video.
            if let Some(engine) = store.engine() {
                engine.forget();
            }
            store.change(|state| state.begin_anew(&news));
        }
        store.change(|state| {
            state.renew(&news);
            if gone {
                state.trouble = Some(Trouble::Gone);
            }
        });
        if let Some(engine) = store.engine() {
            if gone {
                engine.stop();
            } else {
                engine.adopt();
            }
        }
    });
    let phase = store.phase();
    Effect::new(move |_| {
        if phase.get() == Phase::Processing {
            let poll = move || {
                // Nobody looks: no need to ask.
                if !document().hidden() {
                    renew.run(Lifetime::Renewed);
                }
            };
            if let Ok(interval) = set_interval_with_handle(poll, POLL) {
                on_cleanup(move || interval.clear());
            }
        }
    });
    on_cleanup(move || store.set_engine(None));
}

fn on_key(event: &KeyboardEvent, store: Store) {
    if event.ctrl_key() || event.alt_key() || event.meta_key() || event.default_prevented() {
        return;
    }
    let Some(request) = keys::request_for(&event.key(), focus_of(event)) else { return };
    event.prevent_default();
    event.stop_propagation();
    // A key held down seeks on, but must not flicker between playing and paused.
    let toggles =
        matches!(request, Request::TogglePlay | Request::ToggleMute | Request::ToggleFullScreen | Request::TogglePictureInPicture);
    if !(event.repeat() && toggles) {
        store.send(request);
    }
}

fn focus_of(event: &Event) -> Focus {
    let Some(element) = event.target().and_then(|target| target.dyn_into::<Element>().ok()) else { return Focus::Player };
    let is = |selector: &str| element.closest(selector).is_ok_and(|found| found.is_some());
    if is("[role=menu]") {
        Focus::Menu
    } else if is("input[type=range]") {
        Focus::Range
    } else if is("input, textarea, select, [contenteditable]") {
        Focus::Field
    } else if is("[role=slider]") {
        Focus::SeekBar
    } else if is("button, a") {
        Focus::Button
    } else {
        Focus::Player
    }
}

/// Only what can hover tells by moving that somebody is there; a finger taps.
fn on_hover(event: &PointerEvent, store: Store, request: Request) {
    if event.pointer_type() != "touch" {
        store.send(request);
    }
}

/// A click on the picture plays and pauses; a tap first brings the controls back.
fn on_press(event: &PointerEvent, store: Store) {
    if event.button() != 0 {
        return;
    }
    let (menu, hidden, playing) = store.look(|state| (state.menu, state.idle, state.phase() == Phase::Playing));
    if menu {
        store.change(|state| state.menu = false);
    } else if event.pointer_type() == "touch" && (hidden || playing) {
        if hidden {
            store.send(Request::Wake);
        } else {
            // A second tap sends them away again.
            store.change(|state| state.idle = true);
        }
    } else {
        store.send(Request::TogglePlay);
    }
}
