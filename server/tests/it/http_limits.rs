//! What requests may cost and what their answers say to browsers, on real sockets: slow and large bodies, slow and large headers, too many
//! requests, proxies that are believed, and the headers of every kind of answer.

use std::{io::ErrorKind, net::SocketAddr, time::Duration};

use axum::{Router, body::Body, http::Method, middleware};
use server::http::{
    AppState, api_routes, body_limits, connections,
    headers::{self, Headers},
    public_routes, rate_limits, session,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::oneshot,
};

use crate::{
    app::{App, Somebody, noise},
    plain_http,
};

/// A server behind a socket, with all that stands before its handlers.
struct Site {
    app: App,
    address: SocketAddr,
    _stop: oneshot::Sender<()>,
}

impl Site {
    async fn start(settings: &[(&str, &str)]) -> Self {
        let mut app = App::with(settings).await;
        app.router = protected(&app);
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let (stop, stopped) = oneshot::channel::<()>();
        let (router, limits) = (app.router.clone(), app.state.settings.http.clone());
        tokio::spawn(async move {
            let _ = tokio::time::timeout(
                Duration::from_secs(240),
                connections::serve(listener, router, &limits, async {
                    let _ = stopped.await;
                }),
            )
            .await;
        });
        Self { app, address, _stop: stop }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// The beginning of a request, and then nothing.
    async fn begin(&self, head: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).await.expect("a connection");
        stream.write_all(head.as_bytes()).await.expect("the head is taken");
        stream
    }
}

/// The layers as the binary has them.
fn protected(app: &App) -> Router {
    let state = app.state.clone();
    api_routes::<AppState>()
        .layer(middleware::from_fn_with_state(state.clone(), rate_limits::limit))
        .layer(session::layer(app.db.clone(), &state.settings))
        .merge(public_routes())
        .layer(middleware::from_fn_with_state(state.clone(), body_limits::limit))
        .layer(middleware::from_fn_with_state(Headers::of(&state), headers::secure))
        .with_state(state)
}

/// What comes until the server hangs up; nothing if it does not.
async fn last_words(mut stream: TcpStream, patience: Duration) -> Option<String> {
    let mut answer = Vec::new();
    match tokio::time::timeout(patience, stream.read_to_end(&mut answer)).await {
        // A reset is an end as well: bytes of ours were under way.
        Ok(_) => Some(String::from_utf8_lossy(&answer).into_owned()),
        Err(_) => None,
    }
}

fn json<'a>(who: &'a str, more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    [("authorization", who), ("content-type", "application/json")].into_iter().chain(more.iter().copied()).collect()
}

fn bearer(who: &Somebody) -> String {
    format!("Bearer {}", who.key)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_slow_bodies_are_cut_while_uploads_go_on() {
    let site = Site::start(&[("MILLRACE_HTTP_UPLOAD_IDLE_SECONDS", "40"), ("MILLRACE_HTTP_BODY_SECONDS", "40")]).await;
    let ada = site.app.somebody("ada@example.com").await;
    let mut held = Vec::new();
    for number in 0..1_000 {
        let (path, kind, length) = if number % 2 == 0 {
            ("/api/upload", "multipart/form-data; boundary=b", 8_000_000)
        } else {
            ("/api/v1/uploads", "application/json", 40)
        };
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: x\r\nauthorization: {}\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\n\r\n-",
            bearer(&ada)
        );
        held.push(site.begin(&head).await);
    }
    let (token, bytes) = (bearer(&ada), noise(100_000));
    let body = format!("{{\"fileName\":\"fast.mp4\",\"size\":{}}}", bytes.len());
    let begun = plain_http::send("POST", &site.url("/api/v1/uploads"), &json(&token, &[]), body.as_bytes()).await;
    assert_eq!(begun.status, 201, "{}", String::from_utf8_lossy(&begun.body));
    let ticket: serde_json::Value = serde_json::from_slice(&begun.body).expect("a ticket");
    let path = ticket["partUrl"].as_str().expect("a URL").replace("{number}", "1");
    let crc = format!("{:08x}", crc32c::crc32c(&bytes));
    let stored = plain_http::send("PUT", &site.url(&path), &json(&token, &[("x-millrace-crc32c", &crc)]), &bytes).await;
    assert_eq!(stored.status, 200, "{}", String::from_utf8_lossy(&stored.body));
    // It did not wait for them: they are there still. `make bench-slow-clients` says how long it took, beside the real binary.
    let there = held.iter().filter(|stream| stream.try_read(&mut [0]).is_err_and(|error| error.kind() == ErrorKind::WouldBlock)).count();
    assert!(there >= 900, "only {there} slow bodies were left when the upload was through");

    let ends = futures::future::join_all(held.into_iter().map(|stream| last_words(stream, Duration::from_secs(180)))).await;
    assert_eq!(ends.iter().filter(|end| end.is_none()).count(), 0, "connections that go on for ever");
    let told = ends.iter().flatten().filter(|end| end.starts_with("HTTP/1.1 408") && end.contains("too_slow")).count();
    assert_eq!(told, 1_000, "{:?}", ends.iter().flatten().find(|end| !end.starts_with("HTTP/1.1 408")));
}

#[tokio::test]
async fn headers_have_their_time_and_their_size() {
    let site = Site::start(&[("MILLRACE_HTTP_HEADER_SECONDS", "4")]).await;
    for head in ["", "GET /healthz HTTP/1.1\r\nhost: x\r\n"] {
        let stream = site.begin(head).await;
        assert!(last_words(stream, Duration::from_secs(60)).await.is_some(), "held for ever");
    }
    let large = "a".repeat(40_000);
    for lines in [format!("x-large: {large}\r\n"), "x-many: 1\r\n".repeat(150)] {
        let stream = site.begin(&format!("GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{lines}\r\n")).await;
        let answer = last_words(stream, Duration::from_secs(60)).await.expect("an answer");
        assert!(answer.starts_with("HTTP/1.1 431"), "{answer}");
    }
    let stream = site.begin("GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
    assert!(last_words(stream, Duration::from_secs(60)).await.expect("an answer").starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn json_is_small_and_flat() {
    let site = Site::start(&[]).await;
    let ada = site.app.somebody("ada@example.com").await;
    let token = bearer(&ada);
    let url = site.url("/api/v1/uploads");
    let ask = async |body: String| {
        let answer = plain_http::send("POST", &url, &json(&token, &[]), body.as_bytes()).await;
        let problem: serde_json::Value = serde_json::from_slice(&answer.body).expect("a problem");
        assert_eq!(answer.header("content-type"), Some("application/problem+json"));
        let leaks = String::from_utf8_lossy(&answer.body).to_lowercase();
        assert!(!["select ", "/src/", "panicked", "sqlx", ".rs:"].iter().any(|word| leaks.contains(word)), "{leaks}");
        (answer.status, problem["code"].as_str().expect("a code").to_owned())
    };
    let refused = |status: u16, code: &str| (status, code.to_owned());
    let name = "a".repeat(300_000);
    assert_eq!(ask(format!("{{\"fileName\":\"{name}\",\"size\":1}}")).await, refused(413, "too_large"));
    let deep = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    assert_eq!(ask(format!("{{\"fileName\":\"a\",\"size\":1,\"x\":{}}}", deep(10_000))).await, refused(400, "invalid_input"));
    assert_eq!(ask("{\"fileName\":\"a\",\"size\":1,\"size\":2}".to_owned()).await, refused(400, "invalid_input"));

    // Announced, it is refused before a byte of it has come; in pieces of unknown number, where it grows too long.
    let head = |more: &str| {
        format!("POST /api/v1/uploads HTTP/1.1\r\nhost: x\r\nauthorization: {token}\r\ncontent-type: application/json\r\n{more}\r\n\r\n")
    };
    let announced = site.begin(&head("content-length: 100000000")).await;
    let answer = last_words(announced, Duration::from_secs(60)).await.expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
    let mut pieces = site.begin(&head("transfer-encoding: chunked")).await;
    let piece = format!("10000\r\n{}\r\n", " ".repeat(0x10000));
    for _ in 0..8 {
        if pieces.write_all(piece.as_bytes()).await.is_err() {
            break;
        }
    }
    let answer = last_words(pieces, Duration::from_secs(60)).await.expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 413") || answer.is_empty(), "{answer}");
}

#[tokio::test]
async fn who_asks_too_much_waits_and_others_do_not() {
    let limits = [
        ("MILLRACE_HTTP_REQUESTS_PER_MINUTE_ADDRESS", "1"),
        ("MILLRACE_HTTP_REQUESTS_PER_MINUTE_ACCOUNT", "20"),
        ("MILLRACE_HTTP_TRUSTED_PROXIES", "127.0.0.0/8"),
    ];
    let site = Site::start(&limits).await;
    let (ada, eve) = (site.app.somebody("ada@example.com").await, site.app.somebody("eve@example.com").await);
    let id = uuid::Uuid::now_v7();
    let status = site.url(&format!("/api/status?videoId={id}"));
    let ask = async |headers: &[(&str, &str)]| plain_http::send("GET", &status, headers, b"").await;
    assert_eq!(ask(&[("x-forwarded-for", "192.0.2.1")]).await.status, 401);
    // What the client itself wrote stands further left and helps nobody.
    for forged in ["192.0.2.1", "203.0.113.5, 192.0.2.1"] {
        let refused = ask(&[("x-forwarded-for", forged)]).await;
        assert_eq!((refused.status, refused.header("content-type")), (429, Some("application/problem+json")));
        let wait: u64 = refused.header("retry-after").expect("a time").parse().expect("seconds");
        assert!((1..=61).contains(&wait), "{wait}");
        let problem: serde_json::Value = serde_json::from_slice(&refused.body).expect("a problem");
        assert_eq!(problem["code"], "rate_limited");
    }
    assert_eq!(ask(&[("x-forwarded-for", "192.0.2.2")]).await.status, 401, "another address");
    // Wrong keys count for the address, right ones for their account.
    assert_eq!(ask(&[("x-forwarded-for", "192.0.2.1"), ("authorization", "Bearer mr_wrong")]).await.status, 429);
    let (first, second) = (bearer(&ada), bearer(&eve));
    // However slowly they come: a minute gives back twenty.
    let mut granted = 0;
    while ask(&[("x-forwarded-for", "192.0.2.1"), ("authorization", &first)]).await.status == 404 {
        granted += 1;
        assert!(granted < 500, "nobody counts");
    }
    assert!(granted >= 20, "only {granted}");
    assert_eq!(ask(&[("x-forwarded-for", "192.0.2.1"), ("authorization", &second)]).await.status, 404);
    // What reads no cookie and yet asks the database counts for the address.
    let embeddable = async |from: &str| plain_http::send("GET", &site.url("/oembed?url=x"), &[("x-forwarded-for", from)], b"").await;
    assert_eq!(embeddable("192.0.2.1").await.status, 429);
    assert_eq!(embeddable("192.0.2.3").await.status, 404);
    for path in ["/hls/none/index.m3u8", "/media/none/none.m4s", "/healthz"] {
        for _ in 0..30 {
            let answer = plain_http::send("GET", &site.url(path), &[("x-forwarded-for", "192.0.2.1")], b"").await;
            assert_ne!(answer.status, 429, "{path}");
        }
    }
}

#[tokio::test]
async fn data_may_do_nothing_and_only_media_are_read_from_elsewhere() {
    let mut app = App::with(&[("MILLRACE_PUBLIC_URL", "https://v.example")]).await;
    app.router = protected(&app);
    let ada = app.somebody("ada@example.com").await;
    let origin = [("origin", "https://evil.example"), ("cookie", "a=b")];
    for (path, cors) in [
        ("/api/status?videoId=x", false),
        ("/api/v1/uploads/x", false),
        ("/api/v1/playback/abcdefghjkmnpqrs", false),
        ("/api/none", false),
        ("/oembed?url=x", false),
        ("/healthz", false),
        ("/hls/x/index.m3u8", true),
        ("/media/x/y.m4s", true),
    ] {
        for who in [None, Some(&ada)] {
            let answer = app.ask(who, Method::GET, path, &origin, Body::empty()).await;
            let header = |name: &str| answer.headers.get(name).map(|value| value.to_str().expect("text"));
            let policy = header("content-security-policy").expect("a policy");
            assert!(policy.starts_with("default-src 'none'") && policy.contains("frame-ancestors 'none'"), "{path}: {policy}");
            assert_eq!(header("x-content-type-options"), Some("nosniff"), "{path}");
            assert_eq!(header("strict-transport-security"), Some("max-age=15552000"), "{path}");
            assert!(header("permissions-policy").is_some_and(|policy| policy.contains("camera=()")), "{path}");
            assert_eq!(header("referrer-policy"), Some("strict-origin-when-cross-origin"), "{path}");
            assert_eq!(header("cross-origin-resource-policy"), Some(if cors { "cross-origin" } else { "same-origin" }), "{path}");
            assert_eq!(header("access-control-allow-origin"), cors.then_some("*"), "{path}");
            assert_eq!(header("access-control-allow-credentials"), None, "{path}");
            if path.starts_with("/api/") {
                assert_eq!(header("cache-control"), Some("no-store"), "{path}");
            }
        }
    }
    let preflight = app.ask(None, Method::OPTIONS, "/api/status?videoId=x", &origin, Body::empty()).await;
    assert!(
        preflight.headers.get("access-control-allow-origin").is_none() && preflight.headers.get("access-control-allow-methods").is_none()
    );
}
