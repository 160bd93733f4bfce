//! The uploader's requests that are not parts: begin, complete, take back. JSON over the REST interface, as any other client sends it.

use domain::{
    ids::UploadId,
    upload::{BeginUpload, PartAnnouncement, PartTarget, UnfinishedUpload, UnfinishedUploads, UploadTicket},
};
use gloo_net::http::{Request, Response};
use gloo_timers::future::TimeoutFuture;
use serde::de::DeserializeOwned;

use super::{
    refusal::{Refusal, SendError},
    words,
};
use crate::wire;

const UPLOADS: &str = "/api/v1/uploads";

/// Tells the server about a file.
///
/// # Errors
/// No answer, or a refusal.
pub async fn begin(begin: &BeginUpload) -> Result<UploadTicket, SendError> {
    let request = Request::post(UPLOADS).json(begin).map_err(|_| SendError::Network)?;
    let response = accepted(request.send().await).await?;
    answer(response).await
}

/// Asks where a part with this sum goes.
///
/// # Errors
/// No answer, or a refusal.
pub async fn target(url: &str, crc32c: u32) -> Result<PartTarget, SendError> {
    let request = Request::post(url).json(&PartAnnouncement { crc32c }).map_err(|_| SendError::Network)?;
    let response = accepted(request.send().await).await?;
    answer(response).await
}

/// Asks what the server has of a file.
///
/// # Errors
/// No answer, or a refusal.
pub async fn look(upload: UploadId) -> Result<UploadTicket, SendError> {
    let response = accepted(Request::get(&format!("{UPLOADS}/{upload}")).send().await).await?;
    answer(response).await
}

/// Asks which uploads can be continued.
///
/// # Errors
/// No answer, or a refusal.
pub async fn unfinished() -> Result<Vec<UnfinishedUpload>, SendError> {
    let response = accepted(Request::get(UPLOADS).send().await).await?;
    answer(response).await.map(|list: UnfinishedUploads| list.uploads)
}

/// Tells the server that all parts have gone. Saying so twice does no harm.
///
/// # Errors
/// No answer, or a refusal.
pub async fn complete(upload: UploadId) -> Result<(), SendError> {
    accepted(Request::post(&format!("{UPLOADS}/{upload}/complete")).send().await).await.map(drop)
}

/// Asks the server to give an upload up.
///
/// # Errors
/// No answer, or a refusal.
pub async fn discard(upload: UploadId) -> Result<(), SendError> {
    accepted(Request::delete(&format!("{UPLOADS}/{upload}")).send().await).await.map(drop)
}

/// Takes an upload back, with what has arrived of it. Nobody waits for this: a few tries, and what is left the server clears away.
pub async fn take_back(upload: UploadId) {
    for wait_ms in [1_000, 5_000, 20_000] {
        match discard(upload).await {
            Ok(()) => return,
            Err(SendError::Refused(refusal)) if refusal.status < 500 && refusal.status != 429 => return,
            Err(_) => TimeoutFuture::new(wait_ms).await,
        }
    }
}

async fn answer<T: DeserializeOwned>(response: Response) -> Result<T, SendError> {
    let text = response.text().await.map_err(|_| SendError::Network)?;
    wire::read(&text).map_err(|_| SendError::Network)
}

async fn accepted(result: Result<Response, gloo_net::Error>) -> Result<Response, SendError> {
    let response = result.map_err(|_| SendError::Network)?;
    if response.ok() {
        return Ok(response);
    }
    let (status, after) = (response.status(), response.headers().get("retry-after"));
    Err(SendError::Refused(refusal(status, &response.text().await.unwrap_or_default(), after.as_deref())))
}

/// Reads a refusal from an answer's body; what is no problem document of ours keeps its status and when to
/// come back alone.
pub fn refusal(status: u16, body: &str, retry_after: Option<&str>) -> Refusal {
    let empty = Refusal { status, code: None, detail: String::new(), retry_after_seconds: None, missing: Vec::new() };
    let read = wire::read::<Refusal>(body).unwrap_or(empty);
    let after = read.retry_after_seconds.or_else(|| retry_after?.trim().parse().ok());
    Refusal { status, retry_after_seconds: after, ..read }
}

/// Reads what a store that is not ours said to a part. Status 0 is none: it could not be reached, or its answer was kept from us because its
/// rules for other origins do not name this page's.
pub fn store_refusal(status: u16, body: &str) -> SendError {
    let code = body.split_once("<Code>").and_then(|(_, rest)| rest.split_once("</Code>")).map_or("", |(code, _)| code);
    let plain = !code.is_empty() && code.len() <= 64 && code.bytes().all(|byte| byte.is_ascii_alphanumeric());
    SendError::Store(match status {
        0 => words::STORE_OUT_OF_REACH.to_owned(),
        _ if plain => format!("The storage did not take a part ({status}, {code})."),
        _ => format!("The storage did not take a part ({status})."),
    })
}

#[cfg(test)]
mod tests {
    use domain::error::Code;

    use super::*;

    #[test]
    fn a_problem_document_is_read_and_a_proxys_page_is_not() {
        let body = r#"{"type":"about:blank","title":"Conflict","status":409,"code":"parts_missing","detail":"Parts are missing.","missing":[2,3]}"#;
        let read = refusal(409, body, None);
        assert_eq!((read.code, read.missing), (Some(Code::PartsMissing), vec![2, 3]));
        let page = refusal(503, "<html>Back soon</html>", Some("120"));
        assert_eq!((page.status, page.code, page.retry_after_seconds), (503, None, Some(120)));
        assert_eq!(refusal(503, "", Some("Mon, 23 Nov 2026 00:00:00 GMT")).retry_after_seconds, None);
    }

    #[test]
    fn a_store_that_is_not_ours_is_quoted_by_its_code_alone() {
        let said = |status, body| match store_refusal(status, body) {
            SendError::Store(text) => text,
            other => panic!("{other:?}"),
        };
        let slow = "<?xml version=\"1.0\"?><Error><Code>SlowDown</Code><Message>Reduce your request rate.</Message></Error>";
        assert_eq!(said(503, slow), "The storage did not take a part (503, SlowDown).");
        assert_eq!(said(502, "<html>Bad gateway</html>"), "The storage did not take a part (502).");
        assert_eq!(said(403, "<Code><b>x</b></Code>"), "The storage did not take a part (403).");
        assert_eq!(said(0, ""), words::STORE_OUT_OF_REACH);
    }
}
