//! Headers that every answer carries.

use axum::{
    extract::Request,
    http::{HeaderValue, header},
    middleware::Next,
    response::Response,
};

/// Only the embed page may be framed; nothing is sniffed; referrers stay short.
pub async fn secure(request: Request, next: Next) -> Response {
    let embed = request.uri().path().starts_with("/embed/");
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("strict-origin-when-cross-origin"));
    let ancestors = if embed { "frame-ancestors *" } else { "frame-ancestors 'none'" };
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(ancestors));
    if !embed {
        headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    }
    response
}
