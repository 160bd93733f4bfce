//! Files that come as fast as a socket takes them, by connections that are driven in a lane: whatever happens to such a body, what is kept of it is what
//! is kept of any other.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use axum::{
    http::{Method, StatusCode},
    middleware,
};
use sea_orm::{ActiveValue::Set, EntityTrait};
use server::{
    clock::now_ms,
    db::entity::{holds, uploads},
    http::{body_limits, connections},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use uuid::Uuid;

use crate::{
    app::{App, Somebody, noise},
    workshop::eventually,
};

const TUS: (&str, &str) = ("tus-resumable", "1.0.0");

async fn serve(app: &App) -> SocketAddr {
    let bounded = middleware::from_fn_with_state(app.state.clone(), body_limits::limit);
    let (router, limits) = (app.router.clone().layer(bounded), app.state.settings.http.clone());
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move { connections::serve(listener, router, &limits, std::future::pending()).await });
    address
}

/// One connection of somebody's.
struct Line<'a> {
    stream: TcpStream,
    who: &'a Somebody,
}

impl<'a> Line<'a> {
    async fn to(address: SocketAddr, who: &'a Somebody) -> Self {
        Self { stream: TcpStream::connect(address).await.expect("a connection"), who }
    }

    async fn begin(&mut self, method: &str, path: &str, headers: &[(&str, &str)], length: usize) {
        let mut head =
            format!("{method} {path} HTTP/1.1\r\nhost: x\r\ncontent-length: {length}\r\nauthorization: Bearer {}\r\n", self.who.key);
        headers.iter().for_each(|(name, value)| head.push_str(&format!("{name}: {value}\r\n")));
        self.stream.write_all(format!("{head}\r\n").as_bytes()).await.expect("it writes");
    }

    /// The status of the next answer, which is read to its end.
    async fn status(&mut self) -> u16 {
        let (mut text, mut piece) = (String::new(), [0; 4_096]);
        loop {
            if let Some((head, body)) = text.split_once("\r\n\r\n") {
                let head = head.to_ascii_lowercase();
                let length = head.split("content-length: ").nth(1).and_then(|rest| rest.lines().next()?.parse().ok()).unwrap_or(0);
                if body.len() >= length {
                    return head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
                }
            }
            let read = self.stream.read(&mut piece).await.expect("it reads");
            assert_ne!(read, 0, "it ended after {text}");
            text.push_str(&String::from_utf8_lossy(&piece[..read]));
        }
    }

    async fn part(&mut self, path: &str, crc32c: u32, bytes: &[u8], pause_at: Option<usize>) -> u16 {
        self.begin("PUT", path, &[("x-millrace-crc32c", &format!("{crc32c:08x}"))], bytes.len()).await;
        let (first, rest) = bytes.split_at(pause_at.unwrap_or_default());
        self.stream.write_all(first).await.expect("it writes");
        if pause_at.is_some() {
            // Longer than anybody waits for a fast sender.
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
        self.stream.write_all(rest).await.expect("it writes");
        self.status().await
    }
}

#[tokio::test]
async fn parts_follow_one_another_on_one_connection_with_a_pause_and_a_wrong_one_among_them() {
    let app = App::start().await;
    let (ada, address) = (app.somebody("ada@example.com").await, serve(&app).await);
    let bytes = noise(3 * 8 * 1024 * 1024 + 77);
    let ticket = app.begin(&ada, "fast.mp4", bytes.len()).await;
    let mut line = Line::to(address, &ada).await;
    for number in 1..=ticket.plan.part_count() {
        let (offset, length) = ticket.plan.part_range(number).expect("a part of the plan");
        let part = &bytes[offset as usize..(offset + length) as usize];
        let (path, sum) = (ticket.part_url.replace("{number}", &number.to_string()), crc32c::crc32c(part));
        if number == 3 {
            assert_eq!(line.part(&path, sum ^ 1, part, None).await, 422, "other bytes than were announced");
        }
        assert_eq!(line.part(&path, sum, part, (number == 2).then_some(5_000_000)).await, 200, "part {number}");
        assert_eq!(line.part(&path, sum, part, None).await, 200, "part {number} once more");
    }
    assert_eq!(app.complete(&ada, &ticket).await.status, StatusCode::OK);
    let stored = std::fs::read(app.folder.path().join("store/sources").join(ticket.upload_id.to_string())).expect("the source");
    assert!(stored == bytes);
}

/// One piece of an upload by tus.
async fn append(line: &mut Line<'_>, location: &str, offset: usize, piece: &[u8]) -> u16 {
    let headers = [TUS, ("content-type", "application/offset+octet-stream"), ("upload-offset", &offset.to_string())];
    line.begin("PATCH", location, &headers, piece.len()).await;
    line.stream.write_all(piece).await.expect("it writes");
    line.status().await
}

async fn begin_tus(app: &App, who: &Somebody, length: usize) -> String {
    let begun = app.ask(Some(who), Method::POST, "/api/v1/tus", &[TUS, ("upload-length", &length.to_string())], "").await;
    begun.headers["location"].to_str().expect("text").to_owned()
}

#[tokio::test]
async fn pieces_that_follow_one_another_at_once_ask_no_database() {
    let piece = noise(1_000);
    for tries_left in (0..10).rev() {
        let app = App::start().await;
        let (ada, address) = (app.somebody("ada@example.com").await, serve(&app).await);
        let location = begin_tus(&app, &ada, 4 * piece.len()).await;
        let (mut line, mut other) = (Line::to(address, &ada).await, Line::to(address, &ada).await);
        let began = Instant::now();
        assert_eq!(append(&mut line, &location, 0, &piece).await, 204);
        app.db.clone().close().await.expect("closed");
        let second = append(&mut line, &location, 1_000, &piece).await;
        if began.elapsed() > Duration::from_millis(900) && tries_left > 0 {
            // A machine that takes so long has other things to do: it may have been too late.
            continue;
        }
        assert_eq!(second, 204, "what was known a moment ago");
        assert!(append(&mut other, &location, 2_000, &piece).await >= 500, "whoever comes by another connection is looked up");
        tokio::time::sleep(Duration::from_millis(1_100)).await;
        assert!(append(&mut line, &location, 2_000, &piece).await >= 500, "the moment is over");
        return;
    }
}

#[tokio::test]
async fn a_revoked_key_completes_nothing() {
    let app = App::start().await;
    let (ada, address) = (app.somebody("ada@example.com").await, serve(&app).await);
    let piece = noise(1_000);
    let location = begin_tus(&app, &ada, 2 * piece.len()).await;
    let mut line = Line::to(address, &ada).await;
    assert_eq!(append(&mut line, &location, 0, &piece).await, 204);
    let keys = app.state.api_keys.list(ada.user).await.expect("listed");
    app.state.api_keys.revoke(ada.user, keys[0].id).await.expect("revoked");
    assert_eq!(append(&mut line, &location, 1_000, &piece).await, 401, "the last piece would complete it");
    let upload = uploads::Entity::find().one(&app.db).await.expect("read").expect("there");
    assert!(!upload.complete);
}

#[tokio::test]
async fn what_is_given_up_takes_no_piece_and_a_revoked_key_sends_none_for_longer_than_a_moment() {
    let app = App::start().await;
    let (ada, address) = (app.somebody("ada@example.com").await, serve(&app).await);
    let bytes = noise(2 * 8 * 1024 * 1024);
    let (first, second) = (app.begin(&ada, "first.mp4", bytes.len()).await, app.begin(&ada, "second.mp4", bytes.len()).await);
    let mut line = Line::to(address, &ada).await;
    let part = async |line: &mut Line<'_>, url: &str, number: u32| {
        let part = &bytes[(number as usize - 1) * 8 * 1024 * 1024..][..8 * 1024 * 1024];
        line.part(&url.replace("{number}", &number.to_string()), crc32c::crc32c(part), part, None).await
    };
    // What is refused is refused before its bytes come.
    let refused = async |line: &mut Line<'_>, url: &str| {
        line.begin("PUT", &url.replace("{number}", "2"), &[("x-millrace-crc32c", "00000000")], 8 * 1024 * 1024).await;
        line.status().await
    };
    // A backup is being made: what is given up stays in the store for now, so that it is not the store that says no.
    let backup = holds::ActiveModel { id: Set(Uuid::now_v7()), until_ms: Set(now_ms() + 60_000) };
    holds::Entity::insert(backup).exec_without_returning(&app.db).await.expect("written");
    assert_eq!(part(&mut line, &first.part_url, 1).await, 200);
    let given_up = app.ask(Some(&ada), Method::DELETE, &format!("/api/v1/uploads/{}", first.upload_id), &[], "").await;
    assert_eq!(given_up.status, StatusCode::NO_CONTENT);
    assert_eq!(refused(&mut line, &first.part_url).await, 404, "it is gone at once");

    let mut line = Line::to(address, &ada).await;
    assert_eq!(part(&mut line, &second.part_url, 1).await, 200);
    let keys = app.state.api_keys.list(ada.user).await.expect("listed");
    app.state.api_keys.revoke(ada.user, keys[0].id).await.expect("revoked");
    assert_eq!(app.complete(&ada, &second).await.status, StatusCode::UNAUTHORIZED, "nothing else is done by it");
    assert_eq!(refused(&mut Line::to(address, &ada).await, &second.part_url).await, 401);
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    assert_eq!(refused(&mut line, &second.part_url).await, 401);
}

#[tokio::test]
async fn what_arrived_of_a_body_that_broke_off_is_kept_and_gone_on_from() {
    let app = App::start().await;
    let (ada, address) = (app.somebody("ada@example.com").await, serve(&app).await);
    let bytes = noise(20_000_000);
    let length = bytes.len().to_string();
    let begun = app.ask(Some(&ada), Method::POST, "/api/v1/tus", &[TUS, ("upload-length", &length)], "").await;
    let said = |name: &str| begun.headers[name].to_str().expect("text").to_owned();
    let (location, video) = (said("location"), said("millrace-video-id"));
    let offset = async || {
        let head = app.ask(Some(&ada), Method::HEAD, &location, &[TUS], "").await;
        head.headers["upload-offset"].to_str().expect("text").parse::<usize>().expect("a number")
    };
    let kind = ("content-type", "application/offset+octet-stream");
    let mut line = Line::to(address, &ada).await;
    line.begin("PATCH", &location, &[TUS, kind, ("upload-offset", "0")], bytes.len()).await;
    line.stream.write_all(&bytes[..9_000_000]).await.expect("it writes");
    line.stream.shutdown().await.expect("it ends");
    // Asking where it stands would stop whoever still sends.
    eventually("a part of it is safe", async || app.status(&ada, &video).await["progress"].as_u64() > Some(0)).await;
    let at = offset().await;
    assert!((8 * 1024 * 1024..=9_000_000).contains(&at), "{at}");
    let mut line = Line::to(address, &ada).await;
    line.begin("PATCH", &location, &[TUS, kind, ("upload-offset", &at.to_string())], bytes.len() - at).await;
    line.stream.write_all(&bytes[at..]).await.expect("it writes");
    assert_eq!(line.status().await, 204);
    let stored = app.folder.path().join("store/sources").join(location.rsplit('/').next().expect("an id"));
    assert!(std::fs::read(stored).expect("the source") == bytes);
}

#[tokio::test]
async fn whatever_follows_a_fast_body_on_its_connection_is_answered() {
    let app = App::start().await;
    let (ada, address) = (app.somebody("ada@example.com").await, serve(&app).await);
    let bytes = noise(4 * 8 * 1024 * 1024 + 5);
    let ticket = app.begin(&ada, "fast.mp4", bytes.len()).await;
    let part = |number: u32| {
        let (offset, length) = ticket.plan.part_range(number).expect("a part of the plan");
        let bytes = &bytes[offset as usize..(offset + length) as usize];
        (ticket.part_url.replace("{number}", &number.to_string()), format!("{:08x}", crc32c::crc32c(bytes)), bytes)
    };
    let mut line = Line::to(address, &ada).await;
    let upload = format!("/api/v1/uploads/{}", ticket.upload_id);
    for number in 1..=2 {
        let (path, _, bytes) = part(number);
        let sum = crc32c::crc32c(bytes);
        assert_eq!(line.part(&path, sum, bytes, None).await, 200);
        // No body, at once.
        line.begin("GET", &upload, &[], 0).await;
        assert_eq!(line.status().await, 200);
        assert_eq!(line.part(&path, sum, bytes, None).await, 200, "once more");
        // A body that nobody wants: it is not read to its end, so the connection may end as well.
        line.begin("PUT", &path, &[("x-millrace-crc32c", "wrong")], 5).await;
        line.stream.write_all(b"12345").await.expect("it writes");
        assert_eq!(line.status().await, 400);
        line = Line::to(address, &ada).await;
        assert_eq!(line.part(&path, sum, bytes, None).await, 200, "and on another connection");
    }
    // A head in two halves, then a body that waits to be asked for.
    let (path, sum, bytes) = part(3);
    let key = &ada.key;
    line.stream.write_all(format!("PUT {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bea").as_bytes()).await.expect("it writes");
    tokio::time::sleep(Duration::from_millis(100)).await;
    let rest = format!("rer {key}\r\nx-millrace-crc32c: {sum}\r\ncontent-length: {}\r\nexpect: 100-continue\r\n\r\n", bytes.len());
    line.stream.write_all(rest.as_bytes()).await.expect("it writes");
    assert_eq!(line.status().await, 100);
    line.stream.write_all(bytes).await.expect("it writes");
    assert_eq!(line.status().await, 200);
    // Two requests at once: the second is there before the first is answered.
    let ((path, sum, bytes), (last, last_sum, last_bytes)) = (part(4), part(5));
    line.begin("PUT", &path, &[("x-millrace-crc32c", &sum)], bytes.len()).await;
    line.stream.write_all(bytes).await.expect("it writes");
    line.begin("PUT", &last, &[("x-millrace-crc32c", &last_sum)], last_bytes.len()).await;
    line.stream.write_all(last_bytes).await.expect("it writes");
    let (mut answers, mut piece) = (String::new(), [0; 4_096]);
    while answers.matches("HTTP/1.1 200 OK").count() < 2 {
        let read = line.stream.read(&mut piece).await.expect("it reads");
        assert_ne!(read, 0, "it ended after {answers}");
        answers.push_str(&String::from_utf8_lossy(&piece[..read]));
    }
    assert_eq!(app.complete(&ada, &ticket).await.status, StatusCode::OK);
}
