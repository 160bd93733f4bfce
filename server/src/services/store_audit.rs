//! Holds rows and store against each other: every row has its objects, every object its row, and what is done plays for as long as its source.
//!
//! It looks while others work: what seems wrong is looked at once more before it is told, and what nobody names is left alone until it is older
//! than a grace time. It removes only what no row names and is that old; everything else it tells.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use domain::{
    error::{Code, Problem},
    ids::{UserId, VideoId},
    store_audit::{AuditReport, LastAudit},
};
use sea_orm::{ActiveValue::Set, ColumnTrait, DatabaseConnection, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Select};
use uuid::Uuid;

use crate::{
    clock::now_ms,
    db::entity::store_audits,
    error::{Error, Result},
    ports::{blob_store::BlobStore, transcoder::Transcoder},
    services::{removals::Removal, users::check_owner},
};

mod objects;
mod probes;
mod rows;

pub use objects::{generation_jobs_query, generation_posters_query, generations_query, removals_query};

/// Wait after the start of a process until the first sweep of its own, and from one to the next.
const FIRST_SWEEP_AFTER: Duration = Duration::from_secs(3_600);
const SWEEP_EVERY: Duration = Duration::from_secs(24 * 3_600);
/// Checks that are remembered.
const KEPT: u64 = 10;

/// How to look.
#[derive(Debug, Clone, Copy, Default)]
pub struct AuditOptions {
    /// Read every file that plays, and its source, as well.
    pub deep: bool,
    /// Put right what is safe to put right.
    pub repair: bool,
    /// What nobody names is left alone for so long after it was last written, in milliseconds.
    pub grace_ms: i64,
    /// Begin behind this video.
    pub after: Option<VideoId>,
}

/// Who hears how far it is: videos looked at, and files read.
pub type Listener<'a> = &'a (dyn Fn(&AuditReport) + Send + Sync);

/// Looks through a store.
#[derive(Debug, Clone)]
pub struct StoreAudit {
    db: DatabaseConnection,
    store: Arc<dyn BlobStore>,
    transcoder: Arc<dyn Transcoder>,
    grace_ms: i64,
    running: Arc<AtomicBool>,
    next_sweep: Arc<Mutex<Instant>>,
}

/// Says that a check of this process is over, however it ends.
struct Running(Arc<AtomicBool>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.store(false, Ordering::SeqCst);
    }
}

/// The checks, the newest first.
pub fn last_query() -> Select<store_audits::Entity> {
    store_audits::Entity::find().filter(store_audits::Column::Id.lt(Uuid::max())).order_by_desc(store_audits::Column::Id).limit(KEPT)
}

impl StoreAudit {
    /// Holds the rows of `db` against `store`. What nobody names is left alone for `grace_hours`.
    pub fn new(db: DatabaseConnection, store: Arc<dyn BlobStore>, transcoder: Arc<dyn Transcoder>, grace_hours: i64) -> Self {
        let next_sweep = Arc::new(Mutex::new(Instant::now() + FIRST_SWEEP_AFTER));
        Self { db, store, transcoder, grace_ms: grace_hours * 3_600_000, running: Arc::default(), next_sweep }
    }

    /// The grace time that the settings give, in milliseconds.
    pub fn grace_ms(&self) -> i64 {
        self.grace_ms
    }

    /// Whether a check of this process is running.
    pub fn is_running(&self) -> bool {
        self.running.load(Ordering::SeqCst)
    }

    /// Looks through everything, and remembers what came out.
    ///
    /// # Errors
    /// The database or the store fails.
    pub async fn run(&self, options: AuditOptions, listener: Listener<'_>) -> Result<AuditReport> {
        let _running = self.begin()?;
        self.look(options, listener).await
    }

    fn begin(&self) -> Result<Running> {
        if self.running.swap(true, Ordering::SeqCst) {
            return Err(Problem::new(Code::Conflict, "The store is being checked already. Wait until that is over.").into());
        }
        Ok(Running(Arc::clone(&self.running)))
    }

    async fn look(&self, options: AuditOptions, listener: Listener<'_>) -> Result<AuditReport> {
        let mut report = AuditReport::default();
        self.look_at_rows(options, &mut report, listener).await?;
        self.look_at_objects(options, &mut report, listener).await?;
        self.remember(&report).await?;
        Ok(report)
    }

    /// Begins a light check for an owner and does not wait for its end.
    ///
    /// # Errors
    /// The account is no owner, or a check is running.
    pub async fn start(&self, user: UserId) -> Result<()> {
        check_owner(&self.db, user).await?;
        let (running, audit) = (self.begin()?, self.clone());
        let options = AuditOptions { grace_ms: self.grace_ms, ..AuditOptions::default() };
        tokio::spawn(async move {
            let _running = running;
            if let Err(error) = audit.look(options, &|_| ()).await {
                tracing::warn!(%error, "the store could not be checked");
            }
        });
        Ok(())
    }

    /// Once a day, looks through everything and removes what nobody names and is old enough.
    ///
    /// # Errors
    /// The database or the store fails.
    pub async fn sweep_daily(&self) -> Result<()> {
        {
            let mut next = self.next_sweep.lock().unwrap_or_else(PoisonError::into_inner);
            if Instant::now() < *next {
                return Ok(());
            }
            *next = Instant::now() + SWEEP_EVERY;
        }
        let Ok(_running) = self.begin() else { return Ok(()) };
        let options = AuditOptions { repair: true, grace_ms: self.grace_ms, ..AuditOptions::default() };
        let report = self.look(options, &|_| ()).await?;
        if !report.clean() {
            let left = report.findings.iter().filter(|finding| !finding.repaired).count() as u64 + report.left_out;
            tracing::warn!(findings = left, "rows and store do not agree; the page Storage and `millrace audit` say where");
        }
        Ok(())
    }

    /// The last check.
    ///
    /// # Errors
    /// The database fails.
    pub async fn last(&self) -> Result<Option<LastAudit>> {
        let Some(row) = last_query().one(&self.db).await? else { return Ok(None) };
        let report = serde_json::from_str(&row.report).map_err(|error| Error::broken(format!("a check of the store: {error}")))?;
        Ok(Some(LastAudit { at_ms: row.at_ms, report }))
    }

    async fn remember(&self, report: &AuditReport) -> Result<()> {
        let text = serde_json::to_string(report).map_err(|error| Error::broken(error.to_string()))?;
        let row = store_audits::ActiveModel { id: Set(Uuid::now_v7()), at_ms: Set(now_ms()), report: Set(text) };
        store_audits::Entity::insert(row).exec_without_returning(&self.db).await?;
        let kept = last_query().all(&self.db).await?;
        if let Some(oldest) = kept.last().filter(|_| kept.len() as u64 == KEPT) {
            store_audits::Entity::delete_many().filter(store_audits::Column::Id.lt(oldest.id)).exec(&self.db).await?;
        }
        Ok(())
    }
}

/// A source that is nobody's, and goes by itself should this process die before it has removed it.
async fn note_temporary(db: &DatabaseConnection, upload: domain::ids::UploadId) -> Result<()> {
    Removal::unless_kept(db, upload, now_ms() + 3_600_000).await
}
