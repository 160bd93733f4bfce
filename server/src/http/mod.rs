//! The REST surface. Each handler is *who → one service call → map*; who is told by an extractor, and every refusal is a problem with
//! a stable code.

use std::{ops::Deref, sync::Arc};

use axum::{
    Router,
    extract::{DefaultBodyLimit, FromRef},
    middleware::map_response,
    routing::{any, delete, get, head, post, put},
};
use tokio::sync::watch;

use crate::{
    config::Settings,
    delivery::Delivery,
    ports::{blob_store::BlobStore, cdn::Cdn},
    services::{
        accounts::Accounts, alerts::Alerts, api_keys::ApiKeys, audit_log::AuditLog, backlog::Backlogs, changes::Changes,
        database_watch::DatabaseWatch, embed_hosts::EmbedRules, grants::Grants, invites::Invites, playback::Playbacks,
        private_media::PrivateMedia, readiness::Readiness, sessions::Sessions, storage::Storage, uploads::Uploads, users::Users,
        videos::Videos,
    },
};

pub mod api;
pub mod body;
pub mod body_limits;
pub mod client_address;
pub mod connections;
pub mod events;
pub mod grants;
pub mod headers;
pub mod health;
mod last_sender;
pub mod media;
pub mod metrics;
pub mod observe;
pub mod oembed;
pub mod openapi;
pub mod outage;
pub mod playback;
pub mod problem;
mod progress;
pub mod rate_limits;
pub mod refused;
pub mod request_id;
pub mod session;
pub mod tus;
pub mod uploads;
pub mod videos;
pub mod viewer;

use rate_limits::RateLimits;

/// Takes a whole file.
const FILE_ROUTE: &str = "/api/upload";
/// Takes a part of one.
const PART_ROUTE: &str = "/api/v1/uploads/{upload}/parts/{number}";
/// Begins an upload by tus, maybe with its first bytes.
const TUS_ROUTE: &str = "/api/v1/tus";
/// Takes more of them.
const TUS_UPLOAD_ROUTE: &str = "/api/v1/tus/{upload}";
/// Gives media, mostly past the router ([`media::fast_path`]).
const MEDIA_ROUTE: &str = "/media/{generation}/{*file}";
/// Routes whose bodies are as long as an upload.
const UPLOAD_ROUTES: [&str; 4] = [FILE_ROUTE, PART_ROUTE, TUS_ROUTE, TUS_UPLOAD_ROUTE];
/// Routes that one upload asks as often as it has pieces.
const PIECE_ROUTES: [&str; 2] = [PART_ROUTE, TUS_UPLOAD_ROUTE];

/// What every handler can reach. Clones are the same one, for the router hands each request a dozen of them.
#[derive(Debug, Clone)]
pub struct AppState(Arc<Reachable>);

impl From<Reachable> for AppState {
    fn from(reachable: Reachable) -> Self {
        Self(Arc::new(reachable))
    }
}

impl Deref for AppState {
    type Target = Reachable;

    fn deref(&self) -> &Reachable {
        &self.0
    }
}

/// What [`AppState`] leads to: services, never a database.
#[derive(Debug, Clone)]
pub struct Reachable {
    /// Accounts.
    pub accounts: Accounts,
    /// API keys.
    pub api_keys: ApiKeys,
    /// Who is signed in where.
    pub sessions: Sessions,
    /// The people, for the owners.
    pub users: Users,
    /// Invitations.
    pub invites: Invites,
    /// What was done.
    pub audit_log: AuditLog,
    /// Videos.
    pub videos: Videos,
    /// Uploads.
    pub uploads: Uploads,
    /// Playback.
    pub playback: Playbacks,
    /// Named rights to play.
    pub grants: Grants,
    /// Who may show embeds.
    pub embed_rules: EmbedRules,
    /// What has changed.
    pub changes: Changes,
    /// The settings.
    pub settings: Arc<Settings>,
    /// Where bytes are.
    pub store: Arc<dyn BlobStore>,
    /// Published ones on their way to viewers, for our own origin.
    pub delivery: Delivery,
    /// Who has taken up how much, and how much is left.
    pub storage: Storage,
    /// Which of them belong to private videos.
    pub private_media: PrivateMedia,
    /// Who checks their URLs.
    pub cdn: Arc<dyn Cdn>,
    /// What the machinery has before it.
    pub backlogs: Backlogs,
    /// Whether the database answers.
    pub database: DatabaseWatch,
    /// Who has sent how much.
    pub rate_limits: RateLimits,
    /// Whether this process can do its work.
    pub readiness: Readiness,
    /// What needs a person.
    pub alerts: Alerts,
    /// Numbers for Prometheus.
    pub metrics: metrics::Metrics,
    /// Turns true when the process is to end, so that streams do.
    pub shutdown: watch::Receiver<bool>,
}

/// Routes that know their caller by cookie or key; they need [`session::layer`] around them.
pub fn api_routes<S>() -> Router<S>
where
    S: Clone + Send + Sync + 'static,
    AppState: FromRef<S>,
{
    let tus = Router::new()
        .route(TUS_ROUTE, post(tus::create).options(tus::options))
        .route(TUS_UPLOAD_ROUTE, head(tus::head).patch(tus::append).delete(tus::terminate).post(tus::disguised).options(tus::options))
        .layer(map_response(tus::speak));
    Router::new()
        .merge(tus)
        .route(FILE_ROUTE, post(api::upload).layer(DefaultBodyLimit::disable()))
        .route("/api/status", get(api::status))
        .route("/api/stream", get(api::stream))
        .route("/api/v1/uploads", get(uploads::unfinished).post(uploads::begin))
        .route("/api/v1/uploads/{upload}", get(uploads::ticket).delete(uploads::abort))
        .route(PART_ROUTE, put(uploads::put_part))
        .route("/api/v1/uploads/{upload}/parts/{number}/target", post(uploads::target))
        .route("/api/v1/uploads/{upload}/complete", post(uploads::complete))
        .route("/api/v1/events", get(events::events))
        .route("/api/v1/playback/{playback_id}", get(playback::playback))
        .route("/api/v1/videos", get(videos::list))
        .route("/api/v1/videos/{video}/grants", get(grants::list).post(grants::create))
        .route("/api/v1/videos/{video}/grants/{grant}", delete(grants::revoke))
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
        .route(MEDIA_ROUTE, get(media::media).options(media::preflight))
        .route("/packaged/{generation}/{*file}", get(media::packaged))
        .route("/oembed", get(oembed::oembed))
        .route("/api/openapi.json", get(openapi::openapi_json))
        .route("/api/docs", get(openapi::docs))
        .route("/livez", get(health::live))
        .route("/readyz", get(health::ready))
        // What `/livez` was called first.
        .route("/healthz", get(health::live))
        .route("/metrics", get(metrics::metrics))
}
