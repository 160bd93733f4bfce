//! What the operator sees of requests: each has an id, a line in the log, a place among the numbers and a span. All of them know it by its route's
//! pattern, never by its path or query, which may hold a grant.

use std::time::Instant;

use axum::{
    extract::{MatchedPath, Request, State},
    http::Method,
    middleware::Next,
    response::Response,
};
use opentelemetry::context::FutureExt;
use tracing::Instrument;

use super::request_id::{HEADER, RequestId};
use crate::{
    config::Networks,
    telemetry::{
        metrics,
        traces::{self, Span},
    },
};

/// What [`observe`] has to know: whose word about a request's id is taken.
#[derive(Debug, Clone)]
pub struct Observer(pub Networks);

/// Routes that are asked so often that only those who look closely want a line each: health, numbers, media and files of the site.
const FREQUENT: [&str; 9] = ["/livez", "/readyz", "/healthz", "/metrics", "/media", "/hls", "/pkg", "/vendor", "/favicon.svg"];
/// A route for whatever has none.
const NO_ROUTE: &str = "other";

/// Whether anybody reads a line for each of the [`FREQUENT`] requests.
pub(super) fn is_heard() -> bool {
    tracing::enabled!(tracing::Level::DEBUG)
}

/// Answers a request, and tells the operator of it. The outermost layer.
pub async fn observe(State(Observer(proxies)): State<Observer>, request: Request, next: Next) -> Response {
    let began = Instant::now();
    let id = RequestId::of(&request, &proxies);
    let (route, method) = (route(&request), method(request.method()));
    let frequent = FREQUENT.iter().any(|often| route.strip_prefix(often).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')));
    // Of the highest level, so that what is logged below it carries the id, whatever is filtered.
    let lines = tracing::error_span!("request", method, route, request_id = id.as_str());
    let answering = id.clone().around(next.run(request)).instrument(lines.clone());
    let mut response = if frequent {
        answering.await
    } else {
        let mut span = Span::request(format!("{method} {route}"));
        span.note("http.request.method", method);
        span.note("http.route", route.clone());
        span.note("millrace.request_id", id.as_str().to_owned());
        let context = span.into_context();
        let response = answering.with_context(context.clone()).await;
        traces::answered(&context, response.status().as_u16());
        response
    };
    let (status, took) = (response.status().as_u16(), began.elapsed());
    metrics::request(&route, method, status, took.as_secs_f64());
    let _entered = lines.enter();
    if frequent {
        tracing::debug!(status, duration_ms = took.as_millis() as u64, "answered");
    } else {
        tracing::info!(status, duration_ms = took.as_millis() as u64, "answered");
    }
    if let Some(value) = id.value() {
        response.headers_mut().insert(HEADER, value);
    }
    response
}

fn route(request: &Request) -> String {
    let matched = request.extensions().get::<MatchedPath>().map_or(NO_ROUTE, MatchedPath::as_str);
    // What a nested service matches has a name of axum's own at its end.
    matched.split("/{*__private").next().unwrap_or(NO_ROUTE).to_owned()
}

/// One of the usual methods: anybody can make up others.
fn method(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}
