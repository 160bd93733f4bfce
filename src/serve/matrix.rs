//! Every page × everybody who may ask for it, with the answer that each gets. A page or a folder of files that is not in a table fails the
//! test. The REST interface and the server functions have tables of their own.

use std::collections::BTreeSet;

use axum::{
    body::{Body, to_bytes},
    http::{Method, Request, header},
};
use domain::{account::Scope, ids::UserId, upload::BeginUpload, video::Visibility};
use server::services::{audit_log::Actor, grants::NewGrant};
use tempfile::TempDir;
use tower::ServiceExt;

use super::*;

const PRINCIPALS: [&str; 6] = ["nobody", "owner of the video", "another user", "owner of the server", "key", "ended session"];

/// An answer: a status, or where the page sends to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Gets {
    Status(u16),
    To(&'static str),
}
use Gets::{Status, To};

const OK: Gets = Status(200);
const GONE: Gets = Status(404);
const NOT_YOURS: Gets = Status(403);
const DOOR: Gets = To("/sign-in");

/// Pages by their routes, with an answer a principal. Keys are for programs: no page is shown to one.
const PAGES: &[(&str, [Gets; 6])] = &[
    ("/", [DOOR, OK, OK, OK, NOT_YOURS, DOOR]),
    ("/videos/:id", [DOOR, OK, GONE, GONE, NOT_YOURS, DOOR]),
    ("/settings", [DOOR, OK, OK, OK, NOT_YOURS, DOOR]),
    ("/people", [DOOR, NOT_YOURS, NOT_YOURS, OK, NOT_YOURS, DOOR]),
    ("/jobs", [DOOR, NOT_YOURS, NOT_YOURS, OK, NOT_YOURS, DOOR]),
    ("/storage", [DOOR, OK, OK, OK, NOT_YOURS, DOOR]),
    ("/activity", [DOOR, NOT_YOURS, NOT_YOURS, OK, NOT_YOURS, DOOR]),
    ("/sign-in", [OK, To("/"), To("/"), To("/"), NOT_YOURS, OK]),
    ("/sign-up", [OK, To("/"), To("/"), To("/"), NOT_YOURS, OK]),
];

/// What `serve.rs` routes by itself: pages of shared links, of a private video here, and files.
const OTHERS: &[(&str, [Gets; 6])] = &[
    // A key may watch what its account may.
    ("/watch/{playback_id}", [GONE, OK, GONE, GONE, OK, GONE]),
    // Reads no cookie and no key.
    ("/embed/{playback_id}", [GONE; 6]),
    ("/pkg", [OK; 6]),
    ("/vendor", [OK; 6]),
    ("/favicon.svg", [OK; 6]),
    ("/manifest.webmanifest", [OK; 6]),
    ("/robots.txt", [OK; 6]),
];

/// What a link carries, and whether it opens a private video.
const LINKS: [(&str, u16); 6] = [
    ("nonsense", 404),
    ("a grant", 200),
    ("another video's", 404),
    ("one that has expired", 404),
    ("a revoked one", 404),
    ("a token", 404),
];

/// The paths in `serve.rs` that are routed there, as they are written.
fn routed_here() -> BTreeSet<String> {
    let source = include_str!("../serve.rs");
    let literals = |after: &str| -> Vec<String> {
        let found = source.split(after).skip(1);
        found.filter_map(|rest| rest.trim_start().strip_prefix('"')?.split('"').next().map(str::to_owned)).collect()
    };
    let files = source.split_once("for file in [").expect("files").1.split_once(']').expect("their end").0;
    let files = files.split('"').skip(1).step_by(2).map(|file| format!("/{file}"));
    let all: BTreeSet<String> = [literals(".route("), literals("nest_service("), files.collect()].concat().into_iter().collect();
    let written = [".route(", "nest_service(", ".route_service("].map(|what| source.matches(what).count());
    // The third of those that are nested is the folder below `/pkg` whose name carries its version: files for everybody, as all of `/pkg`.
    assert_eq!(written, [2, 3, 1], "something is routed in another way now: look at it, and enter it here");
    all
}

#[tokio::test]
async fn every_page_is_in_a_table() {
    let pages: BTreeSet<String> = page_routes().iter().map(|route| route.path().to_owned()).collect();
    let named = |table: &[(&str, [Gets; 6])]| -> BTreeSet<String> { table.iter().map(|(path, _)| (*path).to_owned()).collect() };
    let as_written = |path: &String| path.replace("{id}", ":id");
    assert_eq!(pages.iter().map(as_written).collect::<BTreeSet<_>>(), named(PAGES));
    assert_eq!(routed_here(), named(OTHERS));
}

struct Stage {
    state: AppState,
    router: Router,
    _folder: TempDir,
    _shutdown: watch::Sender<bool>,
}

/// What somebody shows: a header.
type Shown = Option<(header::HeaderName, String)>;

async fn stage() -> Stage {
    let folder = tempfile::tempdir().expect("a folder");
    for file in ["pkg/x.css", "vendor/x.css", "favicon.svg", "manifest.webmanifest", "robots.txt"] {
        let path = folder.path().join("site").join(file);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        std::fs::write(path, "x").expect("written");
    }
    let own = [("MILLRACE_DATA_DIR", folder.path().to_str().expect("text")), ("MILLRACE_PUBLIC_URL", "http://v.example")];
    let variables = own.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let settings = Settings::from_layers(None, &variables).expect("settings");
    let (shutdown, down) = watch::channel(false);
    let product = compose(settings, down).await.expect("a product");
    let sessions = session::layer(product.database.clone(), &product.state.settings);
    let options = LeptosOptions::builder().output_name("millrace").build();
    let site = Site { root: folder.path().join("site"), options };
    let state = product.state.clone();
    Stage { router: router(product.state, sessions, site), state, _folder: folder, _shutdown: shutdown }
}

impl Stage {
    async fn somebody(&self, email: &str) -> UserId {
        self.state.accounts.add(email, "a good password").await.expect("an account").id
    }

    /// Signs in as a browser does, by the form.
    async fn sign_in(&self, email: &str) -> Shown {
        let body = Body::from(format!("email={}&password=a+good+password", email.replace('@', "%40")));
        let request = Request::post("/app/sign-in").header("host", "v.example").header("sec-fetch-site", "same-origin");
        let request = request.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded").body(body).expect("a request");
        let answer = self.router.clone().oneshot(request).await.expect("an answer");
        let set = answer.headers().get(header::SET_COOKIE).expect("signed in").to_str().expect("text");
        Some((header::COOKIE, set.split(';').next().unwrap_or_default().to_owned()))
    }

    async fn ask(&self, path: &str, shown: &Shown) -> (u16, Option<String>, String) {
        let mut request = Request::builder().method(Method::GET).uri(path).header("host", "v.example").header(header::ACCEPT, "text/html");
        if let Some((name, value)) = shown {
            request = request.header(name, value);
        }
        let answer = self.router.clone().oneshot(request.body(Body::empty()).expect("a request")).await.expect("an answer");
        let (parts, body) = answer.into_parts();
        let to = parts.headers.get(header::LOCATION).and_then(|to| to.to_str().ok()).map(str::to_owned);
        let body = to_bytes(body, 1 << 22).await.expect("a body");
        (parts.status.as_u16(), to, String::from_utf8_lossy(&body).into_owned())
    }

    async fn private_video(&self, user: UserId, name: &str) -> domain::video::Video {
        let begin = BeginUpload { file_name: name.to_owned(), size: 10, ..BeginUpload::default() };
        let video = self.state.uploads.begin(user, &begin).await.expect("begun").video_id;
        self.state.videos.set_visibility(user, video, Visibility::Private).await.expect("set")
    }

    async fn link(&self, user: UserId, video: &domain::video::Video, seconds: Option<u64>) -> (domain::ids::GrantId, String) {
        let new = NewGrant { name: "Grace", seconds, embed_hosts: "" };
        let grant = self.state.grants.create(user, video.id, new).await.expect("a grant");
        (grant.id, grant.watch_url.split_once("?grant=").expect("a secret").1.to_owned())
    }
}

fn matches(expected: Gets, status: u16, to: Option<&str>) -> bool {
    match expected {
        Status(expected) => status == expected,
        To(path) => (300..400).contains(&status) && to.is_some_and(|to| to.split('?').next() == Some(path)),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn everybody_sees_the_pages_that_the_tables_say() {
    let stage = stage().await;
    let boss = stage.somebody("boss@example.com").await;
    let (ada, _) = (stage.somebody("ada@example.com").await, stage.somebody("eve@example.com").await);
    let video = stage.private_video(ada, "secret-harbour.mp4").await;
    let key = stage.state.api_keys.create(ada, "a key", Scope::Manage).await.expect("made");
    let ended = stage.sign_in("ada@example.com").await;
    stage.state.sessions.end_all(Actor::from(ada)).await.expect("ended");
    let shown: [Shown; 6] = [
        None,
        stage.sign_in("ada@example.com").await,
        stage.sign_in("eve@example.com").await,
        stage.sign_in("boss@example.com").await,
        Some((header::AUTHORIZATION, format!("Bearer {}", key.secret))),
        ended,
    ];
    let mut wrong = Vec::new();
    for (route, expected) in PAGES.iter().chain(OTHERS) {
        let path = route.replace(":id", &video.id.to_string()).replace("{playback_id}", video.playback_id.as_str());
        let path = if ["/pkg", "/vendor"].contains(route) { format!("{path}/x.css") } else { path };
        for (number, principal) in PRINCIPALS.iter().enumerate() {
            let (status, to, body) = stage.ask(&path, &shown[number]).await;
            if !matches(expected[number], status, to.as_deref()) {
                wrong.push(format!("{route} by {principal}: {status} to {to:?}, not {:?}", expected[number]));
            }
            let hers = number == 1 || (number == 4 && *route == "/watch/{playback_id}");
            assert!(hers || !body.contains("secret-harbour"), "{route} by {principal} tells of somebody else's video");
            assert!(number == 3 || !body.contains("eve@example.com") || number == 2, "{route} by {principal} tells of other people");
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let _ = boss;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_of_somebody_elses_video_is_the_page_of_one_that_is_not_there() {
    let stage = stage().await;
    let boss = stage.somebody("boss@example.com").await;
    stage.somebody("eve@example.com").await;
    let video = stage.private_video(boss, "secret-harbour.mp4").await;
    let eve = stage.sign_in("eve@example.com").await;
    let none = sea_orm::prelude::Uuid::now_v7().to_string();
    // Ids and nonces are the request's own.
    let like = |body: &str, id: &str, nonce: &str| body.replace(id, "{id}").replace(nonce, "{nonce}");
    let nonce = |body: &str| body.split("nonce=\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap_or("none").to_owned();
    let id = video.id.to_string();
    let (hers, nothing) = (stage.ask(&format!("/videos/{id}"), &eve).await, stage.ask(&format!("/videos/{none}"), &eve).await);
    assert_eq!((hers.0, nothing.0), (404, 404));
    assert_eq!(like(&hers.2, &id, &nonce(&hers.2)), like(&nothing.2, &none, &nonce(&nothing.2)));
    for page in ["watch", "embed"] {
        let made_up = "abcdefghjkmnpqrs";
        let handle = video.playback_id.as_str();
        let (hers, nothing) = (stage.ask(&format!("/{page}/{handle}"), &eve).await, stage.ask(&format!("/{page}/{made_up}"), &eve).await);
        assert_eq!((hers.0, nothing.0), (404, 404), "{page}");
        assert_eq!(like(&hers.2, handle, &nonce(&hers.2)), like(&nothing.2, made_up, &nonce(&nothing.2)), "{page}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_opens_the_pages_of_its_own_video_for_as_long_as_it_stands() {
    let stage = stage().await;
    let ada = stage.somebody("ada@example.com").await;
    let (video, other) = (stage.private_video(ada, "secret-harbour.mp4").await, stage.private_video(ada, "other.mp4").await);
    let (good, others) = (stage.link(ada, &video, None).await, stage.link(ada, &other, None).await);
    let (short, revoked) = (stage.link(ada, &video, Some(1)).await, stage.link(ada, &video, None).await);
    stage.state.grants.revoke(Actor::from(ada), video.id, revoked.0).await.expect("revoked");
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    let visitor = server::services::playback::Visitor { user: None, grant: Some(&good.1) };
    let lifetime = domain::grant::Lifetime::Renewed;
    let token = stage.state.playback.for_viewer(&video.playback_id, visitor, lifetime).await.expect("it opens").url.unwrap_or_default();
    let carried = ["nonsense", &good.1, &others.1, &short.1, &revoked.1, &token];
    for page in ["watch", "embed"] {
        for ((what, expected), carried) in LINKS.iter().zip(carried) {
            let path = format!("/{page}/{}?grant={carried}", video.playback_id.as_str());
            let (status, _, body) = stage.ask(&path, &None).await;
            assert_eq!(status, *expected, "{page} with {what}");
            assert_eq!(body.contains("secret-harbour"), status == 200, "{page} with {what}");
        }
    }
}
