//! Named grants by the API: `/api/v1/videos/{video}/grants`.

use axum::{Json, extract::State, http::StatusCode};
use domain::{
    grant::NamedGrant,
    ids::{GrantId, VideoId},
};
use serde::{Deserialize, Serialize};

use super::{
    AppState,
    body::{Ids, JsonBody},
    client_address::ClientAddress,
    problem::Result,
    viewer::Viewer,
};
use crate::services::{audit_log::Actor, grants::NewGrant};

/// What is asked for.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CreateGrant {
    /// For whom it is.
    pub name: String,
    /// Seconds until it ends; without it, it lasts until it is revoked.
    #[serde(default)]
    pub expires_in_seconds: Option<u64>,
    /// Hosts whose pages may show it in a frame, such as `example.com` or `*.example.com`; none: those of the video, else of the account.
    #[serde(default)]
    pub embed_hosts: Vec<String>,
}

/// The grants of a video.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct GrantList {
    /// Newest first; revoked ones are not among them.
    pub grants: Vec<NamedGrant>,
}

/// `POST /api/v1/videos/{video}/grants`.
pub async fn create(
    State(state): State<AppState>,
    viewer: Viewer,
    ClientAddress(address): ClientAddress,
    Ids(video): Ids<VideoId>,
    JsonBody(asked): JsonBody<CreateGrant>,
) -> Result<(StatusCode, Json<NamedGrant>)> {
    let embed_hosts = asked.embed_hosts.join(" ");
    let new = NewGrant { name: &asked.name, seconds: asked.expires_in_seconds, embed_hosts: &embed_hosts };
    let actor = Actor { user: viewer.user, address: Some(address) };
    Ok((StatusCode::CREATED, Json(state.grants.create(actor, video, new).await?)))
}

/// `GET /api/v1/videos/{video}/grants`.
pub async fn list(State(state): State<AppState>, viewer: Viewer, Ids(video): Ids<VideoId>) -> Result<Json<GrantList>> {
    Ok(Json(GrantList { grants: state.grants.list(viewer.user, video).await? }))
}

/// `DELETE /api/v1/videos/{video}/grants/{grant}`.
pub async fn revoke(
    State(state): State<AppState>,
    viewer: Viewer,
    ClientAddress(address): ClientAddress,
    Ids((video, grant)): Ids<(VideoId, GrantId)>,
) -> Result<StatusCode> {
    state.grants.revoke(Actor { user: viewer.user, address: Some(address) }, video, grant).await?;
    Ok(StatusCode::NO_CONTENT)
}
