//! A server for one test: real adapters in a temporary folder, requests without a socket.

use std::{collections::HashMap, sync::Arc, time::Duration};

use axum::{
    Router,
    body::Body,
    http::{HeaderMap, Method, Request, StatusCode, header},
    middleware,
};
use domain::{ids::UserId, upload::UploadTicket};
use futures::TryStreamExt;
use sea_orm::DatabaseConnection;
use server::{
    adapters::{
        db_queue::DbQueue,
        ffmpeg_transcoder::{FfmpegSettings, FfmpegTranscoder, Limits, SandboxMode},
        fs_store::FsStore,
        origin_cdn::OriginCdn,
    },
    assembly::{Ports, assemble},
    config::Settings,
    db,
    http::{
        AppState, api_routes,
        observe::{Observer, observe},
        public_routes, session,
    },
    worker::Worker,
};
use tempfile::TempDir;
use tokio::sync::watch;
use tower::ServiceExt;

use crate::database::own::OwnDatabase;

/// What signs links.
pub(crate) const KEY: &[u8] = b"a key for tests";

/// A running server. What holds connections is let go of before the database.
pub(crate) struct App {
    pub(crate) folder: TempDir,
    pub(crate) state: AppState,
    pub(crate) db: DatabaseConnection,
    pub(crate) router: Router,
    shutdown: watch::Sender<bool>,
    worker: Option<Worker>,
    _database: OwnDatabase,
}

/// An answer, read to its end.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("no JSON ({error}): {}", self.text()))
    }

    /// The stable code of a refusal.
    pub(crate) fn code(&self) -> String {
        assert_eq!(self.headers[header::CONTENT_TYPE], "application/problem+json", "{}", self.text());
        self.json()["code"].as_str().expect("a code").to_owned()
    }
}

/// A refusal but for the id of its request, which no two have in common.
pub(crate) fn but_for_its_id(body: &str) -> String {
    match body.split_once(",\"requestId\":\"") {
        Some((before, after)) => format!("{before}{}", after.split_once('"').map_or("", |(_, rest)| rest)),
        None => body.to_owned(),
    }
}

/// Somebody with an account and a key.
#[derive(Debug, Clone)]
pub(crate) struct Somebody {
    pub(crate) user: UserId,
    pub(crate) key: String,
}

impl App {
    pub(crate) async fn start() -> Self {
        Self::with(&[]).await
    }

    /// A server with some settings of its own, named as in the environment.
    pub(crate) async fn with(variables: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let database = OwnDatabase::create().await;
        let url = database.url();
        let own = [
            ("MILLRACE_DATA_DIR", folder.path().to_str().expect("a plain path")),
            ("MILLRACE_DATABASE_URL", url.as_str()),
            ("MILLRACE_DATABASE_MAX_CONNECTIONS", "4"),
        ];
        let variables: HashMap<_, _> =
            own.into_iter().chain(variables.iter().copied()).map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let variables: Vec<_> = variables.into_iter().collect();
        let settings = Settings::from_layers(None, &variables).expect("valid settings");
        let db = db::open(&settings.database, &settings.data_dir).await.expect("a database");
        let store = Arc::new(FsStore::open(settings.data_dir.join("store")).await.expect("a store"));
        let key = KEY.to_vec();
        let ffmpeg = FfmpegSettings {
            ffmpeg: settings.transcode.ffmpeg.clone(),
            ffprobe: settings.transcode.ffprobe.clone(),
            scratch: settings.transcode.scratch_dir.clone(),
            helper: env!("CARGO_BIN_EXE_sandbox-helper").into(),
            sandbox: SandboxMode::Auto,
            limits: Limits::default(),
        };
        let ports = Ports {
            queue: Arc::new(DbQueue::open(&db)),
            transcoder: Arc::new(FfmpegTranscoder::new(ffmpeg, store.clone())),
            cdn: Arc::new(OriginCdn::new(settings.public_url.clone(), key.clone().into())),
            store,
        };
        let (shutdown, down) = watch::channel(false);
        let sessions = session::layer(db.clone(), &settings);
        let (reachable, worker) = assemble(settings, &db, ports, key.into(), down);
        let state = AppState::from(reachable);
        let router = api_routes::<AppState>().layer(sessions).merge(public_routes());
        let observed = middleware::from_fn_with_state(Observer(state.settings.http.trusted_proxies.clone()), observe);
        let router = router.layer(observed).with_state(state.clone());
        Self { folder, state, db, router, shutdown, worker: Some(worker), _database: database }
    }

    /// Another process on the same data: services, connections and memory of its own.
    pub(crate) async fn other_process(&self) -> Self {
        let folder = self.folder.path().to_str().expect("a plain path");
        Self::with(&[("MILLRACE_DATA_DIR", folder), ("MILLRACE_DATABASE_URL", &self._database.url())]).await
    }

    /// Lets the worker run from now on.
    pub(crate) fn work(&mut self) -> tokio::task::JoinHandle<()> {
        let worker = self.worker.take().expect("the worker runs already");
        tokio::spawn(worker.run(self.shutdown.subscribe()))
    }

    /// What deletes objects; before the worker runs.
    pub(crate) fn removals(&self) -> server::services::removals::Removals {
        self.worker.as_ref().expect("the worker runs already").tidying.removals.clone()
    }

    /// What holds rows and store against each other; before the worker runs.
    pub(crate) fn store_audit(&self) -> server::services::store_audit::StoreAudit {
        self.worker.as_ref().expect("the worker runs already").tidying.store_audit.clone()
    }

    /// Ends the worker as SIGTERM does.
    pub(crate) fn shut_down(&self) {
        self.shutdown.send_replace(true);
    }

    pub(crate) async fn somebody(&self, email: &str) -> Somebody {
        let account = self.state.accounts.add(email, "a good password").await.expect("an account");
        let key = self.state.api_keys.create(account.id, "test", domain::account::Scope::Manage).await.expect("a key");
        Somebody { user: account.id, key: key.secret }
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.expect("the router answers");
        let (parts, body) = response.into_parts();
        Answer { status: parts.status, headers: parts.headers, body: taken(body).await.unwrap_or_default() }
    }

    /// A request by `who`, with headers and a body.
    pub(crate) async fn ask(
        &self,
        who: Option<&Somebody>,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Body>,
    ) -> Answer {
        let path = path.strip_prefix(&self.state.settings.public_url).unwrap_or(path);
        let mut request = Request::builder().method(method).uri(path);
        if let Some(who) = who {
            request = request.header(header::AUTHORIZATION, format!("Bearer {}", who.key));
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.send(request.body(body.into()).expect("a request")).await
    }

    pub(crate) async fn get(&self, who: Option<&Somebody>, path: &str) -> Answer {
        self.ask(who, Method::GET, path, &[], Body::empty()).await
    }

    pub(crate) async fn begin(&self, who: &Somebody, name: &str, size: usize) -> UploadTicket {
        let body = serde_json::json!({ "fileName": name, "size": size }).to_string();
        let answer = self.ask(Some(who), Method::POST, "/api/v1/uploads", &[("content-type", "application/json")], body).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.text());
        serde_json::from_slice(&answer.body).expect("a ticket")
    }

    pub(crate) async fn put_part(&self, who: &Somebody, ticket: &UploadTicket, number: u32, crc32c: u32, bytes: Vec<u8>) -> Answer {
        let path = ticket.part_url.replace("{number}", &number.to_string());
        let crc = format!("{crc32c:08x}");
        self.ask(Some(who), Method::PUT, &path, &[("x-millrace-crc32c", &crc)], bytes).await
    }

    pub(crate) async fn complete(&self, who: &Somebody, ticket: &UploadTicket) -> Answer {
        self.ask(Some(who), Method::POST, &format!("/api/v1/uploads/{}/complete", ticket.upload_id), &[], Body::empty()).await
    }

    /// Uploads a file in parts, last part first, and completes it; gives the video's id.
    pub(crate) async fn upload(&self, who: &Somebody, name: &str, bytes: &[u8]) -> String {
        let ticket = self.begin(who, name, bytes.len()).await;
        for number in (1..=ticket.plan.part_count()).rev() {
            let (offset, length) = ticket.plan.part_range(number).expect("a part of the plan");
            let part = bytes[offset as usize..(offset + length) as usize].to_vec();
            let answer = self.put_part(who, &ticket, number, crc32c::crc32c(&part), part).await;
            assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
        }
        let answer = self.complete(who, &ticket).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
        ticket.video_id.to_string()
    }

    pub(crate) async fn status(&self, who: &Somebody, video: &str) -> serde_json::Value {
        let answer = self.get(Some(who), &format!("/api/status?videoId={video}")).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
        answer.json()
    }

    /// Waits until a video is done or has failed, and gives its last status.
    pub(crate) async fn settled(&self, who: &Somebody, video: &str) -> serde_json::Value {
        loop {
            let status = self.status(who, video).await;
            if matches!(status["status"].as_str(), Some("done" | "failed")) {
                return status;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

/// Bytes that look like nothing and repeat nowhere near.
pub(crate) fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_u32;
    (0..length)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            state as u8
        })
        .collect()
}

/// All files below a folder, by path relative to it.
pub(crate) fn files_below(folder: &std::path::Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut open = vec![folder.to_path_buf()];
    while let Some(next) = open.pop() {
        for entry in std::fs::read_dir(next).into_iter().flatten().flatten() {
            if entry.path().is_dir() {
                open.push(entry.path());
            } else {
                found.push(entry.path().strip_prefix(folder).expect("below").display().to_string());
            }
        }
    }
    found.sort();
    found
}

/// A body as a client gets it, who takes each piece away as it comes: a file's next one is read when one before it has been let go of.
pub(crate) async fn taken(body: Body) -> Result<Vec<u8>, axum::Error> {
    let (mut pieces, mut all) = (body.into_data_stream(), Vec::new());
    while let Some(piece) = pieces.try_next().await? {
        all.extend_from_slice(&piece);
    }
    Ok(all)
}
