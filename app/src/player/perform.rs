//! What the viewer asks for, carried out on the video element and on hls.js.

use super::{
    engine::Engine,
    preferences,
    request::Request,
    screen,
    state::{self, Sound},
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
        let (position, duration, sound, rate) =
            self.store.look(|state| (state.timeline.position, state.timeline.duration, state.sound, state.rate));
        match request {
            Request::TogglePlay if self.wanted.get() && !self.video.ended() => self.pause(),
            Request::TogglePlay => self.play(),
            Request::SeekTo(second) => self.seek(second),
            Request::SeekBy(seconds) => self.seek(position + seconds),
            Request::SeekToShare(share) => self.seek(duration * share),
            Request::SetVolume(volume) => self.set_sound(sound.set(volume)),
            Request::VolumeBy(by) => {
                let sound = sound.set(sound.volume + by);
                self.set_sound(sound);
                self.note(format!("Volume {} percent", sound.percent()));
            }
            Request::ToggleMute => {
                let sound = sound.toggled();
                self.set_sound(sound);
                self.note((if sound.silent() { "Muted" } else { "Sound on" }).to_owned());
            }
            Request::SetRate(rate) => self.set_rate(rate),
            Request::Slower => self.set_rate(state::stepped_rate(rate, false)),
            Request::Faster => self.set_rate(state::stepped_rate(rate, true)),
            Request::ChooseQuality(level) => self.choose_quality(level),
            Request::ToggleFullScreen => {
                screen::toggle_full(&self.group, &self.video);
                // So that Space plays and pauses there, instead of pressing the button again.
                let _ = self.group.focus();
            }
            Request::TogglePictureInPicture => screen::toggle_picture_in_picture(&self.video),
            Request::Choices => self.take_up(),
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
        let (can, second) = self.store.look(|state| (state.phase().controllable(), state.timeline.clamp(second)));
        if can {
            self.video.set_current_time(second);
            self.store.change(|state| state.timeline.position = second);
        }
    }

    fn set_sound(&self, sound: Sound) {
        self.video.set_volume(sound.volume);
        self.video.set_muted(sound.muted);
        self.store.change(|state| state.sound = sound);
        preferences::keep_sound(sound);
    }

    fn set_rate(&self, rate: f64) {
        self.video.set_default_playback_rate(rate);
        self.video.set_playback_rate(rate);
        preferences::keep_rate(rate);
        self.note(format!("Speed {}", state::rate_label(rate)));
    }

    fn choose_quality(&self, level: Option<u32>) {
        if let Some(hls) = self.hls() {
            hls.choose(level);
        }
        self.store.change(|state| state.qualities.chosen = level);
        self.note(self.store.look(|state| state.qualities.spoken()));
    }

    fn note(&self, words: String) {
        self.store.change(|state| state.note.clone_from(&words));
        self.later(&self.note, NOTE_MS, |engine| engine.store.change(|state| state.note.clear()));
    }

    fn wake(&self, ms: u32) {
        if self.store.look(|state| state.idle) {
            self.store.change(|state| state.idle = false);
        }
        self.later(&self.idle, ms, Self::doze);
    }

    /// Hides the controls, unless somebody may need them: nothing that has the keyboard's focus may vanish.
    fn doze(&self) {
        let (playing, menu) = self.store.look(|state| (state.plays(), state.menu));
        let focused = self.group.query_selector(":focus-visible").ok().flatten().is_some();
        if playing && !focused && !menu {
            self.store.change(|state| state.idle = true);
        } else if playing {
            self.later(&self.idle, IDLE_MS, Self::doze);
        }
    }
}
