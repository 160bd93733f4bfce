//! Connections on real sockets: clients that take nothing of what they asked for, that ask for several things at once, that stay without a word,
//! that come too often, and a server that is to end.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum::{
    Router,
    body::{Body, Bytes},
    routing::get,
};
use futures::stream;
use server::{config::Settings, http::connections};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::{Notify, mpsc, oneshot},
    task::JoinHandle,
};

/// What must happen, however slow the machine is.
const PATIENCE: Duration = Duration::from_secs(60);

struct Served {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    ended: JoinHandle<()>,
}

async fn serve(router: Router, settings: &[(&str, &str)]) -> Served {
    let variables: Vec<_> = settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let limits = Settings::from_layers(None, &variables).expect("settings").http;
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let (stop, stopped) = oneshot::channel::<()>();
    let ended = tokio::spawn(async move {
        connections::serve(listener, router, &limits, async {
            let _ = stopped.await;
        })
        .await;
    });
    Served { address, stop, ended }
}

async fn patiently<T>(what: &str, event: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, event).await.unwrap_or_else(|_| panic!("{what} does not happen"))
}

async fn connect(address: SocketAddr) -> TcpStream {
    TcpStream::connect(address).await.expect("a connection")
}

fn ask(path: &str, more: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nhost: x\r\n{more}\r\n")
}

/// Reads until so many answers that end in `.` have come.
async fn answers(stream: &mut TcpStream, count: usize) -> String {
    let (mut text, mut piece) = (String::new(), [0; 4_096]);
    while text.matches("\r\n\r\n").count() < count || !text.ends_with('.') {
        let read = patiently("an answer", stream.read(&mut piece)).await.expect("it reads");
        assert_ne!(read, 0, "it ended after {text}");
        text.push_str(&String::from_utf8_lossy(&piece[..read]));
    }
    text
}

/// A body without an end, which tells when it is let go of.
fn endless(told: mpsc::UnboundedSender<()>) -> Body {
    struct Guard(mpsc::UnboundedSender<()>);
    impl Drop for Guard {
        fn drop(&mut self) {
            let _ = self.0.send(());
        }
    }
    let guard = Guard(told);
    Body::from_stream(stream::repeat_with(move || {
        let _ = &guard;
        Ok::<_, std::io::Error>(Bytes::from_static(&[7; 65_536]))
    }))
}

#[tokio::test]
async fn an_answer_that_nobody_takes_is_broken_off() {
    let (told, mut heard) = mpsc::unbounded_channel();
    let film = get(move || {
        let told = told.clone();
        async move { endless(told) }
    });
    let router = Router::new().route("/film", film);
    let served = serve(router, &[("MILLRACE_HTTP_ANSWER_IDLE_SECONDS", "3")]).await;
    let mut idle = connect(served.address).await;
    idle.write_all(ask("/film", "").as_bytes()).await.expect("it asks");
    patiently("giving up on who takes nothing", heard.recv()).await.expect("the body is let go of");
    let mut taken = vec![0; 65_536];
    // What was on its way arrives, and then the end, or a reset.
    patiently("the connection's end", async { while matches!(idle.read(&mut taken).await, Ok(1..)) {} }).await;

    // Somebody who takes what comes is served for as long as they like: many periods, and many times what the kernel holds.
    let mut reader = connect(served.address).await;
    reader.write_all(ask("/film", "").as_bytes()).await.expect("it asks");
    let mut total = 0_usize;
    while total < 256 * 1_024 * 1_024 {
        let read = patiently("more of it", reader.read(&mut taken)).await.expect("it goes on");
        assert_ne!(read, 0, "it ended after {total}");
        total += read;
    }
    assert!(heard.try_recv().is_err(), "it was let go of");
}

#[tokio::test]
async fn requests_at_once_are_answered_in_order_and_an_idle_connection_ends() {
    let router = Router::new().route("/{name}", get(|path: axum::extract::Path<String>| async move { format!("{}.", path.0) }));
    let served = serve(router, &[("MILLRACE_HTTP_HEADER_SECONDS", "2")]).await;
    let mut stream = connect(served.address).await;
    let three = [ask("/first", ""), ask("/second", ""), ask("/third", "")].concat();
    stream.write_all(three.as_bytes()).await.expect("it asks");
    let text = answers(&mut stream, 3).await;
    let places: Vec<_> = ["first.", "second.", "third."].iter().map(|word| text.find(word).expect("an answer")).collect();
    assert!(places.is_sorted() && text.matches("HTTP/1.1 200").count() == 3, "{text}");
    // Between requests it is kept for a while, and no longer.
    let mut rest = Vec::new();
    patiently("its end", stream.read_to_end(&mut rest)).await.expect("an end");
    assert!(rest.is_empty(), "{}", String::from_utf8_lossy(&rest));
}

#[tokio::test]
async fn an_address_has_so_many_connections_and_a_trusted_proxy_has_more() {
    let router = || Router::new().route("/", get(|| async { "here." }));
    for (proxies, allowed) in [("", 8), ("127.0.0.0/8", 12)] {
        let limits = [("MILLRACE_HTTP_MAX_CONNECTIONS_PER_ADDRESS", "8"), ("MILLRACE_HTTP_TRUSTED_PROXIES", proxies)];
        let served = serve(router(), &limits).await;
        let (mut open, mut closed) = (Vec::new(), 0);
        for _ in 0..12 {
            let mut stream = connect(served.address).await;
            let _ = stream.write_all(ask("/", "").as_bytes()).await;
            let mut piece = [0; 1_024];
            match patiently("an answer or an end", stream.read(&mut piece)).await {
                Ok(1..) => open.push(stream),
                Ok(0) | Err(_) => closed += 1,
            }
        }
        assert_eq!((open.len(), closed), (allowed, 12 - allowed), "{proxies}");
        // One that ends makes room.
        drop(open.pop());
        patiently("room for another", async {
            loop {
                let mut stream = connect(served.address).await;
                let _ = stream.write_all(ask("/", "").as_bytes()).await;
                if matches!(stream.read(&mut [0; 1_024]).await, Ok(1..)) {
                    return;
                }
            }
        })
        .await;
    }
}

#[tokio::test]
async fn what_is_being_answered_is_finished_before_the_end() {
    let (reached, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (tell, wait) = (reached.clone(), go_on.clone());
    let slow = get(move || async move {
        tell.notify_one();
        wait.notified().await;
        "finished."
    });
    let served = serve(Router::new().route("/slow", slow).route("/", get(|| async { "here." })), &[]).await;
    let mut idle = connect(served.address).await;
    idle.write_all(ask("/", "").as_bytes()).await.expect("it asks");
    answers(&mut idle, 1).await;
    let mut busy = connect(served.address).await;
    busy.write_all(ask("/slow", "").as_bytes()).await.expect("it asks");
    patiently("the request's start", reached.notified()).await;

    served.stop.send(()).expect("it listens");
    let mut rest = Vec::new();
    patiently("the idle connection's end", idle.read_to_end(&mut rest)).await.expect("an end");
    assert!(!served.ended.is_finished(), "somebody is still being answered");
    assert!(TcpStream::connect(served.address).await.is_err(), "nobody new is let in");
    go_on.notify_one();
    assert!(answers(&mut busy, 1).await.contains("finished."));
    patiently("the end", served.ended).await.expect("no panic");
}
