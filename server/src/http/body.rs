//! Reading what a request carries, with problems instead of plain-text refusals where it cannot be read.

use axum::{
    Json,
    body::{Body, Bytes},
    extract::{FromRequest, FromRequestParts, Path, Query, Request},
    http::{StatusCode, request::Parts},
};
use domain::error::{Code, Problem};
use futures::{StreamExt, TryStreamExt};
use serde::de::DeserializeOwned;

use super::problem::Refusal;
use crate::ports::blob_store::ByteStream;

/// How deep arrays and objects of a body may stand in one another. Ours stand three deep.
const DEEPEST: usize = 32;

/// A JSON body.
#[derive(Debug)]
pub struct JsonBody<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for JsonBody<T> {
    type Rejection = Refusal;

    async fn from_request(request: Request, state: &S) -> Result<Self, Refusal> {
        let refuse = |status: StatusCode, text: String| {
            let code = if status == StatusCode::PAYLOAD_TOO_LARGE { Code::TooLarge } else { Code::InvalidInput };
            Refusal(Problem::new(code, text))
        };
        let (parts, body) = request.into_parts();
        let body = Bytes::from_request(Request::from_parts(parts.clone(), body), state).await;
        let body = body.map_err(|rejection| refuse(rejection.status(), rejection.body_text()))?;
        if depth(&body) > DEEPEST {
            return Err(Problem::invalid("The JSON is nested too deeply.").into());
        }
        let Json(value) = Json::from_request(Request::from_parts(parts, body.into()), state)
            .await
            .map_err(|rejection| refuse(rejection.status(), rejection.body_text()))?;
        Ok(Self(value))
    }
}

/// How deep arrays and objects stand in one another. What a parser skips, such as a field that nobody knows, is looked at as well.
fn depth(json: &[u8]) -> usize {
    let (mut depth, mut deepest, mut in_text, mut escaped) = (0_usize, 0, false, false);
    for byte in json {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_text => escaped = true,
            b'"' => in_text = !in_text,
            b'[' | b'{' if !in_text => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b']' | b'}' if !in_text => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
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

#[cfg(test)]
mod tests {
    use super::depth;

    #[test]
    fn depth_is_counted_outside_of_texts() {
        assert_eq!(depth(br#"{"a": [1, {"b": "]}[[["}], "c\\": "\"[{"}"#), 3);
        assert_eq!(depth("[".repeat(10_000).as_bytes()), 10_000);
        assert_eq!(depth(b"]]]1"), 0);
    }
}
