//! Playlists by grant, which read no cookie, and what a player may know of a video.

use axum::{
    Json,
    extract::State,
    http::{HeaderName, header},
    response::{IntoResponse, Response},
};
use domain::{
    error::Problem,
    ids::{GenerationId, PlaybackId},
    video::Playback,
};

use super::{AppState, body::Ids, problem::Result, viewer::MaybeViewer};

const PLAYLIST: &str = "application/vnd.apple.mpegurl";
/// Any page may play what it has a signed URL for; no cookie is involved. Also on refusals, or players would see a CORS fault.
pub(super) const CORS: [(HeaderName, &str); 2] =
    [(header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"), (header::ACCESS_CONTROL_EXPOSE_HEADERS, "content-length, content-range, etag")];

/// `GET /api/v1/playback/{playback_id}`. Nobody has to be signed in; the owner of a private video may be.
pub async fn playback(
    State(state): State<AppState>,
    MaybeViewer(viewer): MaybeViewer,
    Ids(id): Ids<PlaybackId>,
) -> Result<([(HeaderName, &'static str); 1], Json<Playback>)> {
    let playback = state.playback.for_viewer(&id, viewer.map(|viewer| viewer.user)).await?;
    Ok(([(header::CACHE_CONTROL, "no-store")], Json(playback)))
}

/// `GET /hls/{grant}/index.m3u8`.
pub async fn multivariant(State(state): State<AppState>, Ids(grant): Ids<String>) -> Response {
    playlist(state.playback.multivariant(&grant).await.map_err(Into::into))
}

/// `GET /hls/{grant}/{generation}/{rendition}.m3u8`.
pub async fn media_playlist(
    State(state): State<AppState>,
    Ids((grant, generation, file)): Ids<(String, GenerationId, String)>,
) -> Response {
    let Some(name) = file.strip_suffix(".m3u8") else { return playlist(Err(Problem::not_found().into())) };
    playlist(state.playback.media_playlist(&grant, generation, name).await.map_err(Into::into))
}

fn playlist(text: Result<String>) -> Response {
    // A private cache may keep it for a moment; a shared one never.
    let headers = [(header::CONTENT_TYPE, PLAYLIST), (header::CACHE_CONTROL, "private, max-age=5")];
    match text {
        Ok(text) => (CORS, headers, text).into_response(),
        Err(refusal) => (CORS, refusal).into_response(),
    }
}
