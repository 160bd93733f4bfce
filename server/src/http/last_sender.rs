//! Who sends piece after piece of an upload on one connection. Looking them up for each piece would take a fast sender a fifth of the time: so whoever
//! was let in is, for a moment, let in again by what they showed then. It is no more than what a body has that is on its way already, and an upload
//! is begun, completed and given up only by somebody who is looked up.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use axum::{
    extract::MatchedPath,
    http::{HeaderMap, Method, header, request::Parts},
};
use sha2::{Digest, Sha256};

use super::{PIECE_ROUTES, viewer::Viewer};

/// How long that is: an ended session and a revoked key stop within this.
const MOMENT: Duration = Duration::from_secs(1);

/// Whoever sent a piece on a connection last. Each connection has its own; clones are the same one.
#[derive(Debug, Clone, Default)]
pub(super) struct LastSender(Arc<Mutex<Option<Sender>>>);

#[derive(Debug)]
struct Sender {
    /// A hash of all headers that anybody is known by.
    showed: [u8; 32],
    viewer: Viewer,
    until: Instant,
}

impl LastSender {
    /// That of a request's connection, where the request brings a piece.
    pub(super) fn of(parts: &Parts) -> Option<Self> {
        let piece = matches!(parts.method, Method::PUT | Method::PATCH)
            && parts.extensions.get::<MatchedPath>().is_some_and(|route| PIECE_ROUTES.contains(&route.as_str()));
        parts.extensions.get::<Self>().filter(|_| piece).cloned()
    }

    /// Whose these headers were a moment ago.
    pub(super) fn known(&self, headers: &HeaderMap, now: Instant) -> Option<Viewer> {
        let last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let sender = last.as_ref().filter(|sender| now < sender.until && sender.showed == shown(headers))?;
        Some(sender.viewer.clone())
    }

    /// Somebody was let in, after a look that began at `asked`.
    pub(super) fn note(&self, headers: &HeaderMap, viewer: &Viewer, asked: Instant) {
        let sender = Sender { showed: shown(headers), viewer: viewer.clone(), until: asked + MOMENT };
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(sender);
    }
}

/// What a request shows of who it comes from: every header that a viewer is made of.
fn shown(headers: &HeaderMap) -> [u8; 32] {
    let mut hash = Sha256::new();
    for name in [header::AUTHORIZATION, header::COOKIE] {
        for value in headers.get_all(&name) {
            hash.update(name.as_str());
            hash.update((value.len() as u64).to_le_bytes());
            hash.update(value);
        }
    }
    hash.finalize().into()
}

#[cfg(test)]
mod tests {
    use axum::{
        Extension, Router,
        body::Body,
        extract::Request,
        http::{HeaderValue, StatusCode},
        routing::any,
    };
    use domain::{
        account::Scope,
        ids::{ApiKeyId, UserId},
    };
    use tower::ServiceExt;
    use uuid::Uuid;

    use super::*;
    use crate::http::viewer::Credential;

    fn headers(of: &[(header::HeaderName, &'static str)]) -> HeaderMap {
        of.iter().map(|(name, value)| (name.clone(), HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn whoever_shows_the_same_is_known_for_a_moment_and_nobody_else() {
        let last = LastSender::default();
        let user = UserId(Uuid::now_v7());
        let viewer = Viewer { user, credential: Credential::Key(ApiKeyId(Uuid::now_v7()), Scope::Upload) };
        let mine = headers(&[(header::AUTHORIZATION, "Bearer mr_mine"), (header::ACCEPT, "*/*")]);
        let asked = Instant::now();
        assert_eq!(last.known(&mine, asked), None);
        last.note(&mine, &viewer, asked);
        let same = headers(&[(header::AUTHORIZATION, "Bearer mr_mine")]);
        assert_eq!(last.known(&same, asked + MOMENT / 2), Some(viewer.clone()), "other headers say nothing");
        assert_eq!(last.known(&same, asked + MOMENT), None);
        for others in [
            &[][..],
            &[(header::AUTHORIZATION, "Bearer mr_other")],
            &[(header::COOKIE, "Bearer mr_mine")],
            &[(header::AUTHORIZATION, "Bearer mr_mine"), (header::COOKIE, "millrace=1")],
        ] {
            assert_eq!(last.known(&headers(others), asked), None, "{others:?}");
        }
    }

    #[tokio::test]
    async fn only_pieces_have_one() {
        let has_one = |request: Request| async {
            let (parts, _) = request.into_parts();
            if LastSender::of(&parts).is_some() { StatusCode::OK } else { StatusCode::NO_CONTENT }
        };
        let routes = PIECE_ROUTES.into_iter().chain(["/api/v1/uploads/{upload}/complete"]);
        let router = routes.fold(Router::new(), |router, route| router.route(route, any(has_one)));
        let router = router.layer(Extension(LastSender::default()));
        for (method, path, expected) in [
            (Method::PUT, "/api/v1/uploads/u/parts/1", true),
            (Method::PATCH, "/api/v1/tus/u", true),
            (Method::POST, "/api/v1/tus/u", false),
            (Method::DELETE, "/api/v1/tus/u", false),
            (Method::HEAD, "/api/v1/tus/u", false),
            (Method::PUT, "/api/v1/uploads/u/complete", false),
            (Method::POST, "/api/v1/uploads/u/complete", false),
        ] {
            let told = format!("{method} {path}");
            let request = Request::builder().method(method).uri(path).body(Body::empty()).expect("a request");
            let answer = router.clone().oneshot(request).await.expect("an answer");
            assert_eq!(answer.status() == StatusCode::OK, expected, "{told}");
        }
    }
}
