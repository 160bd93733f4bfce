//! What the machinery has before it, for owners of the server and for the command line: what waits, what runs, what was given up; and giving
//! another try to what was given up.
//!
//! The list of what was given up is the dead-letter list: rows, not messages. A message of a queue elsewhere is a wake-up only, so whatever ended in
//! that queue's own dead-letter queue is not needed: another try is a new job and sends a new wake-up.

use std::collections::{HashMap, HashSet};

use domain::{
    audit::AuditKind,
    backlog::{Backlog, FailedJob, FailedPage, RunningJob},
    error::{Code, Problem},
    failure::FailureCode,
    ids::{JobId, UserId, VideoId},
    job::JobState,
};
use sea_orm::{ColumnTrait, Condition, DatabaseConnection, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect, Select};
use uuid::Uuid;

use crate::{
    db::entity::{jobs, users, videos},
    error::{Error, Result},
    services::{
        audit_log::{Act, Actor},
        jobs::running_query,
        users::check_owner,
        videos::Videos,
    },
};

/// Failed jobs on one page.
const PAGE: u64 = 50;

/// Whom a job's failure is put down to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blame {
    /// Something on our side: it is worth another try.
    Ours,
    /// The file.
    File,
}

/// How far [`Backlog`]'s lists have been read: the last of the page before, each.
#[derive(Debug, Clone, Copy, Default)]
pub struct After {
    /// In the list of what failed on our side.
    pub ours: Option<JobId>,
    /// In the list of what failed because of the file.
    pub files: Option<JobId>,
}

/// What came of giving all of them another try.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Redriven {
    /// So many are on their way.
    pub queued: u64,
    /// So many cannot be: their source is gone, or somebody else was faster.
    pub left: u64,
}

/// The list and what can be done about it.
#[derive(Debug, Clone)]
pub struct Backlogs {
    db: DatabaseConnection,
    videos: Videos,
}

/// The jobs that wait.
pub fn waiting_query() -> Select<jobs::Entity> {
    jobs::Entity::find().filter(jobs::Column::State.eq(JobState::Queued.as_str()))
}

/// The one of them that was made first: ids grow with time.
pub fn oldest_query() -> Select<jobs::Entity> {
    waiting_query().order_by_asc(jobs::Column::Id).limit(1)
}

/// Jobs that were given up, the newest first, older than `before`.
pub fn failed_query(blame: Blame, before: Uuid, limit: u64) -> Select<jobs::Entity> {
    let ours = FailureCode::ProcessingFailed.as_str();
    let code = match blame {
        Blame::Ours => Condition::all().add(jobs::Column::FailureCode.eq(ours)),
        Blame::File => Condition::all().add(jobs::Column::FailureCode.ne(ours)),
    };
    let failed = jobs::Entity::find().filter(jobs::Column::State.eq(JobState::Failed.as_str())).filter(code);
    failed.filter(jobs::Column::Id.lt(before)).order_by_desc(jobs::Column::Id).limit(limit)
}

impl Backlogs {
    /// The jobs in `db`; `videos` gives them another try.
    pub fn new(db: DatabaseConnection, videos: Videos) -> Self {
        Self { db, videos }
    }

    /// How things stand.
    ///
    /// # Errors
    /// Who asks is not an owner.
    pub async fn look(&self, user: UserId, after: After) -> Result<Backlog> {
        check_owner(&self.db, user).await?;
        self.look_as_operator(after).await
    }

    /// How things stand, for the command line.
    ///
    /// # Errors
    /// The database fails.
    pub async fn look_as_operator(&self, after: After) -> Result<Backlog> {
        let rows = running_query().all(&self.db).await?;
        let owners = self.owners(&rows).await?;
        let running = rows.into_iter().map(|row| RunningJob {
            id: JobId(row.id),
            video: VideoId(row.video_id),
            owner: owner(&owners, &row),
            worker: row.lease_owner.unwrap_or_default(),
            attempt: row.attempt,
            since_ms: row.began_at_ms,
        });
        let running = running.collect();
        Ok(Backlog {
            waiting: waiting_query().count(&self.db).await?,
            oldest_since_ms: oldest_query().one(&self.db).await?.map(|row| row.created_at_ms),
            running,
            ours: self.page(Blame::Ours, after.ours).await?,
            files: self.page(Blame::File, after.files).await?,
        })
    }

    async fn page(&self, blame: Blame, after: Option<JobId>) -> Result<FailedPage> {
        let before = after.map_or(Uuid::max(), |after| after.0);
        // One more than shown tells whether there is a next page.
        let mut rows = failed_query(blame, before, PAGE + 1).all(&self.db).await?;
        let more = rows.len() as u64 > PAGE;
        rows.truncate(PAGE as usize);
        let next = rows.last().filter(|_| more).map(|row| JobId(row.id));
        let owners = self.owners(&rows).await?;
        let there = videos::Entity::find()
            .select_only()
            .column(videos::Column::Id)
            .filter(videos::Column::Id.is_in(rows.iter().map(|row| row.video_id)))
            .filter(videos::Column::S3InputUrl.is_not_null());
        let there: HashSet<Uuid> = there.into_tuple::<Uuid>().all(&self.db).await?.into_iter().collect();
        let jobs = rows.into_iter().map(|row| shown(&owners, &there, row)).collect::<Result<_>>()?;
        Ok(FailedPage { jobs, next })
    }

    /// The addresses of whose videos they are.
    async fn owners(&self, rows: &[jobs::Model]) -> Result<HashMap<Uuid, String>> {
        let users: HashSet<Uuid> = rows.iter().filter_map(|row| row.user_id).collect();
        let columns = [users::Column::Id, users::Column::Email];
        let emails = users::Entity::find().select_only().columns(columns).filter(users::Column::Id.is_in(users));
        Ok(emails.into_tuple::<(Uuid, String)>().all(&self.db).await?.into_iter().collect())
    }

    /// Gives a job that was given up another try: a new job for its video, with as many tries as any.
    ///
    /// # Errors
    /// Who asks is not an owner; it has not failed, or its source is gone.
    pub async fn try_again(&self, actor: Actor, job: JobId) -> Result<()> {
        check_owner(&self.db, actor.user).await?;
        self.redrive(job, Act::of(actor, AuditKind::JobRetried)).await.map(drop)
    }

    /// The same, from the command line.
    ///
    /// # Errors
    /// It has not failed, or its source is gone.
    pub async fn try_again_as_operator(&self, job: JobId) -> Result<JobId> {
        self.redrive(job, Act::of_nobody(AuditKind::JobRetried, None)).await
    }

    async fn redrive(&self, job: JobId, act: Act) -> Result<JobId> {
        let row = jobs::Entity::find_by_id(job.0).one(&self.db).await?.ok_or_else(Problem::not_found)?;
        if row.state != JobState::Failed.as_str() {
            return Err(Problem::new(Code::Conflict, "This job has not failed, or has been tried again already.").into());
        }
        let user = row.user_id.ok_or_else(Problem::not_found)?;
        self.videos.redrive(UserId(user), VideoId(row.video_id), act).await
    }

    /// Gives another try to all that failed on our side.
    ///
    /// # Errors
    /// Who asks is not an owner.
    pub async fn try_all_again(&self, actor: Actor) -> Result<Redriven> {
        check_owner(&self.db, actor.user).await?;
        self.redrive_all(|| Act::of(actor, AuditKind::JobRetried)).await
    }

    /// The same, from the command line.
    ///
    /// # Errors
    /// The database fails.
    pub async fn try_all_again_as_operator(&self) -> Result<Redriven> {
        self.redrive_all(|| Act::of_nobody(AuditKind::JobRetried, None)).await
    }

    async fn redrive_all(&self, act: impl Fn() -> Act) -> Result<Redriven> {
        let (mut done, mut before) = (Redriven::default(), Uuid::max());
        loop {
            let rows = failed_query(Blame::Ours, before, PAGE).all(&self.db).await?;
            let Some(last) = rows.last() else { return Ok(done) };
            before = last.id;
            for row in rows {
                match self.redrive(JobId(row.id), act()).await {
                    Ok(_) => done.queued += 1,
                    Err(Error::Problem(_)) => done.left += 1,
                    Err(error) => return Err(error),
                }
            }
        }
    }

    /// Processes a video that is done once more, as by settings that have changed since. It plays on as it is until then.
    ///
    /// # Errors
    /// There is no such video, it is being processed, or its source is gone.
    pub async fn encode_again_as_operator(&self, video: VideoId) -> Result<JobId> {
        let row = videos::Entity::find_by_id(video.0).one(&self.db).await?.ok_or_else(Problem::not_found)?;
        self.videos.redrive(UserId(row.user_id), video, Act::of_nobody(AuditKind::JobRetried, None)).await
    }
}

fn owner(owners: &HashMap<Uuid, String>, row: &jobs::Model) -> String {
    row.user_id.and_then(|user| owners.get(&user)).cloned().unwrap_or_default()
}

fn shown(owners: &HashMap<Uuid, String>, there: &HashSet<Uuid>, row: jobs::Model) -> Result<FailedJob> {
    let code = row.failure_code.as_deref().unwrap_or_default();
    Ok(FailedJob {
        id: JobId(row.id),
        video: VideoId(row.video_id),
        owner: owner(owners, &row),
        code: FailureCode::parse(code).ok_or_else(|| Error::broken(format!("an unknown failure: {code}")))?,
        attempts: row.attempt,
        at_ms: row.ended_at_ms,
        repeatable: there.contains(&row.video_id),
        detail: row.last_error.unwrap_or_default(),
    })
}
