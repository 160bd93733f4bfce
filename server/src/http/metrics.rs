//! `/metrics`: numbers for Prometheus. On the main address for whoever has the token, or on an address of their own.

use std::time::SystemTime;

use axum::{
    Router,
    extract::State,
    http::{HeaderMap, header},
    response::{IntoResponse, Response},
    routing::get,
};
use domain::error::Problem;
use secrecy::{ExposeSecret, SecretString};
use subtle::ConstantTimeEq;
use tokio::{net::TcpListener, sync::watch};

use super::{AppState, health, problem::Refusal};
use crate::{
    delivery::media_cache::{MediaCache, Tally},
    services::{readiness::Readiness, vitals::Vitals},
    telemetry::{
        metrics::{Numbers, write_now},
        process::Taken,
    },
};

/// What the text is, as Prometheus wants it named.
const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The numbers of a process, and who may read them.
#[derive(Debug, Clone)]
pub struct Metrics {
    /// What was counted; absent where nobody can read it.
    numbers: Option<Numbers>,
    vitals: Vitals,
    media: MediaCache,
    token: SecretString,
    started: SystemTime,
}

impl Metrics {
    /// What `numbers` has counted, `vitals` looks up and `media` knows of itself, for whoever has the token.
    pub fn new(numbers: Option<Numbers>, vitals: Vitals, media: MediaCache, token: SecretString) -> Self {
        Self { numbers, vitals, media, token, started: SystemTime::now() }
    }

    /// Sorts what was measured, again and again.
    pub async fn keep(self) {
        match self.numbers {
            Some(numbers) => numbers.keep().await,
            None => std::future::pending().await,
        }
    }

    fn opened_by(&self, headers: &HeaderMap) -> bool {
        let told = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).and_then(|value| value.strip_prefix("Bearer "));
        told.is_some_and(|told| told.as_bytes().ct_eq(self.token.expose_secret().as_bytes()).into())
    }

    fn has_token(&self) -> bool {
        !self.token.expose_secret().is_empty()
    }

    /// All numbers, as text.
    pub async fn text(&self) -> String {
        let mut text = self.numbers.as_ref().map(Numbers::text).unwrap_or_default();
        self.write_queue(&mut text).await;
        let disks = self.vitals.disks();
        let by_folder = |bytes: fn(&crate::services::vitals::Disk) -> u64| -> Vec<(String, f64)> {
            disks.iter().map(|disk| (format!("folder=\"{}\"", disk.folder), bytes(disk) as f64)).collect()
        };
        write_now(&mut text, "millrace_disk_free_bytes", &by_folder(|disk| disk.free));
        write_now(&mut text, "millrace_disk_size_bytes", &by_folder(|disk| disk.size));
        let (idle, used, most) = self.vitals.connections();
        let states = [("state=\"idle\"".to_owned(), idle as f64), ("state=\"used\"".to_owned(), used as f64)];
        write_now(&mut text, "millrace_database_connections", &states);
        one(&mut text, "millrace_database_connections_max", most as f64);
        self.write_media(&mut text);
        write_now(&mut text, "millrace_build_info", &[(concat!("version=\"", env!("CARGO_PKG_VERSION"), "\"").to_owned(), 1.0)]);
        self.write_process(&mut text);
        text
    }

    async fn write_queue(&self, text: &mut String) {
        let queue = self.vitals.queue().await;
        one(text, "millrace_database_up", if queue.is_ok() { 1.0 } else { 0.0 });
        let Ok(queue) = queue else { return };
        let jobs: Vec<_> = queue.jobs.iter().map(|(state, count)| (format!("state=\"{}\"", state.as_str()), *count as f64)).collect();
        write_now(text, "millrace_jobs", &jobs);
        one(text, "millrace_oldest_waiting_job_seconds", queue.oldest_ms as f64 / 1_000.0);
        one(text, "millrace_alerts_open", queue.alerts as f64);
    }

    fn write_media(&self, text: &mut String) {
        let Tally { hits, misses, evictions, bytes } = self.media.tally();
        one(text, "millrace_media_cache_hits_total", hits as f64);
        one(text, "millrace_media_cache_misses_total", misses as f64);
        one(text, "millrace_media_cache_evictions_total", evictions as f64);
        one(text, "millrace_media_cache_bytes", bytes as f64);
    }

    fn write_process(&self, text: &mut String) {
        let started = self.started.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        one(text, "process_start_time_seconds", started.as_secs_f64());
        let Some(taken) = Taken::now() else { return };
        one(text, "process_resident_memory_bytes", taken.memory as f64);
        one(text, "process_cpu_seconds_total", taken.cpu_seconds);
        one(text, "process_open_fds", taken.files as f64);
        one(text, "process_threads", taken.threads as f64);
    }
}

fn one(text: &mut String, name: &str, value: f64) {
    write_now(text, name, &[(String::new(), value)]);
}

/// `GET /metrics` on the main address: without a token in the settings there is no such thing here.
pub async fn metrics(State(state): State<AppState>, headers: HeaderMap) -> Response {
    if !state.metrics.has_token() {
        return Refusal(Problem::not_found()).into_response();
    }
    answer(&state.metrics, &headers).await
}

async fn answer(metrics: &Metrics, headers: &HeaderMap) -> Response {
    if metrics.has_token() && !metrics.opened_by(headers) {
        return Refusal(Problem::unauthenticated()).into_response();
    }
    ([(header::CONTENT_TYPE, TEXT), (header::CACHE_CONTROL, "no-store")], metrics.text().await).into_response()
}

/// Serves the numbers, and whether this process lives and can work, on an address of their own until `shutdown` turns true.
///
/// # Errors
/// The socket fails.
pub async fn serve(
    listener: TcpListener,
    metrics: Metrics,
    readiness: Readiness,
    mut shutdown: watch::Receiver<bool>,
) -> std::io::Result<()> {
    let router = Router::new()
        .route("/metrics", get(|State(metrics): State<Metrics>, headers: HeaderMap| async move { answer(&metrics, &headers).await }))
        .with_state(metrics)
        .route("/readyz", get(move || async move { health::answer(&readiness).await }))
        .route("/livez", get(health::live));
    let down = async move {
        let _ = shutdown.wait_for(|down| *down).await;
    };
    axum::serve(listener, router).with_graceful_shutdown(down).await
}
