//! Every REST route × everybody who may ask, with the answer that each gets. A route that is not in the table fails the test.

use std::collections::BTreeSet;

use axum::http::{Method, Request, StatusCode, header};
use domain::account::Scope;
use server::services::audit_log::Actor;

use crate::app::{App, Somebody, noise};

/// Who asks. Media grants come as bearer tokens where a route does not carry one in its path: they open media and nothing else.
const PRINCIPALS: [&str; 10] = [
    "nobody",
    "owner of the video",
    "another user",
    "owner of the server",
    "read key",
    "upload key",
    "revoked key",
    "disabled user",
    "grant of another video",
    "expired grant",
];

/// A method, a path with what is the first account's, and a status a principal.
type Row = (&'static str, &'static str, [u16; 10]);

/// Known callers: what is somebody else's is not there, for the server's owner too.
const TABLE: &[Row] = &[
    ("POST", "/api/upload", [401, 400, 400, 400, 403, 400, 401, 401, 401, 401]),
    ("GET", "/api/status", [401, 200, 404, 404, 200, 200, 401, 401, 401, 401]),
    ("GET", "/api/stream", [401, 409, 404, 404, 409, 409, 401, 401, 401, 401]),
    ("POST", "/api/v1/uploads", [401, 400, 400, 400, 403, 400, 401, 401, 401, 401]),
    ("GET", "/api/v1/uploads/{upload}", [401, 200, 404, 404, 403, 200, 401, 401, 401, 401]),
    ("DELETE", "/api/v1/uploads/{upload}", [401, 409, 404, 404, 403, 409, 401, 401, 401, 401]),
    ("PUT", "/api/v1/uploads/{upload}/parts/{number}", [401, 400, 400, 400, 403, 400, 401, 401, 401, 401]),
    ("POST", "/api/v1/uploads/{upload}/parts/{number}/target", [401, 400, 400, 400, 403, 400, 401, 401, 401, 401]),
    ("POST", "/api/v1/uploads/{upload}/complete", [401, 200, 404, 404, 403, 200, 401, 401, 401, 401]),
    ("GET", "/api/v1/events", [401, 200, 200, 200, 200, 200, 401, 401, 401, 401]),
    ("GET", "/api/v1/videos/{video}/grants", [401, 200, 404, 404, 403, 403, 401, 401, 401, 401]),
    ("POST", "/api/v1/videos/{video}/grants", [401, 400, 400, 400, 403, 403, 401, 401, 401, 401]),
    ("DELETE", "/api/v1/videos/{video}/grants/{grant}", [401, 404, 404, 404, 403, 403, 401, 401, 401, 401]),
    // A private video: whoever is not its owner sees nothing.
    ("GET", "/api/v1/playback/{playback_id}", [404, 200, 404, 404, 200, 200, 401, 401, 401, 401]),
    ("ANY", "/api/{*rest}", [404; 10]),
    // What follows reads no credentials; what is in the path decides.
    ("GET", "/oembed", [404; 10]),
    ("GET", "/healthz", [200; 10]),
];

/// Routes whose bytes have crawls and tables of their own (playlists and media by grant), or that say the same to everybody.
const ELSEWHERE: [&str; 5] =
    ["/hls/{grant}/index.m3u8", "/hls/{grant}/{generation}/{playlist}", "/media/{generation}/{*file}", "/api/openapi.json", "/api/docs"];

/// Method and path of every `.route(` of the REST surface, read from where the router is built.
fn routes() -> BTreeSet<(String, String)> {
    let mut found = BTreeSet::new();
    let source = include_str!("../../src/http/mod.rs");
    for statement in source.split(".route(").skip(1) {
        let (named, handlers) = statement.split_once(',').expect("a path and handlers");
        // A path by its name stands further up in the same file.
        let literal = source.split_once(&format!("const {named}: &str = ")).map_or(named, |(_, value)| value);
        let path = literal.split('"').nth(1).expect("a path").to_owned();
        let handlers = handlers.split(';').next().unwrap_or_default();
        for method in ["get", "post", "put", "patch", "delete", "any"] {
            let named = |before: char| handlers.contains(&format!("{before}{method}("));
            if named(' ') || named('.') {
                found.insert((method.to_uppercase(), path.clone()));
            }
        }
    }
    assert!(found.len() >= 12, "the router is built elsewhere now: {found:?}");
    found
}

#[test]
fn every_route_is_in_the_table() {
    let table: BTreeSet<(String, String)> = TABLE.iter().map(|(method, path, _)| ((*method).to_owned(), (*path).to_owned())).collect();
    let real: BTreeSet<_> = routes().into_iter().filter(|(_, path)| !ELSEWHERE.contains(&path.as_str())).collect();
    let missing: Vec<_> = real.difference(&table).collect();
    let gone: Vec<_> = table.difference(&real).collect();
    assert!(missing.is_empty() && gone.is_empty(), "not in the table: {missing:?}; not in the router: {gone:?}");
}

/// Who asks, by what they send.
struct Cast {
    app: App,
    secrets: [Option<String>; 10],
    video: String,
    upload: String,
    playback: String,
}

async fn cast() -> Cast {
    let app = App::start().await;
    let boss = app.somebody("boss@example.com").await;
    let (ada, eve, out) =
        (app.somebody("ada@example.com").await, app.somebody("eve@example.com").await, app.somebody("out@example.com").await);
    let key = async |scope| app.state.api_keys.create(ada.user, "a key", scope).await.expect("made");
    let (read, upload, revoked) = (key(Scope::Read).await, key(Scope::Upload).await, key(Scope::Manage).await);
    app.state.api_keys.revoke(ada.user, revoked.key.id).await.expect("revoked");
    app.state.users.disable(Actor::from(boss.user), out.user).await.expect("disabled");
    let ticket = app.begin(&ada, "hers.mp4", 10).await;
    let bytes = noise(10);
    app.put_part(&ada, &ticket, 1, crc32c::crc32c(&bytes), bytes).await;
    app.complete(&ada, &ticket).await;
    let video = app.state.videos.get(ada.user, ticket.video_id).await.expect("there");
    app.state.videos.set_visibility(ada.user, video.id, domain::video::Visibility::Private).await.expect("set");
    let secrets = [
        None,
        Some(ada.key),
        Some(eve.key),
        Some(boss.key),
        Some(read.secret),
        Some(upload.secret),
        Some(revoked.secret),
        Some(out.key),
        Some("eyJ2IjoxLCJwIjoiYW5vdGhlciJ9.c2lnbmF0dXJlLW9mLWFub3RoZXI".to_owned()),
        Some("eyJ2IjoxLCJleHAiOjF9.c2lnbmF0dXJlLXRoYXQtaGFzLWV4cGlyZWQ".to_owned()),
    ];
    Cast { app, secrets, video: video.id.to_string(), upload: ticket.upload_id.to_string(), playback: video.playback_id.to_string() }
}

impl Cast {
    fn fill(&self, path: &str, video: &str, upload: &str) -> String {
        let query = match path {
            "/api/status" | "/api/stream" => format!("?videoId={video}"),
            "/oembed" => format!("?url={}/watch/{}", self.app.state.settings.public_url, self.playback),
            _ => String::new(),
        };
        let path = path
            .replace("{video}", video)
            .replace("{grant}", "01890000-0000-7000-8000-000000000000")
            .replace("{upload}", upload)
            .replace("{number}", "1")
            .replace("{playback_id}", &self.playback);
        path.replace("{*rest}", "nowhere") + &query
    }

    async fn ask(&self, method: &str, path: &str, secret: Option<&str>) -> (u16, String) {
        let method = if method == "ANY" { Method::POST } else { method.parse().expect("a method") };
        let mut request = Request::builder().method(method).uri(path);
        if let Some(secret) = secret {
            request = request.header(header::AUTHORIZATION, format!("Bearer {secret}"));
        }
        let request = request.body(axum::body::Body::empty()).expect("a request");
        if path == "/api/v1/events" {
            // It has no end: its head is the answer.
            let response = tower::ServiceExt::oneshot(self.app.router.clone(), request).await.expect("an answer");
            return (response.status().as_u16(), String::new());
        }
        let answer = self.app.send(request).await;
        (answer.status.as_u16(), answer.text())
    }
}

#[tokio::test]
async fn everybody_gets_the_answer_that_the_table_says() {
    let cast = cast().await;
    let mut wrong = Vec::new();
    for (method, path, expected) in TABLE {
        let asked = cast.fill(path, &cast.video, &cast.upload);
        for (number, principal) in PRINCIPALS.iter().enumerate() {
            let (status, body) = cast.ask(method, &asked, cast.secrets[number].as_deref()).await;
            if status != expected[number] {
                wrong.push(format!("{method} {path} by {principal}: {status}, not {}: {body}", expected[number]));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn what_is_somebody_elses_answers_byte_for_byte_like_what_is_not_there() {
    let cast = cast().await;
    let nothing = uuid::Uuid::now_v7().to_string();
    for (method, path, expected) in TABLE.iter().filter(|(_, path, _)| !path.contains("playback") && *path != "/oembed") {
        for stranger in [2, 3] {
            let secret = cast.secrets[stranger].as_deref();
            let hers = cast.ask(method, &cast.fill(path, &cast.video, &cast.upload), secret).await;
            let none = cast.ask(method, &cast.fill(path, &nothing, &nothing), secret).await;
            assert_eq!(hers, none, "{method} {path} by {}", PRINCIPALS[stranger]);
            assert_eq!(hers.0, expected[stranger]);
        }
    }
}

#[tokio::test]
async fn a_key_that_may_do_less_is_told_which_scope_is_missing() {
    let cast = cast().await;
    let ada = Somebody { user: domain::ids::UserId(uuid::Uuid::nil()), key: cast.secrets[4].clone().expect("a key") };
    let body = r#"{"fileName":"a.mp4","size":10}"#;
    let answer = cast.app.ask(Some(&ada), Method::POST, "/api/v1/uploads", &[("content-type", "application/json")], body).await;
    assert_eq!((answer.status, answer.code().as_str()), (StatusCode::FORBIDDEN, "forbidden_scope"));
    let sentence = answer.json()["detail"].as_str().expect("a sentence").to_owned();
    assert!(sentence.contains("“read”") && sentence.contains("“upload”"), "{sentence}");
}
