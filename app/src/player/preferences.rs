//! What this browser remembers between videos: volume, mute and speed. Storage may be blocked (an embed in a strict
//! browser); then nothing is remembered, and nothing else is different.

use leptos::prelude::window;
use web_sys::Storage;

use super::state::{RATES, Sound};

const VOLUME: &str = "millrace.volume";
const MUTED: &str = "millrace.muted";
const RATE: &str = "millrace.rate";

/// Volume and mute as last set by hand.
pub(super) fn sound() -> Sound {
    let volume = read(VOLUME).and_then(|volume| volume.parse::<f64>().ok()).filter(|volume| (0.0..=1.0).contains(volume));
    Sound { volume: volume.unwrap_or(1.0), muted: read(MUTED).as_deref() == Some("true"), muted_by_browser: false }
}

/// Keeps volume and mute.
pub(super) fn keep_sound(sound: Sound) {
    write(VOLUME, &sound.volume.to_string());
    write(MUTED, if sound.muted { "true" } else { "false" });
}

/// Speed as last chosen.
pub(super) fn rate() -> f64 {
    read(RATE).and_then(|rate| rate.parse().ok()).filter(|rate| RATES.contains(rate)).unwrap_or(1.0)
}

/// Keeps the speed.
pub(super) fn keep_rate(rate: f64) {
    write(RATE, &rate.to_string());
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
