//! How an attempt ends that did not publish: given back, tried again later, or failed for good. What it stored goes, unless somebody goes
//! on with it.

use std::sync::atomic::Ordering;

use domain::{
    failure::FailureCode,
    job::{JobState, MAX_ATTEMPTS, PATIENCE_MS},
    video::Stage,
};
use sea_orm::{
    ConnectionTrait, EntityTrait,
    sea_query::{Expr, SimpleExpr},
};

use super::{Attempt, Transcodes};
use crate::{
    clock::now_ms,
    db::{
        begin_write,
        entity::{jobs as job_rows, videos},
    },
    error::{Error, Result},
    failpoints,
    ports::transcoder::TranscodeError,
    services::{
        growing,
        jobs::{Held, Lease, given_up, hold, nothing_left, retry_later, wait},
        removals::Removal,
        videos::advance,
    },
    telemetry::metrics,
};

impl Transcodes {
    /// Gives the job back as it was, for another process. An encode that goes on elsewhere is kept with it.
    pub(super) async fn give_back(&self, attempt: &Attempt<'_>) -> Result<()> {
        metrics::ended("given_back");
        let lease = &attempt.counted();
        let transaction = begin_write(&self.db).await?;
        let mut changes = vec![
            (job_rows::Column::State, Expr::value(JobState::Queued.as_str())),
            (job_rows::Column::Attempt, Expr::value(lease.attempt - 1)),
            (job_rows::Column::RunAfterMs, Expr::value(now_ms())),
        ];
        if self.transcoder.outlives_process() {
            let _ = hold(&transaction, attempt.lease, &changes).await?;
            transaction.commit().await?;
            tracing::info!(video_id = %attempt.lease.video, job_id = %attempt.lease.job, "job given back; its encode goes on");
            return Ok(());
        }
        changes.extend(nothing_left());
        if hold(&transaction, attempt.lease, &changes).await? == Held::Yes {
            growing::end(&transaction, attempt.lease.video).await?;
            advance(&transaction, attempt.lease.video, Stage::Queued, &[poster_of_published()]).await?;
        }
        self.let_go(&transaction, attempt).await?;
        failpoints::pass("job.given_back.before_commit");
        transaction.commit().await?;
        tracing::info!(video_id = %attempt.lease.video, job_id = %attempt.lease.job, "job given back");
        Ok(())
    }

    /// Notes a failure: a new try later where that may help, else the end with a reason.
    pub(super) async fn failed(&self, attempt: &Attempt<'_>, error: &Error) -> Result<()> {
        let lease = &attempt.counted();
        let patient = now_ms() - lease.created_at_ms < PATIENCE_MS;
        // A disk that is full is nobody's failure for as long as it is.
        let full = error.waiting_code() == Some(FailureCode::WaitingForSpace);
        let waits = error.is_passing() && (patient || full && self.storage.is_scarce().await);
        let verdict = match error {
            Error::Transcode(TranscodeError::Source { code, .. }) => Some(*code),
            _ if waits => None,
            // An engine elsewhere is paid by the minute and makes the same of the same source: once more is enough.
            Error::Unfit(_) if self.transcoder.outlives_process() && lease.attempt > 1 => Some(FailureCode::ProcessingFailed),
            _ if lease.attempt >= MAX_ATTEMPTS => Some(FailureCode::ProcessingFailed),
            _ => None,
        };
        let detail = error.to_string();
        let transaction = begin_write(&self.db).await?;
        let held = match verdict {
            Some(code) => {
                tracing::warn!(video_id = %lease.video, job_id = %lease.job, code = code.as_str(), %error, "video failed");
                metrics::ended("failed");
                metrics::failure(code.as_str());
                hold(&transaction, lease, &given_up(code, &detail)).await?
            }
            None if waits => {
                tracing::warn!(video_id = %lease.video, job_id = %lease.job, %error, "something does not answer; waiting");
                metrics::ended("postponed");
                let mut changes = wait(lease, &detail).to_vec();
                if !self.transcoder.outlives_process() {
                    changes.extend(nothing_left());
                }
                hold(&transaction, lease, &changes).await?
            }
            None => {
                tracing::warn!(video_id = %lease.video, job_id = %lease.job, attempt = lease.attempt, %error, "attempt failed; trying again");
                metrics::ended("retried");
                hold(&transaction, lease, &retry_later(lease, &detail)).await?
            }
        };
        if held == Held::Yes {
            growing::end(&transaction, lease.video).await?;
            let (stage, code) = match verdict {
                Some(code) => (Stage::Failed, Some(code.as_str())),
                None => (Stage::Queued, error.waiting_code().filter(|_| waits).map(FailureCode::as_str)),
            };
            let changes = [(videos::Column::FailureCode, Expr::value(code.map(str::to_owned))), poster_of_published()];
            advance(&transaction, lease.video, stage, &changes).await?;
        }
        self.let_go(&transaction, attempt).await?;
        failpoints::pass("job.failed.before_commit");
        transaction.commit().await?;
        failpoints::pass("job.failed.committed");
        Ok(())
    }

    /// Notes that this attempt's objects are to go, unless they are what is published (a commit whose answer was lost has counted) or what
    /// somebody else goes on with.
    pub(super) async fn let_go(&self, db: &impl ConnectionTrait, attempt: &Attempt<'_>) -> Result<()> {
        let job = job_rows::Entity::find_by_id(attempt.lease.job.0).one(db).await?;
        if job.is_some_and(|job| job.generation_id == Some(attempt.generation.0)) {
            return Ok(());
        }
        let video = videos::Entity::find_by_id(attempt.lease.video.0).one(db).await?;
        if video.is_some_and(|video| video.generation_id == Some(attempt.generation.0)) {
            return Ok(());
        }
        if self.transcoder.outlives_process() && attempt.started.load(Ordering::Relaxed) {
            return Removal::Encode(attempt.generation, attempt.encode.get().cloned()).note(db).await;
        }
        attempt.removal().note(db).await
    }
}

impl Attempt<'_> {
    /// The lease with the tries that count by now.
    fn counted(&self) -> Lease {
        let attempt = self.lease.attempt - i32::from(self.given_back.load(Ordering::Relaxed));
        Lease { attempt, ..self.lease.clone() }
    }
}

/// The poster of an attempt that is over goes with it; that of a published generation stays.
fn poster_of_published() -> (videos::Column, SimpleExpr) {
    (videos::Column::PosterGenerationId, Expr::col(videos::Column::GenerationId))
}
