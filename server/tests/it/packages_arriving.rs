//! Videos that play while they are still being uploaded.

use std::time::Duration;

use axum::http::{Method, StatusCode};
use domain::upload::UploadTicket;

use crate::app::{App, Somebody, files_below};

const CARS: &[u8] = include_bytes!("../media/car-detection.mp4");
const PART: usize = 1 << 20;

async fn begin(app: &App, who: &Somebody, size: usize) -> UploadTicket {
    let body = serde_json::json!({ "fileName": "cars.mp4", "size": size, "partSize": PART }).to_string();
    let answer = app.ask(Some(who), Method::POST, "/api/v1/uploads", &[("content-type", "application/json")], body).await;
    assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.text());
    serde_json::from_slice(&answer.body).expect("a ticket")
}

async fn send(app: &App, who: &Somebody, ticket: &UploadTicket, bytes: &[u8], number: u32) {
    let (offset, length) = ticket.plan.part_range(number).expect("a part of the plan");
    let part = bytes[offset as usize..(offset + length) as usize].to_vec();
    let answer = app.put_part(who, ticket, number, crc32c::crc32c(&part), part).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
}

/// Waits until it can be played, while it is still being uploaded.
async fn plays(app: &App, who: &Somebody, ticket: &UploadTicket) {
    loop {
        let status = app.status(who, &ticket.video_id.to_string()).await;
        assert_eq!(status["status"], "uploading", "{status}");
        if status["playable"] == true {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A playlist's text, and the addresses of its segments.
struct Playlist {
    text: String,
    segments: Vec<String>,
}

/// The media playlists, in the order of their addresses: the sound's is the last one.
async fn playlists(app: &App, who: &Somebody, ticket: &UploadTicket) -> Vec<Playlist> {
    let stream = app.get(Some(who), &format!("/api/stream?videoId={}", ticket.video_id)).await;
    assert_eq!(stream.status, StatusCode::OK, "{}", stream.text());
    let url = stream.json()["url"].as_str().expect("a URL").to_owned();
    let text = app.get(None, &url).await.text();
    let parsed = m3u8_rs::parse_master_playlist_res(text.as_bytes()).expect("a playlist");
    let names = parsed.variants.iter().map(|variant| variant.uri.clone());
    let base = url.rsplit_once('/').expect("a path").0.to_owned();
    let mut found = Vec::new();
    for name in names.chain(parsed.alternatives.iter().filter_map(|media| media.uri.clone())) {
        let text = app.get(None, &format!("{base}/{name}")).await.text();
        let parsed = m3u8_rs::parse_media_playlist_res(text.as_bytes()).expect("a playlist");
        found.push(Playlist { segments: parsed.segments.iter().map(|segment| segment.uri.clone()).collect(), text });
    }
    found
}

#[tokio::test]
async fn an_upload_plays_from_what_has_arrived_and_grows() {
    let app = App::start().await;
    let ada = app.somebody("ada@example.com").await;
    let ticket = begin(&app, &ada, CARS.len()).await;
    assert_eq!(ticket.plan.part_count(), 3);
    assert_eq!(app.get(Some(&ada), &format!("/api/stream?videoId={}", ticket.video_id)).await.status, StatusCode::CONFLICT);
    send(&app, &ada, &ticket, CARS, 1).await;
    plays(&app, &ada, &ticket).await;
    let playback = app.state.playback.for_owner(ada.user, ticket.video_id, Default::default()).await.expect("it plays");
    assert!(playback.arriving && (29_000..31_000).contains(&playback.duration_ms), "{playback:?}");

    let early = playlists(&app, &ada, &ticket).await;
    let mut bytes = Vec::new();
    for playlist in &early {
        assert!(playlist.text.contains("#EXT-X-PLAYLIST-TYPE:EVENT") && !playlist.text.contains("#EXT-X-ENDLIST"), "{}", playlist.text);
        assert!(!playlist.segments.is_empty());
        for segment in &playlist.segments {
            let answer = app.get(None, segment).await;
            assert_eq!(answer.status, StatusCode::OK, "{segment}");
            bytes.push(answer.body);
        }
    }
    // What has not arrived is not made up of what stands there instead.
    let last = early[0].segments.last().expect("a segment");
    let (path, query) = last.split_once('?').expect("a query");
    let beyond = format!("{}/{:05}.m4s?{query}", path.rsplit_once('/').expect("a file").0, early[0].segments.len() + 1);
    assert_eq!(app.get(None, &beyond).await.status, StatusCode::NOT_FOUND);

    send(&app, &ada, &ticket, CARS, 3).await;
    let middle = playlists(&app, &ada, &ticket).await;
    assert_eq!(middle[0].segments.len(), early[0].segments.len(), "there is a hole behind them");
    send(&app, &ada, &ticket, CARS, 2).await;
    assert!(playlists(&app, &ada, &ticket).await[0].segments.len() > early[0].segments.len());
    assert_eq!(app.complete(&ada, &ticket).await.status, StatusCode::OK);
    let whole = playlists(&app, &ada, &ticket).await;
    for (whole, early) in whole.iter().zip(&early) {
        assert!(whole.text.contains("#EXT-X-ENDLIST") && whole.text.contains("#EXT-X-PLAYLIST-TYPE:VOD"), "{}", whole.text);
        assert!(whole.segments.len() > early.segments.len());
    }
    let again: Vec<&String> = early.iter().flat_map(|playlist| &playlist.segments).collect();
    for (segment, before) in again.into_iter().zip(&bytes) {
        assert_eq!(&app.get(None, segment).await.body, before, "the same bytes, wherever they are read from: {segment}");
    }
    assert_eq!(app.get(None, &beyond).await.status, StatusCode::OK);
}

#[tokio::test]
async fn tables_at_the_end_are_enough_with_the_beginning() {
    let app = App::start().await;
    let ada = app.somebody("ada@example.com").await;
    let (source, clip) = (app.folder.path().join("source.mp4"), app.folder.path().join("last.mp4"));
    std::fs::write(&source, CARS).expect("written");
    let mut remux = tokio::process::Command::new(&app.state.settings.transcode.ffmpeg);
    let done = remux.args(["-v", "error", "-y", "-i"]).arg(&source).args(["-c", "copy"]).arg(&clip).status().await.expect("ffmpeg runs");
    assert!(done.success());
    let bytes = std::fs::read(&clip).expect("a clip");
    let ticket = begin(&app, &ada, bytes.len()).await;
    send(&app, &ada, &ticket, &bytes, 1).await;
    let status = app.status(&ada, &ticket.video_id.to_string()).await;
    assert_eq!(status["playable"], false, "{status}");
    send(&app, &ada, &ticket, &bytes, ticket.plan.part_count()).await;
    plays(&app, &ada, &ticket).await;
    assert!(!playlists(&app, &ada, &ticket).await[0].segments.is_empty());
}

#[tokio::test]
async fn what_is_given_up_while_it_plays_is_gone() {
    let app = App::start().await;
    let ada = app.somebody("ada@example.com").await;
    let ticket = begin(&app, &ada, CARS.len()).await;
    send(&app, &ada, &ticket, CARS, 1).await;
    plays(&app, &ada, &ticket).await;
    let segment = playlists(&app, &ada, &ticket).await[0].segments[0].clone();
    let answer = app.get(None, &segment).await;
    assert_eq!(answer.status, StatusCode::OK);
    app.state.uploads.abort(ada.user, ticket.upload_id).await.expect("given up");
    for _ in 0..600 {
        if app.get(None, &segment).await.status == StatusCode::NOT_FOUND && files_below(&app.folder.path().join("store")).is_empty() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{:?}", files_below(&app.folder.path().join("store")));
}

#[tokio::test]
async fn an_upload_that_turns_out_not_to_play_is_taken_back() {
    let app = App::start().await;
    let ada = app.somebody("ada@example.com").await;
    let mut bytes = CARS.to_vec();
    // Behind the first part: pictures that are no key frames, whatever the tables say of them.
    bytes[2 * PART..].fill(0x41);
    let ticket = begin(&app, &ada, bytes.len()).await;
    for number in [1, 2] {
        send(&app, &ada, &ticket, &bytes, number).await;
    }
    plays(&app, &ada, &ticket).await;
    send(&app, &ada, &ticket, &bytes, 3).await;
    assert_eq!(app.complete(&ada, &ticket).await.status, StatusCode::OK);
    loop {
        let status = app.status(&ada, &ticket.video_id.to_string()).await;
        if status["playable"] == false {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let stream = app.get(Some(&ada), &format!("/api/stream?videoId={}", ticket.video_id)).await;
    assert_eq!((stream.status, stream.code().as_str()), (StatusCode::CONFLICT, "not_playable"));
}
