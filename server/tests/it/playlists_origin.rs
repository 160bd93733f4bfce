//! Playlists behind a distribution: without what only it knows, there is nothing there.

use axum::{
    body::Body,
    http::{Method, StatusCode, header},
};

use crate::app::{Answer, App};

const SECRET: &str = "only the distribution knows";
const KEY: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

/// Settings that choose CloudFront. The test's server delivers by itself all the same: what is tested stands before that.
const CLOUDFRONT: [(&str, &str); 9] = [
    ("MILLRACE_PORTS_CDN", "cloudfront"),
    ("MILLRACE_PORTS_STORE", "s3"),
    ("MILLRACE_S3_INPUT_BUCKET", "in"),
    ("MILLRACE_S3_OUTPUT_BUCKET", "out"),
    ("MILLRACE_CLOUDFRONT_URL", "https://d111111abcdef8.cloudfront.net"),
    ("MILLRACE_CLOUDFRONT_DISTRIBUTION_ID", "E1"),
    ("MILLRACE_CLOUDFRONT_KEY_ID", "K1"),
    ("MILLRACE_CLOUDFRONT_PRIVATE_KEY", "none"),
    ("MILLRACE_SIGNING_KEY", KEY),
];

async fn app(secret: &str) -> App {
    let settings: Vec<_> = CLOUDFRONT.into_iter().chain([("MILLRACE_CLOUDFRONT_ORIGIN_SECRET", secret)]).collect();
    App::with(&settings).await
}

async fn ask(app: &App, path: &str, shown: Option<&str>) -> Answer {
    let headers: Vec<_> = shown.map(|secret| ("x-millrace-origin", secret)).into_iter().collect();
    let answer = app.ask(None, Method::GET, path, &headers, Body::empty()).await;
    assert_eq!(answer.headers[header::ACCESS_CONTROL_ALLOW_ORIGIN], "*", "players see the refusal, not a CORS fault");
    answer
}

#[tokio::test]
async fn playlists_are_there_for_the_distribution_alone() {
    let app = app(SECRET).await;
    let id = uuid::Uuid::now_v7();
    for path in ["/hls/nonsense/index.m3u8".to_owned(), format!("/hls/nonsense/{id}/720p.m3u8")] {
        for shown in [None, Some(""), Some("only the distribution know"), Some("only the distribution knowsx")] {
            let answer = ask(&app, &path, shown).await;
            assert_eq!((answer.status, answer.code().as_str()), (StatusCode::NOT_FOUND, "not_found"), "{path} {shown:?}");
        }
        // Through the distribution the grant decides.
        assert_eq!(ask(&app, &path, Some(SECRET)).await.code(), "grant_refused", "{path}");
    }
}

#[tokio::test]
async fn while_it_is_changed_there_are_two_secrets() {
    let app = app(&format!("{SECRET}, the next one")).await;
    for (shown, code) in [(SECRET, "grant_refused"), ("the next one", "grant_refused"), ("", "not_found"), (",", "not_found")] {
        assert_eq!(ask(&app, "/hls/nonsense/index.m3u8", Some(shown)).await.code(), code, "{shown}");
    }
}

#[tokio::test]
async fn nobody_is_asked_for_a_secret_that_is_not_set_or_not_used() {
    assert_eq!(ask(&app("").await, "/hls/nonsense/index.m3u8", None).await.code(), "grant_refused");
    let own_origin = App::with(&[("MILLRACE_CLOUDFRONT_ORIGIN_SECRET", SECRET)]).await;
    assert_eq!(ask(&own_origin, "/hls/nonsense/index.m3u8", None).await.code(), "grant_refused");
}
