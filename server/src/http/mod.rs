//! The REST surface. Each handler is *who → one service call → map*; who is told by an extractor, and every refusal is a problem with
//! a stable code.

use std::sync::Arc;

use axum::{
    Router,
    extract::{DefaultBodyLimit, FromRef},
    routing::{any, get, post, put},
};
use tokio::sync::watch;

use crate::{
    config::Settings,
    ports::{blob_store::BlobStore, cdn::Cdn},
    services::{
        accounts::Accounts, api_keys::ApiKeys, changes::Changes, playback::Playbacks, private_media::PrivateMedia, uploads::Uploads,
        videos::Videos,
    },
};

pub mod api;
pub mod body;
pub mod events;
pub mod headers;
pub mod media;
pub mod oembed;
pub mod playback;
pub mod problem;
pub mod session;
pub mod uploads;
pub mod viewer;

/// What every handler can reach: services, never a database.
#[derive(Debug, Clone)]
pub struct AppState {
    /// Accounts.
    pub accounts: Accounts,
    /// API keys.
    pub api_keys: ApiKeys,
    /// Videos.
    pub videos: Videos,
    /// Uploads.
    pub uploads: Uploads,
    /// Playback.
    pub playback: Playbacks,
    /// What has changed.
    pub changes: Changes,
    /// The settings.
    pub settings: Arc<Settings>,
    /// Where published bytes are, for our own origin.
    pub store: Arc<dyn BlobStore>,
    /// Which of them belong to private videos.
    pub private_media: PrivateMedia,
    /// Who checks their URLs.
    pub cdn: Arc<dyn Cdn>,
    /// Turns true when the process is to end, so that streams do.
    pub shutdown: watch::Receiver<bool>,
}

/// Routes that know their caller by cookie or key; they need [`session::layer`] around them.
pub fn api_routes<S>() -> Router<S>
where
    S: Clone + Send + Sync + 'static,
    AppState: FromRef<S>,
{
    Router::new()
        .route("/api/upload", post(api::upload).layer(DefaultBodyLimit::disable()))
        .route("/api/status", get(api::status))
        .route("/api/stream", get(api::stream))
        .route("/api/v1/uploads", post(uploads::begin))
        .route("/api/v1/uploads/{upload}", get(uploads::ticket).delete(uploads::abort))
        .route("/api/v1/uploads/{upload}/parts/{number}", put(uploads::put_part))
        .route("/api/v1/uploads/{upload}/parts/{number}/target", post(uploads::target))
        .route("/api/v1/uploads/{upload}/complete", post(uploads::complete))
        .route("/api/v1/events", get(events::events))
        .route("/api/v1/playback/{playback_id}", get(playback::playback))
        .route("/api/{*rest}", any(problem::no_such_endpoint))
        .method_not_allowed_fallback(problem::no_such_method)
}

/// Routes that everybody may ask, and that read no cookie: playback by grant or playback id.
pub fn public_routes<S>() -> Router<S>
where
    S: Clone + Send + Sync + 'static,
    AppState: FromRef<S>,
{
    Router::new()
        .route("/hls/{grant}/index.m3u8", get(playback::multivariant))
        .route("/hls/{grant}/{generation}/{playlist}", get(playback::media_playlist))
        .route("/media/{generation}/{*file}", get(media::media).options(media::preflight))
        .route("/oembed", get(oembed::oembed))
        .route("/healthz", get(|| async { "ok\n" }))
}
