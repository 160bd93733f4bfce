//! Our own origin for published bytes: every request is checked by its signature and by whether the grant in it stands, in memory; ranges,
//! validators and caching as RFC 9110 and 9111 say.
//!
//! The check comes before the cache is looked into, at each request: what is in the cache is only bytes, and there is no right in having been
//! served before. So a video that becomes private, a grant that is revoked and an account that is disabled stop being served from memory at
//! the moment they stop being served at all; what is deleted is let go of as well ([`crate::services::withdrawals`]).

use axum::{
    body::Body,
    extract::{RawQuery, State},
    http::{HeaderMap, Method, StatusCode, header},
    response::{IntoResponse, Response},
};
use domain::{
    error::{Code, Problem},
    ids::GenerationId,
    storage_key::StorageKey,
};

mod answer;
pub mod fast_path;
mod range;

use self::range::{Asked, Behind, parse_range};
use super::{
    AppState,
    body::Ids,
    playback::{CORS, CheckedByDistribution},
    problem::Refusal,
};
use crate::{
    clock::now_seconds,
    delivery::{Outgoing, etag},
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
    method: Method,
    headers: HeaderMap,
) -> Response {
    let key = match admit(&state, &generation, &file, query.as_deref().unwrap_or_default()) {
        Ok(verified) => verified.key,
        Err(problem) => return (CORS, Refusal(problem)).into_response(),
    };
    serve(&state, &key, &method, &headers).await
}

/// `GET /packaged/{generation}/{file}`, by a distribution that has checked the signature.
pub async fn packaged(
    _: CheckedByDistribution,
    State(state): State<AppState>,
    Ids((generation, file)): Ids<(GenerationId, String)>,
    method: Method,
    headers: HeaderMap,
) -> Response {
    match StorageKey::published(generation, &file) {
        Some(key) => serve(&state, &key, &method, &headers).await,
        None => (CORS, Refusal(Problem::not_found())).into_response(),
    }
}

async fn serve(state: &AppState, key: &StorageKey, method: &Method, headers: &HeaderMap) -> Response {
    let etag = etag(key);
    if not_modified(headers, &etag) {
        return (StatusCode::NOT_MODIFIED, CORS, [(header::ETAG, etag), (header::CACHE_CONTROL, key.cache_control().to_owned())])
            .into_response();
    }
    let response = match read(state, key, asked(headers, &etag), &etag).await {
        Ok(response) => response,
        Err(BlobError::RangeNotSatisfiable(size)) => answer::behind(size),
        Err(error) => return (CORS, Refusal::from(Error::from(error))).into_response(),
    };
    if *method == Method::HEAD {
        return response.map(|_| Body::empty());
    }
    metrics::sent(told_length(&response).unwrap_or_default());
    response
}

/// Lets a request in whose signature is right and opens what it asks for, now: no answer of ours goes by anything else.
fn admit(state: &AppState, generation: &str, file: &str, query: &str) -> Result<Verified, Problem> {
    let verified = state.cdn.verify(generation, file, query, now_seconds());
    let open = |verified: &Verified| state.private_media.opens(verified.generation, verified.audience);
    let refused = || Problem::new(Code::GrantRefused, "This address has expired or was never valid. Open the video's page again.");
    let verified = verified.filter(open).ok_or_else(refused)?;
    // It may have been revoked where we cannot see it.
    if state.private_media.is_current() { Ok(verified) } else { Err(Problem::unavailable()) }
}

fn text(headers: &HeaderMap, name: header::HeaderName) -> Option<&str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// Whether the client has the object. Objects never change, so their name is their validator.
fn not_modified(headers: &HeaderMap, etag: &str) -> bool {
    text(headers, header::IF_NONE_MATCH)
        .is_some_and(|tags| tags == "*" || tags.split(',').any(|tag| tag.trim().trim_start_matches("W/") == etag))
}

/// Which part the client wants, if it has not begun with another object.
fn asked(headers: &HeaderMap, etag: &str) -> Asked {
    let may_range = text(headers, header::IF_RANGE).is_none_or(|tag| tag == etag);
    text(headers, header::RANGE).filter(|_| may_range).map_or(Asked::Whole, parse_range)
}

async fn read(state: &AppState, key: &StorageKey, asked: Asked, etag: &str) -> Result<Response, BlobError> {
    let read = match state.delivery.outgoing(key).await? {
        Outgoing::Object(object) => {
            return Ok(answer::object(&object, asked, answer::base()).unwrap_or_else(|Behind| answer::behind(object.size())));
        }
        Outgoing::File(file) => {
            let range = range(asked, file.size())?;
            state.delivery.pieces(file, range)?
        }
        Outgoing::Stream => stream(state, key, asked).await?,
    };
    Ok(answer::stream(read, key, etag, asked != Asked::Whole, answer::base()))
}

async fn stream(state: &AppState, key: &StorageKey, asked: Asked) -> Result<BlobRead, BlobError> {
    let range = match asked {
        Asked::Whole => None,
        Asked::Part(range) => Some(range),
        Asked::Last(_) => range(asked, state.delivery.size(key).await?)?,
    };
    state.delivery.stream(key, range).await
}

/// What is asked for of an object of so many bytes.
fn range(asked: Asked, size: u64) -> Result<Option<ByteRange>, BlobError> {
    let (first, _) = asked.of(size).map_err(|Behind| BlobError::RangeNotSatisfiable(size))?;
    Ok(match asked {
        Asked::Whole => None,
        Asked::Part(range) => Some(range),
        Asked::Last(_) => Some(ByteRange { first, last: None }),
    })
}

/// How long the body is going to be.
fn told_length(response: &Response) -> Option<u64> {
    text(response.headers(), header::CONTENT_LENGTH)?.parse().ok()
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
