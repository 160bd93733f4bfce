//! What this browser remembers between videos: volume, mute and speed. Storage may be blocked (an embed in a strict
//! browser); then nothing is remembered, and nothing else is different. A page's own script reads the same names (`watch/starter.js`).

use leptos::prelude::window;
use web_sys::Storage;

use super::{
    engine::Engine,
    starter::Starter,
    state::{RATES, Sound},
};

const VOLUME: &str = "millrace.volume";
const MUTED: &str = "millrace.muted";
const RATE: &str = "millrace.rate";

impl Engine {
    /// Sets the element as the viewer likes it, and as the page's address says.
    pub(super) fn apply_preferences(&self) {
        let mut sound = remembered_sound();
        sound.muted |= self.start.muted;
        if self.starter.borrow().as_ref().is_some_and(Starter::muted_by_browser) {
            (sound.muted, sound.muted_by_browser) = (true, true);
        }
        self.video.set_volume(sound.volume);
        self.video.set_muted(sound.muted);
        self.video.set_loop(self.start.looping);
        let rate = remembered_rate();
        // The default too: a new source sets the speed back to it.
        self.video.set_default_playback_rate(rate);
        self.video.set_playback_rate(rate);
        self.store.change(|state| (state.sound, state.rate) = (sound, rate));
    }
}

/// Whether the browser asks to be sparing with data: then nothing is loaded before the viewer presses play.
pub(super) fn saves_data() -> bool {
    let get = |object: &wasm_bindgen::JsValue, name: &str| js_sys::Reflect::get(object, &name.into());
    get(&window().navigator(), "connection").and_then(|connection| get(&connection, "saveData")).is_ok_and(|saves| saves.is_truthy())
}

/// Volume and mute as last set by hand.
fn remembered_sound() -> Sound {
    let volume = read_percent(VOLUME).filter(|percent| *percent <= 100).unwrap_or(100);
    Sound { volume: f64::from(volume) / 100.0, muted: read(MUTED).as_deref() == Some("true"), muted_by_browser: false }
}

/// Keeps volume and mute.
pub(super) fn keep_sound(sound: Sound) {
    write_percent(VOLUME, sound.volume);
    write(MUTED, if sound.muted { "true" } else { "false" });
}

/// Speed as last chosen.
fn remembered_rate() -> f64 {
    read_percent(RATE).map(|percent| f64::from(percent) / 100.0).filter(|rate| RATES.contains(rate)).unwrap_or(1.0)
}

/// Keeps the speed.
pub(super) fn keep_rate(rate: f64) {
    write_percent(RATE, rate);
}

/// Whole percents, so that nothing is lost in writing and reading fractions.
fn read_percent(key: &str) -> Option<u32> {
    read(key)?.parse().ok()
}

fn write_percent(key: &str, share: f64) {
    write(key, &((share * 100.0).round() as u32).to_string());
}

/// Asking for storage throws where it is blocked.
fn storage() -> Option<Storage> {
    window().local_storage().ok().flatten()
}

fn read(key: &str) -> Option<String> {
    storage()?.get_item(key).ok().flatten()
}

fn write(key: &str, value: &str) {
    if let Some(storage) = storage() {
        // A full storage forgets; that is all.
        let _ = storage.set_item(key, value);
    }
}
