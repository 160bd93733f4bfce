//! How long each stage of a job takes: a number, and a span in the video's trace.

use std::time::{Duration, Instant};

use super::{metrics, traces::Span};
use crate::{clock::now_ms, services::jobs::Lease};

/// A stage that has begun. One that does not end well is in the trace and not among the numbers.
#[derive(Debug)]
pub struct Stage {
    name: &'static str,
    began: Instant,
    _span: Span,
}

impl Stage {
    /// Begins `probe`, `encode` or `publish`, below a trace.
    pub fn begin(name: &'static str, trace: Option<&str>) -> Self {
        let span = match name {
            "probe" => "job.probe",
            "encode" => "job.encode",
            _ => "job.publish",
        };
        Self { name, began: Instant::now(), _span: Span::begin(span, trace) }
    }

    /// It ended well.
    pub fn done(self) {
        metrics::stage(self.name, self.began.elapsed());
    }
}

/// A try to process a video begins. Gives the span that its stages are below; it ends when that is dropped.
pub fn attempt(lease: &Lease, trace: Option<&str>) -> Span {
    metrics::attempt(lease.leftover.is_some());
    if lease.attempt == 1 && lease.leftover.is_none() {
        let length = Duration::from_millis(u64::try_from(now_ms() - lease.created_at_ms).unwrap_or_default());
        metrics::stage("waiting", length);
        Span::past("job.waiting", trace, length);
    }
    let mut span = Span::begin("job", trace);
    span.note("millrace.job_id", lease.job.to_string());
    span.note("millrace.video_id", lease.video.to_string());
    span.note("millrace.attempt", i64::from(lease.attempt));
    span
}
