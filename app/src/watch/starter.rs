//! The page's own script: it shows the first frame straight from the store, before there is a player, and then brings the player in, which
//! takes the running video over (`player/starter.rs`). `starter.js` says how; this puts it and what it needs to know into the page, and the style
//! sheet as well: no picture is shown before that is there, so as a file of its own it would cost a further way to the server and back.

use std::sync::LazyLock;

use domain::start::{Start, StartTrack};
use leptos::prelude::*;
use serde::Serialize;

use super::Kind;
use crate::player::HLS_SCRIPT;

/// The embed entry.
pub(super) const ENTRY: &str = "/pkg/embed.js";
/// Its WASM.
pub(super) const WASM: &str = "/pkg/embed_bg.wasm";

/// By this name the page and the player know the script.
const NAME: &str = "millraceStarter";
/// Characters of Base64 in a track's first piece, which has its init segment in it, and in the others: multiples of four, each a text by itself.
const FIRST: usize = 2_048;
const NEXT: usize = 6_144;

/// Without what only its readers need.
static SCRIPT: LazyLock<String> = LazyLock::new(|| {
    let lines = include_str!("starter.js").lines();
    lines.filter_map(code).filter(|line| !line.starts_with("//")).collect::<Vec<_>>().join("\n")
});

/// The player's style sheet.
const WRITTEN: &str = include_str!("../../../style/player.css");

/// The same without what only its readers need.
static STYLES: LazyLock<String> = LazyLock::new(|| rules(WRITTEN));

/// And without what is on the watch page alone: it stands between these two.
static EMBED_STYLES: LazyLock<String> = LazyLock::new(|| {
    let cut = WRITTEN.split_once("/* The watch page. */").and_then(|(player, rest)| Some([player, rest.split_once("/* The embed:")?.1]));
    cut.map_or_else(|| STYLES.clone(), |[player, embed]| rules(&format!("{player}/*{embed}")))
});

fn rules(written: &str) -> String {
    let parts = written.split("/*").map(|part| part.split_once("*/").map_or(part, |(_, rules)| rules));
    parts.flat_map(str::lines).filter_map(code).collect::<Vec<_>>().join("\n")
}

fn code(line: &str) -> Option<&str> {
    Some(line.trim()).filter(|line| !line.is_empty())
}

/// What the script reads.
#[derive(Serialize)]
struct Plan<'a> {
    #[serde(flatten)]
    start: &'a Start,
    entry: &'a str,
    wasm: &'a str,
    hls: &'a str,
}

/// The script with what it needs to know.
pub(super) fn starter(start: &Start, nonce: &str) -> impl IntoView + use<> {
    let mut start = start.clone();
    for opening in start.tracks.iter_mut().filter_map(|track| track.opening.as_mut()) {
        opening.data.clear();
    }
    let plan = json(&Plan { start: &start, entry: ENTRY, wasm: WASM, hls: HLS_SCRIPT });
    view! {
        <script type="application/json" id="start" inner_html=plan></script>
        <script nonce=nonce.to_owned() inner_html=SCRIPT.as_str()></script>
    }
}

/// What the page brings along of the video, behind the element that plays it: the script has it as it arrives, and what makes the first picture
/// comes in front of the rest.
pub(super) fn openings(start: &Start, nonce: &str) -> impl IntoView + use<> {
    let nonce = nonce.to_owned();
    let calls = pieces(start).into_iter().map(|(track, data, last)| format!("window.{NAME}?.take({track},'{data}',{})", u8::from(last)));
    calls.map(|call| view! { <script nonce=nonce.clone() inner_html=call></script> }).collect_view()
}

/// The openings in pieces: number of the track, Base64, and whether it is its last one.
fn pieces(start: &Start) -> Vec<(usize, &str, bool)> {
    let opened = start.tracks.iter().enumerate().filter_map(|(track, StartTrack { opening, .. })| {
        let (first, rest) = opening.as_ref()?.data.split_at_checked(FIRST).unwrap_or((&opening.as_ref()?.data, ""));
        Some((track, first, rest))
    });
    let cut: Vec<(usize, &str, &str)> = opened.collect();
    let firsts = cut.iter().map(|&(track, first, rest)| (track, first, rest.is_empty()));
    let others = cut.iter().flat_map(|&(track, _, rest)| {
        (0..rest.len()).step_by(NEXT).map(move |from| {
            let end = rest.len().min(from + NEXT);
            (track, &rest[from..end], end == rest.len())
        })
    });
    firsts.chain(others).collect()
}

/// The style sheet, where the script is.
pub(super) fn styles(kind: Kind, nonce: &str) -> impl IntoView + use<> {
    let styles = match kind {
        Kind::Watch => STYLES.as_str(),
        Kind::Embed => EMBED_STYLES.as_str(),
    };
    view! { <style nonce=nonce.to_owned() inner_html=styles></style> }
}

/// As it may stand inside a script element: nothing in a title can end the element, because there is no `<` left.
pub(super) fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default().replace('<', "\\u003c")
}

#[cfg(test)]
mod tests {
    use domain::{start::Opening, video::SignedMedia};

    use super::*;

    #[test]
    fn the_script_is_small_and_cannot_end_its_element() {
        assert!(SCRIPT.len() < 8_900, "{} bytes", SCRIPT.len());
        assert!(!SCRIPT.contains("</") && !SCRIPT.contains("<!--") && !SCRIPT.contains("\n//"), "{}", *SCRIPT);
        assert!(SCRIPT.contains(NAME));
    }

    #[test]
    fn the_styles_are_all_there_without_a_comment() {
        assert!(!STYLES.contains("/*") && !STYLES.contains("*/") && !STYLES.contains("</"), "{}", *STYLES);
        let written = include_str!("../../../style/player.css");
        for brace in ['{', '}'] {
            assert_eq!(STYLES.matches(brace).count(), written.matches(brace).count());
        }
        assert!(STYLES.len() < 13_000, "{} bytes", STYLES.len());
    }

    #[test]
    fn the_embed_page_has_all_styles_but_those_of_the_watch_page() {
        let of = |styles: &str| {
            styles.lines().filter(|line| line.ends_with('{') && !line.starts_with('@')).map(str::to_owned).collect::<Vec<_>>()
        };
        let (all, embed) = (of(&STYLES), of(&EMBED_STYLES));
        assert!(embed.iter().all(|rule| all.contains(rule)) && embed.len() < all.len());
        let missing: Vec<_> = all.iter().filter(|rule| !embed.contains(rule) && !rule.contains(".watch-")).collect();
        assert_eq!(missing, Vec::<&String>::new());
        assert_eq!(EMBED_STYLES.matches('{').count(), EMBED_STYLES.matches('}').count());
    }

    #[test]
    fn what_makes_the_first_picture_comes_first_and_nothing_is_lost() {
        let track = |kind: &str, length: usize| StartTrack {
            media: SignedMedia { base: String::new(), query: String::new() },
            kind: kind.to_owned(),
            codec: String::new(),
            init: String::new(),
            segments: Vec::new(),
            opening: Some(Opening { rest_from: None, data: kind[..1].repeat(length) }),
        };
        let mut start = Start { duration_ms: 1, tracks: vec![track("video", 17_000), track("audio", 5_000)] };
        let cut: Vec<_> = pieces(&start).into_iter().map(|(track, data, last)| (track, data.len(), last)).collect();
        let expected = [(0, FIRST, false), (1, FIRST, false), (0, NEXT, false), (0, NEXT, false), (0, 2_664, true), (1, 2_952, true)];
        assert_eq!(cut, expected);
        assert!(pieces(&start).iter().all(|(track, data, _)| data.bytes().all(|byte| byte == b"va"[*track])));

        start.tracks = vec![track("video", FIRST)];
        assert_eq!(pieces(&start), [(0, "v".repeat(FIRST).as_str(), true)]);
        start.tracks[0].opening = None;
        assert_eq!(pieces(&start), []);
    }
}
