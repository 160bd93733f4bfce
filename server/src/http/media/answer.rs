//! Answers with media: out of memory, as slices of what is there, or as a body that is read while it is sent.

use std::sync::Arc;

use axum::{
    body::Body,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use domain::storage_key::StorageKey;

use super::range::{Asked, Behind};
use crate::{delivery::Object, http::playback::CORS, ports::blob_store::BlobRead};

/// An answer with an object or a part of it, with `base` as what else its headers say. An error where there is no such part.
pub(super) fn object(object: &Arc<Object>, asked: Asked, base: HeaderMap) -> Result<Response, Behind> {
    let (first, end) = asked.of(object.size())?;
    let partial = end - first < object.size();
    let mut bytes = object.bytes();
    let mut response = Response::default();
    *response.headers_mut() = base;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, object.content_type.clone());
    headers.insert(header::CACHE_CONTROL, object.cache_control.clone());
    headers.insert(header::ETAG, object.etag.clone());
    if partial {
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(end - first));
        content_range(headers, first, end, object.size());
        // Ends lie within the object, whose size is that of a slice of memory.
        bytes = bytes.slice(usize::try_from(first).unwrap_or_default()..usize::try_from(end).unwrap_or_default());
        *response.status_mut() = StatusCode::PARTIAL_CONTENT;
    } else {
        headers.insert(header::CONTENT_LENGTH, object.length.clone());
    }
    *response.body_mut() = Body::from(bytes);
    Ok(response)
}

/// What the headers of every answer with media say.
pub(super) fn base() -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(24);
    for (name, value) in CORS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    headers
}

/// An answer with what is read while it is sent, with `base` as what else its headers say.
pub(super) fn stream(read: BlobRead, key: &StorageKey, etag: &str, ranged: bool, base: HeaderMap) -> Response {
    let partial = ranged && read.length < read.size;
    let mut response = Response::default();
    *response.headers_mut() = base;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(key.content_type()));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(key.cache_control()));
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(read.length));
    if let Ok(etag) = HeaderValue::from_str(etag) {
        headers.insert(header::ETAG, etag);
    }
    if partial {
        content_range(headers, read.offset, read.offset + read.length, read.size);
        *response.status_mut() = StatusCode::PARTIAL_CONTENT;
    }
    *response.body_mut() = Body::from_stream(read.body);
    response
}

/// The answer to a range that starts behind the object's end.
pub(super) fn behind(size: u64) -> Response {
    (StatusCode::RANGE_NOT_SATISFIABLE, CORS, [(header::CONTENT_RANGE, format!("bytes */{size}"))]).into_response()
}

fn content_range(headers: &mut HeaderMap, first: u64, end: u64, size: u64) {
    let range = format!("bytes {first}-{}/{size}", end.saturating_sub(1));
    if let Ok(range) = HeaderValue::from_str(&range) {
        headers.insert(header::CONTENT_RANGE, range);
    }
}
