//! Our own origin for published bytes: every request is checked by its signature and by whether the grant in it stands, in memory; ranges,
//! validators and caching as RFC 9110 and 9111 say.

use axum::{
    body::Body,
    extract::{RawQuery, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use domain::{
    error::{Code, Problem},
    ids::GenerationId,
    storage_key::StorageKey,
};
use futures::StreamExt;

use super::{
    AppState,
    body::Ids,
    playback::{CORS, CheckedByDistribution},
    problem::Refusal,
};
use crate::{
    clock::now_seconds,
    error::Error,
    ports::{
        blob_store::{BlobError, BlobRead, ByteRange},
        cdn::Verified,
    },
    telemetry::metrics,
};

/// `GET /media/{generation}/{file}?e=…&s=…`.
pub async fn media(
    State(state): State<AppState>,
    Ids((generation, file)): Ids<(String, String)>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let verified = state.cdn.verify(&generation, &file, query.as_deref().unwrap_or_default(), now_seconds());
    let open = |verified: &Verified| state.private_media.opens(verified.generation, verified.audience);
    let Some(Verified { key, .. }) = verified.filter(open) else {
        let problem = Problem::new(Code::GrantRefused, "This address has expired or was never valid. Open the video's page again.");
        return (CORS, Refusal(problem)).into_response();
    };
    if !state.private_media.is_current() {
        // It may have been revoked where we cannot see it.
        return (CORS, Refusal(Problem::unavailable())).into_response();
    }
    serve(&state, &key, &headers).await
}

/// `GET /packaged/{generation}/{file}`, by a distribution that has checked the signature.
pub async fn packaged(
    _: CheckedByDistribution,
    State(state): State<AppState>,
    Ids((generation, file)): Ids<(GenerationId, String)>,
    headers: HeaderMap,
) -> Response {
    match StorageKey::published(generation, &file) {
        Some(key) => serve(&state, &key, &headers).await,
        None => (CORS, Refusal(Problem::not_found())).into_response(),
    }
}

async fn serve(state: &AppState, key: &StorageKey, headers: &HeaderMap) -> Response {
    let StorageKey::Published { generation, file } = key else { return (CORS, Refusal(Problem::not_found())).into_response() };
    // Objects never change, so their name is their validator.
    let etag = format!("\"{generation}/{file}\"");
    let asked = |name: header::HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    if asked(header::IF_NONE_MATCH)
        .is_some_and(|tags| tags == "*" || tags.split(',').any(|tag| tag.trim().trim_start_matches("W/") == etag))
    {
        return (StatusCode::NOT_MODIFIED, CORS, [(header::ETAG, etag), (header::CACHE_CONTROL, key.cache_control().to_owned())])
            .into_response();
    }
    let may_range = asked(header::IF_RANGE).is_none_or(|tag| tag == etag);
    let range = asked(header::RANGE).filter(|_| may_range);
    match read(state, key, range).await {
        Ok(read) => body(read, key, &etag, range.is_some()),
        Err(BlobError::RangeNotSatisfiable(size)) => {
            (StatusCode::RANGE_NOT_SATISFIABLE, CORS, [(header::CONTENT_RANGE, format!("bytes */{size}"))]).into_response()
        }
        Err(error) => (CORS, Refusal::from(Error::from(error))).into_response(),
    }
}

/// Cross-origin players ask before they send `Range`.
pub async fn preflight() -> Response {
    let allow = [
        (header::ACCESS_CONTROL_ALLOW_METHODS, "GET, HEAD"),
        (header::ACCESS_CONTROL_ALLOW_HEADERS, "range"),
        (header::ACCESS_CONTROL_MAX_AGE, "86400"),
    ];
    (StatusCode::NO_CONTENT, CORS, allow).into_response()
}

async fn read(state: &AppState, key: &StorageKey, range: Option<&str>) -> Result<BlobRead, BlobError> {
    let StorageKey::Published { generation, file } = key else { return Err(BlobError::NotFound) };
    if !state.packages.knows(*generation) {
        match stored(state, key, range).await {
            Err(BlobError::NotFound) => {}
            read => return read,
        }
    }
    // What is in no store may be made of a source.
    let whole = state.packages.object(*generation, file).await?;
    part(&whole, range)
}

/// What a range asks of bytes that are all there.
fn part(whole: &Bytes, range: Option<&str>) -> Result<BlobRead, BlobError> {
    let size = whole.len() as u64;
    let (first, end) = match range.map_or(Asked::Whole, parse_range) {
        Asked::Whole => (0, size),
        Asked::Part(range) if range.first < size => (range.first, range.last.map_or(size, |last| last.saturating_add(1).min(size))),
        Asked::Last(count) if count > 0 => (size.saturating_sub(count), size),
        Asked::Part(_) | Asked::Last(_) => return Err(BlobError::RangeNotSatisfiable(size)),
    };
    let bytes = whole.slice(first as usize..end as usize);
    let length = bytes.len() as u64;
    Ok(BlobRead { size, offset: first, length, body: futures::stream::once(async move { Ok(bytes) }).boxed() })
}

async fn stored(state: &AppState, key: &StorageKey, range: Option<&str>) -> Result<BlobRead, BlobError> {
    match range.map(parse_range) {
        None | Some(Asked::Whole) => state.store.get(key, None).await,
        Some(Asked::Part(range)) => state.store.get(key, Some(range)).await,
        Some(Asked::Last(count)) => {
            let size = state.store.size(key).await?;
            if count == 0 {
                return Err(BlobError::RangeNotSatisfiable(size));
            }
            state.store.get(key, Some(ByteRange { first: size.saturating_sub(count), last: None })).await
        }
    }
}

/// What a `Range` header asks for.
#[derive(Debug, PartialEq, Eq)]
enum Asked {
    /// Everything: also for what cannot be read and for several ranges, which a server may ignore (RFC 9110, 14.2).
    Whole,
    Part(ByteRange),
    Last(u64),
}

fn parse_range(header: &str) -> Asked {
    let Some((first, last)) = header.strip_prefix("bytes=").and_then(|spec| spec.split_once('-')) else { return Asked::Whole };
    match (first.trim().parse::<u64>(), last.trim().parse::<u64>()) {
        (Ok(first), Ok(last)) if first <= last => Asked::Part(ByteRange { first, last: Some(last) }),
        (Ok(first), Err(_)) if last.trim().is_empty() => Asked::Part(ByteRange { first, last: None }),
        (Err(_), Ok(last)) if first.trim().is_empty() => Asked::Last(last),
        _ => Asked::Whole,
    }
}

fn body(read: BlobRead, key: &StorageKey, etag: &str, ranged: bool) -> Response {
    let partial = ranged && read.length < read.size;
    let mut response = (if partial { StatusCode::PARTIAL_CONTENT } else { StatusCode::OK }, CORS).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(key.content_type()));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(key.cache_control()));
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(read.length));
    if let Ok(etag) = HeaderValue::from_str(etag) {
        headers.insert(header::ETAG, etag);
    }
    if partial {
        let range = format!("bytes {}-{}/{}", read.offset, read.offset + read.length.saturating_sub(1), read.size);
        if let Ok(range) = HeaderValue::from_str(&range) {
            headers.insert(header::CONTENT_RANGE, range);
        }
    }
    metrics::sent(read.length);
    *response.body_mut() = Body::from_stream(read.body);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_as_the_standard_says() {
        let part = |first, last| Asked::Part(ByteRange { first, last });
        assert_eq!(parse_range("bytes=0-99"), part(0, Some(99)));
        assert_eq!(parse_range("bytes=100-"), part(100, None));
        assert_eq!(parse_range("bytes=-5"), Asked::Last(5));
        for whole in ["bytes=5-4", "bytes=0-1,4-5", "items=0-1", "bytes=", "bytes=-", "bytes=a-b", "bytes=99999999999999999999-"] {
            assert_eq!(parse_range(whole), Asked::Whole, "{whole}");
        }
    }
}
