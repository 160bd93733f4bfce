//! The pages behind a shared link. Both are documents of the embed entry; only the watch page looks at who asks, so that an owner sees
//! a private video of theirs.

use app::watch::{Kind, WatchPage, render, render_missing};
use axum::{
    extract::{Path, State},
    http::{StatusCode, header},
    response::{Html, IntoResponse, Response},
};
use domain::{
    error::{Code, Problem},
    ids::{PlaybackId, UserId},
};
use server::http::{AppState, viewer::MaybeViewer};

/// `GET /watch/{playback_id}`.
pub(crate) async fn watch(State(state): State<AppState>, MaybeViewer(viewer): MaybeViewer, Path(id): Path<String>) -> Response {
    respond(&state, Kind::Watch, &id, viewer.map(|viewer| viewer.user)).await
}

/// `GET /embed/{playback_id}`.
pub(crate) async fn embed(State(state): State<AppState>, Path(id): Path<String>) -> Response {
    respond(&state, Kind::Embed, &id, None).await
}

async fn respond(state: &AppState, kind: Kind, id: &str, viewer: Option<UserId>) -> Response {
    let no_store = [(header::CACHE_CONTROL, "no-store")];
    match page(state, kind, id, viewer).await {
        Ok(page) => (no_store, Html(render(&page))).into_response(),
        Err(problem) if problem.code == Code::NotFound => (StatusCode::NOT_FOUND, no_store, Html(render_missing(kind))).into_response(),
        Err(problem) => server::http::problem::Refusal(problem).into_response(),
    }
}

async fn page(state: &AppState, kind: Kind, id: &str, viewer: Option<UserId>) -> Result<WatchPage, Problem> {
    let id: PlaybackId = id.parse().map_err(|_| Problem::not_found())?;
    let playback = state.playback.for_viewer(&id, viewer).await?;
    let index = state.playback.indexable(&id).await?;
    let public_url = &state.settings.public_url;
    let watch_url = format!("{public_url}/watch/{id}");
    Ok(WatchPage {
        playback,
        kind,
        oembed_url: format!("{public_url}/oembed?format=json&url={}", watch_url.replace(':', "%3A").replace('/', "%2F")),
        embed_url: format!("{public_url}/embed/{id}"),
        watch_url,
        index,
    })
}
