//! Leases on jobs: who may run one, for how long, and how it ends. The fencing number of a lease stands in every write that a worker
//! makes, so that a worker which lost its lease (paused, cut off) can no longer change anything.
//!
//! Whether a lease is over is not read from a clock, which may be wrong here or there: its holder's process is known to be gone, or has been
//! seen to be silent for as long as a lease lasts ([`sightings`]).

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use domain::{
    ids::{GenerationId, JobId, UserId, VideoId},
    job::{JobState, LEASE_MS, LONGEST_DELAY_MS},
};
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, Condition, ConnectionTrait, DatabaseConnection, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Select,
    sea_query::{Expr, SimpleExpr},
};
use uuid::Uuid;

use crate::{
    clock::now_ms,
    db::{entity::jobs, unsynced},
    error::{Error, Result},
    ports::transcoder::{EncodeReport, TranscodeId},
    process_name::ProcessName,
};

mod outcomes;
mod sightings;

pub use outcomes::{given_up, nothing_left, over, retry_later, wait};
use sightings::Sightings;

/// A job waits at most so long by its row; what waits longer was written by another clock than ours.
const BEYOND_ANY_DELAY_MS: i64 = LONGEST_DELAY_MS + 60_000;

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
    /// When the job was made, in milliseconds of the Unix epoch.
    pub created_at_ms: i64,
    /// The generation that an earlier try, which did not end, wrote to.
    pub leftover: Option<GenerationId>,
    /// The encode that it waited for, where that outlives a process.
    pub encode: Option<TranscodeId>,
    /// Whether the try before this one ended without a word: its worker died, or went silent.
    pub deserted: bool,
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
    /// Where leases are taken. A power cut ends their holder as well, so a job that is waiting again after it is as it should be.
    leases: DatabaseConnection,
    owner: ProcessName,
    /// What this process has seen of the others.
    seen: Arc<Mutex<Sightings>>,
}

/// Writes a new job; part of the caller's transaction, so that a video that waits always has one.
///
/// # Errors
/// The database fails.
pub async fn enqueue(db: &impl ConnectionTrait, user: UserId, video: VideoId) -> Result<JobId> {
    let job = JobId(Uuid::now_v7());
    // Fair queueing: the first job of an account stands beside the head of the queue, each further one a place behind the one before. Two at once
    // may get one place; then the older goes first.
    let head = turn_of(due_query(now_ms()), db).await?;
    let own = turn_of(last_of_query(user), db).await?;
    let turn = head.unwrap_or_default().max(own.map_or(0, |last| last + 1));
    let row = jobs::ActiveModel {
        id: Set(job.0),
        video_id: Set(video.0),
        user_id: Set(Some(user.0)),
        turn: Set(turn),
        state: Set(JobState::Queued.as_str().to_owned()),
        attempt: Set(0),
        run_after_ms: Set(now_ms()),
        lease_owner: Set(None),
        lease_expires_at_ms: Set(0),
        fence: Set(0),
        generation_id: Set(None),
        encode_id: Set(None),
        encode_report: Set(None),
        last_error: Set(None),
        began_at_ms: Set(None),
        ended_at_ms: Set(None),
        failure_code: Set(None),
        created_at_ms: Set(now_ms()),
    };
    jobs::Entity::insert(row).exec_without_returning(db).await?;
    Ok(job)
}

/// Writes a new job for a video whose last one was given up; that one is no longer what somebody has to look at. Part of the caller's
/// transaction.
///
/// # Errors
/// The database fails.
pub async fn enqueue_again(db: &impl ConnectionTrait, user: UserId, video: VideoId) -> Result<JobId> {
    jobs::Entity::update_many()
        .col_expr(jobs::Column::State, Expr::value(JobState::Replaced.as_str()))
        .filter(jobs::Column::VideoId.eq(video.0))
        .filter(jobs::Column::State.eq(JobState::Failed.as_str()))
        .exec(db)
        .await?;
    enqueue(db, user, video).await
}

impl Jobs {
    /// Leases taken in the name of `owner`, one name a process.
    pub fn new(db: DatabaseConnection, owner: ProcessName) -> Self {
        Self { leases: unsynced(&db), db, owner, seen: Arc::default() }
    }

    /// Takes the next job that is due: one that waits, or one whose worker is gone or has gone silent.
    ///
    /// # Errors
    /// The database fails.
    pub async fn claim(&self) -> Result<Option<Lease>> {
        // First those that somebody had begun: they have waited longest, and a queue that never empties must not keep them waiting.
        for row in self.deserted().await? {
            if let Some(lease) = self.take(row).await? {
                return Ok(Some(lease));
            }
        }
        while let Some(row) = due_query(now_ms()).one(&self.db).await? {
            if let Some(lease) = self.take(row).await? {
                return Ok(Some(lease));
            }
        }
        Ok(None)
    }

    /// Takes this job, if it is due.
    ///
    /// # Errors
    /// The database fails.
    pub async fn claim_job(&self, job: JobId) -> Result<Option<Lease>> {
        let row = jobs::Entity::find_by_id(job.0).filter(Condition::any().add(due(now_ms())).add(running())).one(&self.db).await?;
        match row {
            Some(row) if row.state != JobState::Running.as_str() || is_free(&row) => self.take(row).await,
            _ => Ok(None),
        }
    }

    /// Jobs that somebody had begun and works on no more, those first that were begun first.
    async fn deserted(&self) -> Result<Vec<jobs::Model>> {
        let mut rows = running_query().all(&self.db).await?;
        let (now, ids) = (Instant::now(), rows.iter().map(|row| row.id).collect::<HashSet<_>>());
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.keep(|job| ids.contains(job));
        rows.retain(|row| seen.is_silent(row.id, (row.fence, row.lease_expires_at_ms), now) || is_free(row));
        drop(seen);
        Ok(rows)
    }

    /// Whoever raises the fence first has the job; `None` is the answer to everybody else, and where the row has changed since it was read: a
    /// silent worker may have come back, and even have ended the job.
    async fn take(&self, row: jobs::Model) -> Result<Option<Lease>> {
        let deserted = row.state == JobState::Running.as_str();
        let taken = jobs::Entity::update_many()
            .col_expr(jobs::Column::State, Expr::value(JobState::Running.as_str()))
            .col_expr(jobs::Column::LeaseOwner, Expr::value(self.owner.to_string()))
            .col_expr(jobs::Column::LeaseExpiresAtMs, Expr::value(now_ms() + LEASE_MS))
            .col_expr(jobs::Column::Fence, Expr::value(row.fence + 1))
            .col_expr(jobs::Column::Attempt, Expr::value(row.attempt + 1))
            .col_expr(jobs::Column::BeganAtMs, Expr::value(now_ms()))
            .filter(jobs::Column::Id.eq(row.id))
            .filter(jobs::Column::Fence.eq(row.fence))
            .filter(jobs::Column::State.eq(row.state))
            .filter(jobs::Column::LeaseExpiresAtMs.eq(row.lease_expires_at_ms))
            .exec(&self.leases)
            .await?;
        Ok((taken.rows_affected == 1).then(|| Lease {
            job: JobId(row.id),
            video: VideoId(row.video_id),
            attempt: row.attempt + 1,
            fence: row.fence + 1,
            created_at_ms: row.created_at_ms,
            leftover: row.generation_id.map(GenerationId),
            encode: row.encode_id.map(TranscodeId),
            deserted,
        }))
    }

    /// Whether a job's row says that nobody has to hear of it any more: it is over, gone, or waits for a later moment.
    ///
    /// # Errors
    /// The database fails.
    pub async fn settled(&self, job: JobId) -> Result<bool> {
        let open = Condition::any().add(due(now_ms())).add(jobs::Column::State.eq(JobState::Running.as_str()));
        Ok(jobs::Entity::find_by_id(job.0).filter(open).one(&self.db).await?.is_none())
    }

    /// Writes down what an engine told about an encode, for whoever waits for it, and says whether that is news. Reports about other jobs and other
    /// encodes than the one that is waited for, and those older than what is known, change nothing.
    ///
    /// # Errors
    /// The database fails.
    pub async fn note_report(&self, report: &EncodeReport) -> Result<bool> {
        let text = serde_json::to_string(report).map_err(|error| Error::broken(error.to_string()))?;
        loop {
            let Some(row) = jobs::Entity::find_by_id(report.job.0).one(&self.db).await? else { return Ok(false) };
            let known = row.encode_report.as_deref().and_then(|text| serde_json::from_str::<EncodeReport>(text).ok());
            let newer = known.is_none_or(|known| !known.news.is_last() && (report.news.is_last() || report.at_ms > known.at_ms));
            if row.encode_id.as_ref() != Some(&report.encode.0) || !newer {
                return Ok(false);
            }
            let noted = jobs::Entity::update_many()
                .col_expr(jobs::Column::EncodeReport, Expr::value(text.clone()))
                .filter(jobs::Column::Id.eq(report.job.0))
                .filter(jobs::Column::EncodeId.eq(report.encode.0.clone()))
                .filter(match row.encode_report {
                    Some(known) => jobs::Column::EncodeReport.eq(known),
                    None => jobs::Column::EncodeReport.is_null(),
                })
                .exec(&self.db)
                .await?;
            if noted.rows_affected == 1 {
                return Ok(true);
            }
            // Somebody noted another one meanwhile: this one is compared anew.
        }
    }

    /// The last report about the encode that a leased job waits for.
    ///
    /// # Errors
    /// The database fails.
    pub async fn report(&self, lease: &Lease) -> Result<Option<EncodeReport>> {
        let row = jobs::Entity::find_by_id(lease.job.0).one(&self.db).await?;
        Ok(row.and_then(|row| row.encode_report).and_then(|text| serde_json::from_str(&text).ok()))
    }

    /// Renews a lease.
    ///
    /// # Errors
    /// The database fails.
    pub async fn renew(&self, lease: &Lease) -> Result<Held> {
        hold(&self.db, lease, &[]).await
    }
}

/// Jobs that wait and whose moment has come. A moment beyond any delay is one of a clock that was wrong, or of one that was set back since.
fn due(now: i64) -> Condition {
    let moment =
        Condition::any().add(jobs::Column::RunAfterMs.lte(now)).add(jobs::Column::RunAfterMs.gt(now.saturating_add(BEYOND_ANY_DELAY_MS)));
    Condition::all().add(jobs::Column::State.eq(JobState::Queued.as_str())).add(moment)
}

fn running() -> Condition {
    Condition::all().add(jobs::Column::State.eq(JobState::Running.as_str()))
}

/// Whether a running job's lease is known to be nobody's.
fn is_free(row: &jobs::Model) -> bool {
    row.lease_expires_at_ms == 0 || row.lease_owner.as_deref().is_some_and(ProcessName::is_dead)
}

async fn turn_of(query: Select<jobs::Entity>, db: &impl ConnectionTrait) -> Result<Option<i64>> {
    Ok(query.select_only().column(jobs::Column::Turn).into_tuple().one(db).await?)
}

/// The last job in line of one account.
pub fn last_of_query(user: UserId) -> Select<jobs::Entity> {
    let own = jobs::Entity::find().filter(jobs::Column::UserId.eq(user.0)).filter(jobs::Column::State.eq(JobState::Queued.as_str()));
    own.order_by_desc(jobs::Column::Turn).limit(1)
}

/// The job whose turn it is.
pub fn due_query(now: i64) -> Select<jobs::Entity> {
    jobs::Entity::find().filter(due(now)).order_by_asc(jobs::Column::Turn).order_by_asc(jobs::Column::Id).limit(1)
}

/// The jobs that somebody has, or had: as many as there are places for in all processes.
pub fn running_query() -> Select<jobs::Entity> {
    jobs::Entity::find().filter(running()).order_by_asc(jobs::Column::LeaseExpiresAtMs)
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
