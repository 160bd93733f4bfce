//! The database gone: cut off, silent, or with a writer in it that does not end. What plays goes on, what needs it is told when to come back,
//! work goes on, and nothing is lost or done twice. Nothing here is measured by a clock: a test that hangs would say so.

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    body::Body,
    http::{Method, Request, StatusCode, header},
    middleware::from_fn_with_state,
};
use domain::{grant::Lifetime, job::JobState, video::Visibility};
use sea_orm::{Database, DatabaseConnection};
use server::{
    config::DatabaseSettings,
    db::begin_write,
    http::{AppState, api_routes, outage, public_routes, session},
    ports::{job_queue::WakeUp, transcoder::EncodeNews},
    services::{grants::NewGrant, playback::Visitor},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
};
use tower::ServiceExt;

use crate::{
    app::{Answer, App, Somebody},
    database::own::{OwnDatabase, postgres},
    workshop::{ELSEWHERE, Workshop, engine::Manners, eventually, queue::FakeQueue},
};

/// What a cable does with what is sent through it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cable {
    Carries,
    /// As when the server is stopped (SIGSTOP): connections are there, and nothing is said on them.
    Silent,
    /// As when the server has gone: connections break, and there are no new ones.
    Cut,
}

/// A cable to the test's PostgreSQL.
struct Line {
    state: Arc<watch::Sender<Cable>>,
    port: u16,
}

impl Line {
    /// One to whatever listens at `there`.
    async fn lay(there: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("its number").port();
        let state = Arc::new(watch::Sender::new(Cable::Carries));
        let line = Arc::clone(&state);
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let (line, there) = (Arc::clone(&line), there.clone());
                tokio::spawn(async move {
                    if *line.borrow() == Cable::Cut {
                        return;
                    }
                    let Ok(far) = TcpStream::connect(there).await else { return };
                    let ((near_in, near_out), (far_in, far_out)) = (near.into_split(), far.into_split());
                    tokio::join!(carry(near_in, far_out, line.subscribe()), carry(far_in, near_out, line.subscribe()));
                });
            }
        });
        Self { state, port }
    }

    fn set(&self, cable: Cable) {
        self.state.send_replace(cable);
    }
}

async fn carry(mut from: impl AsyncReadExt + Unpin + Send, mut to: impl AsyncWriteExt + Unpin + Send, mut line: watch::Receiver<Cable>) {
    let mut buffer = vec![0; 65_536];
    loop {
        let read = tokio::select! {
            read = from.read(&mut buffer) => read,
            _ = async { line.wait_for(|cable| *cable == Cable::Cut).await.map(|_| ()) } => return,
        };
        let Ok(length @ 1..) = read else { return };
        let Ok(cable) = line.wait_for(|cable| *cable != Cable::Silent).await.map(|cable| *cable) else { return };
        if cable == Cable::Cut || to.write_all(&buffer[..length]).await.is_err() {
            return;
        }
    }
}

/// A server whose PostgreSQL is at the end of a line; `None` where tests run on SQLite.
async fn at_the_end_of_a_line() -> Option<(App, Line)> {
    let server = postgres()?;
    let own = OwnDatabase::create().await;
    let address = server.split_once('@')?.1.split_once('/')?.0.to_owned();
    let line = Line::lay(address.clone()).await;
    let url = own.url().replace(&address, &format!("127.0.0.1:{}", line.port));
    let app = App::with(&[("MILLRACE_DATABASE_URL", &url), ("MILLRACE_DATABASE_ACQUIRE_TIMEOUT_SECONDS", "2")]).await;
    // It goes with the test's server.
    std::mem::forget(own);
    Some((app, line))
}

/// What people reach, with the gate that stands before it.
fn gated(shop: &Workshop) -> Router {
    let state = shop.front.clone();
    let sessions = session::layer(shop.app.db.clone(), &state.settings);
    let gate = from_fn_with_state(state.clone(), outage::gate);
    api_routes::<AppState>().layer(sessions).merge(public_routes()).layer(gate).with_state(state)
}

async fn get(router: &Router, who: Option<&Somebody>, path: &str) -> Answer {
    let mut request = Request::builder().method(Method::GET).uri(path);
    if let Some(who) = who {
        request = request.header(header::AUTHORIZATION, format!("Bearer {}", who.key));
    }
    let response = router.clone().oneshot(request.body(Body::empty()).expect("a request")).await.expect("an answer");
    let (parts, body) = response.into_parts();
    let body = axum::body::to_bytes(body, usize::MAX).await.expect("a body").to_vec();
    Answer { status: parts.status, headers: parts.headers, body }
}

async fn published(shop: &Workshop) -> WakeUp {
    let job = shop.video().await;
    let worker = shop.hire(Arc::new(FakeQueue::default()), 1);
    shop.until(job, JobState::Done).await;
    worker.shut_down().await;
    job
}

/// Where a visitor's player begins, as a path.
async fn begins(shop: &Workshop, job: WakeUp, visitor: Visitor<'_>) -> String {
    let id = shop.front.videos.get(shop.ada.user, job.video).await.expect("a video").playback_id;
    let playback = shop.front.playback.for_viewer(&id, visitor, Lifetime::Renewed).await.expect("it plays");
    let url = playback.url.expect("an address");
    url.strip_prefix(&shop.front.settings.public_url).expect("ours").to_owned()
}

/// The playlists that a multivariant playlist names, as paths.
fn named(path: &str, text: &str) -> Vec<String> {
    let folder = path.rsplit_once('/').expect("a path").0;
    let plain = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty()).map(str::to_owned);
    let quoted = text.lines().filter_map(|line| Some(line.split_once("URI=\"")?.1.split('"').next()?.to_owned()));
    plain.chain(quoted).map(|uri| format!("{folder}/{uri}")).collect()
}

#[tokio::test]
async fn a_server_that_does_not_answer_yet_is_waited_for() {
    let Some(server) = postgres() else { return };
    let own = OwnDatabase::create().await;
    let address = server.split_once('@').and_then(|(_, rest)| rest.split_once('/')).expect("an address").0;
    let line = Line::lay(address.to_owned()).await;
    line.set(Cable::Cut);
    let url = own.url().replace(address, &format!("127.0.0.1:{}", line.port));
    let settings = DatabaseSettings { url: url.into(), acquire_timeout_seconds: 2, ..own.settings() };
    let folder = tempfile::tempdir().expect("a folder");
    let opening = tokio::spawn(async move { server::db::open(&settings, folder.path()).await });
    // Time for more than one refusal, and on a slow machine for one.
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert!(!opening.is_finished(), "it gave up");
    line.set(Cable::Carries);
    opening.await.expect("it ends").expect("opened");
}

#[tokio::test]
async fn what_plays_goes_on_and_all_else_is_told_to_come_back() {
    for trouble in [Cable::Silent, Cable::Cut] {
        let Some((app, line)) = at_the_end_of_a_line().await else { return };
        let shop = Workshop::on(app, Manners { at_once: true, ..ELSEWHERE }).await;
        let (watched, other) = (published(&shop).await, published(&shop).await);
        let router = gated(&shop);
        let (watch, db) = (shop.front.database.clone(), shop.app.db.clone());
        let following = tokio::spawn(async move { watch.follow(&db).await });

        let grant = NewGrant { name: "Bob", seconds: None, embed_hosts: "" };
        let grant = shop.front.grants.create(shop.ada.user, watched.video, grant).await.expect("a grant");
        let secret = grant.watch_url.split_once("grant=").expect("its secret").1.to_owned();
        let paths = [
            begins(&shop, watched, Visitor::default()).await,
            begins(&shop, watched, Visitor { grant: Some(&secret), ..Visitor::default() }).await,
        ];
        let unseen = begins(&shop, other, Visitor::default()).await;
        for path in &paths {
            assert_eq!(get(&router, None, path).await.status, StatusCode::OK);
        }

        line.set(trouble);
        for path in &paths {
            let again = get(&router, None, path).await;
            assert_eq!(again.status, StatusCode::OK, "{trouble:?}: {}", again.text());
            for playlist in named(path, &again.text()) {
                assert_eq!(
                    get(&router, None, &playlist).await.status,
                    StatusCode::OK,
                    "{trouble:?}: also one that it had not asked for yet"
                );
            }
        }
        let refused = [(None, unseen.as_str()), (Some(&shop.ada), "/api/v1/uploads"), (Some(&shop.ada), "/api/status?videoId=1")];
        for (who, path) in refused {
            let refusal = get(&router, who, path).await;
            assert_eq!((refusal.status, refusal.code().as_str()), (StatusCode::SERVICE_UNAVAILABLE, "unavailable"), "{trouble:?} {path}");
            assert!(refusal.headers.contains_key(header::RETRY_AFTER), "{trouble:?} {path}");
        }
        // What this process knows to have ended opens nothing, whatever it remembers.
        shop.front.private_media.revoke(grant.id);
        assert_eq!(get(&router, None, &paths[1]).await.status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(get(&router, None, &paths[0]).await.status, StatusCode::OK, "the others are none the worse");

        line.set(Cable::Carries);
        eventually("it answers again", async || get(&router, Some(&shop.ada), "/api/v1/uploads").await.status == StatusCode::OK).await;
        assert_eq!(get(&router, None, &unseen).await.status, StatusCode::OK);
        // And what has ended meanwhile is no longer believed.
        shop.front.videos.set_visibility(shop.ada.user, watched.video, Visibility::Private).await.expect("set");
        assert_eq!(get(&router, None, &paths[0]).await.code(), "grant_refused");
        following.abort();
    }
}

/// Something that keeps a database from being written to.
enum Trouble {
    Line(Line, Cable),
    File(String),
}

impl Trouble {
    /// Makes trouble while `work` lasts.
    async fn during(&self, work: impl Future<Output = ()>) {
        match self {
            Self::Line(line, cable) => {
                line.set(*cable);
                work.await;
                line.set(Cable::Carries);
            }
            Self::File(url) => {
                let writer: DatabaseConnection = Database::connect(url).await.expect("another process");
                let held = begin_write(&writer).await.expect("its lock");
                work.await;
                held.rollback().await.expect("let go");
            }
        }
    }
}

#[tokio::test]
async fn an_encode_goes_on_without_the_database_and_is_published_when_it_is_back() {
    for cable in [Cable::Silent, Cable::Cut] {
        let (app, trouble) = match at_the_end_of_a_line().await {
            Some((app, line)) => (app, Trouble::Line(line, cable)),
            None => {
                let app = App::start().await;
                let file = app.folder.path().join("millrace.db");
                (app, Trouble::File(format!("sqlite://{}", file.display())))
            }
        };
        let shop = Workshop::on(app, ELSEWHERE).await;
        let job = shop.video().await;
        let queue = Arc::new(FakeQueue::default());
        let worker = shop.hire(queue.clone(), 1);
        let encode = shop.until_encoding(job).await;
        trouble
            .during(async {
                shop.engine.set(&encode, EncodeNews::Progress { percent: 50 });
                // Longer than a heartbeat, and than a step may wait for a writer: both have failed once.
                tokio::time::sleep(std::time::Duration::from_secs(12)).await;
                shop.engine.set(&encode, EncodeNews::Done);
                tokio::time::sleep(std::time::Duration::from_secs(2)).await;
            })
            .await;
        shop.until(job, JobState::Done).await;
        let row = shop.row(job).await;
        assert_eq!((row.attempt, shop.engine.starts(job.job), shop.engine.seen().canceled.len()), (1, 1, 0), "one try, one encode");
        // The worker is as well as ever.
        let next = shop.video().await;
        let encode = shop.until_encoding(next).await;
        shop.engine.set(&encode, EncodeNews::Done);
        shop.until(next, JobState::Done).await;
        worker.shut_down().await;
    }
}

#[tokio::test]
async fn who_only_reads_a_file_does_not_wait_for_who_writes_into_it() {
    if postgres().is_some() {
        return;
    }
    let shop = Workshop::on(App::start().await, Manners { at_once: true, ..ELSEWHERE }).await;
    let job = published(&shop).await;
    let router = gated(&shop);
    let path = begins(&shop, job, Visitor::default()).await;
    let trouble = Trouble::File(format!("sqlite://{}", shop.app.folder.path().join("millrace.db").display()));
    trouble
        .during(async {
            assert_eq!(get(&router, None, &path).await.status, StatusCode::OK);
            assert_eq!(get(&router, Some(&shop.ada), &format!("/api/status?videoId={}", job.video)).await.status, StatusCode::OK);
            let refusal = shop.front.videos.rename(shop.ada.user, job.video, "New").await.expect_err("somebody else writes");
            assert!(refusal.is_outage(), "{refusal}");
            let problem = domain::error::Problem::from(refusal);
            assert_eq!((problem.code.http_status(), problem.retry_after_seconds.is_some()), (503, true));
        })
        .await;
    shop.front.videos.rename(shop.ada.user, job.video, "New").await.expect("nobody writes any more");
}
