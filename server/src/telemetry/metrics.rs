//! Numbers for Prometheus: their names, what they mean, and the one place that counts. Labels have few values each: never an id, an address
//! or a path.
//!
//! Where nobody can read them ([`install`] was not called), counting does nothing.

use std::{
    fmt::Write,
    sync::{Arc, OnceLock},
    time::Duration,
};

use metrics::{Counter, Histogram, Unit, counter, describe_counter, describe_histogram, histogram};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};

/// Seconds that requests are sorted by.
const REQUEST_SECONDS: [f64; 11] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0];
/// Seconds that the stages of a job are sorted by: from a moment to half a day.
const STAGE_SECONDS: [f64; 11] = [0.5, 1.0, 5.0, 15.0, 30.0, 60.0, 300.0, 900.0, 3_600.0, 14_400.0, 43_200.0];
/// How often what was measured is sorted, where nobody reads it.
const UPKEEP_EVERY: Duration = Duration::from_secs(15);

/// What a number does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Grows until the process ends.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Is sorted by size.
    Histogram,
}

impl Kind {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

const HTTP_REQUESTS: &str = "millrace_http_requests_total";
const HTTP_SECONDS: &str = "millrace_http_request_duration_seconds";
const UPLOADS: &str = "millrace_uploads_total";
const UPLOAD_BYTES: &str = "millrace_upload_received_bytes_total";
const ATTEMPTS: &str = "millrace_job_attempts_total";
const TAKEOVERS: &str = "millrace_job_takeovers_total";
const ENDINGS: &str = "millrace_job_attempts_ended_total";
const FAILURES: &str = "millrace_video_failures_total";
const STAGE: &str = "millrace_job_stage_duration_seconds";
const MEDIA_BYTES: &str = "millrace_origin_sent_bytes_total";
const SOURCES: &str = "millrace_sources_looked_at_total";
const NOTICES: &str = "millrace_alert_notices_total";

/// All numbers there are: name, kind, and what it means.
pub const ALL: [(&str, Kind, &str); 30] = [
    (HTTP_REQUESTS, Kind::Counter, "Requests answered, by route, method and class of status."),
    (HTTP_SECONDS, Kind::Histogram, "Seconds from a request to the head of its answer, by route."),
    (UPLOADS, Kind::Counter, "Uploads, by what happened: begun, completed, aborted, expired."),
    (SOURCES, Kind::Counter, "Sources looked at for whether they play as they are: packaged, refused."),
    (UPLOAD_BYTES, Kind::Counter, "Bytes of uploads that are safe; of those sent straight to the store, once all are."),
    (ATTEMPTS, Kind::Counter, "Tries to process a video that were begun here."),
    (TAKEOVERS, Kind::Counter, "Tries that took a job over from a worker that was gone or silent."),
    (ENDINGS, Kind::Counter, "Tries that ended here, by how: done, failed, retried, postponed, given_back, lost."),
    (FAILURES, Kind::Counter, "Videos that failed here, by code."),
    (STAGE, Kind::Histogram, "Seconds of the stages of a job: waiting, probe, encode, publish."),
    (MEDIA_BYTES, Kind::Counter, "Bytes of media that this process began to send as the origin."),
    ("millrace_media_cache_hits_total", Kind::Counter, "Media that were asked for and were in memory."),
    ("millrace_media_cache_misses_total", Kind::Counter, "Media that were asked for and had to be read first."),
    ("millrace_media_cache_evictions_total", Kind::Counter, "Media that had to make room in memory for others."),
    ("millrace_media_cache_bytes", Kind::Gauge, "Bytes of memory that media take up, kept or being sent."),
    (NOTICES, Kind::Counter, "Messages about alerts, by channel and outcome: sent, failed, given_up."),
    ("millrace_jobs", Kind::Gauge, "Jobs in the database, by state: queued, running, failed."),
    ("millrace_oldest_waiting_job_seconds", Kind::Gauge, "Age of the oldest job that waits; 0 where none does."),
    ("millrace_alerts_open", Kind::Gauge, "Alerts that go on."),
    ("millrace_disk_free_bytes", Kind::Gauge, "Free bytes on the disk of a folder: data, scratch."),
    ("millrace_disk_size_bytes", Kind::Gauge, "All bytes on the disk of a folder: data, scratch."),
    ("millrace_database_connections", Kind::Gauge, "Connections to the database, by state: idle, used."),
    ("millrace_database_connections_max", Kind::Gauge, "Most connections to the database."),
    ("millrace_database_up", Kind::Gauge, "Whether the database answered when this was read."),
    ("millrace_build_info", Kind::Gauge, "1; its label says the version."),
    ("process_resident_memory_bytes", Kind::Gauge, "Bytes of this process in memory."),
    ("process_cpu_seconds_total", Kind::Counter, "Seconds of processor time that this process took."),
    ("process_open_fds", Kind::Gauge, "Files that this process has open."),
    ("process_threads", Kind::Gauge, "Threads of this process."),
    ("process_start_time_seconds", Kind::Gauge, "When this process started, in seconds of the Unix epoch."),
];

/// What reads the numbers.
#[derive(Debug, Clone)]
pub struct Numbers(Arc<PrometheusHandle>);

impl Numbers {
    /// What was counted, as Prometheus reads it.
    pub fn text(&self) -> String {
        self.0.render()
    }

    /// Sorts what was measured, again and again.
    pub async fn keep(self) {
        loop {
            tokio::time::sleep(UPKEEP_EVERY).await;
            self.0.run_upkeep();
        }
    }
}

/// Counts from now on. A process counts once, however often this is called.
///
/// # Errors
/// Another recorder counts already.
pub fn install() -> Result<Numbers, BuildError> {
    static COUNTING: OnceLock<Numbers> = OnceLock::new();
    if let Some(numbers) = COUNTING.get() {
        return Ok(numbers.clone());
    }
    let recorder = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Full(HTTP_SECONDS.to_owned()), &REQUEST_SECONDS)?
        .set_buckets_for_metric(Matcher::Full(STAGE.to_owned()), &STAGE_SECONDS)?
        .build_recorder();
    let numbers = Numbers(Arc::new(recorder.handle()));
    // Of two at once, one counts; the other one's handle reads nothing and is not kept.
    if metrics::set_global_recorder(recorder).is_ok() {
        let _ = COUNTING.set(numbers);
        describe();
    }
    Ok(COUNTING.wait().clone())
}

fn describe() {
    for (name, kind, help) in ALL {
        match kind {
            Kind::Histogram => describe_histogram!(name, Unit::Seconds, help),
            Kind::Counter if name.starts_with("millrace_") => describe_counter!(name, help),
            Kind::Counter | Kind::Gauge => {}
        }
    }
}

/// Writes numbers that are looked up when they are asked for. Each sample is its labels, as `name="value"`, and its value.
pub fn write_now(text: &mut String, name: &str, samples: &[(String, f64)]) {
    let Some((_, kind, help)) = ALL.iter().find(|(known, ..)| *known == name) else { return };
    let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {}", kind.as_str());
    for (labels, value) in samples {
        let _ = if labels.is_empty() { writeln!(text, "{name} {value}") } else { writeln!(text, "{name}{{{labels}}} {value}") };
    }
}

/// A request was answered. `route` is a pattern and `method` one of the usual ones.
pub fn request(route: &str, method: &'static str, status: u16, seconds: f64) {
    let class = match status {
        ..200 => "1xx",
        200..300 => "2xx",
        300..400 => "3xx",
        400..500 => "4xx",
        500.. => "5xx",
    };
    counter!(HTTP_REQUESTS, "route" => route.to_owned(), "method" => method, "status" => class).increment(1);
    histogram!(HTTP_SECONDS, "route" => route.to_owned()).record(seconds);
}

/// Answers of one kind that are so many that nobody looks up each time where they are counted.
#[derive(Debug, Clone)]
pub struct Answered {
    requests: Counter,
    seconds: Histogram,
    bytes: Counter,
}

impl Answered {
    /// Media that were sent by a route.
    pub fn media(route: &'static str) -> Self {
        Self {
            requests: counter!(HTTP_REQUESTS, "route" => route, "method" => "GET", "status" => "2xx"),
            seconds: histogram!(HTTP_SECONDS, "route" => route),
            bytes: counter!(MEDIA_BYTES),
        }
    }

    /// One more, with so many bytes.
    pub fn count(&self, bytes: u64, took: Duration) {
        self.requests.increment(1);
        self.seconds.record(took.as_secs_f64());
        self.bytes.increment(bytes);
    }
}

/// Something happened to an upload: `begun`, `completed`, `aborted`, `expired`.
pub fn upload(event: &'static str) {
    counter!(UPLOADS, "event" => event).increment(1);
}

/// A source was looked at: `packaged` where it plays as it is, `refused` where it waits for its encode.
pub fn packaged(outcome: &'static str) {
    counter!(SOURCES, "outcome" => outcome).increment(1);
}

/// Bytes of uploads were taken.
pub fn received(bytes: u64) {
    counter!(UPLOAD_BYTES).increment(bytes);
}

/// A try began; `taken_over` from a worker that did not end its own.
pub fn attempt(taken_over: bool) {
    counter!(ATTEMPTS).increment(1);
    counter!(TAKEOVERS).increment(u64::from(taken_over));
}

/// A try ended: `done`, `failed`, `retried`, `postponed`, `given_back`, `lost`.
pub fn ended(how: &'static str) {
    counter!(ENDINGS, "outcome" => how).increment(1);
}

/// A video failed.
pub fn failure(code: &'static str) {
    counter!(FAILURES, "code" => code).increment(1);
}

/// A stage took so long: `waiting`, `probe`, `encode`, `publish`.
pub fn stage(stage: &'static str, length: Duration) {
    histogram!(STAGE, "stage" => stage).record(length.as_secs_f64());
}

/// Media are sent.
pub fn sent(bytes: u64) {
    counter!(MEDIA_BYTES).increment(bytes);
}

/// A message about an alert was sent, was not taken, or was given up.
pub fn notice(channel: &'static str, outcome: &'static str) {
    counter!(NOTICES, "channel" => channel, "outcome" => outcome).increment(1);
}
