//! The pages behind a shared link. Both are documents of the embed entry; only the watch page looks at who is signed in, so that an owner
//! sees a private video of theirs. Everybody else sees one by the secret of a named grant in the link.
//!
//! The embed page lets itself be framed by the sites that the owner allows. Browsers hold to that by `frame-ancestors`; where one says
//! whose frame it is, a site that is not allowed does not get the page's grant either.

use app::watch::{Kind, WatchPage, render, render_missing, render_not_here};
use axum::{
    Extension,
    extract::{Path, State},
    http::{HeaderMap, HeaderName, StatusCode, header},
    response::{Html, IntoResponse, Response},
};
use domain::{
    embed_hosts::EmbedHosts,
    error::{Code, Problem},
    ids::PlaybackId,
};
use serde::Deserialize;
use server::{
    http::{
        AppState,
        body::QueryString,
        headers::{Nonce, Page, origin},
        rate_limits::Counted,
        viewer::MaybeViewer,
    },
    services::playback::Visitor,
};

const SEC_FETCH_DEST: HeaderName = HeaderName::from_static("sec-fetch-dest");

/// What a link carries besides the video.
#[derive(Debug, Deserialize)]
pub(crate) struct Link {
    /// The secret of a named grant.
    #[serde(default)]
    grant: Option<String>,
}

/// `GET /watch/{playback_id}`.
pub(crate) async fn watch(
    State(state): State<AppState>,
    MaybeViewer(viewer): MaybeViewer,
    Path(id): Path<String>,
    QueryString(link): QueryString<Link>,
) -> Response {
    let visitor = Visitor { user: viewer.map(|viewer| viewer.user), grant: link.grant.as_deref() };
    let unframed = "'none'".to_owned();
    match page(&state, Kind::Watch, &id, visitor).await {
        Ok(page) => played(unframed, &page),
        Err(problem) => refused(Kind::Watch, &link, unframed, problem),
    }
}

/// `GET /embed/{playback_id}`. Reads no cookie.
pub(crate) async fn embed(
    _: Counted,
    State(state): State<AppState>,
    headers: HeaderMap,
    Path(id): Path<String>,
    QueryString(link): QueryString<Link>,
) -> Response {
    match embedded(&state, &id, link.grant.as_deref()).await {
        Ok((page, hosts)) if comes_from(&headers, &hosts, &state.settings.public_url) => played(hosts.framed_by(), &page),
        Ok((_, hosts)) => document(StatusCode::FORBIDDEN, hosts.framed_by(), render_not_here()),
        // Alike for all of them, so that nothing tells a private video from none.
        Err(problem) => refused(Kind::Embed, &link, EmbedHosts::default().framed_by(), problem),
    }
}

async fn embedded(state: &AppState, id: &str, grant: Option<&str>) -> Result<(WatchPage, EmbedHosts), Problem> {
    let page = page(state, Kind::Embed, id, Visitor { user: None, grant }).await?;
    let hosts = state.embed_rules.for_embed(&page.playback.playback_id, grant).await?;
    Ok((page, hosts))
}

/// Whether a frame is one of an allowed site, as far as the browser says. One that says nothing is left to `frame-ancestors`.
fn comes_from(headers: &HeaderMap, hosts: &EmbedHosts, public_url: &str) -> bool {
    let told = |name: &HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let framed = matches!(told(&SEC_FETCH_DEST), Some("iframe" | "frame" | "embed" | "object"));
    match told(&header::REFERER) {
        // A frame that goes on to another page of ours.
        Some(page) if framed => origin(page) == origin(public_url) || hosts.allow(page),
        _ => true,
    }
}

/// A page with a player. Its own script runs by a nonce, which no page without such a script has.
fn played(framed_by: String, page: &WatchPage) -> Response {
    let nonce = page.start.is_some().then(Nonce::random);
    let html = render(page, nonce.as_ref().map_or("", |nonce| &nonce.0));
    answer(StatusCode::OK, Page::Player { framed_by, nonce }, html)
}

fn document(status: StatusCode, framed_by: String, html: String) -> Response {
    answer(status, Page::Player { framed_by, nonce: None }, html)
}

fn answer(status: StatusCode, page: Page, html: String) -> Response {
    (status, [(header::CACHE_CONTROL, "no-store")], Extension(page), Html(html)).into_response()
}

fn refused(kind: Kind, link: &Link, framed_by: String, problem: Problem) -> Response {
    if problem.code == Code::NotFound {
        document(StatusCode::NOT_FOUND, framed_by, render_missing(kind, link.grant.is_some()))
    } else {
        server::http::problem::Refusal(problem).into_response()
    }
}

async fn page(state: &AppState, kind: Kind, id: &str, visitor: Visitor<'_>) -> Result<WatchPage, Problem> {
    let id: PlaybackId = id.parse().map_err(|_| Problem::not_found())?;
    let (playback, mut start) = state.playback.for_page(&id, visitor).await?;
    if let Some(start) = &mut start {
        state.delivery.open(start).await;
    }
    let by_grant = visitor.grant.is_some();
    let index = !by_grant && state.playback.indexable(&id).await?;
    let public_url = &state.settings.public_url;
    let watch_url = format!("{public_url}/watch/{id}");
    Ok(WatchPage {
        playback,
        start,
        kind,
        oembed_url: format!("{public_url}/oembed?format=json&url={}", watch_url.replace(':', "%3A").replace('/', "%2F")),
        embed_url: format!("{public_url}/embed/{id}"),
        watch_url,
        index,
        by_grant,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_of_another_site_is_told_by_its_referrer() {
        let hosts = EmbedHosts::parse("a.example *.b.example").expect("hosts");
        let comes = |dest: &str, from: Option<&str>| {
            let mut headers = HeaderMap::new();
            headers.insert(SEC_FETCH_DEST, dest.parse().expect("a value"));
            if let Some(from) = from {
                headers.insert(header::REFERER, from.parse().expect("a value"));
            }
            comes_from(&headers, &hosts, "https://v.example/base")
        };
        for dest in ["iframe", "frame", "embed", "object"] {
            assert!(comes(dest, Some("https://a.example/")) && comes(dest, Some("https://x.b.example/")) && comes(dest, None));
            assert!(comes(dest, Some("https://v.example/embed/x")));
            assert!(!comes(dest, Some("https://b.example/")) && !comes(dest, Some("https://a.example.evil/")));
            assert!(!comes(dest, Some("https://v.example.evil/")) && !comes(dest, Some("null")));
        }
        assert!(comes("document", Some("https://evil.example/")), "not in a frame");
    }
}
