//! What the viewer asks for, carried out on the video element and on hls.js.

use leptos::prelude::*;

use super::{
    engine::Engine,
    preferences,
    request::Request,
    screen,
    state::{self, Phase, Sound},
};

/// The controls go this long after the last sign of life.
const IDLE_MS: u32 = 3_000;
/// And this long after the pointer left.
const LEAVE_MS: u32 = 400;
/// A note stays this long.
const NOTE_MS: u32 = 1_500;

impl Engine {
    /// Does what is asked.
    pub(super) fn perform(&self, request: Request) {
        let timeline = || self.store.timeline.get_untracked();
        let sound = self.store.sound.get_untracked();
        match request {
            Request::TogglePlay if self.wanted.get() && !self.video.ended() => self.pause(),
            Request::TogglePlay => self.play(),
            Request::SeekTo(second) => self.seek(second),
            Request::SeekBy(seconds) => self.seek(timeline().position + seconds),
            Request::SeekToShare(share) => self.seek(timeline().duration * share),
            Request::SetVolume(volume) => self.set_sound(sound.set(volume)),
            Request::VolumeBy(by) => {
                self.set_sound(sound.set(sound.volume + by));
                self.note(format!("Volume {} percent", self.store.sound.get_untracked().percent()));
            }
            Request::ToggleMute => {
                self.set_sound(sound.toggled());
                self.note(if self.store.sound.get_untracked().silent() { "Muted".to_owned() } else { "Sound on".to_owned() });
            }
            Request::SetRate(rate) => self.set_rate(rate),
            Request::Slower => self.set_rate(state::stepped_rate(self.store.rate.get_untracked(), false)),
            Request::Faster => self.set_rate(state::stepped_rate(self.store.rate.get_untracked(), true)),
            Request::ChooseQuality(level) => self.choose_quality(level),
            Request::ToggleFullScreen => {
                screen::toggle_full(&self.group, &self.video);
                // So that Space plays and pauses there, instead of pressing the button again.
                let _ = self.group.focus();
            }
            Request::TogglePictureInPicture => screen::toggle_picture_in_picture(&self.video),
            Request::Retry => self.try_again(),
            Request::Wake => self.wake(IDLE_MS),
            Request::Leave => self.later(&self.idle, LEAVE_MS, Self::doze),
        }
        if !matches!(request, Request::Wake | Request::Leave) {
            self.wake(IDLE_MS);
        }
    }

    fn pause(&self) {
        self.wanted.set(false);
        // Where it did not get to play yet there is no event to tell of it.
        let _ = self.video.pause();
        self.observe();
    }

    fn seek(&self, second: f64) {
        if !self.store.phase.get_untracked().controllable() {
            return;
        }
        let second = self.store.timeline.with_untracked(|timeline| timeline.clamp(second));
        self.video.set_current_time(second);
        self.store.timeline.update(|timeline| timeline.position = second);
    }

    fn set_sound(&self, sound: Sound) {
        self.video.set_volume(sound.volume);
        self.video.set_muted(sound.muted);
        self.store.sound.set(sound);
        preferences::keep_sound(sound);
    }

    fn set_rate(&self, rate: f64) {
        self.video.set_default_playback_rate(rate);
        self.video.set_playback_rate(rate);
        preferences::keep_rate(rate);
        self.note(format!("Speed {}", state::rate_label(rate).to_lowercase()));
    }

    fn choose_quality(&self, level: Option<u32>) {
        if let Some(hls) = self.hls() {
            hls.choose(level);
        }
        self.store.qualities.update(|qualities| qualities.chosen = level);
        self.note(self.store.qualities.with_untracked(|qualities| qualities.spoken()));
    }

    fn note(&self, words: String) {
        self.store.note.set(words);
        self.later(&self.note, NOTE_MS, |engine| engine.store.note.set(String::new()));
    }

    fn wake(&self, ms: u32) {
        if self.store.idle.get_untracked() {
            self.store.idle.set(false);
        }
        self.later(&self.idle, ms, Self::doze);
    }

    /// Hides the controls, unless somebody may need them: nothing that has the keyboard's focus may vanish.
    fn doze(&self) {
        let playing = matches!(self.store.phase.get_untracked(), Phase::Playing | Phase::Buffering);
        let focused = self.group.query_selector(":focus-visible").ok().flatten().is_some();
        if playing && !focused && !self.store.menu.get_untracked() {
            self.store.idle.set(true);
        } else if playing {
            self.later(&self.idle, IDLE_MS, Self::doze);
        }
    }
}
