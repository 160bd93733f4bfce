//! The documents behind a shared link: `/watch/{playback_id}` and `/embed/{playback_id}`. They are rendered here and taken over
//! by the embed entry (`frontend/embed`), which hydrates the player alone: no router, no dashboard.
//!
//! The head is what other sites read: OpenGraph and player card, oEmbed discovery, the real aspect ratio. One inline script, by its nonce
//! (`starter`), shows the first frame before the player is loaded, and the styles stand beside it; there is no `style` attribute.

mod head;
mod page;
mod starter;

use domain::{start::Start, video::Playback};
use leptos::prelude::*;

/// Id of the element that holds the server-rendered player, and nothing else.
pub const PLAYER_ID: &str = "player";
/// Id of the script element that holds the [`Playback`] as JSON.
pub const PLAYBACK_ID: &str = "playback";

/// Which of the two documents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A page to look at.
    Watch,
    /// The player alone, for a frame in somebody else's page.
    Embed,
}

/// All that goes into such a document. URLs are absolute, except where said otherwise.
#[derive(Debug, Clone)]
pub struct WatchPage {
    /// What to play. Its poster's URL may be relative to the watch page's.
    pub playback: Playback,
    /// Where its first frame is, where the page can begin by itself.
    pub start: Option<Start>,
    /// Which document.
    pub kind: Kind,
    /// The watch page.
    pub watch_url: String,
    /// The embed page.
    pub embed_url: String,
    /// Where the oEmbed description of this video is.
    pub oembed_url: String,
    /// Whether search engines may index it: public videos only.
    pub index: bool,
    /// Whether the visitor came by a link of their own: the page's own address would open nothing for others, so it is not shown.
    pub by_grant: bool,
}

/// The whole document as HTML; its own script and styles, if it has them, carry `nonce`.
pub fn render(page: &WatchPage, nonce: &str) -> String {
    html(|| page::document(page, nonce).to_html())
}

/// The document for a playback id that is not to be had: unknown, deleted and private look the same. `by_grant` where the visitor's link has
/// something in it that should have opened a video, whatever it is.
pub fn render_missing(kind: Kind, by_grant: bool) -> String {
    html(|| page::missing(kind, by_grant).to_html())
}

/// The document for a frame in a site that may not show the video.
pub fn render_not_here() -> String {
    html(|| page::not_here().to_html())
}

/// Signals need an owner; here it lives for one rendering.
fn html(view: impl FnOnce() -> String) -> String {
    let owner = Owner::new_root(None);
    let html = owner.with(view);
    owner.cleanup();
    html
}

#[cfg(test)]
mod tests;
