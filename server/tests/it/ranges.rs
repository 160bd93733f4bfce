//! Ranges of media as clients ask for them, reasonable and not: an answer of at most the object's size, never a fault.

use axum::{
    body::{Body, Bytes},
    http::{Method, StatusCode, header},
};
use domain::{grant::Audience, ids::GenerationId, storage_key::StorageKey};
use futures::{StreamExt, stream};
use server::clock::now_seconds;
use uuid::Uuid;

use crate::app::{App, noise};

const SIZE: usize = 10_000;

#[tokio::test]
async fn ranges_of_every_kind_are_answered_without_fault_and_without_more_than_there_is() {
    let app = App::start().await;
    let generation = GenerationId(Uuid::now_v7());
    let key = StorageKey::published(generation, "720p/00001.m4s").expect("a key");
    let bytes = noise(SIZE);
    let body = stream::iter([Ok(Bytes::from(bytes.clone()))]).boxed();
    app.state.store.put_stream(&key, body, u64::MAX).await.expect("stored");
    let query = app.state.cdn.sign(generation, Audience::Link, now_seconds() + 600).query;
    let path = format!("/media/{generation}/720p/00001.m4s?{query}");
    let many = format!("bytes={}", (0..5_000).map(|at| format!("{at}-{at}")).collect::<Vec<_>>().join(","));
    let overlapping = format!("bytes={}", vec!["0-"; 5_000].join(","));
    let huge = format!("bytes=0-{}", u64::MAX);
    let beyond = format!("bytes={}-{}", u64::MAX - 1, u64::MAX);
    for (range, status, expected) in [
        ("bytes=0-99", 206, Some(0..100)),
        ("bytes=9990-", 206, Some(9_990..SIZE)),
        ("bytes=-5", 206, Some(SIZE - 5..SIZE)),
        ("bytes=9999-20000", 206, Some(9_999..SIZE)),
        ("bytes=-20000", 200, Some(0..SIZE)),
        (huge.as_str(), 200, Some(0..SIZE)),
        ("bytes=10000-", 416, None),
        ("bytes=-0", 416, None),
        (beyond.as_str(), 416, None),
        // Several ranges, and what is no range: all of it, once (RFC 9110, 14.2).
        ("bytes=0-1,4-5", 200, Some(0..SIZE)),
        (many.as_str(), 200, Some(0..SIZE)),
        (overlapping.as_str(), 200, Some(0..SIZE)),
        ("bytes=99-9", 200, Some(0..SIZE)),
        ("bytes=18446744073709551616-", 200, Some(0..SIZE)),
        ("bytes=-18446744073709551616", 200, Some(0..SIZE)),
        ("bytes=-", 200, Some(0..SIZE)),
        ("bytes=--5", 200, Some(0..SIZE)),
        ("bytes=0x0-0x5", 200, Some(0..SIZE)),
        ("lines=0-1", 200, Some(0..SIZE)),
        ("", 200, Some(0..SIZE)),
    ] {
        let short: String = range.chars().take(40).collect();
        let answer = app.ask(None, Method::GET, &path, &[("range", range)], Body::empty()).await;
        assert_eq!(answer.status.as_u16(), status, "{short}");
        match expected {
            Some(expected) => {
                if status == 206 {
                    let told = format!("bytes {}-{}/{SIZE}", expected.start, expected.end - 1);
                    assert_eq!(answer.headers[header::CONTENT_RANGE], told, "{short}");
                }
                assert!(answer.body == bytes[expected], "{short}: {} bytes", answer.body.len());
            }
            None => assert_eq!(answer.headers[header::CONTENT_RANGE], format!("bytes */{SIZE}"), "{short}"),
        }
        let head = app.ask(None, Method::HEAD, &path, &[("range", range)], Body::empty()).await;
        assert!(head.status.as_u16() == status && head.body.is_empty(), "HEAD {short}: {}", head.status);
    }
    let stale = app.ask(None, Method::GET, &path, &[("range", "bytes=0-9"), ("if-range", "\"another\"")], Body::empty()).await;
    assert_eq!((stale.status, stale.body.len()), (StatusCode::OK, SIZE), "another object than was begun with");
}
