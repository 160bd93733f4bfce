//! Every REST route × everybody who may ask, with the answer that each gets. A route that is not in the tables fails the test.

use std::collections::BTreeSet;

use axum::{
    body::Body,
    http::{Method, Request, StatusCode, header},
};
use domain::{
    account::Scope,
    grant::{Audience, LinkSecret},
    ids::GenerationId,
    video::Visibility,
};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, sea_query::Expr};
use server::{
    adapters::origin_cdn::OriginCdn,
    clock::{now_ms, now_seconds},
    db::entity::{grants, uploads, users, videos},
    ports::cdn::Cdn,
    services::audit_log::Actor,
    signing::SigningKeys,
};

use crate::{
    app::{App, KEY, Somebody, but_for_its_id},
    grants::{Played, give, play},
    tokens::forged,
};

/// Who asks. Media grants are real ones, and come as bearer tokens here: they open media by their path, and nothing else.
const PRINCIPALS: [&str; 11] = [
    "nobody",
    "owner of the video",
    "another user",
    "owner of the server",
    "read key",
    "upload key",
    "revoked key",
    "disabled user",
    "grant of the video",
    "grant of another video",
    "expired grant",
];

/// A method, a path with what is the first account's, and a status a principal.
type Row = (&'static str, &'static str, [u16; 11]);

/// Known callers: what is somebody else's is not there, for the server's owner too.
const TABLE: &[Row] = &[
    ("POST", "/api/upload", [401, 400, 400, 400, 403, 400, 401, 401, 401, 401, 401]),
    ("GET", "/api/status", [401, 200, 404, 404, 200, 200, 401, 401, 401, 401, 401]),
    ("GET", "/api/stream", [401, 200, 404, 404, 200, 200, 401, 401, 401, 401, 401]),
    ("GET", "/api/v1/uploads", [401, 200, 200, 200, 403, 200, 401, 401, 401, 401, 401]),
    ("POST", "/api/v1/uploads", [401, 400, 400, 400, 403, 400, 401, 401, 401, 401, 401]),
    ("GET", "/api/v1/uploads/{upload}", [401, 200, 404, 404, 403, 200, 401, 401, 401, 401, 401]),
    ("DELETE", "/api/v1/uploads/{upload}", [401, 409, 404, 404, 403, 409, 401, 401, 401, 401, 401]),
    ("PUT", "/api/v1/uploads/{upload}/parts/{number}", [401, 400, 400, 400, 403, 400, 401, 401, 401, 401, 401]),
    ("POST", "/api/v1/uploads/{upload}/parts/{number}/target", [401, 400, 400, 400, 403, 400, 401, 401, 401, 401, 401]),
    ("POST", "/api/v1/uploads/{upload}/complete", [401, 200, 404, 404, 403, 200, 401, 401, 401, 401, 401]),
    ("POST", "/api/v1/tus", [401, 400, 400, 400, 403, 400, 401, 401, 401, 401, 401]),
    ("OPTIONS", "/api/v1/tus", [204; 11]),
    ("HEAD", "/api/v1/tus/{upload}", [401, 200, 404, 404, 403, 200, 401, 401, 401, 401, 401]),
    ("PATCH", "/api/v1/tus/{upload}", [401, 415, 415, 415, 403, 415, 401, 401, 401, 401, 401]),
    ("DELETE", "/api/v1/tus/{upload}", [401, 409, 404, 404, 403, 409, 401, 401, 401, 401, 401]),
    ("POST", "/api/v1/tus/{upload}", [401, 405, 405, 405, 403, 405, 401, 401, 401, 401, 401]),
    ("OPTIONS", "/api/v1/tus/{upload}", [204; 11]),
    ("GET", "/api/v1/events", [401, 200, 200, 200, 200, 200, 401, 401, 401, 401, 401]),
    ("GET", "/api/v1/videos", [401, 200, 200, 200, 200, 200, 401, 401, 401, 401, 401]),
    ("GET", "/api/v1/videos/{video}/grants", [401, 200, 404, 404, 403, 403, 401, 401, 401, 401, 401]),
    ("POST", "/api/v1/videos/{video}/grants", [401, 400, 400, 400, 403, 403, 401, 401, 401, 401, 401]),
    ("DELETE", "/api/v1/videos/{video}/grants/{grant}", [401, 404, 404, 404, 403, 403, 401, 401, 401, 401, 401]),
    // A private video: whoever is not its owner sees nothing.
    ("GET", "/api/v1/playback/{playback_id}", [404, 200, 404, 404, 200, 200, 401, 401, 401, 401, 401]),
    ("ANY", "/api/{*rest}", [404; 11]),
    // What follows reads no credentials; what is in the address decides, and here nothing is: see `BY_GRANT`.
    ("GET", "/hls/{grant}/index.m3u8", [403; 11]),
    ("GET", "/hls/{grant}/{generation}/{playlist}", [403; 11]),
    ("GET", "/media/{generation}/{*file}", [403; 11]),
    ("OPTIONS", "/media/{generation}/{*file}", [204; 11]),
    // For a distribution alone, and here is none.
    ("GET", "/packaged/{generation}/{*file}", [404; 11]),
    ("GET", "/oembed", [404; 11]),
    ("GET", "/api/openapi.json", [200; 11]),
    ("GET", "/api/docs", [200; 11]),
    ("GET", "/livez", [200; 11]),
    // An engine that looks at itself for the first time is not ready for longer than this test waits.
    ("GET", "/readyz", [200; 11]),
    ("GET", "/healthz", [200; 11]),
    // Without a token in the settings there are no numbers here, whoever asks.
    ("GET", "/metrics", [404; 11]),
];

/// What the address carries.
const CARRIED: [&str; 7] =
    ["nothing", "nonsense", "a grant", "another video's", "one that has expired", "a revoked one", "another server's"];

/// A path in which `{…}` is what is carried, and a status each.
const BY_GRANT: &[(&str, [u16; 7])] = &[
    // Another video's opens that one; that nothing of this one is in the answer is looked at besides.
    ("/hls/{token}/index.m3u8", [403, 403, 200, 200, 403, 403, 403]),
    ("/hls/{token}/{generation}/{playlist}", [403, 403, 200, 404, 403, 403, 403]),
    ("/media/{generation}/{file}?{query}", [403, 403, 200, 403, 403, 403, 403]),
    ("/media/{generation}/poster.jpg?{query}", [403, 403, 200, 403, 403, 403, 403]),
    ("/api/v1/playback/{playback_id}?grant={link}", [404, 404, 200, 404, 404, 404, 404]),
];

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
        for method in ["get", "post", "put", "patch", "delete", "options", "head", "any"] {
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
    let real = routes();
    let missing: Vec<_> = real.difference(&table).collect();
    let gone: Vec<_> = table.difference(&real).collect();
    assert!(missing.is_empty() && gone.is_empty(), "not in the table: {missing:?}; not in the router: {gone:?}");
}

/// Who asks, by what they send.
struct Cast {
    app: App,
    secrets: [Option<String>; 11],
    /// Ada's, and Eve's.
    hers: Played,
    others: Played,
    upload: String,
}

/// A token of a grant that was given and has run out since.
fn expired(token: &str) -> String {
    forged(token, KEY, |grant| grant.expires_at = now_seconds() - 1)
}

async fn cast() -> Cast {
    let mut app = App::start().await;
    app.work();
    let boss = app.somebody("boss@example.com").await;
    let (ada, eve, out) =
        (app.somebody("ada@example.com").await, app.somebody("eve@example.com").await, app.somebody("out@example.com").await);
    let key = async |scope| app.state.api_keys.create(ada.user, "a key", scope).await.expect("made");
    let (read, upload, revoked) = (key(Scope::Read).await, key(Scope::Upload).await, key(Scope::Manage).await);
    app.state.api_keys.revoke(ada.user, revoked.key.id).await.expect("revoked");
    app.state.users.disable(Actor::from(boss.user), out.user).await.expect("disabled");
    let (hers, others) = (play(&app, ada.clone(), "hers").await, play(&app, eve.clone(), "others").await);
    let sent = uploads::Entity::find().filter(uploads::Column::VideoId.eq(hers.video.0)).one(&app.db).await.expect("asked");
    let secrets = [
        None,
        Some(ada.key),
        Some(eve.key),
        Some(boss.key),
        Some(read.secret),
        Some(upload.secret),
        Some(revoked.secret),
        Some(out.key),
        Some(hers.token.clone()),
        Some(others.token.clone()),
        Some(expired(&hers.token)),
    ];
    Cast { app, secrets, upload: sent.expect("its upload").id.to_string(), hers, others }
}

impl Cast {
    fn fill(&self, path: &str, video: &str, upload: &str) -> String {
        let query = match path {
            "/api/status" | "/api/stream" => format!("?videoId={video}"),
            "/oembed" => format!("?url={}/watch/{}", self.app.state.settings.public_url, self.hers.playback_id),
            _ => String::new(),
        };
        let (generation, file) = self.hers.generation_and_file();
        let path = path
            .replace("{video}", video)
            .replace("{grant}", "01890000-0000-7000-8000-000000000000")
            .replace("{generation}", &generation)
            .replace("{*file}", &file)
            .replace("{playlist}", "720p.m3u8")
            .replace("{upload}", upload)
            .replace("{number}", "1")
            .replace("{playback_id}", &self.hers.playback_id);
        path.replace("{*rest}", "nowhere") + &query
    }

    async fn ask(&self, method: &str, path: &str, secret: Option<&str>) -> (u16, String) {
        let method = if method == "ANY" { Method::POST } else { method.parse().expect("a method") };
        let mut request = Request::builder().method(method).uri(path);
        if path.starts_with("/api/v1/tus") {
            request = request.header("tus-resumable", "1.0.0");
        }
        if let Some(secret) = secret {
            request = request.header(header::AUTHORIZATION, format!("Bearer {secret}"));
        }
        let request = request.body(Body::empty()).expect("a request");
        if path == "/api/v1/events" {
            // It has no end: its head is the answer.
            let response = tower::ServiceExt::oneshot(self.app.router.clone(), request).await.expect("an answer");
            return (response.status().as_u16(), String::new());
        }
        let answer = self.app.send(request).await;
        (answer.status.as_u16(), answer.text())
    }

    /// What is carried, in the order of [`CARRIED`]: the token of a playlist, the query of a segment, the secret of a link.
    async fn carried(&self) -> [(String, String, String); 7] {
        let (app, hers) = (&self.app, &self.hers);
        let (ended, revoked) = (give(app, hers, "ended", Some(3_600)).await, give(app, hers, "revoked", None).await);
        let over = grants::Entity::update_many().col_expr(grants::Column::ExpiresAtMs, Expr::value(now_ms() - 1));
        over.filter(grants::Column::Id.eq(ended.0.0)).exec(&app.db).await.expect("over");
        app.state.grants.revoke(hers.who.user, hers.video, revoked.0).await.expect("revoked");
        let (generation, _) = hers.generation_and_file();
        let generation: GenerationId = generation.parse().expect("an id");
        let sign = |audience, at| app.state.cdn.sign(generation, audience, at).query;
        let query = |played: &Played| played.segment.split_once('?').expect("a query").1.to_owned();
        let (soon, stranger) = (now_seconds() + 60, SigningKeys::from(b"another server's key".to_vec()));
        let abroad = OriginCdn::new(app.state.settings.public_url.clone(), b"another server's key".to_vec().into());
        let link = LinkSecret { key_id: stranger.current_id(), ..LinkSecret::parse(&hers.link).expect("a secret").0 };
        let forged_link = link.text(&stranger.sign("millrace link v1", &link.claims())[..LinkSecret::SIGNATURE_BYTES]);
        let by_revoked = forged(&hers.token, KEY, |grant| grant.audience = Audience::Named(revoked.0));
        let nonsense = "eyJhbGciOiJub25lIn0".to_owned();
        [
            (String::new(), String::new(), String::new()),
            (nonsense.clone(), format!("e=9999999999&s={nonsense}"), nonsense),
            (hers.token.clone(), query(hers), hers.link.clone()),
            (self.others.token.clone(), query(&self.others), self.others.link.clone()),
            (expired(&hers.token), sign(Audience::Owner, now_seconds() - 1), ended.1),
            (by_revoked, sign(Audience::Named(revoked.0), soon), revoked.1),
            (forged(&hers.token, b"another server's key", |_| {}), abroad.sign(generation, Audience::Owner, soon).query, forged_link),
        ]
    }
}

#[tokio::test]
async fn a_private_video_opens_by_its_own_grant_and_by_no_other() {
    let cast = cast().await;
    let (generation, file) = cast.hers.generation_and_file();
    let rendition = file.split('/').next().expect("a rendition").to_owned();
    let mut wrong = Vec::new();
    for (number, (token, query, link)) in cast.carried().await.iter().enumerate() {
        for (path, expected) in BY_GRANT {
            let address = path
                .replace("{token}", token)
                .replace("{generation}", &generation)
                .replace("{playlist}", &format!("{rendition}.m3u8"))
                .replace("{file}", &file)
                .replace("{query}", query)
                .replace("{link}", link)
                .replace("{playback_id}", &cast.hers.playback_id);
            let (status, body) = cast.ask("GET", &address, None).await;
            if status != expected[number] {
                wrong.push(format!("{path} with {}: {status}, not {}: {body}", CARRIED[number], expected[number]));
            }
            assert!(number == 2 || !body.contains(&generation), "{path} with {} tells of the video: {body}", CARRIED[number]);
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn everybody_gets_the_answer_that_the_table_says() {
    let cast = cast().await;
    let mut wrong = Vec::new();
    for (method, path, expected) in TABLE {
        let asked = cast.fill(path, &cast.hers.video.to_string(), &cast.upload);
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
    for (method, path, expected) in TABLE.iter().filter(|(_, path, _)| path.starts_with("/api/") && !path.contains("playback")) {
        for stranger in [2, 3] {
            let secret = cast.secrets[stranger].as_deref();
            let hers = cast.ask(method, &cast.fill(path, &cast.hers.video.to_string(), &cast.upload), secret).await;
            let none = cast.ask(method, &cast.fill(path, &nothing, &nothing), secret).await;
            let (hers, none) = ((hers.0, but_for_its_id(&hers.1)), (none.0, but_for_its_id(&none.1)));
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

/// What nobody may say of their own upload, in every spelling: whose it is, how far it is, where it lies.
const NOT_ASKED: &str = r#""id":"01890000-0000-7000-8000-000000000000","videoId":"01890000-0000-7000-8000-000000000000","userId":"{eve}",
    "user_id":"{eve}","ownerId":"{eve}","owner_id":"{eve}","role":"owner","scope":"manage","state":"done","status":"done","stage":"ready",
    "playable":true,"visibility":"public","storageKey":"sources/x","storage_key":"../x","complete":true,"generationId":"{eve}""#;

#[tokio::test]
async fn what_nobody_is_asked_for_changes_nothing() {
    let app = App::start().await;
    let (ada, eve) = (app.somebody("ada@example.com").await, app.somebody("eve@example.com").await);
    let accounts = users::Entity::find().all(&app.db).await.expect("read");
    let more = NOT_ASKED.replace("{eve}", &eve.user.to_string());
    let json = [("content-type", "application/json")];
    let hers = app.begin(&ada, "hers.mp4", 10).await;
    let before = videos::Entity::find_by_id(hers.video_id.0).one(&app.db).await.expect("read").expect("there");

    let begun = app.ask(Some(&ada), Method::POST, "/api/v1/uploads", &json, format!(r#"{{"fileName":"a.mp4","size":10,{more}}}"#)).await;
    assert!(matches!(begun.status, StatusCode::CREATED | StatusCode::BAD_REQUEST), "{}", begun.text());
    let part = format!("--b\r\ncontent-disposition: form-data; name=\"owner_id\"\r\n\r\n{}\r\n", eve.user);
    let file = "--b\r\ncontent-disposition: form-data; name=\"file\"; filename=\"b.mp4\"\r\n\r\nbytes\r\n--b--\r\n";
    let form = [("content-type", "multipart/form-data; boundary=b")];
    let whole = app.ask(Some(&ada), Method::POST, "/api/upload", &form, format!("{part}{file}")).await;
    assert!(!whole.status.is_server_error(), "{}", whole.text());
    let path = format!("/api/v1/videos/{}/grants", hers.video_id);
    let grant = app.ask(Some(&ada), Method::POST, &path, &json, format!(r#"{{"name":"Grace",{more}}}"#)).await;
    assert_eq!(grant.status, StatusCode::BAD_REQUEST, "{}", grant.text());
    for path in [
        format!("/api/v1/uploads/{}/complete?{}", hers.upload_id, "userId=x&complete=true"),
        format!("/api/status?videoId={}&ownerId={}", hers.video_id, eve.user),
    ] {
        let method = if path.contains("complete") { Method::POST } else { Method::GET };
        app.ask(Some(&ada), method, &path, &json, format!("{{{more}}}")).await;
    }
    // Somebody else's upload by its id: not taken over, and not told from one that is not there by more than that it cannot be had.
    let taken = format!(r#"{{"uploadId":"{}","fileName":"hers.mp4","size":10}}"#, hers.upload_id);
    let taken = app.ask(Some(&eve), Method::POST, "/api/v1/uploads", &json, taken).await;
    assert!(taken.status.is_client_error() && !taken.text().contains(&hers.video_id.to_string()), "{}", taken.text());

    for row in videos::Entity::find().all(&app.db).await.expect("read") {
        assert_eq!(row.user_id, ada.user.0, "{row:?}");
        assert_eq!((row.visibility.as_str(), row.generation_id), (before.visibility.as_str(), None), "{row:?}");
        assert!(["uploading", "queued"].contains(&row.stage.as_str()), "{row:?}");
    }
    assert_eq!(videos::Entity::find_by_id(hers.video_id.0).one(&app.db).await.expect("read"), Some(before));
    assert_eq!(users::Entity::find().all(&app.db).await.expect("read"), accounts);
    assert_eq!(grants::Entity::find().all(&app.db).await.expect("read"), []);
    assert!(app.state.videos.page(eve.user, None, None, 10).await.expect("a page").videos.is_empty());
}

#[tokio::test]
async fn lists_hold_nobody_elses_however_they_are_asked() {
    let app = App::start().await;
    let (ada, eve) = (app.somebody("ada@example.com").await, app.somebody("eve@example.com").await);
    let hers: domain::ids::VideoId = app.upload(&ada, "secret harbour.mp4", b"0123456789").await.parse().expect("an id");
    app.state.videos.set_visibility(ada.user, hers, Visibility::Private).await.expect("set");
    let own: domain::ids::VideoId = app.upload(&eve, "own.mp4", b"0123456789").await.parse().expect("an id");
    let after_all = domain::ids::VideoId(uuid::Uuid::max());
    for search in [None, Some("harbour"), Some("secret"), Some("%"), Some("_"), Some(""), Some("own' OR 1=1 --")] {
        for after in [None, Some(hers), Some(own), Some(after_all)] {
            let page = app.state.videos.page(eve.user, search, after, 100).await.expect("a page");
            assert!(page.videos.iter().all(|video| video.id == own) && page.videos.len() <= 1, "{search:?} {after:?}");
            assert_eq!(page.next, None, "not even that there are more");
        }
    }
    let keys = app.state.api_keys.list(eve.user).await.expect("listed");
    assert_eq!(keys.len(), 1);
}
