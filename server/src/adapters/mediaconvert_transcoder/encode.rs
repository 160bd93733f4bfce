//! One encode as this process sees it: what was heard of it, what is being asked, and what came of it. Nothing here waits; whatever takes
//! time is a task that is looked at when it is done.

use std::{sync::Arc, time::Duration};

use domain::playlist::Rendition;
use futures::FutureExt;
use tokio::{
    task::{JoinError, JoinHandle},
    time::Instant,
};

use super::{
    calls::{Desk, Look},
    collect, failure,
};
use crate::ports::transcoder::{EncodeNews, EncodeReport, TranscodeError, TranscodeRequest};

/// Looks in a row that may be refused: ten minutes at the usual pace. Somebody may be mending the rights meanwhile.
const MOST_REFUSALS: u32 = 40;

/// What came out of an encode.
#[derive(Debug)]
pub(super) struct Made {
    pub(super) renditions: Vec<Rendition>,
    pub(super) poster: bool,
}

/// How the service's job ended.
#[derive(Debug)]
pub(super) enum End {
    Done,
    Failed(TranscodeError),
}

impl End {
    pub(super) fn canceled() -> Self {
        Self::Failed(TranscodeError::Engine("the job was canceled in MediaConvert".to_owned()))
    }
}

/// An encode that this process waits for.
#[derive(Debug)]
pub(super) struct Encode {
    request: Arc<TranscodeRequest>,
    percent: u8,
    /// When the newest report was written: an older one, or the same again, is no sign of life.
    newest_report_ms: i64,
    next_look: Instant,
    looking: Option<JoinHandle<Look>>,
    /// Looks in a row that were refused.
    refusals: u32,
    end: Option<End>,
    collecting: Option<JoinHandle<Result<Made, TranscodeError>>>,
}

impl Encode {
    /// One that has just been submitted.
    pub(super) fn submitted(request: TranscodeRequest, poll_every: Duration) -> Self {
        let mut encode = Self::resumed(request);
        encode.next_look += poll_every;
        encode
    }

    /// One that another process submitted: it may be over already, so it is looked at first.
    pub(super) fn resumed(request: TranscodeRequest) -> Self {
        Self {
            request: Arc::new(request),
            percent: 0,
            newest_report_ms: i64::MIN,
            next_look: Instant::now(),
            looking: None,
            refusals: 0,
            end: None,
            collecting: None,
        }
    }

    /// How far it is; all of it only when it is done.
    pub(super) fn percent(&self) -> u8 {
        self.percent.min(99)
    }

    /// Takes note of a report, however often and in whatever order it comes.
    pub(super) fn hear(&mut self, report: &EncodeReport, poll_every: Duration) {
        if report.job != self.request.job {
            return;
        }
        let end = match &report.news {
            EncodeNews::Progress { percent } => {
                self.percent = self.percent.max(*percent);
                if report.at_ms > self.newest_report_ms {
                    self.newest_report_ms = report.at_ms;
                    self.next_look = Instant::now() + poll_every;
                }
                return;
            }
            EncodeNews::Done => End::Done,
            EncodeNews::Failed { code, detail } => End::Failed(failure::job(code, detail)),
            EncodeNews::Canceled => End::canceled(),
        };
        self.end.get_or_insert(end);
    }

    /// Goes on as far as it can without waiting; what came of it, once it is over.
    pub(super) fn advance(&mut self, desk: &Arc<Desk>, id: &str) -> Option<Result<Made, TranscodeError>> {
        if let Some(task) = &mut self.collecting {
            let result = finished(task)?;
            return Some(result.unwrap_or_else(|error| Err(failure::engine("reading what was made broke off", error))));
        }
        if let Some(look) = self.looking.as_mut().and_then(finished) {
            self.looking = None;
            self.next_look = Instant::now() + desk.options.poll_every;
            match look {
                Ok(Look::Running(percent)) => {
                    self.refusals = 0;
                    self.percent = self.percent.max(percent.unwrap_or(0));
                }
                Ok(Look::Refused(error)) => {
                    tracing::warn!(%error, encode_id = id, refusals = self.refusals, "MediaConvert did not want to say how a job is");
                    self.refusals += 1;
                    if self.refusals >= MOST_REFUSALS {
                        self.end.get_or_insert(End::Failed(error));
                    }
                }
                Ok(Look::Over(end)) => {
                    self.end.get_or_insert(end);
                }
                Ok(Look::NoAnswer) | Err(_) => {}
            }
        }
        match self.end.take() {
            Some(End::Failed(error)) => return Some(Err(error)),
            Some(End::Done) => {
                let (desk, request) = (Arc::clone(desk), Arc::clone(&self.request));
                self.collecting = Some(tokio::spawn(async move { collect::collect(desk.store.as_ref(), &request).await }));
            }
            None if self.looking.is_none() && Instant::now() >= self.next_look => {
                let (desk, id) = (Arc::clone(desk), id.to_owned());
                self.looking = Some(tokio::spawn(async move { desk.look(&id).await }));
            }
            None => {}
        }
        None
    }
}

impl Drop for Encode {
    fn drop(&mut self) {
        if let Some(task) = &self.looking {
            task.abort();
        }
        if let Some(task) = &self.collecting {
            task.abort();
        }
    }
}

/// What a task ended with, if it has.
fn finished<T>(task: &mut JoinHandle<T>) -> Option<Result<T, JoinError>> {
    if task.is_finished() { task.now_or_never() } else { None }
}
