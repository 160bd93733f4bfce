//! Videos that play from their running encode: an engine that the tests hold, in a process of its own, and the real one.

use std::sync::{Arc, Mutex};

use axum::http::StatusCode;
use bytes::Bytes;
use domain::{
    grant::Lifetime,
    ids::{GenerationId, VideoId},
    playlist::{Rendition, Segment},
    source::SourceFacts,
    storage_key::StorageKey,
    video::Visibility,
};
use futures::StreamExt;
use sea_orm::{EntityTrait, sea_query::Expr};
use server::{
    adapters::{db_queue::DbQueue, fs_store::FsStore},
    assembly::{Ports, assemble},
    db::entity::{growing_renditions, growing_segments, jobs, removals, videos},
    ports::{
        blob_store::BlobStore,
        transcoder::{Grown, TranscodeError, TranscodeId, TranscodeRequest, TranscodeState, Transcoder},
    },
    services::store_audit::AuditOptions,
};
use tokio::{sync::watch, task::JoinHandle};

use crate::{
    app::{App, KEY, Somebody, files_below},
    workshop::{
        engine::{facts, rendition},
        eventually,
    },
};

const BOOK: &[u8] = include_bytes!("../media/book.mkv");
/// Segments that the held engine makes.
const SEGMENTS: usize = 3;

/// An engine that goes on when a test says so.
#[derive(Debug)]
struct Held {
    store: Arc<FsStore>,
    started: Mutex<Vec<GenerationId>>,
    told: Mutex<Vec<Grown>>,
    ends: Mutex<Option<Result<(), TranscodeError>>>,
}

#[async_trait::async_trait]
impl Transcoder for Held {
    async fn probe(&self, _source: &StorageKey) -> Result<SourceFacts, TranscodeError> {
        Ok(SourceFacts { duration_ms: 4_000 * SEGMENTS as u64, ..facts() })
    }

    async fn start(&self, request: TranscodeRequest) -> Result<TranscodeId, TranscodeError> {
        self.started.lock().expect("open").push(request.generation);
        Ok(TranscodeId(request.generation.to_string()))
    }

    async fn poll(&self, _id: &TranscodeId) -> Result<TranscodeState, TranscodeError> {
        match self.ends.lock().expect("open").take() {
            Some(end) => end.map(|()| TranscodeState::Done { renditions: vec![part(0, SEGMENTS)], poster: false }),
            None => Ok(TranscodeState::Running { percent: 1, poster: false, grown: std::mem::take(&mut *self.told.lock().expect("open")) }),
        }
    }

    async fn cancel(&self, _id: &TranscodeId) -> Result<(), TranscodeError> {
        Ok(())
    }
}

/// The rendition that it makes, with so many of its segments from one on.
fn part(first: usize, many: usize) -> Rendition {
    let mut made = rendition();
    let segment = |number| Segment { file: format!("{number:05}.m4s"), duration_us: 4_000_000, bytes: 7 };
    made.playlist.segments = (first..first + many).map(segment).collect();
    made
}

impl Held {
    fn generation(&self) -> Option<GenerationId> {
        self.started.lock().expect("open").last().copied()
    }

    /// Stores and tells of the next segments; the init segment comes with the first one.
    async fn makes(&self, first: usize, many: usize) {
        self.stores(first, many).await;
        let grown = Grown { rendition: part(first, many), first, target_seconds: 6 };
        self.told.lock().expect("open").push(grown);
    }

    async fn stores(&self, first: usize, many: usize) {
        let generation = self.generation().expect("it was started");
        let init = (first == 0).then(|| "360p/init.mp4".to_owned());
        for file in init.into_iter().chain((first..first + many).map(|number| format!("360p/{number:05}.m4s"))) {
            let key = StorageKey::published(generation, &file).expect("a name");
            let body = futures::stream::iter([Ok(Bytes::from_static(b"segment"))]).boxed();
            self.store.put_stream(&key, body, 100).await.expect("stored");
        }
    }

    fn ends(&self, how: Result<(), TranscodeError>) {
        *self.ends.lock().expect("open") = Some(how);
    }
}

/// A process that works, with the engine it works by.
struct Worker {
    engine: Arc<Held>,
    running: JoinHandle<()>,
    _shutdown: watch::Sender<bool>,
}

/// Another process than the one that people reach.
async fn hire(app: &App) -> Worker {
    let store = Arc::new(FsStore::open(app.folder.path().join("store")).await.expect("a store"));
    let engine = Arc::new(Held { store: store.clone(), started: Mutex::default(), told: Mutex::default(), ends: Mutex::default() });
    let ports = Ports { store, queue: Arc::new(DbQueue::open(&app.db)), transcoder: engine.clone(), cdn: Arc::clone(&app.state.cdn) };
    let (shutdown, down) = watch::channel(false);
    let (_, worker) = assemble((*app.state.settings).clone(), &app.db, ports, KEY.to_vec().into(), down);
    let running = tokio::spawn(worker.run(shutdown.subscribe()));
    Worker { engine, running, _shutdown: shutdown }
}

impl Worker {
    async fn has_started(&self) {
        eventually("it encodes", async || self.engine.generation().is_some()).await;
    }
}

async fn row(app: &App, video: &str) -> videos::Model {
    let id: VideoId = video.parse().expect("an id");
    videos::Entity::find_by_id(id.0).one(&app.db).await.expect("read").expect("there")
}

/// Waits until it plays though it is not done.
async fn until_playable(app: &App, who: &Somebody, video: &str) {
    eventually("it plays", async || {
        let status = app.status(who, video).await;
        assert_eq!(status["status"], "processing", "it is seen to play before it is done: {status}");
        status["playable"] == true
    })
    .await;
}

/// The first media playlist of a stream: where it is, what it says, and the addresses of its segments.
struct Playlist {
    url: String,
    text: String,
    segments: Vec<String>,
}

async fn read_playlist(app: &App, url: String) -> Playlist {
    let answer = app.get(None, &url).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    let parsed = m3u8_rs::parse_media_playlist_res(&answer.body).expect("a playlist");
    Playlist { segments: parsed.segments.iter().map(|segment| segment.uri.clone()).collect(), text: answer.text(), url }
}

async fn playlists(app: &App, who: &Somebody, video: &str) -> Vec<Playlist> {
    let stream = app.get(Some(who), &format!("/api/stream?videoId={video}")).await;
    assert_eq!(stream.status, StatusCode::OK, "{}", stream.text());
    let url = stream.json()["url"].as_str().expect("a URL").to_owned();
    let text = app.get(None, &url).await.text();
    let parsed = m3u8_rs::parse_master_playlist_res(text.as_bytes()).expect("a playlist");
    let base = url.rsplit_once('/').expect("a path").0.to_owned();
    let names = parsed.variants.iter().map(|variant| variant.uri.clone());
    let mut found = Vec::new();
    for name in names.chain(parsed.alternatives.iter().filter_map(|media| media.uri.clone())) {
        found.push(read_playlist(app, format!("{base}/{name}")).await);
    }
    found
}

fn bare(address: &str) -> &str {
    address.split_once('?').map_or(address, |(path, _)| path)
}

/// Nothing is left of what grew.
async fn assert_no_growth(app: &App) {
    assert!(growing_renditions::Entity::find().one(&app.db).await.expect("asked").is_none());
    assert!(growing_segments::Entity::find().one(&app.db).await.expect("asked").is_none());
}

#[tokio::test]
async fn what_is_finished_plays_grows_and_becomes_the_film() {
    let app = App::start().await;
    let ada = app.somebody("ada@example.com").await;
    let video = app.upload(&ada, "book.mkv", BOOK).await;
    let id: VideoId = video.parse().expect("an id");
    let worker = hire(&app).await;
    worker.has_started().await;
    assert_eq!(app.status(&ada, &video).await["playable"], false);
    worker.engine.makes(0, 1).await;
    until_playable(&app, &ada, &video).await;
    let playback = app.state.playback.for_owner(ada.user, id, Lifetime::Renewed).await.expect("it plays");
    assert!(playback.growing && !playback.arriving && playback.duration_ms == 12_000, "{playback:?}");
    assert_eq!(playback.media.len(), 1, "its signatures can be renewed");

    let early = playlists(&app, &ada, &video).await.remove(0);
    for line in ["#EXT-X-PLAYLIST-TYPE:EVENT\n", "#EXT-X-START:TIME-OFFSET=0\n", "#EXT-X-TARGETDURATION:6\n"] {
        assert!(early.text.contains(line) && !early.text.contains("#EXT-X-ENDLIST"), "{}", early.text);
    }
    assert_eq!(early.segments.len(), 1);
    assert_eq!(app.get(None, &early.segments[0]).await.text(), "segment");
    assert_eq!(app.get(None, bare(&early.segments[0])).await.status, StatusCode::FORBIDDEN);

    worker.engine.makes(1, 1).await;
    eventually("it grows", async || read_playlist(&app, early.url.clone()).await.segments.len() == 2).await;
    let grown = read_playlist(&app, early.url.clone()).await;
    assert_eq!(bare(&grown.segments[0]), bare(&early.segments[0]));

    // It belongs to somebody, however old it is.
    let options = AuditOptions { deep: false, repair: true, grace_ms: 0, after: None };
    let report = app.store_audit().run(options, &|_| ()).await.expect("looked through");
    assert!(report.clean(), "{report:?}");

    // What was signed for everybody with the link ends as that of published videos does.
    app.state.videos.set_visibility(ada.user, id, Visibility::Private).await.expect("set");
    assert_eq!(app.get(None, &early.segments[0]).await.status, StatusCode::FORBIDDEN);
    assert_eq!(app.get(None, &early.url).await.status, StatusCode::FORBIDDEN);
    let own = playlists(&app, &ada, &video).await.remove(0);
    assert_eq!(app.get(None, &own.segments[1]).await.status, StatusCode::OK);
    app.state.videos.set_visibility(ada.user, id, Visibility::Unlisted).await.expect("set");

    worker.engine.stores(2, 1).await;
    worker.engine.ends(Ok(()));
    assert_eq!(app.settled(&ada, &video).await["status"], "done");
    let whole = read_playlist(&app, early.url.clone()).await;
    assert!(whole.text.contains("#EXT-X-PLAYLIST-TYPE:VOD\n") && whole.text.contains("#EXT-X-ENDLIST"), "{}", whole.text);
    assert_eq!(whole.segments.len(), SEGMENTS);
    for (segment, before) in whole.segments.iter().zip(&grown.segments) {
        assert_eq!(bare(segment), bare(before), "whoever watches it as it grew goes on");
    }
    let now = row(&app, &video).await;
    assert_eq!((now.growing_generation_id, now.generation_id), (None, worker.engine.generation().map(|generation| generation.0)));
    assert!(!app.state.playback.for_owner(ada.user, id, Lifetime::Renewed).await.expect("it plays").growing);
    assert_no_growth(&app).await;
    assert!(removals::Entity::find().one(&app.db).await.expect("asked").is_none(), "nothing is to go");
}

#[tokio::test]
async fn an_encode_that_fails_half_way_takes_along_what_grew_and_the_next_one_grows_anew() {
    let app = App::start().await;
    let ada = app.somebody("ada@example.com").await;
    let video = app.upload(&ada, "book.mkv", BOOK).await;
    let worker = hire(&app).await;
    worker.has_started().await;
    worker.engine.makes(0, 2).await;
    until_playable(&app, &ada, &video).await;
    let first = worker.engine.generation();
    let seen = playlists(&app, &ada, &video).await.remove(0);
    worker.engine.ends(Err(TranscodeError::Engine("the power is out".into())));
    eventually("it plays no more", async || app.status(&ada, &video).await["playable"] == false).await;
    assert_eq!(app.get(None, &seen.url).await.status, StatusCode::NOT_FOUND);
    assert_no_growth(&app).await;
    eventually("what was stored is gone", async || files_below(&app.folder.path().join("store/published")).is_empty()).await;

    jobs::Entity::update_many().col_expr(jobs::Column::RunAfterMs, Expr::value(0)).exec(&app.db).await.expect("due");
    eventually("the next try encodes", async || worker.engine.generation() != first).await;
    worker.engine.makes(0, 1).await;
    until_playable(&app, &ada, &video).await;
    let again = playlists(&app, &ada, &video).await.remove(0);
    assert_ne!(bare(&again.segments[0]), bare(&seen.segments[0]));
    assert_eq!(app.get(None, &again.segments[0]).await.status, StatusCode::OK);
    worker.running.abort();
}

#[tokio::test]
async fn whoever_takes_a_dead_workers_job_begins_anew() {
    let app = App::start().await;
    let ada = app.somebody("ada@example.com").await;
    let video = app.upload(&ada, "book.mkv", BOOK).await;
    let dead = hire(&app).await;
    dead.has_started().await;
    dead.engine.makes(0, 1).await;
    until_playable(&app, &ada, &video).await;
    let seen = playlists(&app, &ada, &video).await.remove(0);
    dead.running.abort();
    assert!(dead.running.await.expect_err("it was killed").is_cancelled());
    jobs::Entity::update_many().col_expr(jobs::Column::LeaseExpiresAtMs, Expr::value(0)).exec(&app.db).await.expect("aged");
    let next = hire(&app).await;
    next.has_started().await;
    assert_eq!(app.status(&ada, &video).await["playable"], false);
    assert_no_growth(&app).await;
    assert_eq!(app.get(None, &seen.url).await.status, StatusCode::NOT_FOUND);
    app.removals().work_off().await.expect("removed");
    assert!(files_below(&app.folder.path().join("store/published")).is_empty(), "what was stored is gone");
    next.running.abort();
}

#[tokio::test]
async fn a_video_that_is_deleted_while_it_grows_leaves_nothing() {
    let app = App::start().await;
    let ada = app.somebody("ada@example.com").await;
    let video = app.upload(&ada, "book.mkv", BOOK).await;
    let worker = hire(&app).await;
    worker.has_started().await;
    worker.engine.makes(0, 1).await;
    until_playable(&app, &ada, &video).await;
    let seen = playlists(&app, &ada, &video).await.remove(0);
    assert_eq!(app.get(None, &seen.segments[0]).await.status, StatusCode::OK);
    app.state.videos.delete(ada.user, video.parse::<VideoId>().expect("an id")).await.expect("deleted");
    assert_no_growth(&app).await;
    // The engine goes on for a moment.
    worker.engine.makes(1, 1).await;
    eventually("nothing is left", async || files_below(&app.folder.path().join("store")).is_empty()).await;
    eventually("nothing of it opens", async || app.get(None, &seen.segments[0]).await.status == StatusCode::NOT_FOUND).await;
    assert_eq!(app.get(None, &seen.url).await.status, StatusCode::NOT_FOUND);
    worker.running.abort();
}

#[tokio::test]
async fn what_plays_from_its_source_needs_nothing_of_its_encode() {
    let app = App::start().await;
    let ada = app.somebody("ada@example.com").await;
    let video = app.upload(&ada, "cars.mp4", include_bytes!("../media/car-detection.mp4")).await;
    let worker = hire(&app).await;
    worker.has_started().await;
    worker.engine.makes(0, 1).await;
    eventually("it is told", async || worker.engine.told.lock().expect("open").is_empty()).await;
    worker.engine.stores(1, 2).await;
    worker.engine.ends(Ok(()));
    let packaged = row(&app, &video).await;
    assert!(packaged.packaged_generation_id.is_some() && packaged.growing_generation_id.is_none());
    assert_no_growth(&app).await;
    assert_eq!(app.settled(&ada, &video).await["status"], "done");
}

/// A film that browsers do not play, of two minutes in no time: two seconds of it, again and again.
async fn long_film(app: &App) -> Vec<u8> {
    let (short, long) = (app.folder.path().join("short.mkv"), app.folder.path().join("long.mkv"));
    let ffmpeg = async |words: &str| {
        let mut ffmpeg = tokio::process::Command::new("ffmpeg");
        let done = ffmpeg.args(["-v", "error", "-y"]).args(words.split(' ')).status().await.expect("ffmpeg runs");
        assert!(done.success(), "{words}");
    };
    let (short, long) = (short.display(), long.display());
    let sound = "-f lavfi -i sine=d=2 -c:a libopus";
    ffmpeg(&format!("-f lavfi -i testsrc2=s=640x360:r=25:d=2 {sound} -c:v libx265 -x265-params log-level=none {short}")).await;
    ffmpeg(&format!("-stream_loop 59 -i {short} -c copy {long}")).await;
    std::fs::read(long.to_string()).expect("a film")
}

#[tokio::test]
async fn a_real_encode_is_watched_long_before_it_is_done() {
    let mut app = App::start().await;
    let ada = app.somebody("ada@example.com").await;
    let film = long_film(&app).await;
    let video = app.upload(&ada, "film.mkv", &film).await;
    app.work();
    until_playable(&app, &ada, &video).await;
    let early = playlists(&app, &ada, &video).await;
    assert!(early.len() >= 3, "all rungs and the sound can be begun at once: {}", early.len());
    let mut bytes = Vec::new();
    for playlist in &early {
        for segment in &playlist.segments {
            let answer = app.get(None, segment).await;
            assert_eq!(answer.status, StatusCode::OK, "{segment}");
            bytes.push((segment.clone(), answer.body));
        }
    }
    assert_eq!(app.settled(&ada, &video).await["status"], "done");
    for early in &early {
        let whole = read_playlist(&app, early.url.clone()).await;
        assert!(whole.text.contains("#EXT-X-ENDLIST") && whole.segments.len() >= 29, "{}", whole.text);
        assert!(whole.segments.iter().zip(&early.segments).all(|(now, before)| bare(now) == bare(before)));
    }
    for (segment, before) in &bytes {
        assert_eq!(&app.get(None, segment).await.body, before, "what was watched never changes: {segment}");
    }
    assert_no_growth(&app).await;
    eventually("nothing is left to work with", async || files_below(&app.folder.path().join("scratch")).is_empty()).await;
}
