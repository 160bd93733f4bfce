//! Refusals on the wire: RFC 9457 problem details with our stable code.

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use domain::error::{Code, Problem};
use serde::Serialize;
use utoipa::ToSchema;

use super::request_id::{RequestId, with_request_id};
use crate::error::Error;

/// What the API answers at an address that it does not have.
pub async fn no_such_endpoint() -> Refusal {
    Refusal(Problem::new(Code::NotFound, "The API has no such address."))
}

/// What the API answers to a method that an address does not take.
pub async fn no_such_method() -> Refusal {
    Refusal(Problem::new(Code::MethodNotAllowed, "This address does not take this method."))
}

/// A [`Problem`] as a response; what handlers fail with.
#[derive(Debug)]
pub struct Refusal(pub Problem);

/// Handlers' result.
pub type Result<T> = std::result::Result<T, Refusal>;

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Self {
        Self(problem)
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self(error.into())
    }
}

/// A refusal: RFC 9457 problem details with a stable code.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Problem)]
pub(super) struct Body<'a> {
    /// Always `about:blank`: the code says more.
    r#type: &'static str,
    /// The status in words.
    title: &'a str,
    /// The status again.
    #[schema(minimum = 400, maximum = 599)]
    status: u16,
    /// What a program acts on.
    code: Code,
    /// What a person reads.
    detail: &'a str,
    /// Seconds after which a new try makes sense, as in `Retry-After`.
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after_seconds: Option<u64>,
    /// Numbers of the parts that have not arrived, with `parts_missing`.
    #[serde(skip_serializing_if = "<[u32]>::is_empty")]
    #[schema(required = false)]
    missing: &'a [u32],
    /// What the server's log knows the request by, as in `X-Request-Id`.
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<&'a str>,
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let Self(problem) = self;
        let request = RequestId::current();
        // Whoever asks for help has something to name.
        let detail = if problem.code == Code::Internal { with_request_id(&problem.detail) } else { problem.detail };
        let status = StatusCode::from_u16(problem.code.http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = Body {
            r#type: "about:blank",
            title: status.canonical_reason().unwrap_or("Error"),
            status: status.as_u16(),
            code: problem.code,
            detail: &detail,
            retry_after_seconds: problem.retry_after_seconds,
            missing: &problem.missing,
            request_id: request.as_ref().map(RequestId::as_str),
        };
        let mut response = (status, Json(body)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(seconds) = problem.retry_after_seconds {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}
