//! The main job: from upload to playback with real ffmpeg, every byte checked on its way to a player.

use axum::{
    body::Body,
    http::{Method, StatusCode},
};
use domain::video::Visibility;
use std::path::Path;

use crate::{
    app::{Answer, App, Somebody, files_below, noise},
    workshop::eventually,
};

const CARS: &[u8] = include_bytes!("../media/car-detection.mp4");

/// What `GET /api/stream` gives, as URL.
async fn stream_url(app: &App, who: &Somebody, video: &str) -> String {
    let answer = app.get(Some(who), &format!("/api/stream?videoId={video}")).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    answer.json()["url"].as_str().expect("a URL").to_owned()
}

/// All URIs that a playlist names, in lines and attributes.
fn uris(playlist: &str) -> Vec<String> {
    let lines = playlist.lines().filter(|line| !line.starts_with('#') && !line.is_empty()).map(str::to_owned);
    let attributes = playlist.split("URI=\"").skip(1).filter_map(|rest| rest.split('"').next()).map(str::to_owned);
    lines.chain(attributes).collect()
}

async fn anonymous(app: &App, url: &str, headers: &[(&str, &str)]) -> Answer {
    app.ask(None, Method::GET, url, headers, Body::empty()).await
}

/// Every media URL of a video, by way of its playlists.
async fn media_urls(app: &App, url: &str) -> Vec<String> {
    let multivariant = anonymous(app, url, &[]).await;
    assert_eq!(multivariant.status, StatusCode::OK, "{}", multivariant.text());
    assert_eq!(multivariant.headers["content-type"], "application/vnd.apple.mpegurl");
    let base = url.rsplit_once('/').expect("a path").0;
    let mut found = Vec::new();
    for playlist in uris(&multivariant.text()) {
        let answer = anonymous(app, &format!("{base}/{playlist}"), &[]).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
        found.extend(uris(&answer.text()));
    }
    found
}

#[tokio::test]
async fn a_real_clip_goes_from_upload_to_signed_bytes_and_away_again() {
    let mut app = App::start().await;
    let ada = app.somebody("ada@example.com").await;
    let video = app.upload(&ada, "car-detection.mp4", CARS).await;
    app.work();
    let status = app.settled(&ada, &video).await;
    assert_eq!((status["status"].as_str(), status["playable"].as_bool()), (Some("done"), Some(true)), "{status}");

    let url = stream_url(&app, &ada, &video).await;
    let media = media_urls(&app, &url).await;
    assert!(media.len() > 20, "{media:?}");
    for url in &media {
        let whole = anonymous(&app, url, &[]).await;
        assert_eq!(whole.status, StatusCode::OK, "{url}");
        assert_eq!(whole.headers["access-control-allow-origin"], "*");
        assert!(whole.headers["cache-control"].to_str().expect("text").contains("immutable"));
        assert!(!whole.body.is_empty());
        let bare = url.split_once('?').expect("a query").0;
        for unsigned in [bare.to_owned(), format!("{bare}?"), url.replace("&s=", "&s=A"), url.replace("?e=", "?e=9")] {
            assert_eq!(anonymous(&app, &unsigned, &[]).await.status, StatusCode::FORBIDDEN, "{unsigned}");
        }
    }
    ranges_and_validators(&app, &media[1]).await;
    every_stored_byte_is_signed_for(&app, &media).await;

    let id = video.parse().expect("an id");
    let shown = app.state.videos.get(ada.user, id).await.expect("there");
    assert!(shown.renditions.iter().any(|rendition| rendition.copied), "a compliant top rung is copied: {:?}", shown.renditions);
    assert_eq!(shown.source.as_ref().map(|source| source.video.display_height), Some(432));
    app.state.videos.delete(ada.user, id).await.expect("deleted");
    assert_eq!(anonymous(&app, &url, &[]).await.status, StatusCode::NOT_FOUND);
    // Whoever deletes waits a moment for the bytes; where the disk takes longer, they go on going.
    eventually("nothing is left in the store", async || files_below(&app.folder.path().join("store")).is_empty()).await;
    assert_eq!(anonymous(&app, &media[0], &[]).await.status, StatusCode::NOT_FOUND);
    assert!(files_below(&app.folder.path().join("scratch")).is_empty());
}

async fn ranges_and_validators(app: &App, url: &str) {
    let whole = anonymous(app, url, &[]).await;
    let part = anonymous(app, url, &[("range", "bytes=10-19")]).await;
    assert_eq!((part.status, part.body.as_slice()), (StatusCode::PARTIAL_CONTENT, &whole.body[10..20]));
    assert_eq!(part.headers["content-range"], format!("bytes 10-19/{}", whole.body.len()).as_str());
    let tail = anonymous(app, url, &[("range", "bytes=-4")]).await;
    assert_eq!(tail.body, whole.body[whole.body.len() - 4..]);
    let past = anonymous(app, url, &[("range", "bytes=99999999-")]).await;
    assert_eq!(past.status, StatusCode::RANGE_NOT_SATISFIABLE);
    let etag = whole.headers["etag"].to_str().expect("text");
    assert_eq!(anonymous(app, url, &[("if-none-match", etag)]).await.status, StatusCode::NOT_MODIFIED);
    assert_eq!(anonymous(app, url, &[("range", "bytes=0-1"), ("if-range", "\"other\"")]).await.status, StatusCode::OK);
    let head = app.ask(None, Method::HEAD, url, &[], Body::empty()).await;
    assert_eq!((head.status, head.body.len()), (StatusCode::OK, 0));
    assert_eq!(head.headers["content-length"], whole.body.len().to_string().as_str());
}

/// Every object on the disk is refused without a query and with the signature of another generation.
async fn every_stored_byte_is_signed_for(app: &App, media: &[String]) {
    let query = media[0].split_once('?').expect("a query").1;
    for file in files_below(&app.folder.path().join("store/published")) {
        assert_eq!(anonymous(app, &format!("/media/{file}"), &[]).await.status, StatusCode::FORBIDDEN, "{file}");
        let other = file.replacen(|c: char| c.is_ascii_digit(), "f", 1);
        assert_eq!(anonymous(app, &format!("/media/{other}?{query}"), &[]).await.status, StatusCode::FORBIDDEN, "{other}");
        assert_eq!(anonymous(app, &format!("/media/{file}?{query}"), &[]).await.status, StatusCode::OK, "{file}");
    }
    for file in files_below(&app.folder.path().join("store/sources")) {
        for path in [format!("/media/../sources/{file}?{query}"), format!("/media/sources/{file}?{query}")] {
            assert_ne!(anonymous(app, &path, &[]).await.status, StatusCode::OK, "{path}");
        }
    }
}

#[tokio::test]
async fn a_video_that_becomes_private_closes_its_links() {
    let mut app = App::start().await;
    let ada = app.somebody("ada@example.com").await;
    let eve = app.somebody("eve@example.com").await;
    let video = app.upload(&ada, "clip.mp4", &short_clip(&app).await).await;
    app.work();
    assert_eq!(app.settled(&ada, &video).await["status"], "done");
    let id = video.parse().expect("an id");
    let playback_id = app.state.videos.get(ada.user, id).await.expect("there").playback_id;
    let public = format!("/api/v1/playback/{playback_id}");
    let shared = app.get(None, &public).await.json();
    assert_eq!(shared["state"], "playable");
    let link = shared["url"].as_str().expect("a URL").to_owned();
    assert_eq!(anonymous(&app, &link, &[]).await.status, StatusCode::OK);
    let mut media = media_urls(&app, &link).await;
    media.push(shared["posterUrl"].as_str().expect("a poster").to_owned());
    app.state.private_media.load(&app.db).await.expect("read");
    let following = tokio::spawn({
        let (private_media, db) = (app.state.private_media.clone(), app.db.clone());
        async move { private_media.follow(&db).await }
    });

    app.state.videos.set_visibility(ada.user, id, Visibility::Private).await.expect("set");
    assert_eq!(anonymous(&app, &link, &[]).await.status, StatusCode::FORBIDDEN);
    // Segments and poster, too, within seconds; and to the owner they go on being served.
    for url in &media {
        while anonymous(&app, url, &[]).await.status == StatusCode::OK {
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
        assert_eq!(anonymous(&app, url, &[]).await.status, StatusCode::FORBIDDEN, "{url}");
    }
    let own = stream_url(&app, &ada, &video).await;
    for url in media_urls(&app, &own).await {
        assert_eq!(anonymous(&app, &url, &[]).await.status, StatusCode::OK, "{url}");
    }
    following.abort();
    assert_eq!(app.get(None, &public).await.status, StatusCode::NOT_FOUND);
    assert_eq!(app.get(Some(&eve), &public).await.status, StatusCode::NOT_FOUND);
    assert_eq!(app.get(Some(&ada), &public).await.status, StatusCode::OK);
    let watch = format!("{}/watch/{playback_id}", app.state.settings.public_url);
    assert_eq!(app.get(None, &format!("/oembed?url={watch}")).await.status, StatusCode::NOT_FOUND);
    assert_eq!(anonymous(&app, &stream_url(&app, &ada, &video).await, &[]).await.status, StatusCode::OK, "its owner goes on watching");

    app.state.videos.set_visibility(ada.user, id, Visibility::Public).await.expect("set");
    let oembed = app.get(None, &format!("/oembed?url={watch}&maxwidth=320")).await.json();
    assert_eq!((oembed["type"].as_str(), oembed["width"].as_u64()), (Some("video"), Some(320)));
    for bad in ["x".repeat(40), format!("{}A", link.trim_end_matches("/index.m3u8"))] {
        let url = format!("/hls/{}/index.m3u8", bad.rsplit('/').next().expect("a token"));
        assert_eq!(anonymous(&app, &url, &[]).await.status, StatusCode::FORBIDDEN, "{url}");
    }
}

#[tokio::test]
async fn bad_files_end_with_a_reason_and_the_next_good_one_is_fine() {
    let mut app = App::start().await;
    let ada = app.somebody("ada@example.com").await;
    app.work();
    let playlist = b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n";
    let good = short_clip(&app).await;
    for (name, bytes, code) in [
        ("clip.mp4", playlist.to_vec(), "not_a_video"),
        ("noise.mp4", noise(50_000), "not_a_video"),
        ("cut.mp4", CARS[..CARS.len() / 2].to_vec(), "truncated"),
    ] {
        let video = app.upload(&ada, name, &bytes).await;
        let status = app.settled(&ada, &video).await;
        assert_eq!((status["status"].as_str(), status["error"]["code"].as_str()), (Some("failed"), Some(code)), "{name}: {status}");
        assert!(status["error"]["message"].as_str().is_some_and(|message| message.ends_with('.')));
        assert!(app.state.videos.retry(ada.user, video.parse().expect("an id")).await.is_err(), "the file is to blame");
    }
    let video = app.upload(&ada, "good.mp4", &good).await;
    assert_eq!(app.settled(&ada, &video).await["status"], "done");
}

#[tokio::test]
async fn a_shut_down_gives_the_job_back_and_the_next_start_finishes_it() {
    let mut app = App::start().await;
    let ada = app.somebody("ada@example.com").await;
    let video = app.upload(&ada, "car-detection.mp4", CARS).await;
    let worker = app.work();
    while app.status(&ada, &video).await["stage"] != "encoding" {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    app.shut_down();
    worker.await.expect("the worker ends");
    let status = app.status(&ada, &video).await;
    if status["status"] == "done" {
        return; // Faster than the signal; nothing was to be given back.
    }
    assert_eq!(status["stage"], "queued");
    assert!(files_below(&app.folder.path().join("store/published")).is_empty(), "what was half made is gone");
    let lease = server::services::jobs::Jobs::new(app.db.clone(), "next".into()).claim().await.expect("asked").expect("the job, at once");
    assert_eq!(lease.attempt, 1, "the try did not count");
}

/// Two seconds of moving picture and sound.
async fn short_clip(app: &App) -> Vec<u8> {
    let path = app.folder.path().join("short.mp4");
    make_clip(&path).await;
    std::fs::read(path).expect("the clip")
}

async fn make_clip(path: &Path) {
    let status = tokio::process::Command::new("ffmpeg")
        .args(["-v", "error", "-y", "-f", "lavfi", "-i", "testsrc2=s=320x240:r=25:d=2", "-f", "lavfi", "-i", "sine=d=2"])
        .args(["-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-c:a", "aac", "-shortest"])
        .arg(path)
        .status()
        .await
        .expect("ffmpeg runs");
    assert!(status.success());
}

#[tokio::test]
async fn a_failure_of_ours_can_be_tried_again() {
    use domain::{job::JobState, video::Stage};
    use sea_orm::sea_query::Expr;
    use server::{
        db::entity::videos,
        services::{
            jobs::{Held, Jobs, hold, over},
            videos::advance,
        },
    };
    let mut app = App::start().await;
    let ada = app.somebody("ada@example.com").await;
    let video = app.upload(&ada, "clip.mp4", &short_clip(&app).await).await;
    let id = video.parse().expect("an id");
    assert!(app.state.videos.retry(ada.user, id).await.is_err(), "it has not failed");
    let lease = Jobs::new(app.db.clone(), "a worker".into()).claim().await.expect("asked").expect("its job");
    assert_eq!(hold(&app.db, &lease, &over(JobState::Failed, Some("the disk broke"))).await.expect("noted"), Held::Yes);
    let why = [(videos::Column::FailureCode, Expr::value("processing_failed"))];
    assert!(advance(&app.db, id, Stage::Failed, &why).await.expect("noted"));
    let failed = app.status(&ada, &video).await;
    assert_eq!((failed["status"].as_str(), failed["error"]["code"].as_str()), (Some("failed"), Some("processing_failed")));

    let again = app.state.videos.retry(ada.user, id).await.expect("tried again");
    assert_eq!((again.stage, again.failure), (Stage::Queued, None));
    assert!(app.state.videos.retry(ada.user, id).await.is_err(), "it is under way already");
    app.work();
    assert_eq!(app.settled(&ada, &video).await["status"], "done");
}
