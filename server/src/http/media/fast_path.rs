//! The way of media that are in memory, past everything that they do not need: routing, sessions, compression, spans.
//!
//! It answers one kind of request, the one of which there are thousands: a `GET` for an object that is here, by a URL that opens it. Everything else,
//! refusals and what has to be fetched first included, goes the ordinary way, so that there is one place which says how each of those is answered.
//! What every answer carries stands on these as well: headers of safety, the request's id, and its place among the numbers. Where somebody wants to
//! see a line for each request, all of them go the ordinary way, which writes it.

use std::{
    convert::Infallible,
    fmt,
    sync::Arc,
    task::{Context, Poll},
    time::Instant,
};

use axum::{
    body::HttpBody,
    extract::Request,
    http::{HeaderMap, HeaderValue, Method, header},
    response::Response,
};
use futures::future::{Either, Ready, ready};
use tower::Service;

use super::{admit, answer, asked, range, range::Asked};
use crate::{
    delivery::{Outgoing, etag},
    http::{
        AppState, MEDIA_ROUTE,
        headers::Headers,
        observe,
        request_id::{HEADER, RequestId},
    },
    telemetry::metrics::Answered,
};

/// What stands before the router.
#[derive(Debug, Clone)]
pub struct FastPath<S> {
    origin: Arc<Origin>,
    rest: S,
}

/// What it needs.
struct Origin {
    state: AppState,
    /// The headers that all answers have in common, with room for the others.
    base: HeaderMap,
    answered: Answered,
}

impl fmt::Debug for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Origin").field("state", &self.state).finish_non_exhaustive()
    }
}

impl<S> FastPath<S> {
    /// Answers with media from memory by itself, and lets `rest` answer everything else.
    pub fn new(state: &AppState, headers: &Headers, rest: S) -> Self {
        let mut base = answer::base();
        headers.put(&mut base, None);
        // Places that each answer fills with its own.
        for name in [header::CONTENT_TYPE, header::CACHE_CONTROL, header::ETAG, header::CONTENT_LENGTH, HEADER] {
            base.insert(name, HeaderValue::from_static(""));
        }
        Self { origin: Arc::new(Origin { state: state.clone(), base, answered: Answered::media(MEDIA_ROUTE) }), rest }
    }
}

impl Origin {
    fn answer(&self, request: &Request) -> Option<Response> {
        let began = Instant::now();
        let headers = request.headers();
        let ordinary = request.method() != Method::GET || !request.body().is_end_stream() || headers.contains_key(header::IF_NONE_MATCH);
        if ordinary || observe::is_heard() {
            return None;
        }
        let (generation, file) = request.uri().path().strip_prefix("/media/")?.split_once('/')?;
        // What is spelled in another way than ours is the router's to read.
        if file.contains('%') {
            return None;
        }
        let verified = admit(&self.state, generation, file, request.uri().query().unwrap_or_default()).ok()?;
        let (mut response, bytes) = match self.state.delivery.now(&verified.key)? {
            Outgoing::Object(object) => {
                let asked = asked(headers, object.etag.to_str().unwrap_or_default());
                let response = answer::object(&object, asked, self.base.clone()).ok()?;
                let bytes = response.body().size_hint().exact().unwrap_or_default();
                (response, bytes)
            }
            Outgoing::File(file) => {
                let etag = etag(&verified.key);
                let asked = asked(headers, &etag);
                let range = range(asked, file.size()).ok()?;
                let read = self.state.delivery.pieces(file, range).ok()?;
                let bytes = read.length;
                (answer::stream(read, &verified.key, &etag, asked != Asked::Whole, self.base.clone()), bytes)
            }
            Outgoing::Stream => return None,
        };
        let id = RequestId::of(request, &self.state.settings.http.trusted_proxies);
        response.headers_mut().insert(HEADER, id.value()?);
        self.answered.count(bytes, began.elapsed());
        Some(response)
    }
}

impl<S> Service<Request> for FastPath<S>
where
    S: Service<Request, Response = Response, Error = Infallible>,
{
    type Response = Response;
    type Error = Infallible;
    type Future = Either<Ready<Result<Response, Infallible>>, S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.rest.poll_ready(context)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        match self.origin.answer(&request) {
            Some(response) => Either::Left(ready(Ok(response))),
            None => Either::Right(self.rest.call(request)),
        }
    }
}
