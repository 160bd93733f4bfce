//! Uploads by tus 1.0: what the protocol demands, that what arrived is kept and counted, and that one sender at a time is listened to.

use std::time::Duration;

use axum::{
    body::{Body, Bytes},
    http::{HeaderMap, Method, StatusCode, header},
};
use base64::{Engine, prelude::BASE64_STANDARD};
use domain::upload::PART_SIZE;
use futures::{SinkExt, StreamExt, channel::mpsc};
use sha1::{Digest, Sha1};

use crate::{
    app::{Answer, App, Somebody, files_below, noise},
    workshop::eventually,
};

const ENDPOINT: &str = "/api/v1/tus";
const RESUMABLE: (&str, &str) = ("tus-resumable", "1.0.0");
const BYTES: (&str, &str) = ("content-type", "application/offset+octet-stream");

/// An upload by one client.
struct Tus<'a> {
    app: &'a App,
    who: &'a Somebody,
    location: String,
    video: String,
}

fn said(headers: &HeaderMap, name: &str) -> String {
    headers.get(name).unwrap_or_else(|| panic!("no {name} in {headers:?}")).to_str().expect("text").to_owned()
}

fn offset(answer: &Answer) -> u64 {
    said(&answer.headers, "upload-offset").parse().expect("a number")
}

impl<'a> Tus<'a> {
    async fn create(app: &'a App, who: &'a Somebody, size: usize) -> Self {
        let (length, name) = (size.to_string(), format!("filename {}", BASE64_STANDARD.encode("clip.mp4")));
        let headers = [RESUMABLE, ("upload-length", length.as_str()), ("upload-metadata", name.as_str())];
        let answer = app.ask(Some(who), Method::POST, ENDPOINT, &headers, Body::empty()).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.text());
        assert_eq!(offset(&answer), 0);
        let (location, video) = (said(&answer.headers, "location"), said(&answer.headers, "millrace-video-id"));
        Self { app, who, location, video }
    }

    async fn ask(&self, method: Method, headers: &[(&str, &str)], body: impl Into<Body>) -> Answer {
        let headers: Vec<_> = headers.iter().copied().chain([RESUMABLE]).collect();
        let answer = self.app.ask(Some(self.who), method, &self.location, &headers, body).await;
        assert_eq!(said(&answer.headers, "tus-resumable"), "1.0.0");
        answer
    }

    async fn head(&self) -> Answer {
        self.ask(Method::HEAD, &[], Body::empty()).await
    }

    async fn patch(&self, at: usize, more: &[(&str, &str)], body: impl Into<Body>) -> Answer {
        let at = at.to_string();
        let headers: Vec<_> = more.iter().copied().chain([BYTES, ("upload-offset", at.as_str())]).collect();
        self.ask(Method::PATCH, &headers, body).await
    }

    fn stored(&self) -> Vec<u8> {
        let upload = self.location.rsplit('/').next().expect("an id");
        std::fs::read(self.app.folder.path().join("store/sources").join(upload)).expect("the source")
    }
}

/// A body that its sender feeds.
fn fed() -> (mpsc::Sender<std::io::Result<Bytes>>, Body) {
    let (sender, receiver) = mpsc::channel(0);
    (sender, Body::from_stream(receiver))
}

#[tokio::test]
async fn a_file_comes_in_pieces_of_any_length_and_the_last_one_completes_it() {
    let app = App::start().await;
    let ada = app.somebody("ada@example.com").await;
    let bytes = noise(2 * PART_SIZE as usize + 12_345);
    let tus = Tus::create(&app, &ada, bytes.len()).await;
    let head = tus.head().await;
    assert_eq!((head.status, offset(&head)), (StatusCode::OK, 0));
    assert_eq!(said(&head.headers, "upload-length"), bytes.len().to_string());
    assert_eq!(head.headers[header::CACHE_CONTROL], "no-store");
    assert!(said(&head.headers, "upload-expires").ends_with(" GMT"));
    // Pieces that end within a part, on its end, behind it, and nowhere.
    let mut at = 0;
    for end in [1, 700_000, 700_000, PART_SIZE as usize, PART_SIZE as usize + 5, bytes.len() - 1] {
        let answer = tus.patch(at, &[], bytes[at..end].to_vec()).await;
        assert_eq!((answer.status, offset(&answer)), (StatusCode::NO_CONTENT, end as u64), "{}", answer.text());
        at = end;
    }
    assert_eq!(app.status(&ada, &tus.video).await["stage"], "uploading");
    eventually("how far it has come is noted", async || app.status(&ada, &tus.video).await["progress"] == 99).await;
    let last = tus.patch(at, &[], bytes[at..].to_vec()).await;
    assert_eq!((last.status, offset(&last)), (StatusCode::NO_CONTENT, bytes.len() as u64), "{}", last.text());
    assert_eq!(said(&last.headers, "millrace-video-id"), tus.video);
    assert_eq!(app.status(&ada, &tus.video).await["stage"], "queued");
    assert!(tus.stored() == bytes);
    assert_eq!(crate::queue::jobs(&app).await, 1);
    // Whoever lost the answer asks, or sends the last bytes again.
    let head = tus.head().await;
    assert_eq!((offset(&head), said(&head.headers, "millrace-video-id")), (bytes.len() as u64, tus.video.clone()));
    assert_eq!(tus.patch(at, &[], bytes[at..].to_vec()).await.status, StatusCode::CONFLICT);
    assert_eq!(tus.patch(bytes.len(), &[], Body::empty()).await.status, StatusCode::NO_CONTENT);
    assert_eq!(tus.patch(bytes.len(), &[], vec![1]).await.code(), "too_large");
    assert_eq!(tus.ask(Method::DELETE, &[], Body::empty()).await.status, StatusCode::CONFLICT, "a video is deleted as one");
    assert_eq!(crate::queue::jobs(&app).await, 1);
    assert!(files_below(&app.folder.path().join("store/incoming")).is_empty());
}

#[tokio::test]
async fn what_the_protocol_forbids_is_refused_as_it_says() {
    let app = App::with(&[("MILLRACE_UPLOAD_MAX_SIZE_BYTES", "100000")]).await;
    let (ada, eve) = (app.somebody("ada@example.com").await, app.somebody("eve@example.com").await);
    let create = async |headers: &[(&str, &str)]| {
        let headers: Vec<_> = headers.iter().copied().chain([RESUMABLE]).collect();
        app.ask(Some(&ada), Method::POST, ENDPOINT, &headers, Body::empty()).await
    };
    for (headers, code) in [
        (&[("upload-length", "100001")][..], "too_large"),
        (&[("upload-length", "0")][..], "empty_file"),
        (&[("upload-length", "-1")][..], "invalid_input"),
        (&[("upload-defer-length", "1")][..], "invalid_input"),
        (&[("upload-length", "10"), ("upload-metadata", "filename !")][..], "invalid_input"),
    ] {
        assert_eq!(create(headers).await.code(), code, "{headers:?}");
    }
    assert!(app.state.videos.page(ada.user, None, None, 10).await.expect("a page").videos.is_empty(), "nothing has begun");

    let tus = Tus::create(&app, &ada, 10).await;
    let wrong = tus.patch(3, &[], vec![0; 5]).await;
    assert_eq!((wrong.status, wrong.code().as_str()), (StatusCode::CONFLICT, "offset_mismatch"));
    let long = tus.patch(0, &[], vec![0; 11]).await;
    assert_eq!((long.status, long.code().as_str()), (StatusCode::PAYLOAD_TOO_LARGE, "too_large"));
    let plain = tus.ask(Method::PATCH, &[("upload-offset", "0")], "x").await;
    assert_eq!((plain.status, plain.code().as_str()), (StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type"));
    assert_eq!(tus.ask(Method::PATCH, &[BYTES], "x").await.code(), "invalid_input");
    let sum = tus.patch(0, &[("upload-checksum", "md5 AAAA")], "x").await;
    assert_eq!((sum.status, sum.code().as_str()), (StatusCode::BAD_REQUEST, "invalid_input"));
    for version in [&[][..], &[("tus-resumable", "0.2.2")][..]] {
        let old = app.ask(Some(&ada), Method::HEAD, &tus.location, version, Body::empty()).await;
        assert_eq!((old.status, said(&old.headers, "tus-version")), (StatusCode::PRECONDITION_FAILED, "1.0.0".to_owned()));
    }
    assert_eq!(offset(&tus.head().await), 0, "nothing of that was kept");
    // Another's is not there.
    for method in [Method::HEAD, Method::PATCH, Method::DELETE] {
        let headers = [RESUMABLE, BYTES, ("upload-offset", "0")];
        assert_eq!(
            app.ask(Some(&eve), method.clone(), &tus.location, &headers, Body::empty()).await.status,
            StatusCode::NOT_FOUND,
            "{method}"
        );
    }
    assert_eq!(app.ask(Some(&ada), Method::GET, &tus.location, &[RESUMABLE], Body::empty()).await.status, StatusCode::METHOD_NOT_ALLOWED);
}

#[tokio::test]
async fn options_say_what_there_is() {
    let app = App::with(&[("MILLRACE_UPLOAD_MAX_SIZE_BYTES", "12345")]).await;
    let answer = app.ask(None, Method::OPTIONS, ENDPOINT, &[], Body::empty()).await;
    assert_eq!(answer.status, StatusCode::NO_CONTENT);
    for (name, value) in [
        ("tus-resumable", "1.0.0"),
        ("tus-version", "1.0.0"),
        ("tus-extension", "creation,creation-with-upload,checksum,termination,expiration"),
        ("tus-max-size", "12345"),
        ("tus-checksum-algorithm", "sha1,sha256,crc32c"),
    ] {
        assert_eq!(said(&answer.headers, name), value);
    }
    assert!(!answer.headers.contains_key(header::ACCESS_CONTROL_ALLOW_ORIGIN), "other sites have no business here");
}

#[tokio::test]
async fn a_checksum_decides_whether_anything_of_a_piece_is_kept() {
    let app = App::start().await;
    let ada = app.somebody("ada@example.com").await;
    let bytes = noise(PART_SIZE as usize + 1_000_000);
    let tus = Tus::create(&app, &ada, bytes.len()).await;
    let sum = |bytes: &[u8]| format!("sha1 {}", BASE64_STANDARD.encode(Sha1::digest(bytes)));
    let (first, rest) = bytes.split_at(PART_SIZE as usize + 5);
    let wrong = tus.patch(0, &[("upload-checksum", &sum(rest))], first.to_vec()).await;
    assert_eq!((wrong.status.as_u16(), wrong.code().as_str()), (460, "piece_mismatch"));
    assert_eq!(offset(&tus.head().await), 0);
    // One that breaks off cannot be checked.
    let (mut sender, body) = fed();
    let feeding = tokio::spawn({
        let bytes = Bytes::copy_from_slice(first);
        async move {
            sender.send(Ok(bytes)).await.expect("read");
            sender.send(Err(std::io::Error::other("gone"))).await.expect("read");
        }
    });
    assert!(!tus.patch(0, &[("upload-checksum", &sum(first))], body).await.status.is_success());
    feeding.await.expect("fed");
    assert_eq!(offset(&tus.head().await), 0);
    let right = tus.patch(0, &[("upload-checksum", &sum(first))], first.to_vec()).await;
    assert_eq!(offset(&right), first.len() as u64);
    let crc = format!("crc32c {}", BASE64_STANDARD.encode(crc32c::crc32c(rest).to_be_bytes()));
    assert_eq!(tus.patch(first.len(), &[("upload-checksum", &crc)], rest.to_vec()).await.status, StatusCode::NO_CONTENT);
    assert!(tus.stored() == bytes);
}

#[tokio::test]
async fn a_body_cut_in_the_middle_keeps_what_arrived_and_a_restart_too() {
    let app = App::start().await;
    let ada = app.somebody("ada@example.com").await;
    let bytes = noise(PART_SIZE as usize + 300_000);
    let tus = Tus::create(&app, &ada, bytes.len()).await;
    let (mut sender, body) = fed();
    let middle = PART_SIZE as usize + 100_000;
    let feeding = tokio::spawn({
        let bytes = Bytes::copy_from_slice(&bytes[..middle]);
        async move {
            sender.send(Ok(bytes)).await.expect("read");
            sender.send(Err(std::io::Error::other("gone"))).await.expect("read");
        }
    });
    let cut = tus.patch(0, &[], body).await;
    assert_eq!(cut.status, StatusCode::LOCKED);
    feeding.await.expect("fed");
    let other = app.other_process().await;
    let there = Tus { app: &other, who: &ada, location: tus.location.clone(), video: tus.video.clone() };
    assert_eq!(offset(&there.head().await), middle as u64);
    assert_eq!(there.patch(middle, &[], bytes[middle..].to_vec()).await.status, StatusCode::NO_CONTENT);
    assert!(tus.stored() == bytes);
    let head = tus.head().await;
    assert_eq!((head.status, offset(&head)), (StatusCode::OK, bytes.len() as u64));
}

#[tokio::test]
async fn whoever_asks_where_it_stands_stops_a_sender_that_stalls() {
    let app = App::start().await;
    let ada = app.somebody("ada@example.com").await;
    let bytes = noise(600_000);
    let tus = Tus::create(&app, &ada, bytes.len()).await;
    for stopped_by_asking in [true, false] {
        let from = offset(&tus.head().await) as usize;
        let (mut sender, body) = fed();
        let stalled = tus.patch(from, &[], body);
        let newcomer = async {
            // Taken out of the channel: read by the server.
            sender.send(Ok(Bytes::copy_from_slice(&bytes[from..from + 100_000]))).await.expect("read");
            sender.feed(Ok(Bytes::copy_from_slice(&bytes[from + 100_000..from + 150_000]))).await.expect("read");
            if stopped_by_asking {
                let now = offset(&tus.head().await) as usize;
                assert!(now == from + 100_000 || now == from + 150_000, "{now}");
            } else {
                // Who goes on from where the holder began is told to look again, since the holder's bytes are kept.
                let answer = tus.patch(from, &[], bytes[from..].to_vec()).await;
                assert_eq!(answer.code(), "offset_mismatch");
            }
        };
        let (held, ()) = futures::join!(stalled, newcomer);
        assert_eq!((held.status, held.code().as_str()), (StatusCode::LOCKED, "locked"));
    }
    let from = offset(&tus.head().await) as usize;
    assert!(from >= 200_000);
    assert_eq!(tus.patch(from, &[], bytes[from..].to_vec()).await.status, StatusCode::NO_CONTENT);
    assert!(tus.stored() == bytes);
}

#[tokio::test]
async fn of_eight_who_send_the_same_bytes_at_once_the_file_comes_out_right() {
    let app = App::start().await;
    let ada = app.somebody("ada@example.com").await;
    let bytes = noise(900_000);
    let tus = Tus::create(&app, &ada, bytes.len()).await;
    let senders = (0..8).map(|_| async {
        loop {
            let head = tus.head().await;
            assert_eq!(head.status, StatusCode::OK);
            let from = offset(&head) as usize;
            if from == bytes.len() {
                return;
            }
            let end = (from + 100_000).min(bytes.len());
            let pieces: Vec<_> =
                bytes[from..end].chunks(10_000).map(|piece| Ok::<_, std::io::Error>(Bytes::copy_from_slice(piece))).collect();
            let slowly = futures::stream::iter(pieces).then(|piece| async move {
                tokio::task::yield_now().await;
                piece
            });
            let answer = tus.patch(from, &[], Body::from_stream(slowly)).await;
            assert!(matches!(answer.status.as_u16(), 204 | 409 | 423), "{}", answer.text());
            tokio::time::sleep(Duration::from_millis(rand::random_range(0..20))).await;
        }
    });
    futures::future::join_all(senders).await;
    assert!(tus.stored() == bytes);
    assert_eq!(crate::queue::jobs(&app).await, 1);
}

#[tokio::test]
async fn an_upload_goes_on_the_way_it_was_begun() {
    let app = App::start().await;
    let ada = app.somebody("ada@example.com").await;
    let bytes = noise(1_000);
    let tus = Tus::create(&app, &ada, bytes.len()).await;
    let upload = tus.location.rsplit('/').next().expect("an id");
    assert_eq!(app.get(Some(&ada), "/api/v1/uploads").await.json()["uploads"], serde_json::json!([]), "nothing that parts go on with");
    let ticket = app.get(Some(&ada), &format!("/api/v1/uploads/{upload}")).await;
    let ticket = serde_json::from_slice(&ticket.body).expect("a ticket");
    let part = app.put_part(&ada, &ticket, 1, crc32c::crc32c(&bytes), bytes.clone()).await;
    assert_eq!((part.status, part.code().as_str()), (StatusCode::CONFLICT, "conflict"));
    assert_eq!(tus.patch(0, &[], bytes.clone()).await.status, StatusCode::NO_CONTENT);
    assert!(tus.stored() == bytes);

    let parts = app.begin(&ada, "clip.mp4", bytes.len()).await;
    let wrong = Tus { app: &app, who: &ada, location: format!("{ENDPOINT}/{}", parts.upload_id), video: String::new() };
    assert_eq!(wrong.head().await.status, StatusCode::CONFLICT);
    assert_eq!(wrong.patch(0, &[], bytes.clone()).await.code(), "conflict");
    assert_eq!(app.put_part(&ada, &parts, 1, crc32c::crc32c(&bytes), bytes).await.status, StatusCode::OK);
}

#[tokio::test]
async fn the_first_bytes_may_come_with_the_beginning_and_all_of_it_in_disguise() {
    let app = App::start().await;
    let ada = app.somebody("ada@example.com").await;
    let bytes = noise(5_000);
    let length = bytes.len().to_string();
    let headers = [RESUMABLE, BYTES, ("upload-length", length.as_str())];
    let begun = app.ask(Some(&ada), Method::POST, ENDPOINT, &headers, bytes[..2_000].to_vec()).await;
    assert_eq!((begun.status, offset(&begun)), (StatusCode::CREATED, 2_000), "{}", begun.text());
    let tus = Tus { app: &app, who: &ada, location: said(&begun.headers, "location"), video: said(&begun.headers, "millrace-video-id") };
    let disguised = [("x-http-method-override", "PATCH"), BYTES, ("upload-offset", "2000")];
    assert_eq!(tus.ask(Method::POST, &disguised, bytes[2_000..4_000].to_vec()).await.status, StatusCode::NO_CONTENT);
    assert_eq!(offset(&tus.ask(Method::POST, &[("x-http-method-override", "head")], Body::empty()).await), 4_000);
    assert_eq!(tus.patch(4_000, &[], bytes[4_000..].to_vec()).await.status, StatusCode::NO_CONTENT);
    assert!(tus.stored() == bytes);
    let whole = app.ask(Some(&ada), Method::POST, ENDPOINT, &headers, bytes.clone()).await;
    assert_eq!((whole.status, offset(&whole)), (StatusCode::CREATED, 5_000));
    assert_eq!(app.status(&ada, &said(&whole.headers, "millrace-video-id")).await["stage"], "queued");
}

#[tokio::test]
async fn terminated_and_expired_uploads_leave_nothing() {
    let app = App::with(&[("MILLRACE_UPLOAD_UNFINISHED_DAYS", "1")]).await;
    let ada = app.somebody("ada@example.com").await;
    let tus = Tus::create(&app, &ada, 1_000_000).await;
    tus.patch(0, &[], noise(500_000)).await;
    assert_eq!(tus.ask(Method::DELETE, &[], Body::empty()).await.status, StatusCode::NO_CONTENT);
    assert_eq!(tus.head().await.status, StatusCode::NOT_FOUND);
    assert_eq!(tus.patch(500_000, &[], noise(1)).await.status, StatusCode::NOT_FOUND);
    assert_eq!(app.get(Some(&ada), &format!("/api/status?videoId={}", tus.video)).await.status, StatusCode::NOT_FOUND);
    // Whoever gives it up waits a moment for the bytes; where the disk takes longer, they go on going.
    eventually("nothing unfinished is left", async || files_below(&app.folder.path().join("store/incoming")).is_empty()).await;
}

#[tokio::test]
async fn an_upload_whose_completion_was_interrupted_is_completed_when_somebody_asks() {
    let app = App::start().await;
    let ada = app.somebody("ada@example.com").await;
    let bytes = noise(1_000);
    let tus = Tus::create(&app, &ada, bytes.len()).await;
    // All bytes and one too many: they are safe, and the request fails before it completes anything.
    let too_many =
        Body::from_stream(futures::stream::iter([bytes.clone(), vec![0]].map(|piece| Ok::<_, std::io::Error>(Bytes::from(piece)))));
    assert_eq!(tus.patch(0, &[], too_many).await.code(), "too_large");
    assert_eq!(app.status(&ada, &tus.video).await["stage"], "uploading");
    assert_eq!(offset(&tus.head().await), bytes.len() as u64);
    assert_eq!(app.status(&ada, &tus.video).await["stage"], "queued");
    assert!(tus.stored() == bytes);
}
