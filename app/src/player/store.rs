//! The player's state as one signal, and the way to the engine. Controls read the one and send to the other; they never touch the
//! video. Everything here is made on the server too; the engine alone is the browser's.
//!
//! One signal and few types of derived ones, on purpose: Leptos compiles its machinery anew for each type of signal and each
//! closure in a view, and the embed page is to stay small. What changes is compared before it reaches the page anyway.

use std::rc::Rc;

use domain::video::{Playback, PlaybackState};
use leptos::prelude::*;
use send_wrapper::SendWrapper;

use super::{engine::Engine, phase::Phase, request::Request, state::State};

/// All of it; cheap to copy into closures.
#[derive(Clone, Copy)]
pub(super) struct Store {
    state: RwSignal<State>,
    engine: StoredValue<Option<SendWrapper<Rc<Engine>>>>,
}

impl Store {
    /// As the server renders it and the browser takes it up.
    pub(super) fn new(playback: Playback) -> Self {
        Self { state: RwSignal::new(State::new(playback)), engine: StoredValue::new(None) }
    }

    /// A text that follows the state.
    pub(super) fn text(self, text: fn(&State) -> String) -> Signal<String> {
        Signal::derive(move || self.state.with(text))
    }

    /// A yes or no that follows the state.
    pub(super) fn flag(self, flag: fn(&State) -> bool) -> Signal<bool> {
        Signal::derive(move || self.state.with(flag))
    }

    /// Anything that follows the state, told only when it changes.
    pub(super) fn memo<T: PartialEq + Send + Sync + 'static>(self, value: fn(&State) -> T) -> Memo<T> {
        Memo::new(move |_| self.state.with(value))
    }

    /// Whether this is the speed; followed.
    pub(super) fn rate_is(self, rate: f64) -> bool {
        self.state.with(|state| state.rate == rate)
    }

    /// The phase, told only when it changes.
    pub(super) fn phase(self) -> Memo<Phase> {
        self.memo(State::phase)
    }

    /// Reads the state as it is now.
    pub(super) fn look<T>(self, look: impl FnOnce(&State) -> T) -> T {
        self.state.with_untracked(look)
    }

    /// Changes the state.
    pub(super) fn change(self, mut change: impl FnMut(&mut State)) {
        self.change_dyn(&mut change);
    }

    fn change_dyn(self, change: &mut dyn FnMut(&mut State)) {
        // The player may be gone by the time something that was under way comes back.
        let _ = self.state.try_update(change);
    }

    /// Asks for something. Before the engine runs there is nobody to hear it.
    pub(super) fn send(self, request: Request) {
        if let Some(engine) = self.engine() {
            engine.perform(request);
        }
    }

    /// What a button does: sends this.
    pub(super) fn sends<E>(self, request: Request) -> impl Fn(E) + Clone + 'static {
        move |_| self.send(request)
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
        self.look(|state| state.playback.url.clone().filter(|_| state.playback.state == PlaybackState::Playable))
    }
}
