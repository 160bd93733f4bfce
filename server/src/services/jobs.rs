//! Leases on jobs: who may run one, for how long, and how it ends. The fencing number of a lease stands in every write that a worker
//! makes, so that a worker which lost its lease (paused, cut off) can no longer change anything.

use domain::{
    ids::{GenerationId, JobId, VideoId},
    job::{JobState, LEASE_MS, retry_delay_ms},
};
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, Condition, ConnectionTrait, DatabaseConnection, EntityTrait, QueryFilter, QueryOrder, QuerySelect,
    sea_query::{Expr, SimpleExpr},
};
use uuid::Uuid;

use crate::{clock::now_ms, db::entity::jobs, error::Result};

/// The right to run a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// The job.
    pub job: JobId,
    /// The video it works on.
    pub video: VideoId,
    /// Tries begun, this one included.
    pub attempt: i32,
    /// The fencing number.
    pub fence: i64,
    /// The generation that an earlier try, which did not end, wrote to.
    pub leftover: Option<GenerationId>,
}

/// Whether a write under a lease counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Held {
    /// It did.
    Yes,
    /// The lease is somebody else's by now, or the video is gone. Nothing was written; stop.
    Lost,
}

/// Leases in a database.
#[derive(Debug, Clone)]
pub struct Jobs {
    db: DatabaseConnection,
    owner: String,
}

/// Writes a new job; part of the caller's transaction, so that a video that waits always has one.
///
/// # Errors
/// The database fails.
pub async fn enqueue(db: &impl ConnectionTrait, video: VideoId) -> Result<JobId> {
    let job = JobId(Uuid::now_v7());
    let row = jobs::ActiveModel {
        id: Set(job.0),
        video_id: Set(video.0),
        state: Set(JobState::Queued.as_str().to_owned()),
        attempt: Set(0),
        run_after_ms: Set(now_ms()),
        lease_owner: Set(None),
        lease_expires_at_ms: Set(0),
        fence: Set(0),
        generation_id: Set(None),
        last_error: Set(None),
        created_at_ms: Set(now_ms()),
    };
    jobs::Entity::insert(row).exec_without_returning(db).await?;
    Ok(job)
}

impl Jobs {
    /// Leases taken in the name of `owner`, one name a process.
    pub fn new(db: DatabaseConnection, owner: String) -> Self {
        Self { db, owner }
    }

    /// Takes the next job that is due: one that waits, or one whose worker has gone silent.
    ///
    /// # Errors
    /// The database fails.
    pub async fn claim(&self) -> Result<Option<Lease>> {
        loop {
            let now = now_ms();
            let waiting = Condition::all().add(jobs::Column::State.eq(JobState::Queued.as_str())).add(jobs::Column::RunAfterMs.lte(now));
            let silent =
                Condition::all().add(jobs::Column::State.eq(JobState::Running.as_str())).add(jobs::Column::LeaseExpiresAtMs.lt(now));
            let next = jobs::Entity::find()
                .filter(Condition::any().add(waiting).add(silent))
                .order_by_asc(jobs::Column::RunAfterMs)
                .limit(1)
                .one(&self.db)
                .await?;
            let Some(row) = next else { return Ok(None) };
            // Whoever raises the fence first has the job; the other one looks again.
            let taken = jobs::Entity::update_many()
                .col_expr(jobs::Column::State, Expr::value(JobState::Running.as_str()))
                .col_expr(jobs::Column::LeaseOwner, Expr::value(self.owner.clone()))
                .col_expr(jobs::Column::LeaseExpiresAtMs, Expr::value(now + LEASE_MS))
                .col_expr(jobs::Column::Fence, Expr::value(row.fence + 1))
                .col_expr(jobs::Column::Attempt, Expr::value(row.attempt + 1))
                .filter(jobs::Column::Id.eq(row.id))
                .filter(jobs::Column::Fence.eq(row.fence))
                .exec(&self.db)
                .await?;
            if taken.rows_affected == 1 {
                return Ok(Some(Lease {
                    job: JobId(row.id),
                    video: VideoId(row.video_id),
                    attempt: row.attempt + 1,
                    fence: row.fence + 1,
                    leftover: row.generation_id.map(GenerationId),
                }));
            }
        }
    }

    /// Renews a lease.
    ///
    /// # Errors
    /// The database fails.
    pub async fn renew(&self, lease: &Lease) -> Result<Held> {
        hold(&self.db, lease, &[]).await
    }
}

/// Renews a lease and writes `changes` into its job, if it is still held. Part of the caller's transaction: the first statement in it,
/// so that everything after it is fenced.
///
/// # Errors
/// The database fails.
pub async fn hold(db: &impl ConnectionTrait, lease: &Lease, changes: &[(jobs::Column, SimpleExpr)]) -> Result<Held> {
    let mut update = jobs::Entity::update_many().col_expr(jobs::Column::LeaseExpiresAtMs, Expr::value(now_ms() + LEASE_MS));
    for (column, value) in changes {
        update = update.col_expr(*column, value.clone());
    }
    let result = update
        .filter(jobs::Column::Id.eq(lease.job.0))
        .filter(jobs::Column::Fence.eq(lease.fence))
        .filter(jobs::Column::State.eq(JobState::Running.as_str()))
        .exec(db)
        .await?;
    Ok(if result.rows_affected == 1 { Held::Yes } else { Held::Lost })
}

/// What a job's row says after a try that failed for a passing reason.
pub fn retry_later(lease: &Lease, error: &str) -> [(jobs::Column, SimpleExpr); 4] {
    [
        (jobs::Column::State, Expr::value(JobState::Queued.as_str())),
        (jobs::Column::RunAfterMs, Expr::value(now_ms() + retry_delay_ms(lease.attempt))),
        (jobs::Column::LastError, Expr::value(error)),
        (jobs::Column::GenerationId, Expr::value(None::<Uuid>)),
    ]
}

/// What a job's row says when it is over.
pub fn over(state: JobState, error: Option<&str>) -> [(jobs::Column, SimpleExpr); 3] {
    [
        (jobs::Column::State, Expr::value(state.as_str())),
        (jobs::Column::LastError, Expr::value(error.map(str::to_owned))),
        (jobs::Column::GenerationId, Expr::value(None::<Uuid>)),
    ]
}
