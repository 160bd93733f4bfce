//! The protocol tus 1.0 (<https://tus.io/protocols/resumable-upload>) over our uploads: core, creation, creation-with-upload, checksum,
//! termination and expiration. Absent, and said to be, where the store takes parts alone.

use axum::{
    body::Body,
    extract::{FromRequestParts, State},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};
use domain::{
    error::{Code, Problem},
    ids::UploadId,
    upload::BeginUpload,
};

use self::fields::{checksum, expires, is_piece, meant, metadata, number};
use super::{
    AppState,
    body::{Ids, stream},
    problem::{Refusal, Result},
    viewer::{Uploading, Viewer},
};
use crate::services::uploads::tus::{ALGORITHMS, Piece, Standing};

mod fields;

/// The version of the protocol.
pub const VERSION: &str = "1.0.0";
const EXTENSIONS: &str = "creation,creation-with-upload,checksum,termination,expiration";
/// The name of a file whose client gives it none.
const NAMELESS: &str = "upload";

pub(super) const RESUMABLE: HeaderName = HeaderName::from_static("tus-resumable");
const TUS_VERSION: HeaderName = HeaderName::from_static("tus-version");
const TUS_EXTENSION: HeaderName = HeaderName::from_static("tus-extension");
const TUS_MAX_SIZE: HeaderName = HeaderName::from_static("tus-max-size");
const TUS_CHECKSUM_ALGORITHM: HeaderName = HeaderName::from_static("tus-checksum-algorithm");
const UPLOAD_OFFSET: HeaderName = HeaderName::from_static("upload-offset");
const UPLOAD_LENGTH: HeaderName = HeaderName::from_static("upload-length");
const UPLOAD_EXPIRES: HeaderName = HeaderName::from_static("upload-expires");
const VIDEO_ID: HeaderName = HeaderName::from_static("millrace-video-id");

/// A request of a client that speaks our version of the protocol.
#[derive(Debug, Clone, Copy)]
pub struct Resumable;

impl<S: Send + Sync> FromRequestParts<S> for Resumable {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self> {
        if parts.headers.get(RESUMABLE).is_some_and(|version| version == VERSION) {
            return Ok(Self);
        }
        let detail = format!("Send `Tus-Resumable: {VERSION}`: it is the version of tus that this server speaks.");
        Err(Problem::new(Code::UnsupportedVersion, detail).into())
    }
}

/// Puts on every answer which version it speaks.
pub async fn speak(mut response: Response) -> Response {
    let refused = response.status() == StatusCode::PRECONDITION_FAILED;
    let set = response.headers_mut();
    set.insert(RESUMABLE, HeaderValue::from_static(VERSION));
    if refused {
        set.insert(TUS_VERSION, HeaderValue::from_static(VERSION));
    }
    response
}

/// `OPTIONS` of both addresses: what this server can do.
pub async fn options(State(state): State<AppState>) -> Result<Response> {
    state.uploads.check_appending()?;
    let headers = [
        (TUS_VERSION, HeaderValue::from_static(VERSION)),
        (TUS_EXTENSION, HeaderValue::from_static(EXTENSIONS)),
        (TUS_MAX_SIZE, HeaderValue::from(state.uploads.max_size())),
        (TUS_CHECKSUM_ALGORITHM, HeaderValue::from_static(ALGORITHMS)),
    ];
    Ok((StatusCode::NO_CONTENT, headers).into_response())
}

/// `POST /api/v1/tus`.
pub async fn create(
    State(state): State<AppState>,
    Uploading(viewer): Uploading,
    _: Resumable,
    headers: HeaderMap,
    body: Body,
) -> Result<Response> {
    let size = number(&headers, &UPLOAD_LENGTH)?.ok_or_else(|| Problem::invalid("Send the file's size in bytes in Upload-Length."))?;
    let said = metadata(&headers)?;
    let file_name = said.file_name.unwrap_or_else(|| NAMELESS.to_owned());
    let begin = BeginUpload { file_name, size, title: said.title, ..BeginUpload::default() };
    let piece = is_piece(&headers).then(|| piece(&headers, 0, body)).transpose()?;
    if piece.as_ref().and_then(|piece| piece.length).is_some_and(|length| length > size) {
        return Err(Problem::new(Code::TooLarge, "The body has more bytes than Upload-Length says.").into());
    }
    let mut standing = state.uploads.begin_appending(viewer.user, &begin).await?;
    if let Some(piece) = piece {
        let upload = standing.upload;
        standing = match state.uploads.append(viewer.user, upload, piece).await {
            Ok(standing) => standing,
            // It has begun all the same, and the client goes on where the answer says.
            Err(_) => state.uploads.standing(viewer.user, upload).await?,
        };
    }
    let mut response = (StatusCode::CREATED, stand(&standing)).into_response();
    let location = HeaderValue::from_str(&format!("/api/v1/tus/{}", standing.upload)).map_err(|_| Problem::internal())?;
    response.headers_mut().insert(header::LOCATION, location);
    Ok(response)
}

/// `HEAD /api/v1/tus/{upload}`.
pub async fn head(
    State(state): State<AppState>,
    Uploading(viewer): Uploading,
    _: Resumable,
    Ids(upload): Ids<UploadId>,
) -> Result<Response> {
    let standing = state.uploads.standing(viewer.user, upload).await?;
    let mut headers = stand(&standing);
    headers.insert(UPLOAD_LENGTH, HeaderValue::from(standing.size));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok((StatusCode::OK, headers).into_response())
}

/// `PATCH /api/v1/tus/{upload}`.
pub async fn append(
    State(state): State<AppState>,
    Uploading(viewer): Uploading,
    _: Resumable,
    Ids(upload): Ids<UploadId>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response> {
    append_piece(&state, &viewer, upload, &headers, body).await
}

async fn append_piece(state: &AppState, viewer: &Viewer, upload: UploadId, headers: &HeaderMap, body: Body) -> Result<Response> {
    if !is_piece(headers) {
        return Err(Problem::new(Code::UnsupportedMediaType, "Send the bytes as application/offset+octet-stream.").into());
    }
    let offset = number(headers, &UPLOAD_OFFSET)?.ok_or_else(|| Problem::invalid("Send in Upload-Offset which byte comes first."))?;
    let piece = piece(headers, offset, body)?;
    // They may be known from the piece before alone, which is not enough to complete anything.
    if state.uploads.may_complete(viewer.user, upload, piece.offset, piece.length).await? && !viewer.still_known(state).await? {
        return Err(Problem::unauthenticated().into());
    }
    let standing = state.uploads.append(viewer.user, upload, piece).await?;
    Ok((StatusCode::NO_CONTENT, stand(&standing)).into_response())
}

/// `DELETE /api/v1/tus/{upload}`.
pub async fn terminate(
    State(state): State<AppState>,
    Uploading(viewer): Uploading,
    _: Resumable,
    Ids(upload): Ids<UploadId>,
) -> Result<StatusCode> {
    state.uploads.abort(viewer.user, upload).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `POST /api/v1/tus/{upload}`: another method, for clients whose network lets no other through.
pub async fn disguised(
    state: State<AppState>,
    uploading: Uploading,
    resumable: Resumable,
    upload: Ids<UploadId>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response> {
    match meant(&headers).as_deref() {
        Some("PATCH") => append_piece(&state.0, &uploading.0, upload.0, &headers, body).await,
        Some("DELETE") => terminate(state, uploading, resumable, upload).await.map(IntoResponse::into_response),
        Some("HEAD") => head(state, uploading, resumable, upload).await,
        _ => Err(super::problem::no_such_method().await),
    }
}

fn piece(headers: &HeaderMap, offset: u64, body: Body) -> Result<Piece> {
    Ok(Piece { offset, length: number(headers, &header::CONTENT_LENGTH)?, checksum: checksum(headers)?, body: stream(body) })
}

/// The headers that say where an upload stands.
fn stand(standing: &Standing) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(UPLOAD_OFFSET, HeaderValue::from(standing.offset));
    if let Ok(video) = HeaderValue::from_str(&standing.video.to_string()) {
        headers.insert(VIDEO_ID, video);
    }
    if let Some(expires) = standing.expires_at_ms.and_then(expires) {
        headers.insert(UPLOAD_EXPIRES, expires);
    }
    headers
}
