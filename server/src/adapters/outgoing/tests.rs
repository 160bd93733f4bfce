//! The client against servers on loopback that answer badly, with 127.0.0.1 as the public place and 127.0.0.2 as the private one.

use std::{
    net::{IpAddr, Ipv4Addr},
    sync::atomic::{AtomicUsize, Ordering},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    sync::mpsc,
};

use super::*;

const OPEN: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 1));
const PRIVATE: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));

fn only_open(table: fn(&str) -> Vec<IpAddr>) -> Outgoing {
    Outgoing { public: true, permitted: |address| address == OPEN, resolve: Resolve::Table(table), patience: Duration::from_secs(2) }
}

/// Answers every request on `address` by `answer`, given the request's first line; tells of each connection.
async fn server(address: IpAddr, answer: impl Fn(&str) -> Vec<u8> + Send + 'static) -> (u16, mpsc::UnboundedReceiver<String>) {
    let listener = TcpListener::bind((address, 0)).await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let (told, heard) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let mut head = vec![0; 4_096];
            let length = socket.read(&mut head).await.unwrap_or(0);
            let line = String::from_utf8_lossy(&head[..length]).lines().next().unwrap_or_default().to_owned();
            let bytes = answer(&line);
            let _ = told.send(line);
            let _ = socket.write_all(&bytes).await;
            // What breaks off without an end is what is slow.
            if bytes.ends_with(b"...") {
                tokio::spawn(async move {
                    tokio::time::sleep(Duration::from_secs(30)).await;
                    drop(socket);
                });
            }
        }
    });
    (port, heard)
}

fn redirect(to: &str) -> Vec<u8> {
    format!("HTTP/1.1 302 Found\r\nlocation: {to}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").into_bytes()
}

fn ok(body: &str) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len()).into_bytes()
}

#[tokio::test]
async fn private_places_are_never_connected_to() {
    let (port, mut heard) = server(OPEN, |_| ok("secret")).await;
    for host in
        ["127.0.0.1", "localhost", "a.localhost", "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0", "[::]", "127.1", "2130706433", "0x7f000001"]
    {
        let outcome = Outgoing::public().get(&format!("http://{host}:{port}/")).await;
        assert!(matches!(outcome, Err(OutgoingError::Refused(_))), "{host}: {outcome:?}");
    }
    assert!(heard.try_recv().is_err(), "somebody connected");
    let answer = Outgoing::anywhere().get(&format!("http://localhost:{port}/a?b")).await.expect("allowed");
    assert_eq!((answer.status, answer.body.as_slice()), (200, &b"secret"[..]));
    assert_eq!(heard.recv().await.as_deref(), Some("GET /a?b HTTP/1.1"));
}

#[tokio::test]
async fn a_redirect_to_a_private_place_is_not_followed() {
    let (private, mut heard) = server(PRIVATE, |_| ok("secret")).await;
    for place in [format!("http://127.0.0.2:{private}/"), format!("http://inside.example:{private}/"), format!("//127.0.0.2:{private}/")] {
        let (open, _told) = server(OPEN, move |_| redirect(&place)).await;
        let client = only_open(|name| vec![if name == "inside.example" { PRIVATE } else { OPEN }]);
        let outcome = client.get(&format!("http://out.example:{open}/")).await;
        assert!(matches!(outcome, Err(OutgoingError::Refused(Refused::Private))), "{outcome:?}");
    }
    assert!(heard.try_recv().is_err(), "somebody connected");
}

#[tokio::test]
async fn a_name_is_resolved_once_and_a_mixed_one_is_refused() {
    static ASKED: AtomicUsize = AtomicUsize::new(0);
    let (port, _heard) = server(OPEN, |_| ok("here")).await;
    // The second look would give another answer: there is no second look.
    let rebinding = only_open(|_| vec![if ASKED.fetch_add(1, Ordering::SeqCst) == 0 { OPEN } else { PRIVATE }]);
    let answer = rebinding.get(&format!("http://rebind.example:{port}/")).await.expect("an answer");
    assert_eq!((answer.body.as_slice(), ASKED.load(Ordering::SeqCst)), (&b"here"[..], 1));
    let again = rebinding.get(&format!("http://rebind.example:{port}/")).await;
    assert!(matches!(again, Err(OutgoingError::Refused(Refused::Private))), "a new try looks anew: {again:?}");
    let mixed = only_open(|_| vec![OPEN, PRIVATE]).get(&format!("http://mixed.example:{port}/")).await;
    assert!(matches!(mixed, Err(OutgoingError::Refused(Refused::Private))), "{mixed:?}");
}

#[tokio::test]
async fn three_redirects_are_followed_and_no_more() {
    for (first, allowed) in [(3, true), (4, false)] {
        let (port, _heard) = server(OPEN, |line| {
            let left: usize = line.split(['/', ' ']).nth(2).and_then(|number| number.parse().ok()).unwrap_or(0);
            if left == 0 { ok("there") } else { redirect(&format!("/{}", left - 1)) }
        })
        .await;
        let outcome = only_open(|_| vec![OPEN]).get(&format!("http://a.example:{port}/{first}")).await;
        assert_eq!(outcome.as_ref().is_ok_and(|answer| answer.body == b"there"), allowed, "{outcome:?}");
    }
}

#[tokio::test]
async fn answers_are_cut_by_size_and_by_time() {
    let long = |length: usize| move |_: &str| ok(&"x".repeat(length));
    let client = only_open(|_| vec![OPEN]);
    let (port, _heard) = server(OPEN, long(LONGEST_ANSWER)).await;
    assert_eq!(client.get(&format!("http://a.example:{port}/")).await.expect("fits").body.len(), LONGEST_ANSWER);
    let (port, _heard) = server(OPEN, long(LONGEST_ANSWER + 1)).await;
    assert!(matches!(client.get(&format!("http://a.example:{port}/")).await, Err(OutgoingError::TooLong)));
    // A gigabyte is announced; what counts is what comes.
    let (port, _heard) = server(OPEN, |_| {
        let mut bytes = b"HTTP/1.1 200 OK\r\ncontent-length: 1000000000\r\ncontent-encoding: gzip\r\n\r\n".to_vec();
        bytes.extend(std::iter::repeat_n(0, 4 * LONGEST_ANSWER));
        bytes
    })
    .await;
    assert!(matches!(client.get(&format!("http://a.example:{port}/")).await, Err(OutgoingError::TooLong)));
    for drip in [&b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nab..."[..], b"HTTP/1.1 200 OK\r\nx: ..."] {
        let (port, _heard) = server(OPEN, move |_| drip.to_vec()).await;
        // The server would hold on for longer, and then hang up, which is another error.
        assert!(matches!(client.get(&format!("http://a.example:{port}/")).await, Err(OutgoingError::TooSlow)));
        let (port, _heard) = server(OPEN, move |_| drip.to_vec()).await;
        assert!(matches!(client.post(&format!("http://a.example:{port}/"), &[], Vec::new()).await, Err(OutgoingError::TooSlow)));
    }
}

#[tokio::test]
async fn what_is_sent_goes_to_one_place_and_follows_no_redirect() {
    let (elsewhere, mut heard) = server(OPEN, |_| ok("there")).await;
    let (port, mut told) = server(OPEN, move |_| redirect(&format!("http://a.example:{elsewhere}/"))).await;
    let client = only_open(|name| vec![if name == "inside.example" { PRIVATE } else { OPEN }]);
    let answer = client.post(&format!("http://a.example:{port}/x"), &[("webhook-id", "1")], b"{}".to_vec()).await.expect("an answer");
    assert_eq!((answer.status, told.recv().await.as_deref()), (302, Some("POST /x HTTP/1.1")));
    assert!(heard.try_recv().is_err(), "it was sent on");
    let refused = client.post(&format!("http://inside.example:{port}/"), &[], Vec::new()).await;
    assert!(matches!(refused, Err(OutgoingError::Refused(Refused::Private))), "{refused:?}");
}
