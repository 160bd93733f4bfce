//! A [`Playback`] as the browser has it: read by hand from parsed JSON, because a JSON parser in WASM, beside the one that the
//! browser brings, would make the embed page a third larger. A test holds the names equal to those that the server writes.

use domain::{
    grant::Lifetime,
    video::{Playback, PlaybackState, SignedMedia},
};
use js_sys::{Array, JSON, Promise, Reflect};
use leptos::prelude::window;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{RequestCredentials, RequestInit, Response};

const PLAYBACK_ID: &str = "playbackId";
const TITLE: &str = "title";
const STATE: &str = "state";
const PROGRESS: &str = "progress";
const URL: &str = "url";
const POSTER_URL: &str = "posterUrl";
const SIZE: &str = "size";
const DURATION_MS: &str = "durationMs";
const EXPIRES_AT: &str = "expiresAt";
const MEDIA: &str = "media";
const BASE: &str = "base";
const QUERY: &str = "query";
const RENEW_IN_SECONDS: &str = "renewInSeconds";
const ARRIVING: &str = "arriving";
const GROWING: &str = "growing";

/// What came of asking for it.
pub(crate) enum Fetched {
    Fresh(Playback),
    /// Private now, or deleted.
    Gone,
    /// No answer, or none that helps: ask again.
    Nothing,
}

/// Reads what the server left in the page.
pub(crate) fn parse(json: &str) -> Option<Playback> {
    read(&JSON::parse(json).ok()?)
}

/// Asks the server: from the watch page with the viewer's cookie, so that owners go on watching what is private; from a frame in
/// somebody else's page without. Who came by a link with a grant in it goes on by it.
pub(crate) async fn fetch(id: &str, lifetime: Lifetime) -> Fetched {
    let lifetime = match lifetime {
        Lifetime::Renewed => "?lifetime=renewed",
        Lifetime::Film => "?lifetime=film",
    };
    let search = window().location().search().unwrap_or_default();
    let grant = grant_in(&search);
    let address = ["/api/v1/playback/", id, lifetime, if grant.is_empty() { "" } else { "&" }, grant].concat();
    let on_watch_page = window().location().pathname().is_ok_and(|path| path.starts_with("/watch/"));
    let init = RequestInit::new();
    init.set_credentials(if on_watch_page { RequestCredentials::SameOrigin } else { RequestCredentials::Omit });
    let request = window().fetch_with_str_and_init(&address, &init);
    let Ok(Ok(response)) = JsFuture::from(request).await.map(JsCast::dyn_into::<Response>) else { return Fetched::Nothing };
    match response.status() {
        404 | 410 => Fetched::Gone,
        200 => body(response.json()).await.map_or(Fetched::Nothing, Fetched::Fresh),
        _ => Fetched::Nothing,
    }
}

/// The parameter with the grant, as it stands in the page's own query.
fn grant_in(search: &str) -> &str {
    search.trim_start_matches('?').split('&').find(|pair| pair.starts_with("grant=")).unwrap_or_default()
}

async fn body(json: Result<Promise, JsValue>) -> Option<Playback> {
    read(&JsFuture::from(json.ok()?).await.ok()?)
}

fn read(object: &JsValue) -> Option<Playback> {
    let get = |name: &str| Reflect::get(object, &name.into()).unwrap_or(JsValue::UNDEFINED);
    let text = |name: &str| get(name).as_string();
    let number = |name: &str| get(name).as_f64();
    let size = Array::from(&get(SIZE));
    let side = |index: u32| size.get(index).as_f64().map(|side| side as u32);
    Some(Playback {
        playback_id: text(PLAYBACK_ID)?.parse().ok()?,
        title: text(TITLE)?,
        state: state(&text(STATE)?)?,
        arriving: get(ARRIVING).is_truthy(),
        growing: get(GROWING).is_truthy(),
        progress: number(PROGRESS)? as u8,
        url: text(URL),
        poster_url: text(POSTER_URL),
        size: (side(0)?, side(1)?),
        duration_ms: number(DURATION_MS)? as u64,
        expires_at: number(EXPIRES_AT).map(|second| second as u64),
        media: Array::from(&get(MEDIA)).iter().filter_map(|media| signed(&media)).collect(),
        renew_in_seconds: number(RENEW_IN_SECONDS).map(|seconds| seconds as u64),
    })
}

fn signed(object: &JsValue) -> Option<SignedMedia> {
    let text = |name: &str| Reflect::get(object, &name.into()).ok()?.as_string();
    Some(SignedMedia { base: text(BASE)?, query: text(QUERY)? })
}

fn state(word: &str) -> Option<PlaybackState> {
    Some(match word {
        "playable" => PlaybackState::Playable,
        "processing" => PlaybackState::Processing,
        "failed" => PlaybackState::Failed,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_grant_of_the_link_goes_on() {
        assert_eq!(grant_in("?autoplay=1&grant=TEw_-x&t=3"), "grant=TEw_-x");
        assert_eq!((grant_in(""), grant_in("?t=3&xgrant=1")), ("", ""));
    }

    #[test]
    fn names_and_words_are_those_that_the_server_writes() {
        for known in [PlaybackState::Playable, PlaybackState::Processing, PlaybackState::Failed] {
            let playback = Playback {
                playback_id: "abcdefghjkmnpqrs".parse().expect("a valid id"),
                title: String::new(),
                state: known,
                arriving: false,
                growing: false,
                progress: 0,
                url: None,
                poster_url: None,
                size: (16, 9),
                duration_ms: 0,
                expires_at: None,
                media: vec![SignedMedia { base: String::new(), query: String::new() }],
                renew_in_seconds: None,
            };
            let json = serde_json::to_value(playback).expect("it is written as JSON");
            let names: Vec<&str> = json.as_object().expect("an object").keys().map(String::as_str).collect();
            let mut read = [
                PLAYBACK_ID,
                TITLE,
                STATE,
                PROGRESS,
                URL,
                POSTER_URL,
                SIZE,
                DURATION_MS,
                EXPIRES_AT,
                MEDIA,
                RENEW_IN_SECONDS,
                ARRIVING,
                GROWING,
            ];
            read.sort_unstable();
            assert_eq!(names, read);
            let media: Vec<&str> = json[MEDIA][0].as_object().expect("an object").keys().map(String::as_str).collect();
            assert_eq!(media, [BASE, QUERY]);
            assert_eq!(state(json[STATE].as_str().expect("a word")), Some(known));
        }
    }
}
