//! Work that takes long, under a lease that is renewed meanwhile. A database that does not answer ends no work: an encode goes on, and what is to be
//! written down waits until it can be. Should another worker have taken the job in the meantime, the fence says so then.

use std::{future::Future, sync::atomic::Ordering, time::Duration};

use domain::job::HEARTBEAT_MS;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, sea_query::Expr};
use tokio::{
    sync::watch,
    time::{Instant, sleep, timeout},
};

use super::{Attempt, Made, Stop, Transcodes, grown::News};
use crate::{
    clock::now_ms,
    db::{
        begin_write,
        entity::{jobs, videos},
    },
    error::{Error, Result},
    ports::transcoder::{TranscodeId, TranscodeState},
    services::jobs::{Held, hold},
};

/// How often a running encode is looked at.
const POLL_EVERY: Duration = Duration::from_millis(250);
/// How often the row is read for what another process was told about an encode.
const READ_REPORTS_EVERY: Duration = Duration::from_secs(1);
/// How often a lease is renewed while nothing else is written.
const HEARTBEAT: Duration = Duration::from_millis(HEARTBEAT_MS.unsigned_abs());
/// How long the database has for one step before it counts as gone: a server that was stopped, or a cable that was cut, says nothing at all.
const ANSWERS_WITHIN: Duration = Duration::from_secs(20);
/// Waits while it is gone: doubled from the first to the last.
const FIRST_WAIT: Duration = Duration::from_millis(250);
const LAST_WAIT: Duration = Duration::from_secs(5);

impl Transcodes {
    /// Waits for `work` of unknown length, keeping the lease alive meanwhile. Work that is let go of stops.
    pub(super) async fn holding<T>(
        &self,
        attempt: &Attempt<'_>,
        shutdown: &mut watch::Receiver<bool>,
        work: impl Future<Output = std::result::Result<T, Stop>>,
    ) -> std::result::Result<T, Stop> {
        tokio::select! {
            done = work => done,
            () = turns_true(shutdown) => Err(Stop::ShuttingDown),
            stop = self.beat(attempt) => Err(stop),
        }
    }

    /// Renews the lease until it is lost.
    async fn beat(&self, attempt: &Attempt<'_>) -> Stop {
        loop {
            sleep(HEARTBEAT).await;
            match in_time(HEARTBEAT, self.jobs.renew(attempt.lease)).await {
                Some(Ok(Held::Yes)) => {}
                Some(Ok(Held::Lost)) => return Stop::Lost,
                Some(Err(error)) if !error.is_outage() => return Stop::Failed(error),
                Some(Err(error)) => tracing::warn!(job_id = %attempt.lease.job, %error, "cannot renew a lease; working on"),
                None => tracing::warn!(job_id = %attempt.lease.job, "the database says nothing to a renewed lease; working on"),
            }
        }
    }

    /// Does one step in the database; again and again while it does not answer, until the process is to end. A step may so be made twice.
    pub(super) async fn insist<T, F>(&self, shutdown: &mut watch::Receiver<bool>, step: impl Fn() -> F) -> std::result::Result<T, Stop>
    where
        F: Future<Output = std::result::Result<T, Stop>>,
    {
        let mut wait = FIRST_WAIT;
        loop {
            match in_time(ANSWERS_WITHIN, step()).await {
                Some(Err(Stop::Failed(error))) if error.is_outage() => {
                    tracing::warn!(%error, wait_ms = wait.as_millis(), "the database does not answer; trying again");
                }
                Some(done) => return done,
                None => tracing::warn!(wait_ms = wait.as_millis(), "the database says nothing; trying again"),
            }
            tokio::select! {
                () = sleep(wait) => {}
                () = turns_true(shutdown) => return Err(Stop::ShuttingDown),
            }
            wait = (wait * 2).min(LAST_WAIT);
        }
    }

    /// Waits for an encode, passing on how far it is and keeping the lease alive.
    pub(super) async fn watch(
        &self,
        attempt: &Attempt<'_>,
        encode: &TranscodeId,
        shutdown: &mut watch::Receiver<bool>,
    ) -> std::result::Result<Made, Stop> {
        self.holding(attempt, shutdown, self.follow(attempt, encode)).await
    }

    async fn follow(&self, attempt: &Attempt<'_>, encode: &TranscodeId) -> std::result::Result<Made, Stop> {
        let (mut shown, mut news) = ((0, false), News::default());
        let (began, mut looked) = (Instant::now(), None::<Instant>);
        loop {
            sleep(POLL_EVERY).await;
            if self.transcoder.outlives_process() && looked.is_none_or(|looked| looked.elapsed() >= READ_REPORTS_EVERY) {
                looked = Some(Instant::now());
                self.read_report(attempt).await?;
            }
            let state = self.transcoder.poll(encode).await.map_err(Error::from)?;
            if matches!(state, TranscodeState::Running { .. }) && began.elapsed() >= HEARTBEAT {
                self.count_no_death(attempt).await?;
            }
            match state {
                TranscodeState::Done { renditions, poster } => return Ok(Made { renditions, poster }),
                // Where it cannot be shown now, it is tried again with the next look.
                TranscodeState::Running { percent, poster, grown } => {
                    if (percent, poster) != shown && self.shows_progress(attempt, percent, poster).await? {
                        shown = (percent, poster);
                    }
                    news.hear(grown);
                    self.shows_grown(attempt, &mut news).await?;
                }
            }
        }
    }

    /// Takes back that this try was counted, where the one before it ended with its worker's death and its encode goes on elsewhere all the same.
    /// Not before it has been waited for a while: a job whose workers die as soon as they have it, or when they publish, comes to its end.
    async fn count_no_death(&self, attempt: &Attempt<'_>) -> std::result::Result<(), Stop> {
        let lost_nothing = attempt.lease.deserted && attempt.resumed.load(Ordering::Relaxed);
        if !lost_nothing || attempt.given_back.load(Ordering::Relaxed) {
            return Ok(());
        }
        let tries = [(jobs::Column::Attempt, Expr::value(attempt.lease.attempt - 1))];
        match in_time(HEARTBEAT, hold(&self.db, attempt.lease, &tries)).await {
            Some(Ok(Held::Yes)) => {
                attempt.given_back.store(true, Ordering::Relaxed);
                Ok(())
            }
            Some(Ok(Held::Lost)) => Err(Stop::Lost),
            Some(Err(error)) if !error.is_outage() => Err(error.into()),
            // With the next look. What was written though no answer came is written once more, and says the same.
            _ => Ok(()),
        }
    }

    /// Another process may have been the one that was told about the encode.
    async fn read_report(&self, attempt: &Attempt<'_>) -> Result<()> {
        match in_time(HEARTBEAT, self.jobs.report(attempt.lease)).await {
            Some(Ok(Some(report))) => self.transcoder.hear(&report),
            Some(Err(error)) if !error.is_outage() => return Err(error),
            _ => {}
        }
        Ok(())
    }

    /// Says how far an encode is; whether that could be written down.
    async fn shows_progress(&self, attempt: &Attempt<'_>, percent: u8, poster: bool) -> std::result::Result<bool, Stop> {
        match in_time(HEARTBEAT, self.note_progress(attempt, percent, poster)).await {
            Some(Ok(())) => Ok(true),
            Some(Err(Stop::Failed(error))) if error.is_outage() => Ok(false),
            Some(Err(stop)) => Err(stop),
            None => Ok(false),
        }
    }

    /// Lets what is finished be played, if that can be written down now.
    async fn shows_grown(&self, attempt: &Attempt<'_>, news: &mut News) -> std::result::Result<(), Stop> {
        let Some(grown) = news.waiting() else { return Ok(()) };
        match in_time(HEARTBEAT, self.note_grown(attempt, grown)).await {
            Some(Ok(wanted)) => news.noted(wanted),
            Some(Err(Stop::Failed(error))) if error.is_outage() => {}
            Some(Err(stop)) => return Err(stop),
            None => {}
        }
        Ok(())
    }

    async fn note_progress(&self, attempt: &Attempt<'_>, percent: u8, poster: bool) -> std::result::Result<(), Stop> {
        let transaction = begin_write(&self.db).await?;
        if hold(&transaction, attempt.lease, &[]).await? == Held::Lost {
            return Err(Stop::Lost);
        }
        let mut update = videos::Entity::update_many()
            .col_expr(videos::Column::Progress, Expr::value(i32::from(percent)))
            .col_expr(videos::Column::UpdatedAtMs, Expr::value(now_ms()));
        if poster {
            update = update.col_expr(videos::Column::PosterGenerationId, Expr::value(attempt.generation.0));
        }
        update.filter(videos::Column::Id.eq(attempt.lease.video.0)).exec(&transaction).await?;
        transaction.commit().await?;
        self.tell(attempt);
        Ok(())
    }
}

/// What came of it, if that came in time.
async fn in_time<T>(limit: Duration, work: impl Future<Output = T>) -> Option<T> {
    timeout(limit, work).await.ok()
}

/// Waits for the shut-down. The value is not kept: it is a lock.
async fn turns_true(shutdown: &mut watch::Receiver<bool>) {
    let _ = shutdown.wait_for(|down| *down).await;
}
