//! Reading what a request carries, with problems instead of plain-text refusals where it cannot be read.

use axum::{
    Json,
    body::Body,
    extract::{FromRequest, FromRequestParts, Path, Query, Request},
    http::request::Parts,
};
use domain::error::{Code, Problem};
use futures::{StreamExt, TryStreamExt};
use serde::de::DeserializeOwned;

use super::problem::Refusal;
use crate::ports::blob_store::ByteStream;

/// A JSON body.
#[derive(Debug)]
pub struct JsonBody<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for JsonBody<T> {
    type Rejection = Refusal;

    async fn from_request(request: Request, state: &S) -> Result<Self, Refusal> {
        let Json(value) = Json::from_request(request, state).await.map_err(|rejection| {
            let code = if rejection.status().as_u16() == 413 { Code::TooLarge } else { Code::InvalidInput };
            Refusal(Problem::new(code, rejection.body_text()))
        })?;
        Ok(Self(value))
    }
}

/// A query string.
#[derive(Debug)]
pub struct QueryString<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for QueryString<T> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        let Query(value) =
            Query::from_request_parts(parts, state).await.map_err(|rejection| Refusal(Problem::invalid(rejection.body_text())))?;
        Ok(Self(value))
    }
}

/// Ids in a path. One that cannot be an id is one that does not exist.
#[derive(Debug)]
pub struct Ids<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Ids<T> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        let Path(value) = Path::from_request_parts(parts, state).await.map_err(|_| Refusal(Problem::not_found()))?;
        Ok(Self(value))
    }
}

/// A body as the store takes it.
pub fn stream(body: Body) -> ByteStream {
    body.into_data_stream().map_err(std::io::Error::other).boxed()
}
