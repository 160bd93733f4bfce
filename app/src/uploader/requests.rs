//! The uploader's requests that are not parts: begin, complete, take back. JSON over the REST interface, as any other client sends it.

use domain::{
    ids::UploadId,
    upload::{BeginUpload, UploadTicket},
};
use gloo_net::http::{Request, Response};
use gloo_timers::future::TimeoutFuture;

use super::refusal::{Refusal, SendError};

const UPLOADS: &str = "/api/v1/uploads";

/// Tells the server about a file.
///
/// # Errors
/// No answer, or a refusal.
pub async fn begin(begin: &BeginUpload) -> Result<UploadTicket, SendError> {
    let request = Request::post(UPLOADS).json(begin).map_err(|_| SendError::Network)?;
    let response = accepted(request.send().await).await?;
    response.json().await.map_err(|_| SendError::Network)
}

/// Tells the server that all parts have gone. Saying so twice does no harm.
///
/// # Errors
/// No answer, or a refusal.
pub async fn complete(upload: UploadId) -> Result<(), SendError> {
    accepted(Request::post(&format!("{UPLOADS}/{upload}/complete")).send().await).await.map(drop)
}

/// Takes an upload back, with what has arrived of it. Nobody waits for this: a few tries, and what is left the server clears away.
pub async fn take_back(upload: UploadId) {
    for wait_ms in [1_000, 5_000, 20_000] {
        match accepted(Request::delete(&format!("{UPLOADS}/{upload}")).send().await).await {
            Ok(_) => return,
            Err(SendError::Refused(refusal)) if refusal.status < 500 && refusal.status != 429 => return,
            Err(_) => TimeoutFuture::new(wait_ms).await,
        }
    }
}

async fn accepted(result: Result<Response, gloo_net::Error>) -> Result<Response, SendError> {
    let response = result.map_err(|_| SendError::Network)?;
    if response.ok() {
        return Ok(response);
    }
    let status = response.status();
    Err(SendError::Refused(refusal(status, &response.text().await.unwrap_or_default())))
}

/// Reads a refusal from an answer's body; what is no problem document of ours keeps its status alone.
pub fn refusal(status: u16, body: &str) -> Refusal {
    let empty = Refusal { status, code: None, detail: String::new(), retry_after_seconds: None, missing: Vec::new() };
    serde_json::from_str::<Refusal>(body).map_or(empty, |refusal| Refusal { status, ..refusal })
}

#[cfg(test)]
mod tests {
    use domain::error::Code;

    use super::*;

    #[test]
    fn a_problem_document_is_read_and_a_proxys_page_is_not() {
        let body = r#"{"type":"about:blank","title":"Conflict","status":409,"code":"parts_missing","detail":"Parts are missing.","missing":[2,3]}"#;
        let read = refusal(409, body);
        assert_eq!((read.code, read.missing), (Some(Code::PartsMissing), vec![2, 3]));
        let page = refusal(502, "<html>Bad gateway</html>");
        assert_eq!((page.status, page.code), (502, None));
    }
}
