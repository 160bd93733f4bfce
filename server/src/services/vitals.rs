//! How the whole is doing, in numbers that are looked up when somebody asks: the queue, the disks, the connections. Asked often, it is looked up
//! seldom.

use std::{
    os::unix::fs::MetadataExt,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use domain::job::JobState;
use sea_orm::{ColumnTrait, DatabaseConnection, DbBackend, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect, Select};
use tokio::sync::Mutex;

use crate::{
    clock::now_ms,
    db::entity::{alerts, jobs},
    error::Result,
    telemetry::process,
};

/// An answer about the queue stands for so long.
const STANDS: Duration = Duration::from_secs(5);
/// States that have a number of their own. Those that are done are as many as there are videos.
const COUNTED: [JobState; 3] = [JobState::Queued, JobState::Running, JobState::Failed];

/// The queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Queue {
    /// Jobs by state.
    pub jobs: Vec<(JobState, u64)>,
    /// How long the oldest one has waited that waits, in milliseconds; 0 where none does.
    pub oldest_ms: i64,
    /// Alerts that go on.
    pub alerts: u64,
}

impl Queue {
    /// Jobs in one state.
    pub fn count(&self, state: JobState) -> u64 {
        self.jobs.iter().find(|(known, _)| *known == state).map_or(0, |(_, count)| *count)
    }
}

/// A disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disk {
    /// Which folder is on it: `data`, `scratch`.
    pub folder: &'static str,
    /// Which disk it is: two folders may be on one.
    pub device: u64,
    /// Bytes that are free for us.
    pub free: u64,
    /// All bytes.
    pub size: u64,
}

/// Looks it up.
#[derive(Debug, Clone)]
pub struct Vitals {
    db: DatabaseConnection,
    folders: [(&'static str, PathBuf); 2],
    last: Arc<Mutex<Option<(Instant, Queue)>>>,
}

impl Vitals {
    /// Looks into `db`, and at the disks of the data folder and of the folder for intermediate files.
    pub fn new(db: DatabaseConnection, data: PathBuf, scratch: PathBuf) -> Self {
        Self { db, folders: [("data", data), ("scratch", scratch)], last: Arc::default() }
    }

    /// The queue, a few seconds old at most.
    ///
    /// # Errors
    /// The database fails.
    pub async fn queue(&self) -> Result<Queue> {
        let mut last = self.last.lock().await;
        if let Some((_, queue)) = last.as_ref().filter(|(at, _)| at.elapsed() < STANDS) {
            return Ok(queue.clone());
        }
        let queue = self.look().await?;
        *last = Some((Instant::now(), queue.clone()));
        Ok(queue)
    }

    /// The queue as it is now.
    ///
    /// # Errors
    /// The database fails.
    pub async fn look(&self) -> Result<Queue> {
        let mut found = Vec::with_capacity(COUNTED.len());
        for state in COUNTED {
            found.push((state, in_state_query(state).count(&self.db).await?));
        }
        let made: Option<i64> = oldest_query().select_only().column(jobs::Column::CreatedAtMs).into_tuple().one(&self.db).await?;
        let alerts = alerts::Entity::find().filter(alerts::Column::IsOpen.eq(true)).count(&self.db).await?;
        Ok(Queue { jobs: found, oldest_ms: made.map_or(0, |made| (now_ms() - made).max(0)), alerts })
    }

    /// The disks. Where the folder does not exist yet, the one above it counts.
    pub fn disks(&self) -> Vec<Disk> {
        let look = |(folder, path): &(&'static str, PathBuf)| {
            let there = path.ancestors().find(|path| path.exists())?;
            let device = std::fs::metadata(there).ok()?.dev();
            process::disk(there).map(|(free, size)| Disk { folder, device, free, size })
        };
        self.folders.iter().filter_map(look).collect()
    }

    /// Connections to the database: those that rest, those in use, and the most there may be.
    pub fn connections(&self) -> (u64, u64, u64) {
        let (size, idle, most) = match self.db.get_database_backend() {
            DbBackend::Postgres => {
                let pool = self.db.get_postgres_connection_pool();
                (pool.size(), pool.num_idle(), pool.options().get_max_connections())
            }
            DbBackend::Sqlite => {
                let pool = self.db.get_sqlite_connection_pool();
                (pool.size(), pool.num_idle(), pool.options().get_max_connections())
            }
            _ => return (0, 0, 0),
        };
        (idle as u64, u64::from(size).saturating_sub(idle as u64), u64::from(most))
    }
}

/// Jobs in one state.
pub fn in_state_query(state: JobState) -> Select<jobs::Entity> {
    jobs::Entity::find().filter(jobs::Column::State.eq(state.as_str()))
}

/// The job that was made first of those that wait. Ids are in the order of time.
pub fn oldest_query() -> Select<jobs::Entity> {
    in_state_query(JobState::Queued).order_by_asc(jobs::Column::Id).limit(1)
}
