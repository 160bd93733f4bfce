//! Grants, links and signed queries that somebody tampered with: all refused, none with an error of ours. And the paths that lead out of
//! what was signed, in every form that they can be written.

use std::sync::Arc;

use axum::{
    body::Body,
    http::{Method, StatusCode},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use domain::{
    grant::{Audience, Grant, Lifetime},
    video::Visibility,
};
use server::{
    adapters::origin_cdn::OriginCdn,
    clock::now_seconds,
    http::{AppState, Reachable, api_routes, public_routes, session},
    services::{
        grants::Grants,
        playback::{Delivery, Lifetimes, Playbacks, Sight, Visitor},
    },
    signing::SigningKeys,
};

use crate::{
    app::{App, KEY},
    grants::{Played, playing},
};

/// Tampered tokens, links and queries, together.
const MUTANTS: u64 = 5_000;

/// SplitMix64: the same mutants in every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % sides as u64) as usize
    }

    fn letter(&mut self) -> char {
        b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"[self.roll(64)] as char
    }
}

/// One way to tamper with a base64 text that holds `signed` bytes.
fn tamper(dice: &mut Dice, text: &str) -> String {
    let mut letters: Vec<char> = text.chars().collect();
    let at = dice.roll(letters.len());
    let mut bytes = URL_SAFE_NO_PAD.decode(text).expect("it is well formed");
    match dice.roll(10) {
        0 => letters[at] = dice.letter(),
        1 => letters.insert(at, dice.letter()),
        2 => drop(letters.remove(at)),
        3 => letters.truncate(at),
        4 => letters.swap(at, (at + 1 + dice.roll(8)) % text.len()),
        5 => letters.extend(['=', 'A', 'A', 'A'].into_iter().take(1 + dice.roll(4))),
        6 => letters.rotate_left(at),
        // Bits of the claims or the signature, in a text that is well formed.
        7 => {
            let at = dice.roll(bytes.len());
            bytes[at] ^= 1 << dice.roll(8);
            return URL_SAFE_NO_PAD.encode(bytes);
        }
        // A signature of nothing, or of other length.
        8 => {
            let end = bytes.len() - 1 - dice.roll(bytes.len() - 1);
            bytes.truncate(end);
            bytes.extend(std::iter::repeat_n(0, dice.roll(40)));
            return URL_SAFE_NO_PAD.encode(bytes);
        }
        // Another version, key, flag, visibility or expiry.
        _ => {
            let at = dice.roll(12.min(bytes.len()));
            bytes[at] = bytes[at].wrapping_add(1 + u8::try_from(dice.roll(255)).unwrap_or(1));
            return URL_SAFE_NO_PAD.encode(bytes);
        }
    }
    letters.into_iter().collect()
}

/// One way to tamper with a query of `name=value` pairs.
fn tamper_query(dice: &mut Dice, query: &str) -> String {
    let pairs: Vec<&str> = query.split('&').collect();
    let at = dice.roll(pairs.len());
    let doubled = |more: &str| format!("{query}&{more}");
    match dice.roll(9) {
        0 => doubled(pairs[at]),
        1 => pairs.iter().enumerate().filter(|(index, _)| *index != at).map(|(_, pair)| *pair).collect::<Vec<_>>().join("&"),
        2 => {
            let mut pairs = pairs;
            pairs.reverse();
            pairs.join("&")
        }
        3 => query.replace("g=l", ["g=o", "g=00000000000000000000000000000001", "g=", "g=L", "g=l&f=1"][dice.roll(5)]),
        4 => query.replace("e=", ["e=9", "e=0", "e=+", "e=-", "e=%31", "E="][dice.roll(6)]),
        5 => query.replace("k=", ["k=0", "k=f", "K=", "alg=none&k="][dice.roll(4)]),
        6 => doubled(["x=1", "s=", "alg=none", "e=99999999999", "&", "=", "%00"][dice.roll(7)]),
        _ => {
            let (text, signature) = query.rsplit_once("&s=").expect("a signature");
            format!("{text}&s={}", tamper(dice, signature))
        }
    }
}

#[tokio::test]
async fn five_thousand_tampered_tokens_and_queries_open_nothing() {
    let mut app = App::with(&[("MILLRACE_HTTP_REQUESTS_PER_MINUTE_ADDRESS", "0")]).await;
    let Played { token, link, segment, playback_id, .. } = playing(&mut app).await;
    let (path, query) = segment.split_once('?').expect("a query");
    let mut dice = Dice(0x6d69_6c6c_7261_6365);
    let mut tried = std::collections::HashSet::new();
    while (tried.len() as u64) < MUTANTS {
        let (original, address) = match dice.roll(3) {
            0 => (token.as_str(), format!("/hls/{}/index.m3u8", tamper(&mut dice, &token))),
            1 => (link.as_str(), format!("/api/v1/playback/{playback_id}?grant={}", tamper(&mut dice, &link))),
            _ => (query, format!("{path}?{}", tamper_query(&mut dice, query))),
        };
        let unchanged = address.contains(&format!("/{original}/")) || address.ends_with(&format!("={original}")) || address == segment;
        if unchanged || !tried.insert(address.clone()) {
            continue;
        }
        let answer = app.ask(None, Method::GET, &address, &[], Body::empty()).await;
        let refused = matches!(answer.status, StatusCode::FORBIDDEN | StatusCode::NOT_FOUND);
        assert!(refused, "{} {address}: {}", answer.status, answer.text());
    }
    for untouched in [format!("/hls/{token}/index.m3u8"), format!("/api/v1/playback/{playback_id}?grant={link}"), segment.clone()] {
        assert_eq!(app.get(None, &untouched).await.status, StatusCode::OK, "{untouched}");
    }
}

#[tokio::test]
async fn no_spelling_of_a_path_leads_out_of_what_was_signed() {
    let mut app = App::with(&[("MILLRACE_HTTP_REQUESTS_PER_MINUTE_ADDRESS", "0")]).await;
    let mine = playing(&mut app).await;
    let other = crate::grants::another(&app, &mine, "other").await;
    let (path, query) = mine.segment.split_once('?').expect("a query");
    let (base, file) = path.split_once("/media/").map(|(_, rest)| rest.split_once('/').expect("a file")).expect("media");
    let (others, others_file) = other.generation_and_file();
    let upper = base.to_uppercase();
    let mut paths = vec![
        format!("{others}/{others_file}"),
        format!("{upper}/{file}"),
        format!("{base}/{}", file.to_uppercase()),
        base.replace('-', "") + "/" + file,
        format!("%7b{base}%7d/{file}"),
        format!("urn:uuid:{base}/{file}"),
        format!("{base}//{file}"),
        format!("/{base}/{file}"),
        format!("{base}/./{file}"),
        format!("{base}/{file}/"),
        format!("{base}/{file}%00"),
        format!("{base}/{file}%00.jpg"),
        format!("{base}/{}", file.replace('/', "\\")),
        format!("{base}/{}", file.replace('/', "%5c")),
        format!("{base}/{}", file.replace('/', "%252f")),
        format!("{base}/{file};x"),
        format!("{base}/{file}%3Fe=1"),
        format!("{base}/%2e/{file}"),
        format!("{base}/poster.jpg/../{file}"),
    ];
    for up in ["..", "%2e%2e", "%2E%2E", ".%2e", "%252e%252e", "..%00", "%c0%ae%c0%ae", "..;", "%ff..", "…", "．．"] {
        for slash in ["/", "%2f", "%2F", "%252f", "\\", "%5c", "//", "%c0%af"] {
            let up = up.replace('…', "%E2%80%A6").replace('．', "%EF%BC%8E");
            paths.push(format!("{base}/{up}{slash}{others}{slash}{others_file}"));
            paths.push(format!("{base}/720p/{up}{slash}{up}{slash}{others}/{others_file}"));
            paths.push(format!("{base}/{up}{slash}{up}{slash}sources{slash}{others}"));
            paths.push(format!("{base}/{}etc{slash}passwd", format!("{up}{slash}").repeat(6)));
        }
    }
    for path in paths {
        for address in [format!("/media/{path}?{query}"), format!("/hls/{}/{path}", mine.token)] {
            // What no request line can hold reaches no server.
            let Ok(uri) = address.parse::<axum::http::Uri>() else { continue };
            let answer = app.send(axum::http::Request::get(uri).body(Body::empty()).expect("a request")).await;
            let refused = matches!(answer.status, StatusCode::FORBIDDEN | StatusCode::NOT_FOUND | StatusCode::BAD_REQUEST);
            assert!(refused, "{} {address}", answer.status);
        }
    }
    assert_eq!(app.get(None, &mine.segment).await.status, StatusCode::OK);
}

/// A token like the one that somebody holds, but for what `change` does, signed with `key`.
pub(crate) fn forged(token: &str, key: &[u8], change: impl FnOnce(&mut Grant)) -> String {
    let keys = SigningKeys::from(key.to_vec());
    let mut grant = Grant { key_id: keys.current_id(), ..Grant::parse(token).expect("a grant").0 };
    change(&mut grant);
    grant.token(&keys.sign("millrace grant v2", &grant.claims()))
}

#[tokio::test]
async fn a_token_ends_at_its_second_and_opens_no_more_than_it_says() {
    let mut app = App::start().await;
    let mine = playing(&mut app).await;
    let other = crate::grants::another(&app, &mine, "other").await;
    let opens = async |token: String| app.get(None, &format!("/hls/{token}/index.m3u8")).await.status;
    assert_eq!(opens(forged(&mine.token, KEY, |_| {})).await, StatusCode::OK, "as the server signs it");
    assert_eq!(opens(forged(&mine.token, KEY, |grant| grant.audience = Audience::Owner)).await, StatusCode::OK);
    assert_eq!(opens(forged(&mine.token, KEY, |grant| grant.expires_at = now_seconds() - 1)).await, StatusCode::FORBIDDEN, "over");
    assert_eq!(opens(forged(&mine.token, b"another key", |_| {})).await, StatusCode::FORBIDDEN, "another server's");
    assert_eq!(opens(forged(&mine.token, KEY, |grant| grant.audience = Audience::Link)).await, StatusCode::FORBIDDEN, "of a private video");
    let others = other.playback_id.parse().expect("an id");
    let moved = forged(&mine.token, KEY, |grant| grant.playback_id = others);
    assert_eq!(opens(moved).await, StatusCode::FORBIDDEN, "a grant of one video, signed for another");
    let (generation, file) = other.generation_and_file();
    let rendition = file.split('/').next().expect("a rendition").to_owned();
    let theirs = format!("/hls/{}/{generation}/{rendition}.m3u8", mine.token);
    assert_eq!(app.get(None, &theirs).await.status, StatusCode::NOT_FOUND, "another video's playlist");

    // What is signed for the poster is signed for the poster alone.
    let visitor = Visitor { user: None, grant: Some(&mine.link) };
    let id = mine.playback_id.parse().expect("an id");
    let poster = app.state.playback.for_viewer(&id, visitor, Lifetime::Renewed).await.expect("it opens").poster_url.expect("a poster");
    let (poster, query) = poster.split_once('?').expect("a query");
    assert_eq!(app.get(None, &format!("{poster}?{query}")).await.status, StatusCode::OK);
    let (segment, segments_query) = mine.segment.split_once('?').expect("a query");
    assert_eq!(app.get(None, &format!("{segment}?{query}")).await.code(), "grant_refused");
    for doubled in [format!("{segments_query}&{segments_query}"), format!("{query}&{segments_query}"), format!("{segments_query}&{query}")]
    {
        assert_eq!(app.get(None, &format!("{segment}?{doubled}")).await.code(), "grant_refused", "{doubled}");
    }
}

#[tokio::test]
async fn while_the_signing_key_changes_what_the_old_one_signed_plays_on_and_afterwards_it_does_not() {
    let mut app = App::start().await;
    let mine = playing(&mut app).await;
    let old = [
        format!("/hls/{}/index.m3u8", mine.token),
        format!("/api/v1/playback/{}?grant={}", mine.playback_id, mine.link),
        mine.segment.clone(),
    ];
    let new = || b"the next key".to_vec().into();
    app.router = router(&app, SigningKeys::new(new(), Some(KEY.to_vec().into())));
    for address in &old {
        assert_eq!(app.get(None, address).await.status, StatusCode::OK, "{address}");
    }
    let playback = app.get(None, &old[1]).await.json();
    let fresh = playback["url"].as_str().expect("a URL").to_owned();
    app.router = router(&app, SigningKeys::new(new(), None));
    for address in &old {
        let status = app.get(None, address).await.status;
        assert!(matches!(status, StatusCode::FORBIDDEN | StatusCode::NOT_FOUND), "{status} {address}");
    }
    assert_eq!(app.get(None, &fresh).await.status, StatusCode::OK, "the new key signs, also while the old one is still believed");
}

/// The same server with other keys.
fn router(app: &App, keys: SigningKeys) -> axum::Router {
    let (mut state, url) = (Reachable::clone(&app.state), app.state.settings.public_url.clone());
    state.cdn = Arc::new(OriginCdn::new(url.clone(), keys.clone()));
    state.grants = Grants::new(app.db.clone(), keys.clone(), state.private_media.clone(), url.clone());
    let lifetimes = Lifetimes { renewed: 600, margin: 3_600 };
    let sight = Sight { database: state.database.clone(), private_media: state.private_media.clone() };
    let delivery = Delivery { cdn: state.cdn.clone(), packages: state.delivery.packages().clone() };
    state.playback = Playbacks::new(app.db.clone(), delivery, keys, state.grants.clone(), url, lifetimes, sight);
    let sessions = session::layer(app.db.clone(), &state.settings);
    api_routes::<AppState>().layer(sessions).merge(public_routes()).with_state(state.into())
}

#[tokio::test]
async fn a_token_opens_media_and_nothing_else() {
    let mut app = App::start().await;
    let Played { token, link, who, video, segment, .. } = playing(&mut app).await;
    let query_token = segment.rsplit_once("s=").expect("a signature").1.to_owned();
    for secret in [token, link, query_token] {
        let bearer = format!("Bearer {secret}");
        for (method, path) in [
            (Method::GET, format!("/api/status?videoId={video}")),
            (Method::GET, format!("/api/stream?videoId={video}")),
            (Method::GET, format!("/api/v1/videos/{video}/grants")),
            (Method::POST, "/api/v1/uploads".to_owned()),
        ] {
            let answer = app.ask(None, method.clone(), &path, &[("authorization", &bearer)], Body::empty()).await;
            assert_eq!((answer.status, answer.code().as_str()), (StatusCode::UNAUTHORIZED, "unauthenticated"), "{method} {path}");
        }
    }
    app.state.videos.set_visibility(who.user, video, Visibility::Public).await.expect("changed");
}
