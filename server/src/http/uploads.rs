//! Uploads in parts, for browsers and programs that want to resume.

use axum::{
    Json,
    body::Body,
    extract::State,
    http::{HeaderMap, StatusCode, header},
};
use domain::{
    error::Problem,
    ids::UploadId,
    upload::{BeginUpload, CHECKSUM_HEADER, PartAnnouncement, PartReceipt, PartTarget, UnfinishedUploads, UploadTicket},
    video::Status,
};

use super::{
    AppState,
    api::Accepted,
    body::{Ids, JsonBody, stream},
    problem::Result,
    viewer::Uploading,
};

/// `POST /api/v1/uploads`.
pub async fn begin(
    State(state): State<AppState>,
    Uploading(viewer): Uploading,
    JsonBody(begin): JsonBody<BeginUpload>,
) -> Result<(StatusCode, Json<UploadTicket>)> {
    Ok((StatusCode::CREATED, Json(state.uploads.begin(viewer.user, &begin).await?)))
}

/// `GET /api/v1/uploads`.
pub async fn unfinished(State(state): State<AppState>, Uploading(viewer): Uploading) -> Result<Json<UnfinishedUploads>> {
    Ok(Json(state.uploads.unfinished(viewer.user).await?))
}

/// `GET /api/v1/uploads/{upload}`.
pub async fn ticket(State(state): State<AppState>, Uploading(viewer): Uploading, Ids(upload): Ids<UploadId>) -> Result<Json<UploadTicket>> {
    Ok(Json(state.uploads.ticket(viewer.user, upload).await?))
}

/// `PUT /api/v1/uploads/{upload}/parts/{number}`.
pub async fn put_part(
    State(state): State<AppState>,
    Uploading(viewer): Uploading,
    Ids((upload, number)): Ids<(UploadId, u32)>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<PartReceipt>> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let crc32c = text(CHECKSUM_HEADER).filter(|text| text.len() == 8).and_then(|text| u32::from_str_radix(text, 16).ok());
    let crc32c =
        crc32c.ok_or_else(|| Problem::invalid(format!("Send the part's CRC32C as eight hexadecimal digits in {CHECKSUM_HEADER}.")))?;
    let length = text(header::CONTENT_LENGTH.as_str()).and_then(|text| text.parse().ok());
    Ok(Json(state.uploads.put_part(viewer.user, upload, number, crc32c, length, stream(body)).await?))
}

/// `POST /api/v1/uploads/{upload}/parts/{number}/target`.
pub async fn target(
    State(state): State<AppState>,
    Uploading(viewer): Uploading,
    Ids((upload, number)): Ids<(UploadId, u32)>,
    JsonBody(announced): JsonBody<PartAnnouncement>,
) -> Result<Json<PartTarget>> {
    Ok(Json(state.uploads.target(viewer.user, upload, number, announced).await?))
}

/// `POST /api/v1/uploads/{upload}/complete`.
pub async fn complete(State(state): State<AppState>, Uploading(viewer): Uploading, Ids(upload): Ids<UploadId>) -> Result<Json<Accepted>> {
    let video_id = state.uploads.complete(viewer.user, upload).await?;
    Ok(Json(Accepted { video_id, status: Status::Processing }))
}

/// `DELETE /api/v1/uploads/{upload}`.
pub async fn abort(State(state): State<AppState>, Uploading(viewer): Uploading, Ids(upload): Ids<UploadId>) -> Result<StatusCode> {
    state.uploads.abort(viewer.user, upload).await?;
    Ok(StatusCode::NO_CONTENT)
}
