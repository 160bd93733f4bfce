//! The keyboard: which key asks for what, depending on where the focus is. The one table; the engine obeys it.

use super::request::Request;

/// What has the focus inside the player.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Focus {
    /// The player itself.
    Player,
    /// A button: Space and Enter press it.
    Button,
    /// The seek bar.
    SeekBar,
    /// A control that uses arrows, Home and End itself: the volume.
    Range,
    /// The open menu, which has keys of its own.
    Menu,
    /// Something one types into.
    Field,
}

/// Seconds that an arrow goes.
const STEP: f64 = 5.0;
/// Seconds that J and L go.
const LEAP: f64 = 10.0;
/// Share of full volume that an arrow goes.
const VOLUME_STEP: f64 = 0.05;

/// What `key` (its name as browsers give it) asks for.
pub(super) fn request_for(key: &str, focus: Focus) -> Option<Request> {
    match focus {
        Focus::Field | Focus::Menu => None,
        Focus::Button if matches!(key, " " | "Enter") => None,
        Focus::Range => letter(key),
        Focus::SeekBar => seek_bar(key).or_else(|| arrow(key)).or_else(|| letter(key)).or_else(|| digit(key)),
        Focus::Player | Focus::Button => arrow(key).or_else(|| letter(key)).or_else(|| digit(key)),
    }
}

/// A slider's own keys: up is more, a page is a leap.
fn seek_bar(key: &str) -> Option<Request> {
    Some(match key {
        "ArrowUp" => Request::SeekBy(STEP),
        "ArrowDown" => Request::SeekBy(-STEP),
        "PageUp" => Request::SeekBy(LEAP),
        "PageDown" => Request::SeekBy(-LEAP),
        _ => return None,
    })
}

fn arrow(key: &str) -> Option<Request> {
    Some(match key {
        "ArrowLeft" => Request::SeekBy(-STEP),
        "ArrowRight" => Request::SeekBy(STEP),
        "ArrowUp" => Request::VolumeBy(VOLUME_STEP),
        "ArrowDown" => Request::VolumeBy(-VOLUME_STEP),
        "Home" => Request::SeekToShare(0.0),
        "End" => Request::SeekToShare(1.0),
        _ => return None,
    })
}

fn letter(key: &str) -> Option<Request> {
    Some(match key {
        " " | "k" | "K" => Request::TogglePlay,
        "j" | "J" => Request::SeekBy(-LEAP),
        "l" | "L" => Request::SeekBy(LEAP),
        "m" | "M" => Request::ToggleMute,
        "f" | "F" => Request::ToggleFullScreen,
        "i" | "I" => Request::TogglePictureInPicture,
        "<" => Request::Slower,
        ">" => Request::Faster,
        _ => return None,
    })
}

fn digit(key: &str) -> Option<Request> {
    match key.as_bytes() {
        [digit @ b'0'..=b'9'] => Some(Request::SeekToShare(f64::from(digit - b'0') / 10.0)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_players_own_keys() {
        let table = [
            (" ", Request::TogglePlay),
            ("k", Request::TogglePlay),
            ("ArrowLeft", Request::SeekBy(-5.0)),
            ("ArrowRight", Request::SeekBy(5.0)),
            ("j", Request::SeekBy(-10.0)),
            ("L", Request::SeekBy(10.0)),
            ("ArrowUp", Request::VolumeBy(0.05)),
            ("ArrowDown", Request::VolumeBy(-0.05)),
            ("m", Request::ToggleMute),
            ("f", Request::ToggleFullScreen),
            ("i", Request::TogglePictureInPicture),
            ("0", Request::SeekToShare(0.0)),
            ("7", Request::SeekToShare(0.7)),
            ("Home", Request::SeekToShare(0.0)),
            ("End", Request::SeekToShare(1.0)),
            ("<", Request::Slower),
            (">", Request::Faster),
        ];
        for (key, request) in table {
            assert_eq!(request_for(key, Focus::Player), Some(request), "{key}");
        }
        for key in ["Tab", "Escape", "Enter", "x", "F5", "10"] {
            assert_eq!(request_for(key, Focus::Player), None, "{key}");
        }
    }

    #[test]
    fn what_has_the_focus_keeps_its_own_keys() {
        for key in [" ", "Enter"] {
            assert_eq!(request_for(key, Focus::Button), None);
        }
        assert_eq!(request_for("k", Focus::Button), Some(Request::TogglePlay));
        assert_eq!(request_for("ArrowUp", Focus::SeekBar), Some(Request::SeekBy(5.0)));
        for key in ["ArrowUp", "ArrowLeft", "Home", "5"] {
            assert_eq!(request_for(key, Focus::Range), None, "{key}");
        }
        assert_eq!(request_for("m", Focus::Range), Some(Request::ToggleMute));
        for key in ["k", " ", "ArrowUp", "5", "m"] {
            assert_eq!(request_for(key, Focus::Field), None, "{key}");
            assert_eq!(request_for(key, Focus::Menu), None, "{key}");
        }
    }
}
