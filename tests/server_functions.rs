//! Every server function × everybody who may ask, with the answer that each gets. A function that is not in the table fails the test.
//!
//! The functions are the ones that the pages call, behind the session layer that serves them, over a real database and store.

use std::{collections::BTreeSet, net::Ipv4Addr, sync::Arc};

use axum::{
    Extension, Router,
    body::Body,
    extract::Request,
    http::{Method, header},
    routing::{any, post},
};
use domain::{
    account::{Role, Scope},
    ids::UserId,
    upload::BeginUpload,
};
use leptos::{prelude::provide_context, server_fn::axum::server_fn_paths};
use sea_orm::{DatabaseConnection, EntityTrait};
use server::{
    adapters::{
        db_queue::DbQueue,
        ffmpeg_transcoder::{FfmpegSettings, FfmpegTranscoder, Limits, SandboxMode},
        fs_store::FsStore,
        origin_cdn::OriginCdn,
    },
    assembly::{Ports, assemble},
    config::Settings,
    db::{
        self,
        entity::{users, videos},
    },
    http::{AppState, session},
    services::{audit_log::Actor, grants::NewGrant},
};
use tokio::sync::watch;
use tower::ServiceExt;

const PRINCIPALS: [&str; 6] = ["nobody", "owner of the video", "another user", "owner of the server", "key", "ended session"];

/// A function, its fields, and a status a principal. `{video}`, `{key}`, `{handle}` and `{grant}` are the first member's, made for the question;
/// `{who}` is an account and `{invite}` an invitation made for it.
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
    ("POST", "/app/sessions/end", "handle={handle}", THEIRS),
    ("GET", "/app/keys", "", OWN),
    ("POST", "/app/keys/create", "name=one&scope=read", OWN),
    ("POST", "/app/keys/revoke", "id={key}", THEIRS),
    ("GET", "/app/videos", "", OWN),
    ("GET", "/app/videos/one", "id={video}", THEIRS),
    ("GET", "/app/videos/playback", "id={video}&lifetime=renewed", THEIRS),
    ("POST", "/app/videos/rename", "id={video}&title=New", THEIRS),
    ("POST", "/app/videos/visibility", "id={video}&visibility=private", THEIRS),
    ("POST", "/app/videos/retry", "id={video}", [401, 409, 404, 404, 403, 401]),
    ("GET", "/app/videos/sharing", "id={video}", THEIRS),
    ("POST", "/app/videos/grants/give", "id={video}&name=Bob&days=7", THEIRS),
    ("POST", "/app/videos/grants/revoke", "id={video}&grant={grant}", THEIRS),
    ("POST", "/app/videos/embed-hosts", "id={video}&hosts=example.com", THEIRS),
    ("GET", "/app/embed-hosts", "", OWN),
    ("POST", "/app/embed-hosts/set", "hosts=example.com", OWN),
    ("GET", "/app/people", "", OWNERS),
    ("GET", "/app/audit-log", "", OWNERS),
    ("GET", "/app/alerts", "", OWNERS),
    ("GET", "/app/jobs", "", OWNERS),
    ("GET", "/app/storage", "", OWN),
    ("POST", "/app/storage/check", "", OWNERS),
    ("POST", "/app/jobs/retry", "id={who}", [401, 403, 403, 404, 403, 401]),
    ("POST", "/app/jobs/retry-all", "", OWNERS),
    ("GET", "/app/invites", "", OWNERS),
    ("POST", "/app/invites/create", "name=Bob", OWNERS),
    ("POST", "/app/invites/withdraw", "id={invite}", OWNERS),
    ("POST", "/app/people/role", "id={who}&role=owner", OWNERS),
    ("POST", "/app/people/disable", "id={who}", OWNERS),
    ("POST", "/app/people/enable", "id={who}", OWNERS),
    ("POST", "/app/people/delete", "id={who}", OWNERS),
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
    db: DatabaseConnection,
    router: Router,
    _folder: tempfile::TempDir,
    _shutdown: watch::Sender<bool>,
}

async fn stage(more: &[(&str, &str)]) -> Stage {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().to_str().expect("a plain path").to_owned();
    let own = [("MILLRACE_DATA_DIR", data.as_str())];
    let variables: Vec<_> = own.iter().chain(more).map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let settings = Settings::from_layers(None, &variables).expect("settings");
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
    let (reachable, _worker) = assemble(settings, &database, ports, key.into(), down);
    let state = AppState::from(reachable);
    let context = state.clone();
    let functions = any(move |request: Request| {
        let state = context.clone();
        leptos_axum::handle_server_fns_with_context(move || provide_context(state.clone()), request)
    });
    async fn enter(Extension(db): Extension<DatabaseConnection>, session: session::Session, user: String) {
        let user: UserId = user.parse().expect("an id");
        let epoch = users::Entity::find_by_id(user.0).one(&db).await.expect("asked").expect("an account").session_epoch;
        session::sign_in(&session, user, epoch, session::Opened::now("", Ipv4Addr::LOCALHOST.into())).await.expect("signed in");
    }
    let router = Router::new().route("/app/{*function}", functions).route("/enter", post(enter));
    let router = router.layer(Extension(database.clone())).layer(sessions);
    Stage { state, db: database, router, _folder: folder, _shutdown: shutdown }
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

/// What a question is about.
struct Things {
    video: String,
    key: String,
    handle: String,
    grant: String,
    who: String,
    invite: String,
}

impl Things {
    /// None of them is anybody's.
    fn of_nobody() -> Self {
        let id = || "01890000-0000-7000-8000-000000000000".to_owned();
        Self { video: id(), key: id(), handle: id(), grant: id(), who: id(), invite: id() }
    }

    fn fill(&self, fields: &str) -> String {
        let filled = fields.replace("{video}", &self.video).replace("{key}", &self.key).replace("{handle}", &self.handle);
        filled.replace("{grant}", &self.grant).replace("{who}", &self.who).replace("{invite}", &self.invite)
    }
}

impl Stage {
    /// What a question with these fields is about: things of `ada`'s of its own, so that what one of them does shows in no other's answer.
    async fn things(&self, fields: &str, ada: UserId, boss: UserId) -> Things {
        let mut things = Things::of_nobody();
        let state = &self.state;
        let asks = |what: &str| fields.contains(what);
        if asks("{video}") {
            let begin = BeginUpload { file_name: "clip.mp4".to_owned(), size: 10, ..BeginUpload::default() };
            let video = state.uploads.begin(ada, &begin).await.expect("begun").video_id;
            things.video = video.to_string();
            if asks("{grant}") {
                let new = NewGrant { name: "Grace", seconds: None, embed_hosts: "" };
                things.grant = state.grants.create(ada, video, new).await.expect("a grant").id.to_string();
            }
        }
        if asks("{key}") {
            things.key = state.api_keys.create(ada, "hers", Scope::Read).await.expect("made").key.id.to_string();
        }
        if asks("{handle}") {
            let before = state.sessions.list(ada, "").await.expect("listed");
            self.enter(ada).await;
            let after = state.sessions.list(ada, "").await.expect("listed");
            let new = after.iter().find(|one| before.iter().all(|other| other.handle != one.handle));
            things.handle = new.expect("a session").handle.clone();
        }
        if asks("{who}") {
            things.who = self.somebody(&format!("{}@example.com", sea_orm::prelude::Uuid::now_v7())).await.to_string();
        }
        if asks("{invite}") {
            things.invite = state.invites.create(Actor::from(boss), "Bob").await.expect("made").invite.id.to_string();
        }
        things
    }
}

#[tokio::test]
async fn everybody_gets_the_answer_that_the_table_says() {
    let stage = stage(&[]).await;
    let boss = stage.somebody("boss@example.com").await;
    let (ada, eve) = (stage.somebody("ada@example.com").await, stage.somebody("eve@example.com").await);
    let key = stage.state.api_keys.create(ada, "a key", Scope::Manage).await.expect("made");
    let ended = stage.enter(ada).await;
    stage.state.sessions.end_all(Actor::from(ada)).await.expect("ended");
    let mut wrong = Vec::new();
    for (method, path, fields, expected) in TABLE {
        for (number, principal) in PRINCIPALS.iter().enumerate() {
            let shown = match number {
                0 => None,
                1 => Some(stage.enter(ada).await),
                2 => Some(stage.enter(eve).await),
                3 => Some(stage.enter(boss).await),
                4 => Some((header::AUTHORIZATION, format!("Bearer {}", key.secret))),
                _ => Some(ended.clone()),
            };
            let things = stage.things(fields, ada, boss).await;
            let (status, body) = stage.ask(method, path, &things.fill(fields), shown.as_ref()).await;
            if !matches(status, expected[number]) {
                wrong.push(format!("{method} {path} by {principal}: {status}, not {}: {body}", expected[number]));
            }
            if fields.contains('{') && ![200, 302].contains(&status) && status != 409 {
                let none = stage.ask(method, path, &Things::of_nobody().fill(fields), shown.as_ref()).await;
                assert_eq!((status, body), none, "{method} {path} by {principal}: what is somebody else's is like what is not there");
            }
            if let Ok(video) = things.video.parse() {
                stage.state.videos.delete(ada, video).await.ok();
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn a_form_that_cannot_be_read_is_the_senders_fault() {
    let stage = stage(&[]).await;
    let ada = stage.somebody("ada@example.com").await;
    for (method, path, fields, _) in TABLE.iter().filter(|(_, _, fields, _)| !fields.is_empty()) {
        for damaged in
            ["", "%FF=%FF", "id=x&handle=&name&days=-1&scope=all&role=admin&visibility=9&lifetime=0", "id=1&id=2&email=1&email=2"]
        {
            let shown = stage.enter(ada).await;
            let (status, body) = stage.ask(method, path, damaged, Some(&shown)).await;
            assert!(status < 500, "{method} {path} with {damaged:?} in place of {fields:?}: {status} {body}");
        }
    }
}

/// Fields that no form has: whose something is, what somebody may do, how far it is, where it lies.
const NOT_ASKED: &str = "user_id={eve}&userId={eve}&owner_id={eve}&role=owner&scope=manage&state=done&stage=ready&status=done\
    &storage_key=..%2Fx&source_key=x&generation_id={eve}&playback_id=aaaaaaaaaaaaaaaa&session_epoch=9&password_hash=x&disabled_at_ms=1&email=x%40x.x";

#[tokio::test]
async fn what_no_form_asks_for_changes_nothing() {
    let stage = stage(&[("MILLRACE_REGISTRATION", "open")]).await;
    let (_, ada, eve) =
        (stage.somebody("boss@example.com").await, stage.somebody("ada@example.com").await, stage.somebody("eve@example.com").await);
    let begin = BeginUpload { file_name: "clip.mp4".to_owned(), size: 10, ..BeginUpload::default() };
    let video = stage.state.uploads.begin(ada, &begin).await.expect("begun").video_id;
    let more = NOT_ASKED.replace("{eve}", &eve.to_string());
    let accounts = users::Entity::find().all(&stage.db).await.expect("read");
    let before = videos::Entity::find_by_id(video.0).one(&stage.db).await.expect("read").expect("there");
    let shown = stage.enter(ada).await;
    for (path, fields) in [
        ("/app/videos/rename", format!("id={video}&title=New")),
        ("/app/videos/visibility", format!("id={video}&visibility=unlisted")),
        ("/app/videos/embed-hosts", format!("id={video}&hosts=")),
        ("/app/videos/grants/give", format!("id={video}&name=Bob&days=7")),
        ("/app/keys/create", "name=one&scope=read".to_owned()),
        ("/app/sessions/end", "handle=none".to_owned()),
        ("/app/change-password", "current=wrong&new=another+password".to_owned()),
    ] {
        let (status, body) = stage.ask("POST", path, &format!("{fields}&{more}"), Some(&shown)).await;
        assert!((200..500).contains(&status), "{path}: {status} {body}");
    }
    let after = videos::Entity::find_by_id(video.0).one(&stage.db).await.expect("read").expect("there");
    let named = videos::Model {
        title: before.title.clone(),
        title_folded: before.title_folded.clone(),
        visibility: before.visibility.clone(),
        updated_at_ms: before.updated_at_ms,
        ..after
    };
    assert_eq!(named, before, "only what the forms name");
    assert_eq!(users::Entity::find().all(&stage.db).await.expect("read"), accounts);
    assert!(stage.state.api_keys.list(ada).await.expect("listed").iter().all(|key| key.scope == Scope::Read));

    // Whoever signs up says neither who they are nor what they may do.
    let sign_up = format!("email=new%40example.com&password=a+good+password&{}", more.replace("&email=x%40x.x", ""));
    let (status, body) = stage.ask("POST", "/app/sign-up", &sign_up, None).await;
    assert!(matches(status, 200), "{status} {body}");
    let new = stage.state.accounts.by_email("new@example.com").await.expect("there");
    assert_eq!(new.role, Role::Member);
    assert_ne!(new.id, eve);
}

#[tokio::test]
async fn the_library_of_one_holds_nothing_of_another_however_it_is_asked() {
    let stage = stage(&[]).await;
    let (ada, eve) = (stage.somebody("ada@example.com").await, stage.somebody("eve@example.com").await);
    let begin = BeginUpload { file_name: "secret harbour.mp4".to_owned(), size: 10, ..BeginUpload::default() };
    let hers = stage.state.uploads.begin(ada, &begin).await.expect("begun").video_id;
    let shown = stage.enter(eve).await;
    let nobodys = stage.ask("GET", "/app/videos", "", Some(&shown)).await;
    assert_eq!(nobodys.0, 200);
    for query in [
        "search=harbour".to_owned(),
        "search=%25".to_owned(),
        format!("after={hers}"),
        "after=ffffffff-ffff-ffff-ffff-ffffffffffff".to_owned(),
        format!(
            "search=secret&after=ffffffff-ffff-ffff-ffff-ffffffffffff&user={ada}&user_id={ada}&sort=title&limit=1000&visibility=private"
        ),
    ] {
        assert_eq!(stage.ask("GET", "/app/videos", &query, Some(&shown)).await, nobodys, "{query}");
    }
}

/// Where a function sends the browser on, that is an answer that went well.
fn matches(status: u16, expected: u16) -> bool {
    status == expected || (expected == 200 && status == 302)
}
