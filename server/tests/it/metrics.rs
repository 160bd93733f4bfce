//! `/metrics`: who may read it, that it is what Prometheus reads, that its numbers move, and that nobody can make it grow.

use std::collections::{BTreeMap, BTreeSet};

use axum::{
    body::Body,
    http::{Method, Request, StatusCode},
};
use server::{
    adapters::web::Web,
    telemetry::metrics::{ALL, Kind},
};
use tokio::{net::TcpListener, sync::watch};
use uuid::Uuid;

use crate::{app::App, workshop::eventually};

const CLIP: &[u8] = include_bytes!("../../../src/doctor/clip.mp4");
const TOKEN: &str = "a token of many letters";

/// Series by name and labels.
type Series = BTreeMap<(String, BTreeMap<String, String>), f64>;

/// Reads the text as Prometheus does, and is strict where Prometheus is: each name has a type that stands before it, and each series is there once.
fn parse(text: &str) -> Series {
    let (mut series, mut types) = (Series::new(), BTreeMap::new());
    for line in text.lines().filter(|line| !line.is_empty()) {
        if let Some(comment) = line.strip_prefix("# ") {
            let mut words = comment.splitn(3, ' ');
            let (what, name, rest) = (words.next(), words.next().expect("a name"), words.next().expect("something about it"));
            if what == Some("TYPE") {
                assert!(types.insert(name.to_owned(), rest.to_owned()).is_none(), "{name} has two types");
            }
            continue;
        }
        let (what, value) = line.rsplit_once(' ').expect("a value");
        let (name, labels) = what.split_once('{').unwrap_or((what, "}"));
        let labels = labels.strip_suffix('}').expect("a closing brace");
        // A comma may stand in a value.
        let labels = labels.split("\",").filter(|label| !label.is_empty()).map(|label| {
            let (name, value) = label.split_once("=\"").expect("a value in quotes");
            (name.to_owned(), value.trim_end_matches('"').to_owned())
        });
        let base = family(name);
        assert!(types.contains_key(name) || types.contains_key(base), "{name} has no type");
        let known = ALL.iter().find(|(known, ..)| *known == base).unwrap_or_else(|| panic!("{base} is not in the list"));
        assert_eq!(types[base], format!("{:?}", known.1).to_lowercase(), "{base}");
        let value = value.parse().unwrap_or_else(|_| panic!("{line}"));
        assert!(series.insert((name.to_owned(), labels.collect()), value).is_none(), "twice: {line}");
    }
    series
}

/// The name that is in the list.
fn family(name: &str) -> &str {
    let histogram = |base: &&str| ALL.iter().any(|(known, kind, _)| known == base && *kind == Kind::Histogram);
    ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end).filter(histogram)).unwrap_or(name)
}

async fn read(app: &App) -> Series {
    let answer = app.ask(None, Method::GET, "/metrics", &[("authorization", &format!("Bearer {TOKEN}"))], Body::empty()).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    assert!(answer.headers["content-type"].to_str().is_ok_and(|kind| kind.starts_with("text/plain; version=0.0.4")));
    parse(&answer.text())
}

fn value(series: &Series, name: &str, labels: &[(&str, &str)]) -> f64 {
    let labels = labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    series.get(&(name.to_owned(), labels)).copied().unwrap_or_default()
}

#[tokio::test]
async fn only_who_has_the_token_reads_the_numbers() {
    let closed = App::start().await;
    assert_eq!(closed.get(None, "/metrics").await.status, StatusCode::NOT_FOUND, "no token is no door");
    let app = App::with(&[("MILLRACE_METRICS_TOKEN", TOKEN)]).await;
    let owner = app.somebody("ada@example.com").await;
    for (who, header) in
        [(None, None), (Some(&owner), None), (None, Some("Bearer another token!!")), (None, Some("Bearer ")), (None, Some(TOKEN))]
    {
        let headers: Vec<_> = header.iter().map(|value| ("authorization", *value)).collect();
        let answer = app.ask(who, Method::GET, "/metrics", &headers, Body::empty()).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{header:?}");
    }
    read(&app).await;
}

#[tokio::test]
async fn a_video_moves_the_numbers() {
    let mut app = App::with(&[("MILLRACE_METRICS_TOKEN", TOKEN)]).await;
    let ada = app.somebody("ada@example.com").await;
    let before = read(&app).await;
    let waiting = app.upload(&ada, "clip.mp4", CLIP).await;
    // The queue is looked at again when what is known is a few seconds old.
    let queued = loop {
        let now = read(&app).await;
        if value(&now, "millrace_jobs", &[("state", "queued")]) > 0.0 {
            break now;
        }
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    };
    assert_eq!(value(&queued, "millrace_database_up", &[]), 1.0);
    app.work();
    assert_eq!(app.settled(&ada, &waiting).await["status"], "done");
    let stream = app.get(Some(&ada), &format!("/api/stream?videoId={waiting}")).await.json();
    let url = stream["url"].as_str().expect("a URL").to_owned();
    app.get(None, &url).await;
    // The row says that it is done a moment before the try is counted.
    let ended = ("millrace_job_attempts_ended_total", [("outcome", "done")]);
    let counted = async || value(&read(&app).await, ended.0, &ended.1) > value(&before, ended.0, &ended.1);
    eventually("the try is counted", counted).await;
    let after = read(&app).await;
    let grown = |name: &str, labels: &[(&str, &str)]| value(&after, name, labels) - value(&before, name, labels);
    assert!(grown("millrace_uploads_total", &[("event", "begun")]) >= 1.0);
    assert!(grown("millrace_uploads_total", &[("event", "completed")]) >= 1.0);
    assert!(grown("millrace_upload_received_bytes_total", &[]) >= CLIP.len() as f64);
    assert!(grown("millrace_job_attempts_total", &[]) >= 1.0);
    assert!(grown("millrace_job_attempts_ended_total", &[("outcome", "done")]) >= 1.0);
    for stage in ["waiting", "probe", "encode", "publish"] {
        assert!(grown("millrace_job_stage_duration_seconds_count", &[("stage", stage)]) >= 1.0, "{stage}");
    }
    let begun = [("route", "/api/v1/uploads"), ("method", "POST"), ("status", "2xx")];
    assert!(grown("millrace_http_requests_total", &begun) >= 1.0);
    for gauge in ["process_resident_memory_bytes", "process_cpu_seconds_total", "process_open_fds", "process_threads"] {
        assert!(value(&after, gauge, &[]) > 0.0, "{gauge}");
    }
    for folder in ["data", "scratch"] {
        let (free, size) = ("millrace_disk_free_bytes", "millrace_disk_size_bytes");
        assert!(value(&after, free, &[("folder", folder)]) > 0.0 && value(&after, size, &[("folder", folder)]) > 0.0);
    }
}

#[tokio::test]
async fn uploads_by_tus_are_counted_as_others_are() {
    let app = App::with(&[("MILLRACE_METRICS_TOKEN", TOKEN)]).await;
    let ada = app.somebody("ada@example.com").await;
    let before = read(&app).await;
    let length = CLIP.len().to_string();
    let begin = [("tus-resumable", "1.0.0"), ("upload-length", length.as_str())];
    let begun = app.ask(Some(&ada), Method::POST, "/api/v1/tus", &begin, Body::empty()).await;
    assert_eq!(begun.status, StatusCode::CREATED, "{}", begun.text());
    let place = begun.headers["location"].to_str().expect("text").to_owned();
    let send = [("tus-resumable", "1.0.0"), ("upload-offset", "0"), ("content-type", "application/offset+octet-stream")];
    let sent = app.ask(Some(&ada), Method::PATCH, &place, &send, CLIP).await;
    assert_eq!(sent.status, StatusCode::NO_CONTENT, "{}", sent.text());
    let after = read(&app).await;
    let grown = |name: &str, labels: &[(&str, &str)]| value(&after, name, labels) - value(&before, name, labels);
    assert!(grown("millrace_upload_received_bytes_total", &[]) >= CLIP.len() as f64);
    for event in ["begun", "completed"] {
        assert!(grown("millrace_uploads_total", &[("event", event)]) >= 1.0, "{event}");
    }
    for (method, route) in [("POST", "/api/v1/tus"), ("PATCH", "/api/v1/tus/{upload}")] {
        let request = [("route", route), ("method", method), ("status", "2xx")];
        assert!(grown("millrace_http_requests_total", &request) >= 1.0, "{method} {route}");
    }
}

#[tokio::test]
async fn nobody_can_make_the_numbers_grow_or_write_into_them() {
    let app = App::with(&[("MILLRACE_METRICS_TOKEN", TOKEN), ("MILLRACE_HTTP_REQUESTS_PER_MINUTE_ADDRESS", "0")]).await;
    let mark = Uuid::now_v7().simple().to_string();
    for number in 0..200 {
        let id = Uuid::now_v7();
        for path in [
            format!("/{mark}{number}"),
            format!("/api/{mark}{number}"),
            format!("/api/v1/uploads/{id}"),
            format!("/hls/{mark}/index.m3u8"),
            format!("/media/{id}/{mark}{number}.m4s?e=1&s={mark}"),
        ] {
            app.get(None, &path).await;
        }
        let request = Request::builder().method(format!("{}{number}", &mark[..4].to_uppercase()).as_str()).uri("/api/status");
        app.send(request.header("x-request-id", &mark).body(Body::empty()).expect("a request")).await;
    }
    let series = read(&app).await;
    let values: BTreeSet<_> = series.keys().flat_map(|(_, labels)| labels.values()).collect();
    assert!(values.iter().all(|value| !value.contains(&mark) && !value.contains(&mark[..4].to_uppercase())), "{values:?}");
    assert!(values.iter().all(|value| value.parse::<Uuid>().is_err()), "{values:?}");
    // Routes are what the router has, methods the usual ones, and so on: all tests of this process together do not make more.
    let requests = series.keys().filter(|(name, _)| name == "millrace_http_requests_total").count();
    assert!(requests < 400, "{requests}");
}

#[tokio::test]
async fn a_worker_serves_its_numbers_on_an_address_of_their_own() {
    let app = App::with(&[("MILLRACE_METRICS_BIND", "127.0.0.1:0")]).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let base = format!("http://{}", listener.local_addr().expect("an address"));
    let (shutdown, down) = watch::channel(false);
    let serving = tokio::spawn(server::http::metrics::serve(listener, app.state.metrics.clone(), app.state.readiness.clone(), down));
    let answer = Web::default().get(&format!("{base}/metrics")).await.expect("an answer");
    assert!(answer.status == 200 && !parse(&answer.text()).is_empty());
    assert_eq!(Web::default().get(&format!("{base}/livez")).await.expect("an answer").status, 200);
    let ready = Web::default().get(&format!("{base}/readyz")).await.expect("an answer");
    assert!(ready.text().contains("\"database\""), "{}", ready.text());
    shutdown.send_replace(true);
    serving.await.expect("it ends").expect("well");
}
