//! Named grants: given, used, listed, over, taken back; by the API and by links. And how long what they give lasts.

use axum::{
    body::Body,
    http::{Method, StatusCode},
};
use domain::{
    grant::{Grant, Lifetime},
    ids::{GrantId, VideoId},
    video::Visibility,
};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, sea_query::Expr};
use server::{
    clock::{now_ms, now_seconds},
    db::entity::grants,
    services::{grants::NewGrant, playback::Visitor},
};

use crate::app::{App, Somebody, but_for_its_id};

const CARS: &[u8] = include_bytes!("../media/car-detection.mp4");

/// A video that plays, a way into it, and what a player was given.
pub(crate) struct Played {
    pub(crate) who: Somebody,
    pub(crate) video: VideoId,
    pub(crate) playback_id: String,
    /// The secret of a named grant.
    pub(crate) link: String,
    /// The token in the playlists' path.
    pub(crate) token: String,
    /// A segment's signed address, without our origin.
    pub(crate) segment: String,
}

impl Played {
    /// The generation in the segment's address, and the name of its file.
    pub(crate) fn generation_and_file(&self) -> (String, String) {
        let path = self.segment.split('?').next().expect("a path").strip_prefix("/media/").expect("media");
        path.split_once('/').map(|(generation, file)| (generation.to_owned(), file.to_owned())).expect("a file")
    }
}

/// A private video of Ada's that plays by a named grant.
pub(crate) async fn playing(app: &mut App) -> Played {
    let who = app.somebody("ada@example.com").await;
    app.work();
    play(app, who, "mine").await
}

/// Another one of hers.
pub(crate) async fn another(app: &App, of: &Played, name: &str) -> Played {
    play(app, of.who.clone(), name).await
}

/// A private video of somebody's that plays by a named grant; the worker runs.
pub(crate) async fn play(app: &App, who: Somebody, name: &str) -> Played {
    let video = app.upload(&who, &format!("{name}.mp4"), CARS).await;
    let status = app.settled(&who, &video).await;
    assert_eq!(status["status"], "done", "{status}");
    let video: VideoId = video.parse().expect("an id");
    app.state.videos.set_visibility(who.user, video, Visibility::Private).await.expect("private");
    let new = NewGrant { name: "Grace", seconds: None, embed_hosts: "" };
    let grant = app.state.grants.create(who.user, video, new).await.expect("a grant");
    let playback_id = app.state.videos.get(who.user, video).await.expect("there").playback_id;
    let link = secret(&grant.watch_url);
    let visitor = Visitor { user: None, grant: Some(&link) };
    let playback = app.state.playback.for_viewer(&playback_id, visitor, Lifetime::Renewed).await.expect("it opens");
    let url = playback.url.expect("playable");
    let token = url.split("/hls/").nth(1).and_then(|rest| rest.split('/').next()).expect("a token").to_owned();
    let multivariant = app.get(None, &url).await.text();
    let first = multivariant.lines().find(|line| line.contains(".m3u8") && !line.starts_with('#')).expect("a playlist");
    let playlist = app.get(None, &format!("/hls/{token}/{first}")).await.text();
    let segment = playlist.lines().find(|line| line.contains(".m4s")).expect("a segment");
    let segment = segment.strip_prefix(&app.state.settings.public_url).expect("our origin").to_owned();
    Played { who, video, playback_id: playback_id.to_string(), link, token, segment }
}

/// The secret in a link.
fn secret(url: &str) -> String {
    url.split_once("?grant=").expect("a secret").1.to_owned()
}

/// A further grant, with its secret.
pub(crate) async fn give(app: &App, played: &Played, name: &str, seconds: Option<u64>) -> (GrantId, String) {
    let new = NewGrant { name, seconds, embed_hosts: "" };
    let grant = app.state.grants.create(played.who.user, played.video, new).await.expect("a grant");
    (grant.id, secret(&grant.watch_url))
}

async fn status(app: &App, path: &str) -> StatusCode {
    app.get(None, path).await.status
}

#[tokio::test]
async fn the_api_gives_lists_and_takes_back() {
    let mut app = App::start().await;
    let mine = playing(&mut app).await;
    let eve = app.somebody("eve@example.com").await;
    let path = format!("/api/v1/videos/{}/grants", mine.video);
    let json = [("content-type", "application/json")];
    let body = r#"{"name":" Press ","expiresInSeconds":3600,"embedHosts":["Blog.example","*.example.org"]}"#;
    let made = app.ask(Some(&mine.who), Method::POST, &path, &json, body).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text());
    let made = made.json();
    assert_eq!((made["name"].as_str(), &made["lastUsedAtMs"]), (Some("Press"), &serde_json::Value::Null));
    assert_eq!(made["embedHosts"], serde_json::json!(["blog.example", "*.example.org"]));
    assert!(made["expiresAtMs"].as_i64().expect("a time") - now_ms() > 3_500_000);
    let link = secret(made["watchUrl"].as_str().expect("a link"));
    assert_eq!(status(&app, &format!("/api/v1/playback/{}?grant={link}", mine.playback_id)).await, StatusCode::OK);

    let listed = app.get(Some(&mine.who), &path).await.json();
    assert_eq!(listed["grants"].as_array().map(Vec::len), Some(2));
    assert_eq!(listed["grants"][0]["id"], made["id"]);
    assert!(listed["grants"][0]["lastUsedAtMs"].is_i64(), "its use was noted: {listed}");

    let one = format!("{path}/{}", made["id"].as_str().expect("an id"));
    for (method, path) in [(Method::GET, &path), (Method::POST, &path), (Method::DELETE, &one)] {
        let body = if method == Method::POST { r#"{"name":"x"}"# } else { "" };
        let theirs = app.ask(Some(&eve), method.clone(), path, &json, body).await;
        let nobodys = path.replace(&mine.video.to_string(), &uuid::Uuid::now_v7().to_string());
        let none = app.ask(Some(&eve), method.clone(), &nobodys, &json, body).await;
        assert_eq!(
            (theirs.status, but_for_its_id(&theirs.text())),
            (StatusCode::NOT_FOUND, but_for_its_id(&none.text())),
            "{method} {path}"
        );
        assert_eq!(app.ask(None, method, path, &json, body).await.code(), "unauthenticated");
    }
    for bad in [
        r#"{"name":" "}"#,
        r#"{"name":"x","expiresInSeconds":0}"#,
        r#"{"name":"x","embedHosts":["a;b"]}"#,
        r#"{"name":"x","owner":1}"#,
        "{",
    ] {
        assert_eq!(app.ask(Some(&mine.who), Method::POST, &path, &json, bad).await.code(), "invalid_input", "{bad}");
    }
    for _ in 0..2 {
        assert_eq!(app.ask(Some(&mine.who), Method::DELETE, &one, &[], Body::empty()).await.status, StatusCode::NO_CONTENT);
    }
    assert_eq!(app.get(Some(&mine.who), &path).await.json()["grants"].as_array().map(Vec::len), Some(1));
    assert_eq!(status(&app, &format!("/api/v1/playback/{}?grant={link}", mine.playback_id)).await, StatusCode::NOT_FOUND);
    let stolen =
        format!("{}/{}", path.replace(&mine.video.to_string(), &uuid::Uuid::now_v7().to_string()), made["id"].as_str().expect("an id"));
    assert_eq!(app.ask(Some(&mine.who), Method::DELETE, &stolen, &[], Body::empty()).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_grant_opens_its_own_video_until_it_ends() {
    let mut app = App::start().await;
    let mine = playing(&mut app).await;
    let other = another(&app, &mine, "other").await;
    let page = |id: &str, link: &str| format!("/api/v1/playback/{id}?grant={link}");
    assert_eq!(status(&app, &page(&other.playback_id, &mine.link)).await, StatusCode::NOT_FOUND, "another video's");
    assert_eq!(status(&app, &format!("/api/v1/playback/{}", mine.playback_id)).await, StatusCode::NOT_FOUND, "none");

    let (short, link) = give(&app, &mine, "short", Some(600)).await;
    let visitor = Visitor { user: None, grant: Some(&link) };
    let id = mine.playback_id.parse().expect("an id");
    let ends_at = now_seconds() + 600;
    for lifetime in [Lifetime::Renewed, Lifetime::Film] {
        let playback = app.state.playback.for_viewer(&id, visitor, lifetime).await.expect("it opens");
        assert!(playback.expires_at.is_some_and(|end| end <= ends_at), "nothing outlasts the grant");
        let poster = playback.poster_url.expect("a poster");
        let until: u64 = poster.split("e=").nth(1).and_then(|rest| rest.split('&').next()).expect("an end").parse().expect("a second");
        assert!(until <= ends_at, "nor does its poster");
        assert_eq!(app.get(None, &poster).await.status, StatusCode::OK);
    }
    let playlist = app.state.playback.for_viewer(&id, visitor, Lifetime::Film).await.expect("it opens").url.expect("a URL");
    assert_eq!(app.get(None, &playlist).await.status, StatusCode::OK);
    let over = grants::Entity::update_many().col_expr(grants::Column::ExpiresAtMs, Expr::value(now_ms() - 1));
    over.filter(grants::Column::Id.eq(short.0)).exec(&app.db).await.expect("over");
    assert_eq!(app.get(None, &playlist).await.code(), "grant_refused");
    assert_eq!(status(&app, &page(&mine.playback_id, &link)).await, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_page_begins_with_what_its_visitor_may_see_and_nobody_elses_begins() {
    let mut app = App::start().await;
    let mine = playing(&mut app).await;
    let id = mine.playback_id.parse().expect("an id");
    let (revoked, link) = give(&app, &mine, "revoked", None).await;
    let visitor = Visitor { user: None, grant: Some(&link) };
    let (playback, start) = app.state.playback.for_page(&id, visitor).await.expect("it opens");
    let start = start.expect("it begins");
    assert!(start.tracks.iter().all(|track| playback.media.contains(&track.media)), "signed by the same right, for as long");
    assert_eq!(start.tracks.iter().map(|track| track.kind.as_str()).collect::<Vec<_>>(), ["video", "audio"]);
    let files = start.tracks.iter().flat_map(|track| {
        let address = |file: &String| format!("{}{file}?{}", track.media.base, track.media.query);
        std::iter::once(&track.init).chain(&track.segments).map(address)
    });
    let files: Vec<String> = files.collect();
    for file in &files {
        assert_eq!(app.get(None, file).await.status, StatusCode::OK, "{file}");
    }
    app.state.grants.revoke(mine.who.user, mine.video, revoked).await.expect("revoked");
    for file in &files {
        assert_eq!(app.get(None, file).await.status, StatusCode::FORBIDDEN, "{file}");
    }
    for stranger in [visitor, Visitor::default()] {
        assert!(app.state.playback.for_page(&id, stranger).await.is_err(), "a private video begins for nobody else");
    }
}

#[tokio::test]
async fn scripts_get_minutes_and_native_players_the_whole_film() {
    let mut app = App::start().await;
    let mine = playing(&mut app).await;
    let playback = app.state.playback.for_owner(mine.who.user, mine.video, Lifetime::Renewed).await.expect("there");
    let left = playback.expires_at.expect("an end") - now_seconds();
    assert!((299..=600).contains(&left), "{left}");
    assert!(playback.renew_in_seconds.is_some_and(|seconds| seconds >= 199 && seconds < left), "{:?}", playback.renew_in_seconds);
    let again = app.state.playback.for_owner(mine.who.user, mine.video, Lifetime::Renewed).await.expect("there");
    assert!(again.media == playback.media || again.expires_at > playback.expires_at, "the same for a while: browsers cache");
    let film = app.state.playback.for_owner(mine.who.user, mine.video, Lifetime::Film).await.expect("there");
    assert!(film.expires_at.expect("an end") - now_seconds() >= 360 * 60);
    assert_eq!((film.renew_in_seconds, film.media.len()), (None, 0));
    let stream = app.get(Some(&mine.who), &format!("/api/stream?videoId={}", mine.video)).await.json();
    let (token, _) = stream["url"].as_str().and_then(|url| url.split("/hls/").nth(1)?.split_once('/')).expect("a token");
    assert!(Grant::parse(token).expect("a grant").0.expires_at - now_seconds() >= 360 * 60);
}

#[tokio::test]
async fn old_public_links_stop_and_named_ones_go_on_when_a_video_becomes_private() {
    let mut app = App::start().await;
    let mine = playing(&mut app).await;
    let id = mine.playback_id.parse().expect("an id");
    let show = async |visibility| app.state.videos.set_visibility(mine.who.user, mine.video, visibility).await.expect("changed");
    for open in [Visibility::Unlisted, Visibility::Public] {
        show(open).await;
        let by_link = app.state.playback.for_viewer(&id, Visitor::default(), Lifetime::Renewed).await.expect("everybody's");
        let by_grant =
            app.state.playback.for_viewer(&id, Visitor { user: None, grant: Some(&mine.link) }, Lifetime::Renewed).await.expect("hers");
        let addresses = |playback: &domain::video::Playback| {
            let media = &playback.media[0];
            let file = mine.generation_and_file().1;
            [
                playback.url.clone().expect("a URL"),
                format!("{}{file}?{}", media.base, media.query),
                playback.poster_url.clone().expect("a poster"),
            ]
        };
        for address in addresses(&by_link).iter().chain(&addresses(&by_grant)) {
            assert_eq!(status(&app, address).await, StatusCode::OK, "{address}");
        }
        // A link that is wrong is as good as none where none is needed.
        assert_eq!(status(&app, &format!("/api/v1/playback/{id}?grant=wrong")).await, StatusCode::OK);
        show(Visibility::Private).await;
        for address in addresses(&by_link) {
            assert_eq!(app.get(None, &address).await.code(), "grant_refused", "{address}");
        }
        for address in addresses(&by_grant) {
            assert_eq!(status(&app, &address).await, StatusCode::OK, "{address}");
        }
    }
}

#[tokio::test]
async fn lists_of_hosts_go_from_grant_to_video_to_account() {
    let mut app = App::start().await;
    let mine = playing(&mut app).await;
    let eve = app.somebody("eve@example.com").await;
    let rules = &app.state.embed_rules;
    let id = mine.playback_id.parse().expect("an id");
    let counts = async |grant: Option<&str>| rules.for_embed(&id, grant).await.expect("a rule").framed_by();
    assert_eq!(counts(None).await, "*");
    rules.set_of_account(mine.who.user, "account.example").await.expect("set");
    assert_eq!((counts(None).await.as_str(), counts(Some(&mine.link)).await.as_str()), ("account.example", "account.example"));
    rules.set_of_video(mine.who.user, mine.video, "video.example, *.video.example").await.expect("set");
    assert_eq!(counts(None).await, "video.example *.video.example");
    let new = NewGrant { name: "Blog", seconds: None, embed_hosts: "blog.example" };
    let blog = app.state.grants.create(mine.who.user, mine.video, new).await.expect("a grant");
    assert_eq!(counts(Some(&secret(&blog.embed_url))).await, "blog.example");
    assert_eq!(counts(Some("made up")).await, "video.example *.video.example");
    assert!(rules.set_of_video(eve.user, mine.video, "evil.example").await.is_err() && rules.of_video(eve.user, mine.video).await.is_err());
    assert!(rules.set_of_video(mine.who.user, mine.video, "a; script-src *").await.is_err());
    rules.set_of_video(mine.who.user, mine.video, "").await.expect("emptied");
    assert_eq!(counts(None).await, "account.example");
}
