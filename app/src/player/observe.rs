//! What the video element, the screen and the network tell, read into the store. One listener serves all events: whatever
//! happens, the facts are read anew from the element, so that no order of events can leave them wrong.

use std::rc::Rc;

use leptos::prelude::*;
use wasm_bindgen::{JsCast, closure::Closure};
use web_sys::{Event, EventTarget, TimeRanges};

use super::{engine::Engine, phase::MediaFacts, recovery::Fault, request::Request, screen::Screen, state::Timeline};

const OF_VIDEO: [&str; 20] = [
    "loadedmetadata",
    "durationchange",
    "loadeddata",
    "canplay",
    "play",
    "playing",
    "pause",
    "waiting",
    "seeking",
    "seeked",
    "timeupdate",
    "progress",
    "ended",
    "emptied",
    "stalled",
    "volumechange",
    "ratechange",
    "error",
    "enterpictureinpicture",
    "leavepictureinpicture",
];
const OF_GROUP: [&str; 3] = ["fullscreenchange", "webkitfullscreenchange", "focusin"];
const OF_WINDOW: [&str; 2] = ["online", "offline"];

/// `HTMLMediaElement.HAVE_CURRENT_DATA` and `HAVE_FUTURE_DATA`.
const HAVE_CURRENT_DATA: u16 = 2;
const HAVE_FUTURE_DATA: u16 = 3;
/// `MediaError` codes.
const ERR_NETWORK: u16 = 2;
const ERR_SRC_NOT_SUPPORTED: u16 = 4;

/// The engine's ears; taken off when dropped.
pub(super) struct Listeners {
    closure: Closure<dyn FnMut(Event)>,
    targets: Vec<(EventTarget, &'static [&'static str])>,
}

impl Listeners {
    /// Listens for `engine`, as long as it is there.
    pub(super) fn attach(engine: &Rc<Engine>) -> Self {
        let weak = Rc::downgrade(engine);
        let closure = Closure::<dyn FnMut(Event)>::new(move |event: Event| {
            if let Some(engine) = weak.upgrade() {
                engine.on_event(&event.type_());
            }
        });
        let video: EventTarget = engine.video.clone().into();
        let group: EventTarget = engine.group.clone().into();
        let targets: Vec<(EventTarget, &'static [&'static str])> =
            vec![(video, &OF_VIDEO), (group, &OF_GROUP), (window().into(), &OF_WINDOW)];
        for (target, names) in &targets {
            for name in *names {
                let _ = target.add_event_listener_with_callback(name, closure.as_ref().unchecked_ref());
            }
        }
        Self { closure, targets }
    }
}

impl Drop for Listeners {
    fn drop(&mut self) {
        for (target, names) in &self.targets {
            for name in *names {
                let _ = target.remove_event_listener_with_callback(name, self.closure.as_ref().unchecked_ref());
            }
        }
    }
}

impl Engine {
    fn on_event(&self, name: &str) {
        match name {
            "volumechange" => return self.observe_sound(),
            "ratechange" => {
                let rate = self.video.playback_rate();
                return self.store.change(|state| state.rate = rate);
            }
            "enterpictureinpicture" | "leavepictureinpicture" | "fullscreenchange" | "webkitfullscreenchange" => {
                let screen = Screen::read(&self.group, &self.video);
                return self.store.change(|state| state.screen = screen);
            }
            "focusin" => return self.perform(Request::Wake),
            "online" => return self.retry_now(),
            "offline" => return,
            "error" => return self.observe_error(),
            "play" => self.wanted.set(true),
            // Also by a media key, or in the picture-in-picture window.
            "pause" => self.wanted.set(false),
            "playing" => {
                self.started.set(true);
                self.store.change(|state| state.waiting = false);
                self.perform(Request::Wake);
            }
            "waiting" => self.take_up(),
            "seeking" => self.take_up_for_seek(),
            "progress" => self.store.change(|state| state.waiting = false),
            "timeupdate" if !self.video.paused() => self.progressed(self.video.current_time()),
            "loadedmetadata" => {
                if let Some(at) = self.native_start() {
                    self.video.set_current_time(at);
                }
            }
            _ => {}
        }
        self.observe();
    }

    /// Reads the element's facts and its timeline.
    pub(super) fn observe(&self) {
        let ready = self.video.ready_state();
        let media = MediaFacts {
            loaded: ready >= HAVE_CURRENT_DATA,
            running: !self.video.paused(),
            starved: ready < HAVE_FUTURE_DATA,
            ended: self.video.ended(),
            ..self.facts()
        };
        self.store.change(|state| {
            state.media = media;
            // Without metadata all is zero: what is shown stays until there is something better.
            if ready > 0 {
                self.observe_timeline(&mut state.timeline, state.playback.arriving || state.playback.growing);
            }
        });
    }

    fn observe_timeline(&self, timeline: &mut Timeline, unfinished: bool) {
        let duration = self.video.duration();
        timeline.position = self.video.current_time();
        // Of a video that is still being uploaded or made the element knows what is there; the page knows the whole.
        if duration.is_finite() && (!unfinished || duration > timeline.duration) {
            timeline.duration = duration;
        }
        timeline.buffered = ranges(&self.video.buffered());
    }

    fn observe_sound(&self) {
        let (volume, muted) = (self.video.volume(), self.video.muted());
        self.store.change(|state| {
            (state.sound.volume, state.sound.muted) = (volume, muted);
            state.sound.muted_by_browser &= muted;
        });
    }

    /// hls.js leaves what the decoder says to us; native playback everything.
    fn observe_error(&self) {
        let Some(error) = self.video.error() else { return };
        if self.began_elsewhere() {
            // It gives up by itself, and is looked at again before hls.js gets anything.
            return;
        }
        let native = self.hls().is_none();
        self.fault(match error.code() {
            ERR_NETWORK if native => Fault::Network,
            // What native playback says of a refused playlist.
            ERR_SRC_NOT_SUPPORTED if native => Fault::Refused,
            _ => Fault::Media,
        });
    }
}

fn ranges(ranges: &TimeRanges) -> Vec<(f64, f64)> {
    (0..ranges.length()).filter_map(|index| Some((ranges.start(index).ok()?, ranges.end(index).ok()?))).collect()
}
