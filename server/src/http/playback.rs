//! Playlists by grant, which read no cookie, and what a player may know of a video.
//!
//! Behind CloudFront, playlists are served through the distribution alone: it checks the signature and shows a secret that only it knows.

use axum::{
    Json,
    extract::{FromRef, FromRequestParts, State},
    http::{HeaderName, header, request::Parts},
    response::{IntoResponse, Response},
};
use domain::{
    error::Problem,
    grant::Lifetime,
    ids::{GenerationId, PlaybackId},
    video::Playback,
};

use secrecy::ExposeSecret;
use serde::Deserialize;
use subtle::ConstantTimeEq;

use super::{
    AppState,
    body::{Ids, QueryString},
    problem::{Refusal, Result},
    viewer::MaybeViewer,
};
use crate::{
    config::{CdnKind, Settings, each_secret},
    services::playback::Visitor,
};

const PLAYLIST: &str = "application/vnd.apple.mpegurl";
/// What the distribution sends to its second origin, and nobody else knows.
const ORIGIN_SECRET: HeaderName = HeaderName::from_static("x-millrace-origin");
/// Any page may play what it has a signed URL for; no cookie is involved. Also on refusals, or players would see a CORS fault.
pub(super) const CORS: [(HeaderName, &str); 2] =
    [(header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"), (header::ACCESS_CONTROL_EXPOSE_HEADERS, "content-length, content-range, etag")];

/// How a visitor comes.
#[derive(Debug, Default, Deserialize)]
pub struct Coming {
    /// The secret of a named grant's link.
    #[serde(default)]
    pub grant: Option<String>,
    /// How long the URLs are to last.
    #[serde(default)]
    pub lifetime: Lifetime,
}

/// `GET /api/v1/playback/{playback_id}`. Nobody has to be signed in; the owner of a private video may be.
pub async fn playback(
    State(state): State<AppState>,
    MaybeViewer(viewer): MaybeViewer,
    Ids(id): Ids<PlaybackId>,
    QueryString(coming): QueryString<Coming>,
) -> Result<([(HeaderName, &'static str); 1], Json<Playback>)> {
    let visitor = Visitor { user: viewer.map(|viewer| viewer.user), grant: coming.grant.as_deref() };
    let playback = state.playback.for_viewer(&id, visitor, coming.lifetime).await?;
    Ok(([(header::CACHE_CONTROL, "no-store")], Json(playback)))
}

/// `GET /hls/{grant}/index.m3u8`.
pub async fn multivariant(_: FromDistribution, State(state): State<AppState>, Ids(grant): Ids<String>) -> Response {
    playlist(state.playback.multivariant(&grant).await.map_err(Into::into))
}

/// `GET /hls/{grant}/{generation}/{rendition}.m3u8`.
pub async fn media_playlist(
    _: FromDistribution,
    State(state): State<AppState>,
    Ids((grant, generation, file)): Ids<(String, GenerationId, String)>,
) -> Response {
    let Some(name) = file.strip_suffix(".m3u8") else { return playlist(Err(Problem::not_found().into())) };
    playlist(state.playback.media_playlist(&grant, generation, name).await.map_err(Into::into))
}

fn playlist(text: Result<String>) -> Response {
    // Nobody may show it again unasked, not even for a moment: whoever asks anew does so because there may be more in it.
    let headers = [(header::CONTENT_TYPE, PLAYLIST), (header::CACHE_CONTROL, "private, no-cache")];
    match text {
        Ok(text) => (CORS, headers, text).into_response(),
        Err(refusal) => (CORS, refusal).into_response(),
    }
}

/// A request that came the right way: through the distribution, where there is one with a secret. Any other looks as if nothing were here.
#[derive(Debug, Clone, Copy)]
pub struct FromDistribution;

impl<S> FromRequestParts<S> for FromDistribution
where
    S: Send + Sync,
    AppState: FromRef<S>,
{
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> std::result::Result<Self, Response> {
        let state = AppState::from_ref(state);
        let shown = parts.headers.get(ORIGIN_SECRET).map_or(&[][..], |value| value.as_bytes());
        match origin_secret(&state.settings) {
            Some(secrets) if !is_one_of(secrets, shown) => Err(playlist(Err(Problem::not_found().into()))),
            _ => Ok(Self),
        }
    }
}

/// A request that a distribution has checked the signature of, and shows by its secret that it has. Without a distribution, or without a secret,
/// there is no such request.
#[derive(Debug, Clone, Copy)]
pub struct CheckedByDistribution;

impl<S> FromRequestParts<S> for CheckedByDistribution
where
    S: Send + Sync,
    AppState: FromRef<S>,
{
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> std::result::Result<Self, Response> {
        match origin_secret(&AppState::from_ref(state).settings) {
            Some(_) => FromDistribution::from_request_parts(parts, state).await.map(|_| Self),
            None => Err((CORS, Refusal(Problem::not_found())).into_response()),
        }
    }
}

/// Whether what was shown is one of the secrets: while it is changed there are two.
fn is_one_of(secrets: &str, shown: &[u8]) -> bool {
    each_secret(secrets).any(|secret| bool::from(secret.as_bytes().ct_eq(shown)))
}

/// The secrets that playlists are refused without, if there are any.
fn origin_secret(settings: &Settings) -> Option<&str> {
    let secret = settings.cloudfront.origin_secret.expose_secret();
    (settings.ports.cdn == CdnKind::Cloudfront && !secret.is_empty()).then_some(secret)
}
