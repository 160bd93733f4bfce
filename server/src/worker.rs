//! The worker: takes jobs as fast as it has room for them, and tidies up in between. It runs inside `serve` or alone.

use std::{sync::Arc, time::Duration};

use tokio::{sync::watch, task::JoinSet};

use crate::{
    ports::job_queue::JobQueue,
    services::{jobs::Jobs, removals::Removals, transcodes::Transcodes, uploads::Uploads},
};

/// How long one wait for a wake-up lasts; rows are looked at after each.
const PATIENCE: Duration = Duration::from_secs(5);
/// Wait after the database or the queue failed.
const AFTER_FAILURE: Duration = Duration::from_secs(2);
/// How often leftovers are looked for.
const TIDY_EVERY: Duration = Duration::from_secs(60);

/// What a worker needs.
#[derive(Debug, Clone)]
pub struct Worker {
    /// Wake-ups.
    pub queue: Arc<dyn JobQueue>,
    /// Leases.
    pub jobs: Jobs,
    /// The work.
    pub transcodes: Transcodes,
    /// Objects to delete.
    pub removals: Removals,
    /// Uploads to give up.
    pub uploads: Uploads,
    /// Jobs at once.
    pub slots: usize,
}

impl Worker {
    /// Works until `shutdown` turns true; then running encodes are stopped and their jobs given back.
    pub async fn run(self, mut shutdown: watch::Receiver<bool>) {
        let tidying = tokio::spawn(tidy(self.removals.clone(), self.uploads.clone()));
        let mut running = JoinSet::new();
        while !*shutdown.borrow() {
            while running.try_join_next().is_some() {}
            if running.len() >= self.slots {
                tokio::select! {
                    _ = running.join_next() => {}
                    _ = shutdown.wait_for(|down| *down) => {}
                }
                continue;
            }
            match self.jobs.claim().await {
                Ok(Some(lease)) => {
                    let (transcodes, shutdown) = (self.transcodes.clone(), shutdown.clone());
                    running.spawn(async move {
                        if let Err(error) = transcodes.run(&lease, shutdown).await {
                            tracing::error!(%error, job_id = %lease.job, "a job could not be brought to an end; its lease will run out");
                        }
                    });
                }
                Ok(None) => self.wait(&mut shutdown).await,
                Err(error) => {
                    tracing::error!(%error, "cannot look for jobs; trying again");
                    pause(&mut shutdown).await;
                }
            }
        }
        while running.join_next().await.is_some() {}
        tidying.abort();
    }

    async fn wait(&self, shutdown: &mut watch::Receiver<bool>) {
        let received = tokio::select! {
            received = self.queue.receive(PATIENCE) => received,
            _ = shutdown.wait_for(|down| *down) => return,
        };
        if let Err(error) = received {
            tracing::warn!(%error, "cannot hear of new jobs; looking at the rows instead");
            pause(shutdown).await;
        }
    }
}

async fn pause(shutdown: &mut watch::Receiver<bool>) {
    tokio::select! {
        () = tokio::time::sleep(AFTER_FAILURE) => {}
        _ = shutdown.wait_for(|down| *down) => {}
    }
}

async fn tidy(removals: Removals, uploads: Uploads) {
    loop {
        if let Err(error) = removals.work_off().await {
            tracing::warn!(%error, "cannot delete leftovers; trying again later");
        }
        if let Err(error) = uploads.give_up_stale().await {
            tracing::warn!(%error, "cannot give up stale uploads; trying again later");
        }
        tokio::time::sleep(TIDY_EVERY).await;
    }
}
