//! What is answered while the database is away: 503 with a time to ask again, at once and to everything that needs it, also to what had begun to
//! wait for it. Programs get a problem, people a page that asks again by itself. Media and playlists do not come through here.

use axum::{
    extract::{Request, State},
    http::{HeaderValue, Method, StatusCode, header},
    middleware::Next,
    response::{Html, IntoResponse, Response},
};
use domain::error::{Code, Problem};

use super::{AppState, headers::Page, problem::Refusal};

/// Shown in place of a page. It loads the page anew by itself.
const PAGE: &str = include_str!("outage.html");

/// What needs no database, or does without it for a while.
const WITHOUT_DATABASE: [&str; 9] =
    ["/hls/", "/media/", "/packaged/", "/healthz", "/livez", "/readyz", "/metrics", "/api/docs", "/api/openapi.json"];

/// Refuses what needs the database while that is away.
pub async fn gate(State(state): State<AppState>, request: Request, next: Next) -> Response {
    if WITHOUT_DATABASE.iter().any(|path| request.uri().path().starts_with(path)) {
        return next.run(request).await;
    }
    let page = wants_page(&request);
    if !state.database.answers() {
        return unavailable(page);
    }
    tokio::select! {
        response = next.run(request) => match response.status() {
            // A page that says so in its own words would not ask again.
            StatusCode::SERVICE_UNAVAILABLE if page => unavailable(true),
            _ => response,
        },
        () = state.database.fails() => unavailable(page),
    }
}

fn wants_page(request: &Request) -> bool {
    let accept = request.headers().get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
    request.method() == Method::GET && accept.is_some_and(|accept| accept.contains("text/html"))
}

fn unavailable(page: bool) -> Response {
    let problem = Problem::unavailable();
    if !page {
        return Refusal(problem).into_response();
    }
    let seconds = problem.retry_after_seconds.unwrap_or_default();
    let status = StatusCode::from_u16(Code::Unavailable.http_status()).unwrap_or(StatusCode::SERVICE_UNAVAILABLE);
    let mut response = (status, Html(PAGE.replace("{detail}", &problem.detail).replace("{seconds}", &seconds.to_string()))).into_response();
    response.extensions_mut().insert(Page::Still);
    let headers = response.headers_mut();
    headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
