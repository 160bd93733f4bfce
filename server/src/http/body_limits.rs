//! What a request's body may cost: bytes, and the time its sender takes.
//!
//! Forms and JSON have to be there in one go; a part of an upload may take as long as it likes, as long as it goes on.

use std::{
    io,
    pin::Pin,
    sync::{Arc, OnceLock},
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    body::{Body, Bytes, HttpBody},
    extract::{MatchedPath, Request, State},
    http::header,
    middleware::Next,
    response::Response,
};
use domain::error::{Code, Problem};
use http_body::{Frame, SizeHint};

use super::{
    AppState, UPLOAD_ROUTES,
    progress::{Progress, Stalled},
    refused::Asker,
};
use crate::{config::HttpSettings, lane::Lane};

/// Largest body of everything but uploads, whose size has a setting of its own.
const FORM_BYTES: u64 = 256 * 1024;
/// What an upload has to send in `http.upload_idle_seconds`, at least.
const LEAST_BYTES: u64 = 4 * 1024;

/// A piece of an upload of this length says that it comes fast.
const FAST_PIECE: u64 = 64 * 1024;

/// What one body may cost.
#[derive(Debug, Clone, Copy)]
struct Allowance {
    bytes: u64,
    /// Bytes that have to come in each period of waiting.
    least: u64,
    period: Duration,
}

impl Allowance {
    fn of(request: &Request, settings: &HttpSettings) -> Self {
        let route = request.extensions().get::<MatchedPath>().map_or("", MatchedPath::as_str);
        if UPLOAD_ROUTES.contains(&route) {
            Self { bytes: u64::MAX, least: LEAST_BYTES, period: Duration::from_secs(settings.upload_idle_seconds) }
        } else {
            // So many bytes never come: the period is the whole body's.
            Self { bytes: FORM_BYTES, least: u64::MAX, period: Duration::from_secs(settings.body_seconds) }
        }
    }
}

/// Why a body was cut off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cut {
    TooLarge,
    TooSlow,
}

impl Cut {
    fn problem(self) -> Problem {
        match self {
            Self::TooLarge => Problem::new(Code::TooLarge, "The request is larger than 256 kB. Send less at once."),
            Self::TooSlow => Problem::new(Code::TooSlow, "The request came in too slowly. Send it again over a better connection."),
        }
    }
}

/// Refuses bodies that are too large and cuts off those that come too slowly.
pub async fn limit(State(state): State<AppState>, request: Request, next: Next) -> Response {
    let asker = Asker::of(&request);
    let allowance = Allowance::of(&request, &state.settings.http);
    let announced = request.headers().get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|length| length > allowance.bytes) {
        return asker.refuse_and_close(Cut::TooLarge.problem());
    }
    let cut = Arc::new(OnceLock::new());
    let length = request.body().size_hint().exact().filter(|_| allowance.bytes == u64::MAX);
    let lane = request.extensions().get::<Lane>().cloned();
    // A client that wants to be asked for its body has to be asked before anybody waits for it.
    let straight = length.filter(|_| !request.headers().contains_key(header::EXPECT));
    if let (None, Some(lane)) = (straight, &lane) {
        lane.leave();
    }
    let way = length.zip(lane);
    let request = request.map(|body| Body::new(LimitedBody::new(body, allowance, Arc::clone(&cut)).by(way)));
    let response = next.run(request).await;
    // Whoever read the body saw it break off and knows no reason.
    match cut.get() {
        Some(cut) => asker.refuse_and_close(cut.problem()),
        None => response,
    }
}

/// A body that is watched as it comes.
struct LimitedBody {
    inner: Body,
    most: u64,
    received: u64,
    progress: Progress,
    cut: Arc<OnceLock<Cut>>,
    /// How long it will be, and the lane that it may come by, where it is an upload.
    way: Option<(u64, Lane)>,
    asked_for: bool,
}

impl LimitedBody {
    fn new(inner: Body, allowance: Allowance, cut: Arc<OnceLock<Cut>>) -> Self {
        let Allowance { bytes, least, period } = allowance;
        Self { inner, most: bytes, received: 0, progress: Progress::new(least, period), cut, way: None, asked_for: false }
    }

    fn by(mut self, way: Option<(u64, Lane)>) -> Self {
        self.way = way;
        self
    }

    fn cut(&self, why: Cut) -> io::Error {
        let _ = self.cut.set(why);
        io::Error::new(io::ErrorKind::TimedOut, why.problem().detail)
    }

    /// Accounts for what has come.
    fn arrived(&mut self, bytes: u64) -> Result<(), io::Error> {
        if self.received > self.most {
            return Err(self.cut(Cut::TooLarge));
        }
        if let Some((length, lane)) = &self.way
            && bytes >= FAST_PIECE
        {
            lane.enter(length.saturating_sub(self.received));
        }
        self.progress.moved(bytes).map_err(|Stalled| self.cut(Cut::TooSlow))
    }

    /// Keeps a connection in its lane that was in one before this body.
    fn go_on(&mut self, context: &mut Context<'_>) {
        if !std::mem::replace(&mut self.asked_for, true)
            && let Some((length, lane)) = &self.way
            && lane.go_on(length.saturating_sub(self.received))
        {
            context.waker().wake_by_ref();
        }
    }

    fn end_in_lane(&self) {
        if let Some((_, lane)) = &self.way {
            lane.body_ended();
        }
    }
}

impl Drop for LimitedBody {
    fn drop(&mut self) {
        self.end_in_lane();
    }
}

impl HttpBody for LimitedBody {
    type Data = Bytes;
    type Error = axum::BoxError;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.inner).poll_frame(context);
        let bytes = if let Poll::Ready(Some(Ok(frame))) = &polled { frame.data_ref().map_or(0, Bytes::len) as u64 } else { 0 };
        this.received = this.received.saturating_add(bytes);
        this.go_on(context);
        match polled {
            Poll::Ready(Some(Ok(frame))) => Poll::Ready(Some(this.arrived(bytes).map(|()| frame).map_err(Into::into))),
            Poll::Ready(other) => {
                this.end_in_lane();
                Poll::Ready(other.map(|result| result.map_err(Into::into)))
            }
            Poll::Pending => this.progress.wait(context).map(|Stalled| Some(Err(this.cut(Cut::TooSlow).into()))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use futures::{StreamExt, TryStreamExt, channel::mpsc};
    use tokio::time::sleep;

    use super::*;

    /// Longer than a busy machine keeps a test from running.
    const PERIOD: Duration = Duration::from_secs(3);

    fn watched(bytes: u64, least: u64) -> (mpsc::UnboundedSender<io::Result<Bytes>>, LimitedBody) {
        let (sender, receiver) = mpsc::unbounded();
        let allowance = Allowance { bytes, least, period: PERIOD };
        (sender, LimitedBody::new(Body::from_stream(receiver), allowance, Arc::default()))
    }

    async fn read(body: LimitedBody) -> (usize, Option<Cut>) {
        let cut = Arc::clone(&body.cut);
        let read: Result<usize, _> =
            Body::new(body).into_data_stream().try_fold(0, |sum, piece| async move { Ok(sum + piece.len()) }).await;
        (read.unwrap_or_default(), cut.get().copied())
    }

    #[tokio::test]
    async fn an_upload_that_goes_on_may_take_long_and_one_that_drips_is_cut() {
        for (piece, goes_on) in [(2_000, true), (1, false)] {
            let (sender, body) = watched(u64::MAX, 1_000);
            tokio::spawn(async move {
                for _ in 0..50 {
                    sleep(PERIOD / 20).await;
                    if sender.unbounded_send(Ok(Bytes::from(vec![0; piece]))).is_err() {
                        return;
                    }
                }
            });
            assert_eq!(read(body).await, if goes_on { (50 * piece, None) } else { (0, Some(Cut::TooSlow)) });
        }
    }

    #[tokio::test]
    async fn a_form_has_its_time_in_all() {
        let (sender, body) = watched(1_000, u64::MAX);
        tokio::spawn(async move {
            while sender.unbounded_send(Ok(Bytes::from_static(b"x"))).is_ok() {
                sleep(PERIOD / 20).await;
            }
        });
        assert_eq!(read(body).await, (0, Some(Cut::TooSlow)));
    }

    #[tokio::test]
    async fn our_own_slowness_is_not_the_senders() {
        let (sender, body) = watched(u64::MAX, 1_000);
        for _ in 0..2 {
            sender.unbounded_send(Ok(Bytes::from_static(b"x"))).expect("somebody reads");
        }
        drop(sender);
        let cut = Arc::clone(&body.cut);
        let mut pieces = Body::new(body).into_data_stream();
        while let Some(piece) = pieces.next().await {
            piece.expect("nothing is cut");
            sleep(PERIOD * 2).await;
        }
        assert_eq!(cut.get(), None);
    }

    #[tokio::test]
    async fn what_is_too_large_is_cut_where_it_was_not_announced() {
        let (sender, body) = watched(10, u64::MAX);
        sender.unbounded_send(Ok(Bytes::from_static(b"eleven byte"))).expect("somebody reads");
        assert_eq!(read(body).await, (0, Some(Cut::TooLarge)));
    }
}
