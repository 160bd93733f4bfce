//! Whether this process can do its work now: what a load balancer asks before it sends requests.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use sea_orm::{DatabaseConnection, EntityTrait};
use sea_orm_migration::{MigratorTrait, seaql_migrations};
use serde::Serialize;
use tokio::sync::{Mutex, watch};

use crate::{
    db::migration::Migrator,
    error::Result,
    ports::{
        blob_store::{BlobError, BlobStore},
        transcoder::Transcoder,
    },
};

/// An answer stands for so long, however often it is asked for.
const STANDS: Duration = Duration::from_secs(2);
/// What takes longer does not answer.
const PATIENCE: Duration = Duration::from_secs(3);

/// One thing that is needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[schema(as = ReadinessCheck)]
pub struct Check {
    /// What it is: `database`, `schema`, `store`, `engine`, `running`.
    pub name: &'static str,
    /// Whether it is there. Why not stands in the log alone.
    pub ok: bool,
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[schema(as = Readiness)]
pub struct Report {
    /// Whether all of it is there.
    pub ready: bool,
    /// Each thing.
    pub checks: Vec<Check>,
}

/// Knows whether this process can work.
#[derive(Debug, Clone)]
pub struct Readiness {
    db: DatabaseConnection,
    store: Arc<dyn BlobStore>,
    /// Where videos are worked on here.
    engine: Option<Arc<dyn Transcoder>>,
    shutdown: watch::Receiver<bool>,
    last: Arc<Mutex<Option<(Instant, Report)>>>,
}

impl Readiness {
    /// Looks at these; at an engine only where videos are worked on here.
    pub fn new(
        db: DatabaseConnection,
        store: Arc<dyn BlobStore>,
        engine: Option<Arc<dyn Transcoder>>,
        shutdown: watch::Receiver<bool>,
    ) -> Self {
        Self { db, store, engine, shutdown, last: Arc::default() }
    }

    /// What is there. Those who ask at once get one answer, and for a moment it stands; but for the end of the process, which is told at once.
    pub async fn report(&self) -> Report {
        let mut last = self.last.lock().await;
        let report = match &*last {
            Some((at, report)) if at.elapsed() < STANDS => report.clone(),
            before => {
                let report = self.look().await;
                tell(before.as_ref().map(|(_, report)| report), &report);
                *last = Some((Instant::now(), report.clone()));
                report
            }
        };
        drop(last);
        self.with_shutdown(report)
    }

    fn with_shutdown(&self, mut report: Report) -> Report {
        let running = !*self.shutdown.borrow();
        report.checks.push(Check { name: "running", ok: running });
        report.ready &= running;
        report
    }

    async fn look(&self) -> Report {
        let (schema, store, engine) = tokio::join!(within(self.schema()), within(self.store()), self.engine());
        let mut checks = vec![
            Check { name: "database", ok: schema.is_some() },
            Check { name: "schema", ok: schema == Some(true) },
            Check { name: "store", ok: store.is_some() },
        ];
        checks.extend(engine.map(|ok| Check { name: "engine", ok }));
        Report { ready: checks.iter().all(|check| check.ok), checks }
    }

    /// Whether every change that this version makes to the schema has been made.
    async fn schema(&self) -> Result<bool> {
        let made = seaql_migrations::Entity::find().all(&self.db).await?;
        Ok(Migrator::migrations().iter().all(|wanted| made.iter().any(|made| made.version == wanted.name())))
    }

    async fn store(&self) -> Result<()> {
        match self.store.check().await {
            // What is there still plays, and uploads are told that there is no room: no reason to send viewers away.
            Ok(()) | Err(BlobError::Full) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    async fn engine(&self) -> Option<bool> {
        let engine = self.engine.as_ref()?;
        // The first look may take longer than anybody waits; it goes on, and the next one to ask hears how it ended.
        Some(tokio::time::timeout(PATIENCE, engine.refusal()).await.is_ok_and(|refusal| refusal.is_none()))
    }
}

/// What an answer in time says; why there is none is for the log.
async fn within<T>(look: impl Future<Output = Result<T>>) -> Option<T> {
    match tokio::time::timeout(PATIENCE, look).await {
        Ok(Ok(found)) => Some(found),
        Ok(Err(error)) => {
            tracing::warn!(%error, "not ready");
            None
        }
        Err(_) => {
            tracing::warn!("not ready: no answer within {PATIENCE:?}");
            None
        }
    }
}

/// Tells the log where something has changed.
fn tell(before: Option<&Report>, now: &Report) {
    if before.is_none_or(|before| before.ready == now.ready) && now.ready {
        return;
    }
    let missing: Vec<_> = now.checks.iter().filter(|check| !check.ok).map(|check| check.name).collect();
    if now.ready {
        tracing::info!("ready again");
    } else if before.is_none_or(|before| before != now) {
        tracing::warn!(?missing, "not ready");
    }
}
