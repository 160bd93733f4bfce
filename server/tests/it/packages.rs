//! Videos that play before anything is encoded: from the source's own samples, signed for and withdrawn like everything else.

use std::{collections::BTreeSet, time::Duration};

use axum::{
    body::{Body, to_bytes},
    http::{Method, Request, StatusCode},
};
use bytes::Bytes;
use domain::{
    ids::{GenerationId, UploadId, VideoId},
    storage_key::StorageKey,
    video::{PlaybackState, Visibility},
};
use futures::{StreamExt, stream};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, sea_query::Expr};
use server::{
    db::entity::videos,
    delivery::Outgoing,
    http::{headers::Headers, media::fast_path::FastPath},
    services::playback::Visitor,
};
use tower::ServiceExt;
use uuid::Uuid;

use crate::app::{Answer, App, Somebody, files_below};

const CARS: &[u8] = include_bytes!("../media/car-detection.mp4");
const BOOK: &[u8] = include_bytes!("../media/book.mkv");

pub(crate) async fn anonymous(app: &App, url: &str) -> Answer {
    app.get(None, url).await
}

/// The playlists of a stream, by name, with the addresses that each names in its order: the init segment first.
pub(crate) async fn playlists(app: &App, who: &Somebody, video: &str) -> Vec<(String, Vec<String>)> {
    let stream = app.get(Some(who), &format!("/api/stream?videoId={video}")).await;
    assert_eq!(stream.status, StatusCode::OK, "{}", stream.text());
    let url = stream.json()["url"].as_str().expect("a URL").to_owned();
    let multivariant = anonymous(app, &url).await.text();
    let parsed = m3u8_rs::parse_master_playlist_res(multivariant.as_bytes()).expect("a playlist");
    let names = parsed.variants.iter().map(|variant| variant.uri.clone());
    let names = names.chain(parsed.alternatives.iter().filter_map(|media| media.uri.clone()));
    let base = url.rsplit_once('/').expect("a path").0;
    let mut found = Vec::new();
    for name in names.collect::<BTreeSet<_>>() {
        let text = anonymous(app, &format!("{base}/{name}")).await.text();
        let parsed = m3u8_rs::parse_media_playlist_res(text.as_bytes()).expect("a playlist");
        assert!(parsed.end_list, "{text}");
        let init = parsed.segments[0].map.as_ref().expect("an init segment").uri.clone();
        found.push((name, std::iter::once(init).chain(parsed.segments.iter().map(|segment| segment.uri.clone())).collect()));
    }
    found
}

/// Frames or packets that ffprobe counts, of the picture (`v`) or the sound (`a`).
async fn packets(app: &App, file: &std::path::Path, kind: &str) -> u64 {
    let mut probe = tokio::process::Command::new(&app.state.settings.transcode.ffprobe);
    probe.args(["-v", "error", "-count_packets", "-select_streams", kind, "-show_entries", "stream=nb_read_packets", "-of", "csv=p=0"]);
    let answer = probe.arg(file).output().await.expect("ffprobe runs");
    assert!(answer.status.success(), "{}", String::from_utf8_lossy(&answer.stderr));
    String::from_utf8_lossy(&answer.stdout).trim().trim_end_matches(',').parse().expect("a number")
}

pub(crate) async fn row(app: &App, video: &str) -> videos::Model {
    let id: Uuid = video.parse().expect("an id");
    videos::Entity::find_by_id(id).one(&app.db).await.expect("read").expect("there")
}

#[tokio::test]
async fn an_ordinary_upload_plays_whole_as_soon_as_it_is_complete() {
    let app = App::start().await;
    let ada = app.somebody("ada@example.com").await;
    let video = app.upload(&ada, "car-detection.mp4", CARS).await;
    // Nobody works: nothing is encoded, and nothing will be.
    let status = app.status(&ada, &video).await;
    assert_eq!((status["status"].as_str(), status["playable"].as_bool()), (Some("processing"), Some(true)), "{status}");
    let playback = app.state.playback.for_owner(ada.user, video.parse().expect("an id"), Default::default()).await.expect("it plays");
    assert_eq!((playback.state, playback.size), (PlaybackState::Playable, (768, 432)));
    assert!((29_000..31_000).contains(&playback.duration_ms), "{}", playback.duration_ms);

    let found = playlists(&app, &ada, &video).await;
    assert_eq!(found.len(), 2, "one picture and one sound: {found:?}");
    let source = app.folder.path().join("source.mp4");
    std::fs::write(&source, CARS).expect("written");
    for (name, addresses) in &found {
        let mut bytes = Vec::new();
        for address in addresses {
            let answer = anonymous(&app, address).await;
            assert_eq!(answer.status, StatusCode::OK, "{address}");
            bytes.extend(answer.body);
            let bare = address.split_once('?').expect("a query").0;
            assert_eq!(anonymous(&app, bare).await.status, StatusCode::FORBIDDEN, "{bare}");
        }
        let joined = app.folder.path().join("joined.mp4");
        std::fs::write(&joined, bytes).expect("written");
        let kind = if name.ends_with("audio.m3u8") { "a" } else { "v" };
        assert_eq!(packets(&app, &joined, kind).await, packets(&app, &source, kind).await, "{name}");
    }
    let stored = files_below(&app.folder.path().join("store/published"));
    assert!(stored.is_empty(), "nothing is written for it: {stored:?}");
}

#[tokio::test]
async fn packaged_bytes_are_answered_like_stored_ones_and_nothing_else_is() {
    let app = App::start().await;
    let ada = app.somebody("ada@example.com").await;
    let video = app.upload(&ada, "car-detection.mp4", CARS).await;
    let found = playlists(&app, &ada, &video).await;
    let address = &found[0].1[1];
    let whole = anonymous(&app, address).await;
    assert_eq!(whole.headers["access-control-allow-origin"], "*");
    assert!(whole.headers["cache-control"].to_str().expect("text").contains("immutable"));
    let ask = async |method: Method, headers: &[(&str, &str)]| app.ask(None, method, address, headers, Body::empty()).await;
    let part = ask(Method::GET, &[("range", "bytes=10-19")]).await;
    assert_eq!((part.status, part.body.as_slice()), (StatusCode::PARTIAL_CONTENT, &whole.body[10..20]));
    assert_eq!(part.headers["content-range"], format!("bytes 10-19/{}", whole.body.len()).as_str());
    assert_eq!(ask(Method::GET, &[("range", "bytes=-4")]).await.body, whole.body[whole.body.len() - 4..]);
    assert_eq!(ask(Method::GET, &[("range", "bytes=99999999-")]).await.status, StatusCode::RANGE_NOT_SATISFIABLE);
    let head = ask(Method::HEAD, &[]).await;
    assert_eq!((head.status, head.body.len()), (StatusCode::OK, 0));
    assert_eq!(head.headers["content-length"], whole.body.len().to_string().as_str());
    let etag = whole.headers["etag"].to_str().expect("text");
    assert_eq!(ask(Method::GET, &[("if-none-match", etag)]).await.status, StatusCode::NOT_MODIFIED);

    let (path, query) = address.split_once('?').expect("a query");
    let (generation, _) = path.rsplit_once("/432p/").expect("the picture");
    for file in [
        "432p/99999.m4s",
        "432p/0.m4s",
        "432p/000000.m4s",
        "432p/-0001.m4s",
        "432p/init.mp5",
        "720p/init.mp4",
        "init.mp4",
        "432p",
        "poster.jpg",
    ] {
        let answer = anonymous(&app, &format!("{generation}/{file}?{query}")).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{file}");
    }
}

/// One after the other, by what stands before the router: whole and in part.
async fn all_of(app: &App, found: &[(String, Vec<String>)]) -> Vec<Vec<u8>> {
    let fast = FastPath::new(&app.state, &Headers::of(&app.state), app.router.clone());
    let mut bodies = Vec::new();
    for address in found.iter().flat_map(|(_, addresses)| addresses) {
        let ask = async |range: Option<String>| {
            let request = range.iter().fold(Request::get(address), |request, range| request.header("range", range));
            let answer = fast.clone().oneshot(request.body(Body::empty()).expect("a request")).await.expect("an answer");
            (answer.status(), to_bytes(answer.into_body(), usize::MAX).await.expect("a body"))
        };
        let (status, whole) = ask(None).await;
        assert_eq!(status, StatusCode::OK, "{address}");
        let (first, last) = (whole.len() / 3, whole.len() / 2);
        let (status, part) = ask(Some(format!("bytes={first}-{last}"))).await;
        assert!(status == StatusCode::PARTIAL_CONTENT && part == whole[first..=last], "{address}");
        bodies.push(whole.into());
    }
    bodies
}

#[tokio::test]
async fn packaged_bytes_are_the_same_whether_there_is_memory_for_them_or_not() {
    let mut answers = Vec::new();
    for memory in ["64", "0"] {
        let app = App::with(&[("MILLRACE_DELIVERY_CACHE_MB", memory)]).await;
        let ada = app.somebody("ada@example.com").await;
        let video = app.upload(&ada, "car-detection.mp4", CARS).await;
        let found = playlists(&app, &ada, &video).await;
        let bodies = all_of(&app, &found).await;
        let cached = app.state.delivery.cache().tally();
        let sum = bodies.iter().map(|body| body.len() as u64).sum::<u64>();
        assert_eq!(cached.bytes >= sum, memory != "0", "{cached:?}");
        assert_eq!(bodies, all_of(&app, &found).await, "another time");
        if memory == "0" {
            // Where the system can say what it has in memory, packaged segments are read on the spot as stored ones are.
            let packaged = GenerationId(row(&app, &video).await.packaged_generation_id.expect("it is packaged"));
            let stored = StorageKey::published(GenerationId(Uuid::now_v7()), "v/00001.m4s").expect("a key");
            app.state.store.put_stream(&stored, stream::iter([Ok(Bytes::from_static(b"here"))]).boxed(), 4).await.expect("stored");
            let now = |key: &StorageKey| matches!(app.state.delivery.now(key), Some(Outgoing::File(_)));
            let file = found[0].1[1].split_once(&format!("{packaged}/")).and_then(|(_, rest)| rest.split_once('?')).expect("an address").0;
            assert_eq!(now(&StorageKey::published(packaged, file).expect("a key")), now(&stored), "{file}");
        }
        answers.push(bodies);

        // A source that is not what it was is refused, wherever it would have come from.
        let packaged = GenerationId(row(&app, &video).await.packaged_generation_id.expect("it is packaged"));
        app.state.delivery.cache().forget(packaged);
        let source = app.state.store.local_path(&StorageKey::Source { upload: UploadId(packaged.0) }).expect("a file");
        assert_eq!(std::fs::read(&source).expect("there"), CARS);
        std::fs::write(source, vec![0; CARS.len()]).expect("written");
        let (_, picture) = found.iter().find(|(name, _)| !name.ends_with("audio.m3u8")).expect("a picture");
        let fast = FastPath::new(&app.state, &Headers::of(&app.state), app.router.clone());
        for _ in 0..2 {
            let asked = Request::get(&picture[1]).body(Body::empty()).expect("a request");
            assert_eq!(fast.clone().oneshot(asked).await.expect("an answer").status(), StatusCode::NOT_FOUND);
        }
    }
    assert_eq!(answers[0], answers[1]);
}

#[tokio::test]
async fn a_packaged_video_that_becomes_private_or_is_deleted_closes() {
    let app = App::start().await;
    let (ada, eve) = (app.somebody("ada@example.com").await, app.somebody("eve@example.com").await);
    let video = app.upload(&ada, "car-detection.mp4", CARS).await;
    let id: VideoId = video.parse().expect("an id");
    let found = playlists(&app, &ada, &video).await;
    let address = &found[0].1[1];
    assert_eq!(anonymous(&app, address).await.status, StatusCode::OK);
    assert_eq!(app.get(Some(&eve), &format!("/api/stream?videoId={video}")).await.status, StatusCode::NOT_FOUND);
    app.state.videos.set_visibility(ada.user, id, Visibility::Private).await.expect("set");
    assert_eq!(anonymous(&app, address).await.status, StatusCode::FORBIDDEN);
    let playback_id = row(&app, &video).await.playback_id.parse().expect("an id");
    assert!(app.state.playback.for_viewer(&playback_id, Visitor::default(), Default::default()).await.is_err());
    // The owner goes on watching.
    let own = &playlists(&app, &ada, &video).await[0].1[1];
    assert_eq!(anonymous(&app, own).await.status, StatusCode::OK);
    app.state.videos.delete(ada.user, id).await.expect("deleted");
    assert_eq!(anonymous(&app, own).await.status, StatusCode::NOT_FOUND);
    assert!(files_below(&app.folder.path().join("store")).is_empty());
}

#[tokio::test]
async fn what_browsers_do_not_play_waits_for_its_encode() {
    let app = App::start().await;
    let ada = app.somebody("ada@example.com").await;
    let mut flipped = CARS.to_vec();
    // Some place in the tables of a file whose `moov` is in front or at the end: whatever comes of it, no fault.
    let moov = flipped.windows(4).position(|name| name == b"stsz").expect("a table");
    flipped[moov + 8..moov + 16].fill(0xff);
    for (name, bytes) in
        [("book.mkv", BOOK), ("half.mp4", &CARS[..CARS.len() / 2]), ("flipped.mp4", &flipped), ("text.mp4", b"no film".as_slice())]
    {
        let video = app.upload(&ada, name, bytes).await;
        let status = app.status(&ada, &video).await;
        assert_eq!((status["status"].as_str(), status["playable"].as_bool()), (Some("processing"), Some(false)), "{name}: {status}");
        let stream = app.get(Some(&ada), &format!("/api/stream?videoId={video}")).await;
        assert_eq!((stream.status, stream.code().as_str()), (StatusCode::CONFLICT, "not_playable"), "{name}");
    }
}

#[tokio::test]
async fn the_ladder_takes_over_and_who_is_watching_goes_on() {
    let mut app = App::start().await;
    let ada = app.somebody("ada@example.com").await;
    let video = app.upload(&ada, "car-detection.mp4", CARS).await;
    let before = playlists(&app, &ada, &video).await;
    app.work();
    let status = app.settled(&ada, &video).await;
    assert_eq!((status["status"].as_str(), status["playable"].as_bool()), (Some("done"), Some(true)), "{status}");
    let after = playlists(&app, &ada, &video).await;
    assert!(after.len() > before.len(), "more to choose from: {after:?}");
    let playback_id = row(&app, &video).await.playback_id.parse().expect("an id");
    let playback =
        app.state.playback.for_viewer(&playback_id, Visitor::default(), domain::grant::Lifetime::Renewed).await.expect("it plays");
    assert_eq!(playback.media.len(), 2, "whoever began before the ladder was there can renew as well: {:?}", playback.media);
    for address in before.iter().flat_map(|(_, addresses)| addresses) {
        assert_eq!(anonymous(&app, address).await.status, StatusCode::OK, "{address}");
    }
}

#[tokio::test]
async fn a_worker_looks_where_whoever_took_the_upload_could_not() {
    let mut app = App::start().await;
    let ada = app.somebody("ada@example.com").await;
    let video = app.upload(&ada, "car-detection.mp4", CARS).await;
    // As if the process had died after the commit of the upload.
    let id: Uuid = video.parse().expect("an id");
    videos::Entity::update_many()
        .col_expr(videos::Column::PackagedGenerationId, Expr::value(None::<Uuid>))
        .col_expr(videos::Column::PackagedFacts, Expr::value(None::<String>))
        .filter(videos::Column::Id.eq(id))
        .exec(&app.db)
        .await
        .expect("written");
    assert_eq!(app.status(&ada, &video).await["playable"], false);
    app.work();
    // Reading tables is a matter of milliseconds, an encode of seconds: it plays while it is still being made.
    loop {
        let row = row(&app, &video).await;
        if row.packaged_generation_id.is_some() {
            break;
        }
        assert_ne!(row.status, "done", "the ladder was there before");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
