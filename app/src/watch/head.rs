//! The head of a shared document: what browsers, search engines and the sites where the link is pasted read.

use domain::video::{Playback, PlaybackState};
use leptos::{either::Either, html, prelude::*};

use super::{Kind, WatchPage, starter};
use crate::player::HLS_SCRIPT;

/// Everything in `<head>` that is about this video.
pub(super) fn head(page: &WatchPage, nonce: &str) -> impl IntoView + use<> {
    let WatchPage { playback, watch_url, embed_url, oembed_url, .. } = page.clone();
    let title = playback.title.clone();
    let poster = playback.poster_url.as_deref().map(|poster| absolute(&watch_url, poster));
    // For who has a link of their own these open nothing; and what is in the link is not for the sites where it is pasted.
    let embed_url = (!page.by_grant).then_some(embed_url);
    let oembed_url = (!page.by_grant).then_some(oembed_url);
    let (starter, styles, preloads) = match &page.start {
        Some(start) => (Some(starter::starter(start, nonce)), Either::Left(starter::styles(page.kind, nonce)), None),
        None => (None, Either::Right(stylesheet()), Some(preloads(&playback))),
    };
    view! {
        {starter}
        {styles}
        {basics(page.kind, title.clone(), !page.index)}
        <link rel="canonical" href=watch_url.clone() />
        {oembed_url.map(|oembed_url| view! { <link rel="alternate" type="application/json+oembed" href=oembed_url title=title /> })}
        {open_graph(&playback, &watch_url, embed_url.as_deref(), poster.clone())}
        {card(&playback, embed_url.as_deref(), poster)}
        {preloads}
    }
}

/// What every such document has.
pub(super) fn basics(kind: Kind, title: String, hidden: bool) -> impl IntoView {
    let title = match kind {
        Kind::Watch => format!("{title} · Millrace"),
        Kind::Embed => title,
    };
    view! {
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta name="color-scheme" content="light dark" />
        <title>{title}</title>
        <link rel="icon" href="/favicon.svg" type="image/svg+xml" />
        {hidden.then(|| view! { <meta name="robots" content="noindex" /> })}
    }
}

/// The style sheet as a file.
pub(super) fn stylesheet() -> impl IntoView {
    view! { <link rel="stylesheet" href="/pkg/player.css" /> }
}

fn open_graph(playback: &Playback, watch_url: &str, embed_url: Option<&str>, poster: Option<String>) -> impl IntoView + use<> {
    let (width, height) = playback.size;
    let embed = || embed_url.map(str::to_owned);
    let of_embed = |value: String| embed_url.is_some().then_some(value);
    let secure = embed().filter(|url| url.starts_with("https://"));
    let seconds = (playback.duration_ms >= 1000).then(|| (playback.duration_ms / 1000).to_string());
    [
        ("og:type", Some("video.other".to_owned())),
        ("og:site_name", Some("Millrace".to_owned())),
        ("og:title", Some(playback.title.clone())),
        ("og:url", Some(watch_url.to_owned())),
        ("og:image", poster),
        ("og:video", embed()),
        ("og:video:url", embed()),
        ("og:video:secure_url", secure),
        ("og:video:type", of_embed("text/html".to_owned())),
        ("og:video:width", of_embed(width.to_string())),
        ("og:video:height", of_embed(height.to_string())),
        ("og:video:duration", seconds.and_then(of_embed)),
    ]
    .into_iter()
    .filter_map(|(property, content)| content.map(|content| html::meta().attr("property", property).content(content)))
    .collect_view()
}

fn card(playback: &Playback, embed_url: Option<&str>, poster: Option<String>) -> impl IntoView + use<> {
    let (width, height) = playback.size;
    let player = embed_url.map(|embed_url| {
        view! {
            <meta name="twitter:player" content=embed_url.to_owned() />
            <meta name="twitter:player:width" content=width.to_string() />
            <meta name="twitter:player:height" content=height.to_string() />
        }
    });
    view! {
        <meta name="twitter:card" content=if embed_url.is_some() { "player" } else { "summary_large_image" } />
        <meta name="twitter:title" content=playback.title.clone() />
        {player}
        {poster.map(|poster| view! { <meta name="twitter:image" content=poster /> })}
    }
}

/// What the page will need in any case, asked for before the WASM says so.
fn preloads(playback: &Playback) -> impl IntoView + use<> {
    let poster = playback.poster_url.clone();
    let playable = playback.state == PlaybackState::Playable;
    view! {
        {poster.map(|poster| view! { <link as="image" rel="preload" href=poster fetchpriority="high" /> })}
        <link as="fetch" rel="preload" type="application/wasm" href=starter::WASM crossorigin="anonymous" />
        {playable.then(|| view! { <link as="script" rel="preload" href=HLS_SCRIPT /> })}
    }
}

/// `url` as other sites can fetch it, where it is given relative to our own root.
fn absolute(base: &str, url: &str) -> String {
    let Some(path) = url.strip_prefix('/') else { return url.to_owned() };
    let host = base.find("://").map_or(0, |scheme| scheme + 3);
    let origin = base[host..].find('/').map_or(base, |end| &base[..host + end]);
    format!("{origin}/{path}")
}

#[cfg(test)]
mod tests {
    use super::absolute;

    #[test]
    fn urls_of_our_own_become_absolute_and_others_stay() {
        assert_eq!(absolute("https://v.example/watch/x", "/media/p.jpg?s=1"), "https://v.example/media/p.jpg?s=1");
        assert_eq!(absolute("http://127.0.0.1:3000", "/p.jpg"), "http://127.0.0.1:3000/p.jpg");
        assert_eq!(absolute("https://v.example/watch/x", "https://cdn.example/p.jpg"), "https://cdn.example/p.jpg");
    }
}
