//! The player's icons: paths in a 24 × 24 box, stroked unless the style sheet fills them.

use leptos::prelude::*;

pub(super) const PLAY: &str = "M7 4v16l13-8z";
pub(super) const PAUSE: &str = "M7 5h3v14H7zm7 0h3v14h-3z";
pub(super) const REPLAY: &str = "M4 12a8 8 0 1 0 2.6-5.900M4 4v5h5";
pub(super) const SOUND: &str = "M4 9v6h4l5 4V5L8 9zM17 9c1 2 1 4 0 6m3-9c2.500 4 2.500 8 0 12";
pub(super) const SOUND_LOW: &str = "M4 9v6h4l5 4V5L8 9zM17 9c1 2 1 4 0 6";
pub(super) const SILENT: &str = "M4 9v6h4l5 4V5L8 9zM17 9.500l5 5m0-5l-5 5";
pub(super) const SETTINGS: &str =
    "M4 7h9m5 0h2M4 17h2m5 0h9M18 7a2.500 2.500 0 1 1-5 0a2.500 2.500 0 0 1 5 0zM11 17a2.500 2.500 0 1 1-5 0a2.500 2.500 0 0 1 5 0z";
pub(super) const PICTURE_IN_PICTURE: &str = "M6 5h12a3 3 0 0 1 3 3v8a3 3 0 0 1-3 3H6a3 3 0 0 1-3-3V8a3 3 0 0 1 3-3zM12 12h6v4h-6z";
pub(super) const FULL_SCREEN: &str = "M4 9V4h5m6 0h5v5m0 6v5h-5m-6 0H4v-5";
pub(super) const EXIT_FULL_SCREEN: &str = "M9 4v5H4m16 0h-5V4m0 16v-5h5M4 15h5v5";
pub(super) const CHECK: &str = "M5 12l5 5L20 7";

/// One icon, hidden from screen readers: the name is the button's.
pub(super) fn icon(path: Signal<String>) -> impl IntoView {
    view! {
        <svg class="player-icon" viewBox="0 0 24 24" aria-hidden="true">
            <path d=path></path>
        </svg>
    }
}

/// One that never changes.
pub(super) fn still(path: &'static str) -> impl IntoView {
    view! {
        <svg class="player-icon" viewBox="0 0 24 24" aria-hidden="true">
            <path d=path></path>
        </svg>
    }
}
