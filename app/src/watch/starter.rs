//! The page's own script: it shows the first frame straight from the store, before there is a player, and then brings the player in, which
//! takes the running video over (`player/starter.rs`). `starter.js` says how; this puts it and what it needs to know into the page.

use std::sync::LazyLock;

use domain::start::Start;
use leptos::prelude::*;
use serde::Serialize;

use crate::player::HLS_SCRIPT;

/// The embed entry.
pub(super) const ENTRY: &str = "/pkg/embed.js";
/// Its WASM.
pub(super) const WASM: &str = "/pkg/embed_bg.wasm";

/// Without what only its readers need.
static SCRIPT: LazyLock<String> = LazyLock::new(|| {
    let lines = include_str!("starter.js").lines().map(str::trim_start);
    lines.filter(|line| !line.is_empty() && !line.starts_with("//")).collect::<Vec<_>>().join("\n")
});

/// What the script reads.
#[derive(Serialize)]
struct Plan<'a> {
    #[serde(flatten)]
    start: &'a Start,
    entry: &'a str,
    wasm: &'a str,
    hls: &'a str,
}

/// The script with what it needs to know. It has to stand in front of the style sheet.
pub(super) fn starter(start: &Start, nonce: &str) -> impl IntoView + use<> {
    let plan = json(&Plan { start, entry: ENTRY, wasm: WASM, hls: HLS_SCRIPT });
    view! {
        <script type="application/json" id="start" inner_html=plan></script>
        <script nonce=nonce.to_owned() inner_html=SCRIPT.as_str()></script>
    }
}

/// As it may stand inside a script element: nothing in a title can end the element, because there is no `<` left.
pub(super) fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default().replace('<', "\\u003c")
}

#[cfg(test)]
mod tests {
    use super::SCRIPT;

    #[test]
    fn the_script_is_small_and_cannot_end_its_element() {
        assert!(SCRIPT.len() < 8_200, "{} bytes", SCRIPT.len());
        assert!(!SCRIPT.contains("</") && !SCRIPT.contains("<!--") && !SCRIPT.contains("\n//"), "{}", *SCRIPT);
        assert!(SCRIPT.contains("millraceStarter"));
    }
}
