//! The bodies: the watch page is the picture with its title; the embed is the picture and nothing else.

use domain::video::Playback;
use leptos::prelude::*;

use super::{Kind, PLAYBACK_ID, PLAYER_ID, WatchPage, head, starter};
use crate::player::Player;

/// A document with a player.
pub(super) fn document(page: &WatchPage, nonce: &str) -> impl IntoView + use<> {
    let playback = page.playback.clone();
    let json = starter::json(&playback);
    // Where the page begins by itself, it is its script that brings the player in, once the video needs the line no more.
    let player_now = page.start.is_none();
    let openings = page.start.as_ref().map(|start| starter::openings(start, nonce));
    let body = match page.kind {
        Kind::Watch => watch(page).into_any(),
        Kind::Embed => player(playback).into_any(),
    };
    view! {
        <!DOCTYPE html>
        <html lang="en">
            <head>{head::head(page, nonce)}</head>
            <body class=class(page.kind)>
                {body}
                {openings}
                <script type="application/json" id=PLAYBACK_ID inner_html=json></script>
                {player_now.then(|| view! { <script type="module" src=starter::ENTRY></script> })}
            </body>
        </html>
    }
}

/// A document without one, for what is not to be had.
pub(super) fn missing(kind: Kind, by_grant: bool) -> impl IntoView {
    if by_grant {
        let advice = "It has ended or was taken back, or a part of it got lost on the way. Ask whoever sent it to you for a new one.";
        return message(kind, "This link does not work any more", advice);
    }
    let advice = "Ask whoever sent you the link for a new one. If it is your own video, sign in and look at who may watch it.";
    message(kind, "This video is private or does not exist", advice)
}

/// A document without one, for a frame in a site that may not show it.
pub(super) fn not_here() -> impl IntoView {
    message(Kind::Embed, "This video may not be shown on this site", "Its owner has named the sites that may.")
}

fn message(kind: Kind, title: &'static str, advice: &'static str) -> impl IntoView {
    view! {
        <!DOCTYPE html>
        <html lang="en">
            <head>{head::basics(kind, title.to_owned(), true)}{head::stylesheet()}</head>
            <body class=class(kind)>
                {(kind == Kind::Watch).then(bar)}
                <main class="watch-missing">
                    <h1>{title}</h1>
                    <p>{advice}</p>
                </main>
            </body>
        </html>
    }
}

fn class(kind: Kind) -> &'static str {
    match kind {
        Kind::Watch => "watch-page",
        Kind::Embed => "embed-page",
    }
}

fn watch(page: &WatchPage) -> impl IntoView + use<> {
    let link = (!page.by_grant).then(|| page.watch_url.clone());
    view! {
        {bar()}
        <main class="watch-main">
            {player(page.playback.clone())}
            <h1>{page.playback.title.clone()}</h1>
            {link.map(|link| view! {
                <p class="watch-link">
                    <span>"Link to this video"</span>
                    <code>{link}</code>
                </p>
            })}
        </main>
    }
}

fn bar() -> impl IntoView {
    view! {
        <header class="watch-bar">
            <a href="/">
                <svg viewBox="0 0 24 24" aria-hidden="true">
                    <path d="M2 8c3-3 5-3 8 0s5 3 8 0 3-2 4-2.500M2 18c3-3 5-3 8 0s5 3 8 0 3-2 4-2.500"></path>
                    <path class="watch-mark" d="M10 8.500v7l5.500-3.500z"></path>
                </svg>
                "Millrace"
            </a>
        </header>
    }
}

/// The player in its container. The embed entry renders the very same component into it and takes over the elements it finds.
fn player(playback: Playback) -> impl IntoView {
    // On the server nobody asks for anything.
    let renew = Callback::new(|_| {});
    view! {
        <div id=PLAYER_ID>
            <Player playback=Signal::stored(playback) renew=renew />
        </div>
    }
}
