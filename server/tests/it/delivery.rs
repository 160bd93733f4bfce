//! Media as clients get them: out of memory as the ordinary way answers, without a database, and never again once they are taken away.

use std::collections::HashSet;

use axum::{
    Router,
    body::{Body, Bytes},
    http::{HeaderMap, Method, Request, StatusCode, header},
    middleware,
};
use base64::{Engine, engine::general_purpose::STANDARD};
use domain::{
    grant::Audience,
    ids::{GenerationId, GrantId},
    start::{Start, StartTrack},
    storage_key::StorageKey,
    video::SignedMedia,
};
use futures::{StreamExt, stream};
use sea_orm::{ActiveValue::Set, EntityTrait};
use server::{
    clock::now_seconds,
    db::entity::renditions,
    http::{
        connections,
        headers::{self, Headers},
        media::fast_path::FastPath,
    },
    services::{removals::Removal, withdrawals::forget_gone},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::oneshot,
};
use tower::{Service, ServiceExt};
use uuid::Uuid;

use crate::app::{App, noise, taken};

const SIZE: usize = 300_000;

/// A generation with two segments, and a query that opens it for `audience`.
async fn published(app: &App, audience: Audience) -> (GenerationId, String) {
    published_with(app, audience, 2).await
}

async fn published_with(app: &App, audience: Audience, segments: usize) -> (GenerationId, String) {
    let generation = GenerationId(Uuid::now_v7());
    for number in 1..=segments {
        let key = StorageKey::published(generation, &format!("720p/{number:05}.m4s")).expect("a key");
        let body = stream::iter([Ok(Bytes::from(noise(SIZE)))]).boxed();
        app.state.store.put_stream(&key, body, u64::MAX).await.expect("stored");
    }
    (generation, app.state.cdn.sign(generation, audience, now_seconds() + 600).query)
}

/// The router as it is served, with what stands on every answer.
fn ordinary(app: &App) -> Router {
    app.router.clone().layer(middleware::from_fn_with_state(Headers::of(&app.state), headers::secure))
}

/// The fast path with nothing behind it: what it does not answer itself is 404 without a word.
fn alone(app: &App) -> FastPath<Router> {
    FastPath::new(&app.state, &Headers::of(&app.state), Router::new())
}

async fn ask<S>(service: &S, method: Method, path: &str, more: &[(&str, &str)]) -> (StatusCode, HeaderMap, Bytes)
where
    S: Service<Request<Body>, Response = axum::response::Response, Error = std::convert::Infallible> + Clone,
{
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in more {
        request = request.header(*name, *value);
    }
    let answer = service.clone().oneshot(request.body(Body::empty()).expect("a request")).await.expect("an answer");
    let (parts, body) = answer.into_parts();
    (parts.status, parts.headers, taken(body).await.expect("a body").into())
}

#[tokio::test]
async fn the_fast_way_answers_as_the_ordinary_one() {
    let app = App::start().await;
    let (generation, query) = published(&app, Audience::Link).await;
    let path = format!("/media/{generation}/720p/00001.m4s?{query}");
    let (ordinary, alone) = (ordinary(&app), alone(&app));
    let whole = FastPath::new(&app.state, &Headers::of(&app.state), ordinary.clone());
    assert_eq!(ask(&whole, Method::GET, &path, &[]).await.2, noise(SIZE));
    assert_eq!(ask(&alone, Method::GET, &path, &[]).await.2, noise(SIZE), "now it is");
    let etag = format!("\"{generation}/720p/00001.m4s\"");
    let other = path.replace("00001", "%30%30001");
    for (method, path, more, fast) in [
        (Method::GET, &path, &[][..], true),
        (Method::GET, &path, &[("range", "bytes=5-9")], true),
        (Method::GET, &path, &[("range", "bytes=-7")], true),
        (Method::GET, &path, &[("range", "bytes=0-1,4-5")], true),
        (Method::GET, &path, &[("range", "bytes=5-9"), ("if-range", etag.as_str())], true),
        (Method::GET, &path, &[("range", "bytes=5-9"), ("if-range", "\"another\"")], true),
        (Method::GET, &path, &[("range", "bytes=300000-")], false),
        (Method::GET, &path, &[("if-none-match", etag.as_str())], false),
        (Method::HEAD, &path, &[], false),
        (Method::HEAD, &path, &[("range", "bytes=5-9")], false),
        (Method::OPTIONS, &path, &[], false),
        (Method::DELETE, &path, &[], false),
        (Method::GET, &path.replace("&s=", "&s=A"), &[], false),
        (Method::GET, &path.replace("00001", "00003"), &[], false),
        (Method::GET, &other, &[], false),
    ] {
        let told = format!("{method} {path} {more:?}");
        let (expected, given) = (ask(&ordinary, method.clone(), path, more).await, ask(&whole, method.clone(), path, more).await);
        let but_id = |mut headers: HeaderMap| {
            assert!(headers.remove("x-request-id").is_some(), "{told}");
            headers
        };
        assert_eq!((given.0, but_id(given.1)), (expected.0, but_id(expected.1)), "{told}");
        // A refusal names its request.
        assert!(given.2 == expected.2 || given.0.is_client_error() && given.2.len() == expected.2.len(), "{told}");
        assert_eq!(ask(&alone, method, path, more).await.0 != StatusCode::NOT_FOUND, fast, "{told}");
    }
    let (.., headers, _) = ask(&whole, Method::GET, &path, &[]).await;
    for name in ["content-security-policy", "x-content-type-options", "permissions-policy", "access-control-allow-origin"] {
        assert!(headers.contains_key(name), "{name}");
    }
    assert_eq!(headers["cross-origin-resource-policy"], "cross-origin");
}

#[tokio::test]
async fn segments_are_answered_while_the_database_is_closed() {
    let app = App::start().await;
    let (generation, query) = published(&app, Audience::Link).await;
    let (first, second) = (format!("/media/{generation}/720p/00001.m4s?{query}"), format!("/media/{generation}/720p/00002.m4s?{query}"));
    assert_eq!(app.get(None, &first).await.body, noise(SIZE));
    app.db.clone().close().await.expect("it closes");
    assert!(app.state.accounts.add("ada@example.com", "a good password").await.is_err(), "it is closed");
    let fast = FastPath::new(&app.state, &Headers::of(&app.state), app.router.clone());
    for path in [&first, &second] {
        let (status, _, body) = ask(&fast, Method::GET, path, &[]).await;
        assert!(status == StatusCode::OK && body == noise(SIZE), "{status}");
    }
}

#[tokio::test]
async fn what_is_in_memory_is_asked_for_its_right_at_each_request() {
    let app = App::start().await;
    let grant = GrantId(Uuid::now_v7());
    let (generation, query) = published(&app, Audience::Named(grant)).await;
    let path = format!("/media/{generation}/720p/00001.m4s?{query}");
    let fast = FastPath::new(&app.state, &Headers::of(&app.state), app.router.clone());
    for _ in 0..2 {
        assert_eq!(ask(&fast, Method::GET, &path, &[]).await.0, StatusCode::OK);
    }
    assert!(app.state.delivery.cache().tally().hits >= 1);
    let expired = app.state.cdn.sign(generation, Audience::Link, now_seconds() - 1).query;
    for bad in [path.replace(&query, &expired), path.replace("&s=", "&s=A"), format!("/media/{generation}/720p/00001.m4s")] {
        assert_eq!(ask(&fast, Method::GET, &bad, &[]).await.0, StatusCode::FORBIDDEN, "{bad}");
    }
    app.state.private_media.revoke(grant);
    assert_eq!(ask(&fast, Method::GET, &path, &[]).await.0, StatusCode::FORBIDDEN, "its bytes are still there, its right is not");
}

#[tokio::test]
async fn what_is_deleted_is_in_no_memory() {
    let app = App::start().await;
    let (generation, query) = published(&app, Audience::Link).await;
    let path = format!("/media/{generation}/720p/00001.m4s?{query}");
    let fast = FastPath::new(&app.state, &Headers::of(&app.state), app.router.clone());
    let cache = app.state.delivery.cache();
    for _ in 0..2 {
        assert_eq!(ask(&fast, Method::GET, &path, &[]).await.0, StatusCode::OK);
    }
    assert!(cache.tally().bytes > SIZE as u64);
    Removal::Published(generation).note(&app.db).await.expect("noted");
    app.removals().work_off().await.expect("worked off");
    assert_eq!(cache.tally().bytes, 0);
    assert_eq!(ask(&fast, Method::GET, &path, &[]).await.0, StatusCode::NOT_FOUND);

    // Another process deletes: it is found by asking the database.
    let (generation, query) = published(&app, Audience::Link).await;
    let path = format!("/media/{generation}/720p/00001.m4s?{query}");
    assert_eq!(ask(&fast, Method::GET, &path, &[]).await.0, StatusCode::OK);
    let ada = app.somebody("ada@example.com").await;
    let ticket = app.begin(&ada, "clip.mp4", 1_000).await;
    let row = renditions::ActiveModel {
        generation_id: Set(generation.0),
        name: Set("720p".to_owned()),
        video_id: Set(ticket.video_id.0),
        body: Set("{}".to_owned()),
    };
    renditions::Entity::insert(row).exec_without_returning(&app.db).await.expect("a row");
    let mut published = HashSet::new();
    for strangers in [false, true] {
        forget_gone(cache, &app.db, &mut published, strangers).await.expect("looked");
        assert!(cache.tally().bytes > 0, "it is published");
    }
    renditions::Entity::delete_by_id((generation.0, "720p".to_owned())).exec(&app.db).await.expect("deleted");
    forget_gone(cache, &app.db, &mut published, false).await.expect("looked");
    assert_eq!(cache.tally().bytes, 0);
}

#[tokio::test]
async fn nothing_is_kept_where_there_is_no_memory_and_large_objects_come_in_pieces() {
    let app = App::with(&[("MILLRACE_DELIVERY_CACHE_MB", "1")]).await;
    let (generation, query) = published(&app, Audience::Link).await;
    let path = format!("/media/{generation}/720p/00001.m4s?{query}");
    let all = noise(SIZE);
    let fast = FastPath::new(&app.state, &Headers::of(&app.state), app.router.clone());
    for (range, expected) in
        [("", &all[..]), ("bytes=10-19", &all[10..20]), ("bytes=-5", &all[SIZE - 5..]), ("bytes=140000-", &all[140_000..])]
    {
        let answer = app.ask(None, Method::GET, &path, &[("range", range)], Body::empty()).await;
        assert_eq!(answer.headers[header::CONTENT_LENGTH], expected.len().to_string());
        assert!(answer.status.is_success() && answer.body == expected, "{range}");
        let (status, headers, body) = ask(&fast, Method::GET, &path, &[("range", range)]).await;
        assert!(status == answer.status && body == expected, "{range}");
        for name in [header::CONTENT_LENGTH, header::CONTENT_TYPE, header::ETAG] {
            assert_eq!(headers[&name], answer.headers[&name], "{range}");
        }
        assert_eq!(headers.get(header::CONTENT_RANGE), answer.headers.get(header::CONTENT_RANGE), "{range}");
    }
    assert_eq!(app.ask(None, Method::GET, &path, &[("range", "bytes=-0")], Body::empty()).await.status, StatusCode::RANGE_NOT_SATISFIABLE);
    assert_eq!(app.state.delivery.cache().tally().bytes, 0);
}

#[tokio::test]
async fn what_is_asked_for_once_throws_nothing_out() {
    const MANY: usize = 40;
    let app = App::with(&[("MILLRACE_DELIVERY_CACHE_MB", "8")]).await;
    let (generation, query) = published_with(&app, Audience::Link, MANY).await;
    let path = |number: usize| format!("/media/{generation}/720p/{number:05}.m4s?{query}");
    let key = |number: usize| StorageKey::published(generation, &format!("720p/{number:05}.m4s")).expect("a key");
    let fast = FastPath::new(&app.state, &Headers::of(&app.state), app.router.clone());
    let cache = app.state.delivery.cache();
    let mut first = HeaderMap::new();
    for number in 1..=MANY {
        let (status, mut headers, body) = ask(&fast, Method::GET, &path(number), &[]).await;
        assert!(status == StatusCode::OK && body == noise(SIZE), "{number}");
        // It carries what all others carry, wherever its bytes come from.
        for own in ["x-request-id", "etag", "cache-control"] {
            assert!(headers.remove(own).is_some(), "{number}: {own}");
        }
        if number == 1 {
            first = headers;
        } else {
            assert_eq!(headers, first, "{number}");
        }
    }
    let tally = cache.tally();
    assert!(tally.evictions == 0 && tally.bytes > 7_000_000 && tally.misses == MANY as u64, "{tally:?}");
    assert!(cache.get(&key(1)).is_some() && cache.get(&key(MANY)).is_none());

    // Who is asked for again gets the place of somebody who was not.
    assert_eq!(ask(&fast, Method::GET, &path(MANY), &[]).await.2, noise(SIZE));
    assert!(cache.get(&key(MANY)).is_some() && cache.tally().evictions > 0, "{:?}", cache.tally());
}

#[tokio::test]
async fn on_a_connection_they_come_one_after_the_other() {
    let app = App::start().await;
    let (generation, query) = published(&app, Audience::Link).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let (stop, stopped) = oneshot::channel::<()>();
    let fast = FastPath::new(&app.state, &Headers::of(&app.state), app.router.clone());
    let limits = app.state.settings.http.clone();
    let serving = tokio::spawn(async move {
        let stopped = async {
            let _ = stopped.await;
        };
        connections::serve(listener, fast, &limits, stopped).await;
    });
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    let line = |method: &str, more: &str| format!("{method} /media/{generation}/720p/00001.m4s?{query} HTTP/1.1\r\nhost: x\r\n{more}\r\n");
    let requests =
        [line("GET", ""), line("GET", ""), line("HEAD", ""), line("GET", "range: bytes=0-9\r\n"), line("GET", "connection: close\r\n")];
    stream.write_all(requests.concat().as_bytes()).await.expect("it asks");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.expect("it reads");
    let heads = answer.windows(9).filter(|window| *window == b"HTTP/1.1 ").count();
    let length = format!("content-length: {SIZE}\r\n");
    let lengths = answer.windows(length.len()).filter(|window| *window == length.as_bytes()).count();
    assert_eq!((heads, lengths), (5, 4));
    assert!(answer.len() > 3 * SIZE + 10 && answer.len() < 3 * SIZE + 10 + 5 * 2_000, "{}", answer.len());
    assert!(answer.ends_with(&noise(SIZE)));
    let _ = stop.send(());
    serving.await.expect("it ends");
}

#[tokio::test]
async fn a_page_brings_the_beginnings_of_its_tracks_along_where_they_are_small() {
    let app = App::start().await;
    let (generation, query) = published(&app, Audience::Link).await;
    let init = StorageKey::published(generation, "720p/init.mp4").expect("a key");
    let body = stream::iter([Ok(Bytes::from(noise(700)))]).boxed();
    app.state.store.put_stream(&init, body, u64::MAX).await.expect("stored");
    let ours = format!("{}/media/{generation}/", app.state.settings.public_url);
    let track = |base: &str, first: &str| StartTrack {
        media: SignedMedia { base: base.to_owned(), query: query.clone() },
        kind: "video".to_owned(),
        codec: "avc1.64001e".to_owned(),
        init: "720p/init.mp4".to_owned(),
        segments: vec![first.to_owned()],
        opening: None,
    };
    let start = |tracks| Start { duration_ms: 30_000, tracks };
    let mut opened = start(vec![track(&ours, "720p/00001.m4s")]);
    // Reading may take longer than a page waits, but then it is in memory.
    while opened.tracks[0].opening.is_none() {
        app.state.delivery.open(&mut opened).await;
    }
    let opening = opened.tracks[0].opening.clone().expect("an opening");
    let cut = opening.rest_from.and_then(|from| usize::try_from(from).ok()).expect("it is larger than that");
    let told = STANDARD.decode(opening.data).expect("Base64");
    assert_eq!((&told[..700], &told[700..]), (&noise(700)[..], &noise(SIZE)[..cut]), "init segment and beginning");
    let rest =
        ask(&ordinary(&app), Method::GET, &format!("/media/{generation}/720p/00001.m4s?{query}"), &[("range", &format!("bytes={cut}-"))])
            .await;
    assert_eq!((rest.0, &rest.2[..]), (StatusCode::PARTIAL_CONTENT, &noise(SIZE)[cut..]), "and the rest can be had");

    // A small one is there as a whole.
    let mut small = start(vec![track(&ours, "720p/init.mp4")]);
    app.state.delivery.open(&mut small).await;
    let opening = small.tracks[0].opening.clone().expect("what is in memory is there at once");
    assert_eq!((opening.rest_from, STANDARD.decode(opening.data).expect("Base64")), (None, [noise(700), noise(700)].concat()));

    // One that has none leaves all without; and so does a CDN, whose bytes are not here.
    let missing = start(vec![track(&ours, "720p/00001.m4s"), track(&ours, "720p/00009.m4s")]);
    let elsewhere = start(vec![track(&format!("https://cdn.example/published/{generation}/"), "720p/00001.m4s")]);
    for mut closed in [missing, elsewhere] {
        app.state.delivery.open(&mut closed).await;
        assert!(closed.tracks.iter().all(|track| track.opening.is_none()), "{closed:?}");
    }
}
