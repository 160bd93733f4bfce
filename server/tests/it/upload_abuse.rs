//! Uploads by somebody who means harm: more than was declared, more than the account may store, too many at once, and names that try to be
//! something else.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use axum::{
    body::{Body, Bytes},
    http::{Method, Request, StatusCode, header},
};
use domain::upload::PART_SIZE;
use futures::{SinkExt, StreamExt, channel::mpsc, future::join_all, stream};

use crate::app::{Answer, App, Somebody, files_below, noise};

const JSON: [(&str, &str); 1] = [("content-type", "application/json")];

async fn begin(app: &App, who: &Somebody, size: u64) -> Answer {
    let body = serde_json::json!({ "fileName": "a.mp4", "size": size, "uploadId": uuid::Uuid::new_v4() }).to_string();
    app.ask(Some(who), Method::POST, "/api/v1/uploads", &JSON, body).await
}

/// A form whose file comes in pieces, without a length.
fn form(who: &Somebody, name: &str, pieces: usize, piece: usize) -> Request<Body> {
    let head = format!("--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{name}\"\r\n\r\n");
    let bytes = Bytes::from(noise(piece));
    let pieces = stream::iter((0..pieces).map(move |_| bytes.clone()));
    let body = stream::iter([Bytes::from(head)]).chain(pieces).chain(stream::iter([Bytes::from("\r\n--b--\r\n")]));
    Request::post("/api/upload")
        .header(header::AUTHORIZATION, format!("Bearer {}", who.key))
        .header(header::CONTENT_TYPE, "multipart/form-data; boundary=b")
        .body(Body::from_stream(body.map(Ok::<_, std::io::Error>)))
        .expect("a request")
}

/// Bytes of all files of uploads in the store.
fn stored(app: &App) -> u64 {
    let store = app.folder.path().join("store");
    files_below(&store).iter().map(|file| std::fs::metadata(store.join(file)).map_or(0, |metadata| metadata.len())).sum()
}

#[tokio::test]
async fn a_body_longer_than_declared_is_cut_and_leaves_nothing() {
    let app = App::start().await;
    let ada = app.somebody("ada@example.com").await;
    let ticket = app.begin(&ada, "clip.mp4", 1_000).await;
    let path = ticket.part_url.replace("{number}", "1");
    // Without a length, 100 MB come where a thousand bytes were declared.
    let endless = stream::iter((0..1_600).map(|_| Ok::<_, std::io::Error>(Bytes::from_static(&[7; 65_536]))));
    let answer = app.ask(Some(&ada), Method::PUT, &path, &[("x-millrace-crc32c", "00000000")], Body::from_stream(endless)).await;
    assert_eq!((answer.status, answer.code().as_str()), (StatusCode::UNPROCESSABLE_ENTITY, "part_size_mismatch"));
    assert!(stored(&app) < 10_000, "{} bytes were kept", stored(&app));
    let bytes = noise(1_000);
    assert_eq!(app.put_part(&ada, &ticket, 1, crc32c::crc32c(&bytes), bytes).await.status, StatusCode::OK, "the upload goes on");
    for size in [u64::MAX, u64::MAX / 2, 1 << 62] {
        assert_eq!(begin(&app, &ada, size).await.code(), "too_large", "{size}");
    }
}

/// What the parser of forms looks for, it keeps in memory until it finds it.
#[tokio::test]
async fn a_form_that_never_comes_to_its_file_is_cut() {
    let app = App::start().await;
    let ada = app.somebody("ada@example.com").await;
    let file = "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.mp4\"\r\n\r\n";
    for (what, start) in [
        ("no boundary", String::new()),
        ("headers without an end", "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"".to_owned()),
        ("a field that nobody knows", "--b\r\nContent-Disposition: form-data; name=\"more\"\r\n\r\n".to_owned()),
        ("a field behind the file", format!("{file}tiny\r\n--b\r\nContent-Disposition: form-data; name=\"more\"\r\n\r\n")),
    ] {
        let read = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&read);
        let endless = stream::iter(0..16_000).map(move |_| {
            counted.fetch_add(65_536, Ordering::Relaxed);
            Bytes::from_static(&[b'x'; 65_536])
        });
        let body = stream::iter([Bytes::from(start)]).chain(endless).map(Ok::<_, std::io::Error>);
        let request = Request::post("/api/upload")
            .header(header::AUTHORIZATION, format!("Bearer {}", ada.key))
            .header(header::CONTENT_TYPE, "multipart/form-data; boundary=b")
            .body(Body::from_stream(body))
            .expect("a request");
        let answer = app.send(request).await;
        assert_eq!((answer.status, answer.code().as_str()), (StatusCode::PAYLOAD_TOO_LARGE, "too_large"), "{what}: {}", answer.text());
        assert!(read.load(Ordering::Relaxed) < 4_000_000, "{what}: {} bytes were read", read.load(Ordering::Relaxed));
        assert_eq!(stored(&app), 0, "{what}: something was kept");
    }
    // The file itself counts for nothing there. Its pieces come as they do from a socket: none before the one before was taken.
    let (mut wire, pieces) = mpsc::channel::<std::io::Result<Bytes>>(0);
    let start = Bytes::from(file);
    let sending = tokio::spawn(async move {
        let file = std::iter::repeat_n(Bytes::from_static(&[b'x'; 65_536]), 100);
        for piece in [start].into_iter().chain(file).chain([Bytes::from_static(b"\r\n--b--\r\n")]) {
            wire.send(Ok(piece)).await.expect("somebody reads");
        }
    });
    let (parts, _) = form(&ada, "a.mp4", 0, 0).into_parts();
    let answer = app.send(Request::from_parts(parts, Body::from_stream(pieces))).await;
    assert_eq!(answer.status, StatusCode::ACCEPTED, "{}", answer.text());
    sending.await.expect("all of it was taken");
}

#[tokio::test]
async fn racing_uploads_never_go_over_the_quota() {
    let app = App::with(&[("MILLRACE_UPLOAD_QUOTA_BYTES", "1000000")]).await;
    let (ada, eve) = (app.somebody("ada@example.com").await, app.somebody("eve@example.com").await);
    let answers = join_all((0..10).map(|_| begin(&app, &ada, 300_000))).await;
    let begun = answers.iter().filter(|answer| answer.status == StatusCode::CREATED).count();
    assert_eq!(begun, 3, "{answers:?}");
    let refused = answers.iter().find(|answer| answer.status != StatusCode::CREATED).expect("one was refused");
    assert_eq!((refused.status, refused.code().as_str()), (StatusCode::PAYLOAD_TOO_LARGE, "quota_exceeded"));
    let detail = refused.json()["detail"].as_str().expect("a sentence").to_owned();
    assert!(detail.contains("1.0 MB that you may store") && detail.contains("Delete videos of 200 kB"), "{detail}");
    assert_eq!(begin(&app, &eve, 300_000).await.status, StatusCode::CREATED, "others have a quota of their own");
    // What was refused holds no place in the store: preallocated files of what began, and no other.
    assert_eq!(files_below(&app.folder.path().join("store/incoming")).len(), 2 * 4);

    let first = answers.iter().find(|answer| answer.status == StatusCode::CREATED).expect("one began");
    let path = format!("/api/v1/uploads/{}", first.json()["uploadId"].as_str().expect("an id"));
    assert_eq!(app.ask(Some(&ada), Method::DELETE, &path, &[], Body::empty()).await.status, StatusCode::NO_CONTENT);
    assert_eq!(begin(&app, &ada, 400_000).await.status, StatusCode::CREATED, "deleting makes room");
}

#[tokio::test]
async fn racing_single_requests_never_go_over_the_quota() {
    const QUOTA: u64 = 4_000_000;
    let app = App::with(&[("MILLRACE_UPLOAD_QUOTA_BYTES", "4000000")]).await;
    let ada = app.somebody("ada@example.com").await;
    let answers = join_all((0..10).map(|_| app.send(form(&ada, "a.mp4", 20, 65_536)))).await;
    let taken = answers.iter().filter(|answer| answer.status == StatusCode::ACCEPTED).count() as u64;
    assert!(taken <= QUOTA / (20 * 65_536), "{taken} were taken");
    assert!(answers.iter().all(|answer| answer.status == StatusCode::ACCEPTED || answer.code() == "quota_exceeded"), "{answers:?}");
    assert!(stored(&app) <= QUOTA + PART_SIZE, "{} bytes were kept", stored(&app));
    assert_eq!(stored(&app), taken * 20 * 65_536, "what was refused is gone");
    // What the ten took up while they came is given back.
    let room = QUOTA - stored(&app);
    assert_eq!(begin(&app, &ada, room).await.status, StatusCode::CREATED);
    assert_eq!(app.send(form(&ada, "a.mp4", 1, 10)).await.code(), "quota_exceeded");
}

#[tokio::test]
async fn a_file_that_waits_for_the_end_of_its_form_counts() {
    let app = App::with(&[("MILLRACE_UPLOAD_QUOTA_BYTES", "1000000")]).await;
    let ada = app.somebody("ada@example.com").await;
    let (go_on, held) = futures::channel::oneshot::channel::<()>();
    let head = "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.mp4\"\r\n\r\n";
    let whole = [head.as_bytes(), &noise(900_000), b"\r\n--b\r\nContent-Disposition: form-data; name=\"title\"\r\n\r\n"].concat();
    let rest = stream::once(async move {
        let _ = held.await;
        Bytes::from_static(b"T\r\n--b--\r\n")
    });
    let body = stream::iter([Bytes::from(whole)]).chain(rest).map(Ok::<_, std::io::Error>);
    let request = Request::post("/api/upload")
        .header(header::AUTHORIZATION, format!("Bearer {}", ada.key))
        .header(header::CONTENT_TYPE, "multipart/form-data; boundary=b")
        .body(Body::from_stream(body))
        .expect("a request");
    let slow = app.send(request);
    let meanwhile = async {
        while stored(&app) < 900_000 {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        let refused = begin(&app, &ada, 200_000).await.code();
        let _ = go_on.send(());
        refused
    };
    let (slow, refused) = futures::join!(slow, meanwhile);
    assert_eq!((refused.as_str(), slow.status), ("quota_exceeded", StatusCode::ACCEPTED));
}

#[tokio::test]
async fn an_account_has_only_so_many_uploads_on_their_way() {
    let app = App::with(&[("MILLRACE_UPLOAD_MAX_UNFINISHED", "3")]).await;
    let ada = app.somebody("ada@example.com").await;
    let answers = join_all((0..10).map(|_| begin(&app, &ada, 10))).await;
    let begun: Vec<_> = answers.iter().filter(|answer| answer.status == StatusCode::CREATED).collect();
    assert_eq!(begun.len(), 3);
    let refused = answers.iter().find(|answer| answer.status != StatusCode::CREATED).expect("one was refused");
    assert_eq!((refused.status, refused.code().as_str()), (StatusCode::CONFLICT, "too_many_uploads"));
    let ticket = serde_json::from_slice(&begun[0].body).expect("a ticket");
    let bytes = noise(10);
    assert_eq!(app.put_part(&ada, &ticket, 1, crc32c::crc32c(&bytes), bytes).await.status, StatusCode::OK);
    assert_eq!(app.complete(&ada, &ticket).await.status, StatusCode::OK);
    assert_eq!(begin(&app, &ada, 10).await.status, StatusCode::CREATED, "one that is complete makes room");
}

#[tokio::test]
async fn hostile_names_end_as_keys_and_headers_of_ours() {
    let app = App::start().await;
    let ada = app.somebody("ada@example.com").await;
    let long = "x".repeat(1_024);
    for name in [
        "../../../etc/passwd",
        "..\\..\\windows\\win.ini",
        "/etc/shadow",
        "C:\\a.mp4",
        "-y.mp4",
        "img%03d.png",
        "file:///etc/passwd",
        "concat:a|b.mp4",
        "a\0b.mp4",
        "a\r\nSet-Cookie: x=y.mp4",
        "gnp.\u{202e}4pm.exe",
        "<script>alert(1)</script>.mp4",
        "\"><img src=x onerror=alert(1)>.mp4",
        "#EXTM3U\n#EXT-X-KEY.mp4",
        "%2e%2e%2f%2e%2e%2fx",
        "....//....//x",
        "con",
        "nul.mp4",
        ".",
        "..",
        " ",
        "\u{feff}",
        "a;rm -rf /.mp4",
        "$(id).mp4",
        "`id`.mp4",
        "'; DROP TABLE videos;--",
        "\u{1f4a9}.mp4",
        long.as_str(),
    ] {
        let bytes = noise(64);
        let ticket = app.begin(&ada, name, bytes.len()).await;
        assert_eq!(app.put_part(&ada, &ticket, 1, crc32c::crc32c(&bytes), bytes).await.status, StatusCode::OK, "{name:?}");
        assert_eq!(app.complete(&ada, &ticket).await.status, StatusCode::OK, "{name:?}");
        let video = app.state.videos.get(ada.user, ticket.video_id).await.expect("a video");
        let shown = |letter: char| !letter.is_control() && !matches!(letter, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        assert!(
            !video.title.is_empty() && video.title.chars().count() <= 200 && video.title.chars().all(shown),
            "{name:?}: {:?}",
            video.title
        );
        let answer = app.get(Some(&ada), &format!("/api/v1/playback/{}", video.playback_id)).await;
        assert_eq!(answer.headers[header::CONTENT_TYPE], "application/json", "{name:?}");
        assert!(!answer.headers.contains_key("set-cookie"), "{name:?}");
        let question = format!("/oembed?url={}/watch/{}", app.state.settings.public_url, video.playback_id);
        let embed = app.get(None, &question).await;
        let html = embed.json()["html"].as_str().expect("a frame").to_owned();
        assert!(html.matches('<').count() == 2 && html.matches('"').count() % 2 == 0 && !html.contains("<script"), "{name:?}: {html}");
    }
    // One folder, and every name in it an id that the server made up.
    for file in files_below(&app.folder.path().join("store")) {
        let id = file.strip_prefix("sources/").unwrap_or_else(|| panic!("{file} lies elsewhere"));
        assert!(uuid::Uuid::try_parse(id).is_ok(), "{file}");
    }
    let too_long = serde_json::json!({ "fileName": "x".repeat(1_025), "size": 1 }).to_string();
    assert_eq!(app.ask(Some(&ada), Method::POST, "/api/v1/uploads", &JSON, too_long).await.code(), "invalid_input");
}

#[tokio::test]
async fn json_that_is_deep_or_odd_is_refused() {
    let app = App::start().await;
    let ada = app.somebody("ada@example.com").await;
    let deep = format!("{{\"fileName\":{}1{},\"size\":1}}", "[".repeat(10_000), "]".repeat(10_000));
    let hidden = format!("{{\"fileName\":\"a\",\"size\":1,\"more\":{}1{}}}", "[".repeat(10_000), "]".repeat(10_000));
    for body in [
        deep.as_str(),
        r#"{"fileName":"a","fileName":"b","size":1}"#,
        r#"{"fileName":"a","size":1e400}"#,
        r#"{"fileName":"a","size":-1}"#,
        r#"{"fileName":"a","size":1.5}"#,
        r#"{"fileName":"a","size":18446744073709551616}"#,
        r#"{"fileName":"\ud800","size":1}"#,
        r#"[]"#,
        "null",
        "",
    ] {
        let answer = app.ask(Some(&ada), Method::POST, "/api/v1/uploads", &JSON, body.to_owned()).await;
        assert_eq!((answer.status, answer.code().as_str()), (StatusCode::BAD_REQUEST, "invalid_input"), "{:.60}", body);
    }
    // What is not known is read past, however deep it is, without going as deep.
    let answer = app.ask(Some(&ada), Method::POST, "/api/v1/uploads", &JSON, hidden).await;
    assert!(matches!(answer.status, StatusCode::CREATED | StatusCode::BAD_REQUEST), "{}", answer.status);
    let large = format!("{{\"fileName\":\"{}\",\"size\":1}}", "x".repeat(20_000_000));
    let answer = app.ask(Some(&ada), Method::POST, "/api/v1/uploads", &JSON, large).await;
    assert_eq!((answer.status, answer.code().as_str()), (StatusCode::PAYLOAD_TOO_LARGE, "too_large"));
}
