//! The player's state as signals, and the way to the engine. Controls read the one and send to the other; they never touch the
//! video. Everything here is made on the server too; the engine alone is the browser's.

use std::rc::Rc;

use domain::video::Playback;
use leptos::prelude::*;
use send_wrapper::SendWrapper;

use super::{
    engine::Engine,
    quality::Qualities,
    request::Request,
    screen::Screen,
    state::{MediaFacts, Phase, Sound, Timeline, Trouble},
};

/// All of it; cheap to copy into closures.
#[derive(Clone, Copy)]
pub(super) struct Store {
    pub(super) playback: Signal<Playback>,
    pub(super) phase: Memo<Phase>,
    pub(super) media: RwSignal<MediaFacts>,
    pub(super) timeline: RwSignal<Timeline>,
    pub(super) sound: RwSignal<Sound>,
    pub(super) rate: RwSignal<f64>,
    pub(super) qualities: RwSignal<Qualities>,
    pub(super) screen: RwSignal<Screen>,
    pub(super) trouble: RwSignal<Option<Trouble>>,
    /// The network failed; it is being tried again.
    pub(super) waiting: RwSignal<bool>,
    /// The settings menu is open.
    pub(super) menu: RwSignal<bool>,
    /// Nobody moves: the controls may go.
    pub(super) idle: RwSignal<bool>,
    /// What was just done, in words: shown for a moment and read out.
    pub(super) note: RwSignal<String>,
    engine: StoredValue<Option<SendWrapper<Rc<Engine>>>>,
}

impl Store {
    /// As the server renders it and the browser takes it up.
    pub(super) fn new(playback: Signal<Playback>, gone: Signal<bool>) -> Self {
        let media = RwSignal::new(MediaFacts::default());
        let trouble = RwSignal::new(None);
        let phase = Memo::new(move |_| {
            let trouble = if gone.get() { Some(Trouble::Gone) } else { trouble.get() };
            Phase::of(playback.with(|playback| playback.state), media.get(), trouble)
        });
        let duration = playback.with_untracked(|playback| playback.duration_ms as f64 / 1000.0);
        Self {
            playback,
            phase,
            media,
            timeline: RwSignal::new(Timeline { duration, ..Timeline::default() }),
            sound: RwSignal::new(Sound::default()),
            rate: RwSignal::new(1.0),
            qualities: RwSignal::new(Qualities::default()),
            screen: RwSignal::new(Screen::default()),
            trouble,
            waiting: RwSignal::new(false),
            menu: RwSignal::new(false),
            idle: RwSignal::new(false),
            note: RwSignal::new(String::new()),
            engine: StoredValue::new(None),
        }
    }

    /// Asks for something. Before the engine runs there is nobody to hear it.
    pub(super) fn send(self, request: Request) {
        if let Some(engine) = self.engine() {
            engine.perform(request);
        }
    }

    /// The engine, once the page is alive.
    pub(super) fn engine(self) -> Option<Rc<Engine>> {
        self.engine.try_with_value(|engine| engine.as_deref().cloned()).flatten()
    }

    /// Puts the engine in, or takes it out: with its last owner it lets go of the video and of hls.js.
    pub(super) fn set_engine(self, engine: Option<Rc<Engine>>) {
        let _ = self.engine.try_update_value(|slot| std::mem::replace(slot, engine.map(SendWrapper::new)));
    }

    /// Where to load from, where there is something to play.
    pub(super) fn url(self) -> Option<String> {
        let playback = self.playback.get_untracked();
        playback.url.filter(|_| playback.state == domain::video::PlaybackState::Playable)
    }
}
