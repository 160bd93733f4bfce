//! Jobs: the truth about what is to be done. The right to run one is its lease; the fence grows with every lease.

use sea_orm::entity::prelude::*;

/// A row.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "jobs")]
pub struct Model {
    /// The job.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// The video it works on.
    pub video_id: Uuid,
    /// Whose video that is.
    pub user_id: Option<Uuid>,
    /// Its place among those that wait: lower ones first. Each account's have places of their own, so that accounts take turns.
    pub turn: i64,
    /// A [`domain::job::JobState`].
    pub state: String,
    /// Tries begun.
    pub attempt: i32,
    /// Not before this moment, in milliseconds of the Unix epoch.
    pub run_after_ms: i64,
    /// Who holds the lease.
    pub lease_owner: Option<String>,
    /// Changes with each heartbeat: when the lease would end without another one, in milliseconds of the Unix epoch by its holder's clock. 0 is
    /// a lease that nobody holds any more.
    pub lease_expires_at_ms: i64,
    /// Number of leases given so far. A write with an older number is refused.
    pub fence: i64,
    /// The generation that the current try writes to.
    pub generation_id: Option<Uuid>,
    /// The engine's name for the encode that the current try waits for, where it outlives a process.
    pub encode_id: Option<String>,
    /// The last [`crate::ports::transcoder::EncodeReport`] about it, as JSON.
    pub encode_report: Option<String>,
    /// What the last try failed with, for the log.
    pub last_error: Option<String>,
    /// When the last try began, in milliseconds of the Unix epoch.
    pub began_at_ms: Option<i64>,
    /// When it was over, in milliseconds of the Unix epoch.
    pub ended_at_ms: Option<i64>,
    /// A [`domain::failure::FailureCode`]: why it was given up.
    pub failure_code: Option<String>,
    /// Milliseconds of the Unix epoch.
    pub created_at_ms: i64,
}

/// No relations are navigated; joins are written where they are needed.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl Entity {
    /// The jobs of one video.
    pub fn of(video: Uuid) -> Select<Self> {
        Self::find().filter(Column::VideoId.eq(video))
    }
}
