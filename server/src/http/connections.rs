//! Accepts connections and serves HTTP/1.1 on them. Our own loop, since axum's has no limits: neither a time for a request's headers, nor their
//! size, nor a number of connections, nor a time for taking an answer. HTTP/2 and TLS are a proxy's business.

use std::{
    collections::HashMap,
    convert::Infallible,
    io,
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::{
    body::Body,
    extract::{ConnectInfo, Request},
    response::Response,
};
use hyper::{body::Incoming, server::conn::http1};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
    service::TowerToHyperService,
};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
};
use tower::{Service, ServiceExt};

use super::{last_sender::LastSender, rate_limits::network};
use crate::{
    config::HttpSettings,
    lane::{Lane, Lanes},
};

mod lane_stream;
mod taken_stream;

use self::{lane_stream::LaneStream, taken_stream::TakenStream};

/// Most bytes of a request's line and headers. A session's cookie and a proxy's headers take a tenth of it.
const HEADER_BYTES: usize = 32 * 1024;
const HEADERS: usize = 100;
/// Files that the process needs beside its connections: database, store, encoders; and as many as connections may need, which read media.
const OTHER_FILES: u64 = 256;
/// After a fault in accepting, such as no file being left: until the next try.
const PAUSE: Duration = Duration::from_millis(250);

/// Serves until `shutdown` ends; then the requests that are being answered finish.
pub async fn serve<S>(listener: TcpListener, answering: S, settings: &HttpSettings, shutdown: impl Future<Output = ()>)
where
    S: Service<Request, Response = Response, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send + 'static,
{
    let capacity = capacity(settings.max_connections);
    let places = Arc::new(Semaphore::new(capacity));
    let crowd = Crowd { most: settings.max_connections_per_address, of: Arc::default() };
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .max_buf_size(HEADER_BYTES + lane_stream::PIECE)
        .header_read_timeout(Duration::from_secs(settings.header_seconds))
        .max_headers(HEADERS)
        .max_header_size(HEADER_BYTES);
    let patience = Duration::from_secs(settings.answer_idle_seconds);
    let graceful = GracefulShutdown::new();
    let (lanes, _open) = Lanes::open();
    tokio::pin!(shutdown);
    loop {
        let accepted = tokio::select! {
            accepted = accept(&listener, &places) => accepted,
            () = &mut shutdown => break,
        };
        let Some((stream, address, place)) = accepted else { continue };
        let exempt = settings.trusted_proxies.contains(address.ip());
        let Some(seat) = crowd.enter(network(address.ip()), exempt) else {
            tracing::debug!("refused a connection: its address has too many");
            continue;
        };
        // Answers go out as they are written; small ones must not wait for an acknowledgement.
        let _ = stream.set_nodelay(true);
        let lane = Lane::default();
        let (on_the_way, last_sender) = (lane.clone(), LastSender::default());
        let service = answering.clone().map_request(move |request: axum::http::Request<Incoming>| {
            on_the_way.asked();
            let mut request = request.map(Body::new);
            request.extensions_mut().insert(ConnectInfo(address));
            request.extensions_mut().insert(on_the_way.clone());
            request.extensions_mut().insert(last_sender.clone());
            request
        });
        let stream = TokioIo::new(TakenStream::new(LaneStream::new(stream, lane.clone()), patience));
        let connection = graceful.watch(http.serve_connection(stream, TowerToHyperService::new(service)));
        let driven = lanes.clone().drive(connection, lane);
        tokio::spawn(async move {
            if let Some(Err(error)) = driven.await {
                tracing::debug!(%error, "a connection ended early");
            }
            drop((place, seat));
        });
    }
    drop(listener);
    graceful.shutdown().await;
}

/// The next connection, once there is a place for it.
async fn accept(listener: &TcpListener, places: &Arc<Semaphore>) -> Option<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
    let place = Arc::clone(places).acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, address)) => Some((stream, address, place)),
        Err(error) if matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset) => None,
        Err(error) => {
            tracing::warn!(%error, "cannot accept a connection; trying again");
            tokio::time::sleep(PAUSE).await;
            None
        }
    }
}

/// How many connections the process can hold: each takes a file, and one more while it is sent media.
fn capacity(wanted: usize) -> usize {
    let needed = (wanted as u64).saturating_mul(2).saturating_add(OTHER_FILES);
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let reachable = maximum.unwrap_or(u64::MAX).min(needed);
    let mut files = current.unwrap_or(u64::MAX);
    if files < reachable && setrlimit(Resource::Nofile, Rlimit { current: Some(reachable), maximum }).is_ok() {
        files = reachable;
    }
    let capacity = usize::try_from(files.saturating_sub(OTHER_FILES) / 2).unwrap_or(usize::MAX).clamp(16, wanted.max(16));
    if capacity < wanted {
        tracing::warn!(capacity, wanted, "the limit of open files (ulimit -n) allows fewer connections than `http.max_connections`");
    }
    capacity
}

/// Connections by address, or by network where addresses are many (IPv6).
#[derive(Debug)]
struct Crowd {
    most: usize,
    of: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

/// A connection that counts; its end is its drop.
#[derive(Debug)]
struct Seat {
    counted: Option<IpAddr>,
    of: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

impl Crowd {
    fn enter(&self, address: IpAddr, exempt: bool) -> Option<Seat> {
        if !exempt {
            let mut of = self.of.lock().unwrap_or_else(PoisonError::into_inner);
            let count = of.entry(address).or_default();
            if *count >= self.most {
                return None;
            }
            *count += 1;
        }
        Some(Seat { counted: (!exempt).then_some(address), of: Arc::clone(&self.of) })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let Some(address) = self.counted else { return };
        let mut of = self.of.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = of.get_mut(&address) {
            *count -= 1;
            if *count == 0 {
                of.remove(&address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_so_many_places_and_gets_them_back() {
        let crowd = Crowd { most: 2, of: Arc::default() };
        let address = IpAddr::from([192, 0, 2, 1]);
        let first = crowd.enter(address, false).expect("a place");
        let _second = crowd.enter(address, false).expect("a place");
        assert!(crowd.enter(address, false).is_none());
        assert!(crowd.enter(address, true).is_some(), "a proxy has as many as it likes");
        assert!(crowd.enter([192, 0, 2, 2].into(), false).is_some());
        drop(first);
        assert!(crowd.enter(address, false).is_some());
        assert_eq!(crowd.of.lock().expect("nobody panicked").len(), 1);
    }
}
