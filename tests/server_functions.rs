//! Every server function × everybody who may ask, with the answer that each gets. A function that is not in the table fails the test.
//!
//! The functions are the ones that the pages call, behind the session layer that serves them, over a real database and store.

use std::{collections::BTreeSet, net::Ipv4Addr, sync::Arc};

use axum::{
    Router,
    body::Body,
    extract::Request,
    http::{Method, header},
    routing::{any, post},
};
use domain::{account::Scope, ids::UserId, upload::BeginUpload};
use leptos::{prelude::provide_context, server_fn::axum::server_fn_paths};
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
    http::{AppState, session},
    services::audit_log::Actor,
};
use tokio::sync::watch;
use tower::ServiceExt;

const PRINCIPALS: [&str; 6] = ["nobody", "owner of the video", "another user", "owner of the server", "key", "ended session"];

/// A function, its fields, and a status a principal. `{…}` are the first member's things, `{who}` an account that nobody here uses.
type Row = (&'static str, &'static str, &'static str, [u16; 6]);

/// For whoever is signed in.
const OWN: [u16; 6] = [401, 200, 200, 200, 403, 401];
/// For the owner of the video: it is not there for anybody else.
const THEIRS: [u16; 6] = [401, 200, 404, 404, 403, 401];
/// For the owners of the server.
const OWNERS: [u16; 6] = [401, 403, 403, 200, 403, 401];

/// Rows are asked in this order: what ends something stands last.
const TABLE: &[Row] = &[
    ("GET", "/app/door", "", [200, 200, 200, 200, 403, 200]),
    ("GET", "/app/account", "", [200, 200, 200, 200, 403, 200]),
    ("GET", "/app/public-url", "", [200; 6]),
    ("POST", "/app/sign-up", "email=x%40example.com&password=short", [400; 6]),
    ("POST", "/app/sign-in", "email=x%40example.com&password=wrong", [401; 6]),
    ("POST", "/app/change-password", "current=wrong&new=another+password", [401, 400, 400, 400, 403, 401]),
    ("GET", "/app/sessions", "", OWN),
    ("POST", "/app/sessions/end", "handle=none", [401, 404, 404, 404, 403, 401]),
    ("GET", "/app/keys", "", OWN),
    ("POST", "/app/keys/create", "name=one&scope=read", OWN),
    ("POST", "/app/keys/revoke", "id={key}", [401, 404, 404, 404, 403, 401]),
    ("GET", "/app/videos", "", OWN),
    ("GET", "/app/videos/one", "id={video}", THEIRS),
    ("GET", "/app/videos/playback", "id={video}&lifetime=renewed", THEIRS),
    ("POST", "/app/videos/rename", "id={video}&title=New", THEIRS),
    ("POST", "/app/videos/visibility", "id={video}&visibility=private", THEIRS),
    ("POST", "/app/videos/retry", "id={video}", [401, 409, 404, 404, 403, 401]),
    ("GET", "/app/videos/sharing", "id={video}", THEIRS),
    ("POST", "/app/videos/grants/give", "id={video}&name=Bob&days=7", THEIRS),
    ("POST", "/app/videos/grants/revoke", "id={video}&grant={who}", [401, 404, 404, 404, 403, 401]),
    ("POST", "/app/videos/embed-hosts", "id={video}&hosts=example.com", THEIRS),
    ("GET", "/app/embed-hosts", "", OWN),
    ("POST", "/app/embed-hosts/set", "hosts=example.com", OWN),
    ("GET", "/app/people", "", OWNERS),
    ("GET", "/app/audit-log", "", OWNERS),
    ("GET", "/app/invites", "", OWNERS),
    ("POST", "/app/invites/create", "name=Bob", OWNERS),
    ("POST", "/app/invites/withdraw", "id={who}", [401, 403, 403, 404, 403, 401]),
    ("POST", "/app/people/role", "id={who}&role=owner", [401, 403, 403, 404, 403, 401]),
    ("POST", "/app/people/disable", "id={who}", [401, 403, 403, 404, 403, 401]),
    ("POST", "/app/people/enable", "id={who}", [401, 403, 403, 404, 403, 401]),
    ("POST", "/app/people/delete", "id={who}", [401, 403, 403, 404, 403, 401]),
    ("POST", "/app/videos/delete", "id={video}", THEIRS),
    ("POST", "/app/sessions/end-all", "", OWN),
    // Signed out or not, it ends signed out.
    ("POST", "/app/sign-out", "", [200, 200, 200, 200, 403, 200]),
];

#[test]
fn every_server_function_is_in_the_table() {
    // Named, so that the functions are linked in.
    assert!(std::mem::size_of_val(&app::shell) == 0);
    let real: BTreeSet<(String, String)> = server_fn_paths().map(|(path, method)| (method.to_string(), path.to_owned())).collect();
    let table: BTreeSet<(String, String)> = TABLE.iter().map(|(method, path, ..)| ((*method).to_owned(), (*path).to_owned())).collect();
    let missing: Vec<_> = real.difference(&table).collect();
    let gone: Vec<_> = table.difference(&real).collect();
    assert!(missing.is_empty() && gone.is_empty(), "not in the table: {missing:?}; no function: {gone:?}");
}

/// The functions behind their session layer.
struct Stage {
    state: AppState,
    router: Router,
    _folder: tempfile::TempDir,
    _shutdown: watch::Sender<bool>,
}

async fn stage() -> Stage {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().to_str().expect("a plain path").to_owned();
    let settings = Settings::from_layers(None, &[("MILLRACE_DATA_DIR".to_owned(), data)]).expect("settings");
    let database = db::open(&settings.database, &settings.data_dir).await.expect("a database");
    let store = Arc::new(FsStore::open(settings.data_dir.join("store")).await.expect("a store"));
    let ffmpeg = FfmpegSettings {
        ffmpeg: settings.transcode.ffmpeg.clone(),
        ffprobe: settings.transcode.ffprobe.clone(),
        scratch: settings.transcode.scratch_dir.clone(),
        helper: env!("CARGO_BIN_EXE_millrace").into(),
        sandbox: SandboxMode::Auto,
        limits: Limits::default(),
    };
    let key: Vec<u8> = b"a key for tests".to_vec();
    let ports = Ports {
        queue: Arc::new(DbQueue::open(&database)),
        transcoder: Arc::new(FfmpegTranscoder::new(ffmpeg, store.clone())),
        cdn: Arc::new(OriginCdn::new(settings.public_url.clone(), key.clone().into())),
        store,
    };
    let (shutdown, down) = watch::channel(false);
    let sessions = session::layer(database.clone(), &settings);
    let (state, _worker) = assemble(settings, &database, ports, key.into(), down);
    let context = state.clone();
    let functions = any(move |request: Request| {
        let state = context.clone();
        leptos_axum::handle_server_fns_with_context(move || provide_context(state.clone()), request)
    });
    async fn enter(session: session::Session, user: String) {
        let user: UserId = user.parse().expect("an id");
        session::sign_in(&session, user, session::Opened::now("", Ipv4Addr::LOCALHOST.into())).await.expect("signed in");
    }
    let router = Router::new().route("/app/{*function}", functions).route("/enter", post(enter)).layer(sessions);
    Stage { state, router, _folder: folder, _shutdown: shutdown }
}

impl Stage {
    async fn somebody(&self, email: &str) -> UserId {
        self.state.accounts.add(email, "a good password").await.expect("an account").id
    }

    /// Signs somebody in; gives the cookie.
    async fn enter(&self, user: UserId) -> (header::HeaderName, String) {
        let request = Request::post("/enter").body(Body::from(user.to_string())).expect("a request");
        let answer = self.router.clone().oneshot(request).await.expect("an answer");
        let set = answer.headers()[header::SET_COOKIE].to_str().expect("a cookie");
        (header::COOKIE, set.split(';').next().unwrap_or_default().to_owned())
    }

    async fn ask(&self, method: &str, path: &str, fields: &str, shown: Option<&(header::HeaderName, String)>) -> (u16, String) {
        let method: Method = method.parse().expect("a method");
        let get = method == Method::GET;
        let uri = if get && !fields.is_empty() { format!("{path}?{fields}") } else { path.to_owned() };
        let mut request = Request::builder().method(method).uri(uri).header(header::ACCEPT, "application/json");
        if !get {
            request = request.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        }
        if let Some((name, value)) = shown {
            request = request.header(name, value);
        }
        let body = if get { Body::empty() } else { Body::from(fields.to_owned()) };
        let answer = self.router.clone().oneshot(request.body(body).expect("a request")).await.expect("an answer");
        let status = answer.status().as_u16();
        let body = axum::body::to_bytes(answer.into_body(), 1 << 20).await.expect("a body");
        (status, String::from_utf8_lossy(&body).into_owned())
    }
}

#[tokio::test]
async fn everybody_gets_the_answer_that_the_table_says() {
    let stage = stage().await;
    let boss = stage.somebody("boss@example.com").await;
    let (ada, eve, nobody) = (stage.somebody("ada@example.com").await, stage.somebody("eve@example.com").await, uuid_of_nobody());
    let key = stage.state.api_keys.create(ada, "a key", Scope::Manage).await.expect("made");
    let ended = stage.enter(ada).await;
    stage.state.sessions.end_all(Actor::from(ada)).await.expect("ended");
    let mut wrong = Vec::new();
    for (method, path, fields, expected) in TABLE {
        for (number, principal) in PRINCIPALS.iter().enumerate() {
            // Things of their own for each question: what one of them does shows in no other's answer.
            let begin = BeginUpload { upload_id: None, file_name: "clip.mp4".to_owned(), size: 10, title: None };
            let video = stage.state.uploads.begin(ada, &begin).await.expect("begun").video_id;
            let shown = match number {
                0 => None,
                1 => Some(stage.enter(ada).await),
                2 => Some(stage.enter(eve).await),
                3 => Some(stage.enter(boss).await),
                4 => Some((header::AUTHORIZATION, format!("Bearer {}", key.secret))),
                _ => Some(ended.clone()),
            };
            let fill = |video: &str| fields.replace("{video}", video).replace("{who}", &nobody).replace("{key}", &nobody);
            let (status, body) = stage.ask(method, path, &fill(&video.to_string()), shown.as_ref()).await;
            if !matches(status, expected[number]) {
                wrong.push(format!("{method} {path} by {principal}: {status}, not {}: {body}", expected[number]));
            }
            if fields.contains("{video}") && [2, 3].contains(&number) {
                let none = stage.ask(method, path, &fill(&nobody), shown.as_ref()).await;
                assert_eq!((status, body), none, "{method} {path} by {principal}: somebody else's is like one that is not there");
            }
            stage.state.videos.delete(ada, video).await.ok();
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Where a function sends the browser on, that is an answer that went well.
fn matches(status: u16, expected: u16) -> bool {
    status == expected || (expected == 200 && status == 302)
}

fn uuid_of_nobody() -> String {
    "01890000-0000-7000-8000-000000000000".to_owned()
}
