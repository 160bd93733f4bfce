//! The player at work in the browser: which source is open, what to do when something fails, and when to ask the page for a
//! fresh playback. It owns hls.js and every listener and timer, and lets go of all of them when dropped. What the viewer wants
//! is carried out in `perform.rs`; what the video element tells is read in `observe.rs`.

use std::{
    cell::{Cell, RefCell},
    rc::{Rc, Weak},
};

use domain::grant::Lifetime;
use leptos::prelude::*;
use web_sys::{HtmlElement, HtmlVideoElement};

use super::{
    hls::{Hls, HlsEvent},
    observe::Listeners,
    phase::{MediaFacts, Trouble},
    preferences,
    recovery::{Fault, Recovery, Remedy},
    renewal::Signatures,
    screen::Screen,
    script,
    start::StartOptions,
    starter::Starter,
    store::Store,
    timer::Timer,
};

/// How long the page has for a fresh playback before the address at hand is tried once more: it may have answered with the same one.
const RENEWAL_MS: u32 = 5_000;

/// One player's machinery.
pub(super) struct Engine {
    pub(super) store: Store,
    pub(super) video: HtmlVideoElement,
    pub(super) group: HtmlElement,
    pub(super) renew: Callback<Lifetime>,
    /// What to ask it for.
    lifetime: Cell<Lifetime>,
    pub(super) start: StartOptions,
    hls: RefCell<Option<Rc<Hls>>>,
    /// What the page had begun, until hls.js takes it over.
    pub(super) starter: RefCell<Option<Starter>>,
    /// What hls.js puts into the addresses that it asks for.
    pub(super) signatures: Rc<RefCell<Option<Signatures>>>,
    pub(super) recovery: RefCell<Recovery>,
    /// The address that is open, or about to be, and where the objects are that it led to.
    pub(super) url: RefCell<Option<String>>,
    pub(super) opened: RefCell<Option<String>>,
    /// Second to begin at when the source is ready.
    at: Cell<f64>,
    /// The viewer wants it to play.
    pub(super) wanted: Cell<bool>,
    /// It played at least once.
    pub(super) started: Cell<bool>,
    /// The page was asked for a fresh playback.
    pub(super) renewing: Cell<bool>,
    pub(super) retry: Timer,
    pub(super) renewal: Timer,
    pub(super) refresh: Timer,
    pub(super) idle: Timer,
    pub(super) note: Timer,
    listeners: RefCell<Option<Listeners>>,
    this: Weak<Engine>,
}

impl Engine {
    /// Takes the rendered elements over and loads what there is to play.
    pub(super) fn start(
        store: Store,
        group: HtmlElement,
        video: HtmlVideoElement,
        renew: Callback<Lifetime>,
        start: StartOptions,
    ) -> Rc<Self> {
        let starter = Starter::adopt();
        let wanted = starter.as_ref().map_or(start.autoplay, Starter::wanted);
        let began = video.current_time();
        let engine = Rc::new_cyclic(|this| Self {
            store,
            video,
            group,
            renew,
            lifetime: Cell::default(),
            start,
            hls: RefCell::default(),
            starter: RefCell::new(starter),
            signatures: Rc::default(),
            recovery: RefCell::default(),
            url: RefCell::default(),
            opened: RefCell::default(),
            at: Cell::new(if began > 0.0 { began } else { start.at }),
            wanted: Cell::new(wanted),
            started: Cell::new(began > 0.0),
            renewing: Cell::new(false),
            retry: Timer::default(),
            renewal: Timer::default(),
            refresh: Timer::default(),
            idle: Timer::default(),
            note: Timer::default(),
            listeners: RefCell::default(),
            this: this.clone(),
        });
        engine.listeners.replace(Some(Listeners::attach(&engine)));
        engine.apply_preferences();
        let screen = Screen::read(&engine.group, &engine.video);
        store.change(|state| state.screen = screen);
        engine.adopt();
        engine
    }

    /// There may be news of the video in the store.
    pub(super) fn adopt(&self) {
        let Some(url) = self.store.url() else { return self.rest() };
        let untroubled = self.store.look(|state| state.trouble.is_none());
        if self.renewing.get() {
            self.reopen(url);
        } else if self.url.borrow().is_none() && untroubled && (self.wanted.get() || !preferences::saves_data()) {
            self.open(url);
        } else if self.hls.borrow().is_some() && self.url.borrow().as_ref() != Some(&url) {
            self.url.replace(Some(url));
            self.sign_anew();
        }
    }

    /// Plays, or sees to it that it will.
    pub(super) fn play(&self) {
        self.wanted.set(true);
        if let Some(hls) = self.hls() {
            hls.buffer_ahead();
            self.start_video();
        } else if !self.video.current_src().is_empty() {
            self.start_video();
        } else if self.url.borrow().is_none()
            && let Some(url) = self.store.url()
        {
            self.open(url);
        }
        self.observe();
    }

    /// Once more, by hand, after giving up.
    pub(super) fn try_again(&self) {
        let expired = self.store.look(|state| state.trouble == Some(Trouble::Expired));
        self.recovery.take();
        self.wanted.set(true);
        self.store.change(|state| state.trouble = None);
        match self.store.url() {
            Some(url) if !expired => self.reopen(url),
            _ => self.ask_for_renewal(),
        }
    }

    /// Lets go of the source: it is not ours to show any more.
    pub(super) fn stop(&self) {
        self.retry.cancel();
        self.renewal.cancel();
        self.renewing.set(false);
        self.wanted.set(false);
        self.close();
        self.url.take();
        self.observe();
    }

    /// Begins anew for another video.
    pub(super) fn forget(&self) {
        self.stop();
        self.recovery.take();
        self.at.set(0.0);
        self.started.set(false);
    }

    /// This engine, for what comes back later and must not keep it.
    pub(super) fn this(&self) -> Weak<Self> {
        self.this.clone()
    }

    /// The network is back: no need to wait for the timer.
    pub(super) fn retry_now(&self) {
        if self.retry.cancel() {
            self.load_on();
        }
    }

    /// The hold on hls.js, where it plays.
    pub(super) fn hls(&self) -> Option<Rc<Hls>> {
        self.hls.borrow().clone()
    }

    /// What is known of the media element, on top of what it says itself.
    pub(super) fn facts(&self) -> MediaFacts {
        MediaFacts {
            attached: self.url.borrow().is_some(),
            wanted: self.wanted.get(),
            started: self.started.get(),
            ..MediaFacts::default()
        }
    }

    /// Second to begin at, for a player that cannot be told beforehand.
    pub(super) fn native_start(&self) -> Option<f64> {
        (self.hls.borrow().is_none() && self.at.get() > 0.0).then(|| self.at.replace(0.0))
    }

    /// The playhead moves.
    pub(super) fn progressed(&self, position: f64) {
        self.recovery.borrow_mut().played(position);
    }

    /// Acts on a fault. Late ones, of a source that is being replaced, are no news.
    pub(super) fn fault(&self, fault: Fault) {
        if self.renewing.get() || self.store.look(|state| state.trouble.is_some()) || self.url.borrow().is_none() {
            return;
        }
        let online = window().navigator().on_line();
        let remedy = self.recovery.borrow_mut().remedy(fault, self.video.current_time(), online);
        match remedy {
            Remedy::LoadOn { after_ms } => {
                self.store.change(|state| state.waiting = true);
                self.later(&self.retry, after_ms, Self::load_on);
            }
            Remedy::Recover => {
                if let Some(hls) = self.hls() {
                    hls.recover();
                    self.resume();
                } else if let Some(url) = self.url.borrow().clone() {
                    self.reopen(url);
                }
            }
            Remedy::Renew => self.ask_for_renewal(),
            Remedy::GiveUp(trouble) => self.give_up(trouble),
        }
    }

    /// Runs `then` on this engine later, if it is still there.
    pub(super) fn later(&self, timer: &Timer, ms: u32, then: impl FnOnce(&Self) + 'static) {
        let this = self.this.clone();
        timer.set(ms, move || {
            if let Some(engine) = this.upgrade() {
                then(&engine);
            }
        });
    }

    fn load_on(&self) {
        self.retry.cancel();
        let went_on = self.hls().is_some_and(|hls| hls.load_on());
        if !went_on && let Some(url) = self.url.borrow().clone() {
            self.reopen(url);
        }
    }

    /// Playing goes on from the buffer meanwhile.
    fn ask_for_renewal(&self) {
        self.renewing.set(true);
        self.later(&self.renewal, RENEWAL_MS, |engine| {
            if let Some(url) = engine.store.url() {
                engine.reopen(url);
            } else {
                engine.give_up(Trouble::Expired);
            }
        });
        self.renew.run(self.lifetime.get());
    }

    fn give_up(&self, trouble: Trouble) {
        self.keep_position();
        self.renewing.set(false);
        self.close();
        self.store.change(|state| (state.waiting, state.trouble) = (false, Some(trouble)));
        self.observe();
    }

    /// Opens anew where it was.
    pub(super) fn reopen(&self, url: String) {
        self.renewing.set(false);
        self.renewal.cancel();
        self.keep_position();
        self.open(url);
    }

    pub(super) fn keep_position(&self) {
        if self.video.ready_state() > 0 {
            self.at.set(self.video.current_time());
        }
    }

    pub(super) fn close(&self) {
        self.refresh.cancel();
        drop(self.starter.take());
        drop(self.hls.take());
        if self.video.has_attribute("src") {
            let _ = self.video.remove_attribute("src");
            self.video.load();
        }
    }

    fn open(&self, url: String) {
        // What the page had begun plays meanwhile.
        if !self.began_elsewhere() {
            self.close();
        }
        self.url.replace(Some(url));
        self.observe();
        let this = self.this.clone();
        leptos::task::spawn_local(async move {
            let loaded = script::load().await;
            let Some(engine) = this.upgrade() else { return };
            match loaded {
                Ok(()) => engine.attach(),
                Err(_) => engine.fault(Fault::Network),
            }
        });
    }

    /// hls.js decides first; native playback only where it cannot work.
    fn attach(&self) {
        let Some(url) = self.url.borrow().clone() else { return };
        if self.hls.borrow().is_some() {
            // Opened twice while the script was on its way.
            return;
        }
        if Hls::is_supported() {
            // Before anything is asked for: what is put into addresses has to be of this very playback.
            self.sign_anew();
            self.note_opened();
            let this = self.this.clone();
            let starter = self.starter.take().filter(Starter::is_alive);
            let opened = Hls::open(&self.video, &url, self.at.get(), starter, &self.signatures, move |event| {
                let this = this.clone();
                // Not from inside hls.js's own call: a remedy may destroy it.
                leptos::task::spawn_local(async move {
                    if let Some(engine) = this.upgrade() {
                        engine.hear(event);
                    }
                });
            });
            match opened {
                Ok(hls) => drop(self.hls.replace(Some(Rc::new(hls)))),
                Err(_) => self.give_up(Trouble::Unsupported),
            }
        } else if !self.video.can_play_type("application/vnd.apple.mpegurl").is_empty() {
            if self.lifetime.replace(Lifetime::Film) == Lifetime::Renewed
                && self.store.look(|state| state.playback.renew_in_seconds.is_some())
            {
                // It reads the playlists once and asks nobody for more: it needs addresses that last.
                return self.ask_for_renewal();
            }
            self.video.set_src(&url);
            self.resume();
        } else {
            self.give_up(Trouble::Unsupported);
        }
    }

    fn hear(&self, event: HlsEvent) {
        match event {
            HlsEvent::Parsed(rungs) => {
                self.store.change(|state| {
                    state.waiting = false;
                    state.qualities.renew(&rungs);
                });
                if let Some(hls) = self.hls() {
                    let chosen = self.store.look(|state| state.qualities.chosen);
                    if chosen.is_some() {
                        hls.choose(chosen);
                    }
                    if self.started.get() || self.wanted.get() {
                        hls.buffer_ahead();
                    }
                }
                self.resume();
            }
            HlsEvent::Switched(level) => self.store.change(|state| state.qualities.playing = Some(level)),
            HlsEvent::Hindered => self.store.change(|state| state.waiting = true),
            HlsEvent::Abandoned => {
                if let Some(url) = self.url.borrow().clone() {
                    self.reopen(url);
                }
            }
            HlsEvent::Failed(fault) => self.fault(fault),
        }
    }

    pub(super) fn resume(&self) {
        if self.wanted.get() {
            self.start_video();
        }
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        // Listeners first, so that closing is not observed.
        self.listeners.take();
        self.close();
    }
}
