//! What becomes of a job after a try: tried again later, put off at nobody's cost, or over. As changes to its row, for the transaction that
//! holds its lease.

use std::time::Duration;

use domain::{
    failure::FailureCode,
    job::{JobState, LONGEST_DELAY_MS, passing_delay_ms, retry_delay_ms},
    video::Stage,
};
use sea_orm::{
    ColumnTrait, EntityTrait, QueryFilter,
    sea_query::{Expr, SimpleExpr},
};
use uuid::Uuid;

use super::{Held, Jobs, Lease, hold};
use crate::{
    clock::now_ms,
    db::{
        begin_write,
        entity::{jobs, videos},
    },
    error::Result,
    services::{growing, videos::advance},
};

impl Jobs {
    /// Puts a leased job off because something that it needs is not to be had now: a full disk, a store that does not answer. It costs no try,
    /// the video says `reason` (one that [waits](FailureCode::waits)) until somebody goes on with it, and that is `delay` from now, at most five
    /// minutes. Whoever holds the lease stops working on the job with this call; what the try has stored is theirs to let go of.
    ///
    /// # Errors
    /// The database fails; then the lease runs out by itself.
    pub async fn postpone(&self, lease: &Lease, reason: FailureCode, delay: Duration) -> Result<Held> {
        let delay = i64::try_from(delay.as_millis()).unwrap_or(LONGEST_DELAY_MS).min(LONGEST_DELAY_MS);
        let transaction = begin_write(&self.db).await?;
        let mut changes = put_off(lease, reason.sentence(), now_ms() + delay).to_vec();
        changes.extend(nothing_left());
        let held = hold(&transaction, lease, &changes).await?;
        if held == Held::Yes {
            growing::end(&transaction, lease.video).await?;
            let said = [
                (videos::Column::FailureCode, Expr::value(reason.as_str())),
                (videos::Column::PosterGenerationId, Expr::col(videos::Column::GenerationId)),
            ];
            if !advance(&transaction, lease.video, Stage::Queued, &said).await? {
                // The try had not even begun.
                videos::Entity::update_many()
                    .col_expr(videos::Column::FailureCode, Expr::value(reason.as_str()))
                    .col_expr(videos::Column::UpdatedAtMs, Expr::value(now_ms()))
                    .filter(videos::Column::Id.eq(lease.video.0))
                    .filter(videos::Column::Stage.eq(Stage::Queued.as_str()))
                    .exec(&transaction)
                    .await?;
            }
        }
        transaction.commit().await?;
        tracing::info!(video_id = %lease.video, job_id = %lease.job, reason = reason.as_str(), delay_ms = delay, "job put off");
        Ok(held)
    }
}

/// What a job's row says after a try that failed for a passing reason.
pub fn retry_later(lease: &Lease, error: &str) -> [(jobs::Column, SimpleExpr); 6] {
    let [generation, encode, report] = nothing_left();
    [
        (jobs::Column::State, Expr::value(JobState::Queued.as_str())),
        (jobs::Column::RunAfterMs, Expr::value(now_ms() + retry_delay_ms(lease.attempt, rand::random()))),
        (jobs::Column::LastError, Expr::value(storable(error))),
        generation,
        encode,
        report,
    ]
}

/// What a job's row says when something else did not answer: it waits, the try is not counted, and the next one goes on with what this one
/// has begun, if the caller keeps it.
pub fn wait(lease: &Lease, error: &str) -> [(jobs::Column, SimpleExpr); 4] {
    put_off(lease, error, now_ms() + passing_delay_ms(now_ms() - lease.created_at_ms, rand::random()))
}

/// A try that is not counted, and the moment of the next one.
fn put_off(lease: &Lease, why: &str, moment: i64) -> [(jobs::Column, SimpleExpr); 4] {
    [
        (jobs::Column::State, Expr::value(JobState::Queued.as_str())),
        (jobs::Column::Attempt, Expr::value(lease.attempt - 1)),
        (jobs::Column::RunAfterMs, Expr::value(moment)),
        (jobs::Column::LastError, Expr::value(storable(why))),
    ]
}

/// What a program said may hold anything; PostgreSQL takes no NUL in a text.
fn storable(error: &str) -> String {
    error.replace('\0', "")
}

/// The next try begins from nothing.
pub fn nothing_left() -> [(jobs::Column, SimpleExpr); 3] {
    [
        (jobs::Column::GenerationId, Expr::value(None::<Uuid>)),
        (jobs::Column::EncodeId, Expr::value(None::<String>)),
        (jobs::Column::EncodeReport, Expr::value(None::<String>)),
    ]
}

/// What a job's row says when it is over.
pub fn over(state: JobState, error: Option<&str>) -> [(jobs::Column, SimpleExpr); 6] {
    let [generation, encode, report] = nothing_left();
    [
        (jobs::Column::State, Expr::value(state.as_str())),
        (jobs::Column::LastError, Expr::value(error.map(storable))),
        (jobs::Column::EndedAtMs, Expr::value(now_ms())),
        generation,
        encode,
        report,
    ]
}

/// What a job's row says when it is given up, and why.
pub fn given_up(code: FailureCode, error: &str) -> Vec<(jobs::Column, SimpleExpr)> {
    let mut changes = over(JobState::Failed, Some(error)).to_vec();
    changes.push((jobs::Column::FailureCode, Expr::value(code.as_str())));
    changes
}
