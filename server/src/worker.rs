//! The worker: takes jobs as fast as it has room for them, and tidies up in between. It runs inside `serve` or alone.
//!
//! The row is the truth. A message says that looking may be worth it; it is kept from coming again while its job runs here, and ends when
//! the row says that nobody needs it any more.

use std::{
    collections::HashMap,
    convert::Infallible,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use domain::ids::JobId;
use tokio::{sync::watch, task::JoinSet, time::timeout};

use crate::{
    ports::{
        job_queue::{Delivery, JobQueue, Message, Receipt},
        transcoder::Transcoder,
    },
    services::{
        audit_log::AuditLog,
        invites::Invites,
        jobs::{Jobs, Lease},
        removals::Removals,
        sources::Sources,
        store_audit::StoreAudit,
        transcodes::Transcodes,
        uploads::Uploads,
        users::Users,
    },
};

/// How long one wait for a message lasts; rows are looked at after each.
const PATIENCE: Duration = Duration::from_secs(5);
/// Messages taken at once where there is no room for more jobs: they are for the reports among them.
const REPORTS_AT_ONCE: usize = 10;
/// How long the database has to say which job is next: one that was stopped, or a cable that was cut, says nothing at all.
const ANSWERS_WITHIN: Duration = Duration::from_secs(10);
/// Wait after the database or the queue failed.
const AFTER_FAILURE: Duration = Duration::from_secs(2);
/// How often an engine that refuses to work is left alone for [`PATIENCE`] before it is asked again: a minute, as that ends when somebody does
/// something about it.
const WHILE_REFUSED: usize = 12;
/// How often leftovers are looked for.
const TIDY_EVERY: Duration = Duration::from_secs(60);

/// What a worker needs.
#[derive(Debug, Clone)]
pub struct Worker {
    /// Messages.
    pub queue: Arc<dyn JobQueue>,
    /// Who is told what messages say of its encodes.
    pub transcoder: Arc<dyn Transcoder>,
    /// Leases.
    pub jobs: Jobs,
    /// The work.
    pub transcodes: Transcodes,
    /// What is done in between.
    pub tidying: Tidying,
    /// Jobs at once.
    pub slots: usize,
}

/// What is done in between.
#[derive(Debug, Clone)]
pub struct Tidying {
    /// Objects to delete.
    pub removals: Removals,
    /// Uploads to give up.
    pub uploads: Uploads,
    /// Sources to let go of.
    pub sources: Sources,
    /// Accounts that are being deleted.
    pub users: Users,
    /// Invitations that have run out.
    pub invites: Invites,
    /// What has been kept long enough.
    pub audit_log: AuditLog,
    /// What nobody names.
    pub store_audit: StoreAudit,
    /// What encodes leave outside the store when their process dies.
    pub transcoder: Arc<dyn Transcoder>,
}

/// The newest receipt of the message about each job that runs here: a message that comes again has a new one, and only that counts.
type Receipts = Arc<Mutex<HashMap<JobId, Option<Receipt>>>>;

/// A worker at work.
struct Shift {
    worker: Worker,
    running: JoinSet<()>,
    receipts: Receipts,
    shutdown: watch::Receiver<bool>,
}

impl Worker {
    /// Works until `shutdown` turns true; then running encodes are stopped and their jobs given back.
    pub async fn run(self, shutdown: watch::Receiver<bool>) {
        let tidying = tokio::spawn(self.tidying.clone().run());
        Shift { worker: self, running: JoinSet::new(), receipts: Receipts::default(), shutdown }.work().await;
        tidying.abort();
    }
}

impl Shift {
    async fn work(mut self) {
        while !*self.shutdown.borrow() {
            while self.running.try_join_next().is_some() {}
            if self.room() == 0 {
                self.wait_for_room().await;
                continue;
            }
            if let Some(reason) = self.worker.transcoder.refusal().await {
                tracing::error!("{reason}");
                self.sit_out().await;
                continue;
            }
            match timeout(ANSWERS_WITHIN, self.worker.jobs.claim()).await {
                Ok(Ok(Some(lease))) => self.start(lease, None),
                Ok(Ok(None)) => self.listen().await,
                Ok(Err(error)) => {
                    tracing::error!(%error, "cannot look for jobs; trying again");
                    self.pause(AFTER_FAILURE).await;
                }
                Err(_) => tracing::error!("cannot look for jobs: the database says nothing; trying again"),
            }
        }
        while self.running.join_next().await.is_some() {}
    }

    /// Jobs that could be begun now.
    fn room(&self) -> usize {
        self.worker.slots.saturating_sub(self.running.len())
    }

    /// Waits until a job here is over. Where encodes run elsewhere, what is told about them is heard meanwhile: every slot may wait for it.
    async fn wait_for_room(&mut self) {
        if self.worker.transcoder.outlives_process() {
            return self.listen().await;
        }
        tokio::select! {
            _ = self.running.join_next() => {}
            _ = self.shutdown.wait_for(|down| *down) => {}
        }
    }

    /// Waits for messages and does what they say.
    async fn listen(&mut self) {
        let most = match self.room() {
            0 => REPORTS_AT_ONCE,
            room => room,
        };
        let received = tokio::select! {
            received = self.worker.queue.receive(PATIENCE, most) => received,
            _ = self.shutdown.wait_for(|down| *down) => return,
        };
        match received {
            Ok(deliveries) => {
                for delivery in deliveries {
                    if let Err(error) = self.handle(delivery).await {
                        // The message comes again.
                        tracing::error!(%error, "cannot do what a message says; trying again when it comes again");
                        self.pause(AFTER_FAILURE).await;
                    }
                }
            }
            Err(error) => {
                tracing::warn!(%error, "cannot hear of new jobs; looking at the rows instead");
                self.pause(AFTER_FAILURE).await;
            }
        }
    }

    async fn handle(&mut self, delivery: Delivery) -> crate::error::Result<()> {
        let Delivery { message, receipt } = delivery;
        match message {
            Message::WakeUp(wake_up) => {
                let known = lock(&self.receipts).get_mut(&wake_up.job).map(|newest| std::mem::replace(newest, receipt.clone()));
                if let Some(older) = known {
                    return self.supersede(older).await;
                }
                if self.room() > 0
                    && let Some(lease) = self.worker.jobs.claim_job(wake_up.job).await?
                {
                    self.start(lease, receipt);
                    return Ok(());
                }
                // Over, gone, somebody else's, or for later: the row says all there is to say, and whoever has room looks at the rows.
            }
            Message::Encode(report) => {
                if self.worker.jobs.note_report(&report).await? {
                    self.worker.transcoder.hear(&report);
                }
            }
        }
        if let Some(receipt) = receipt {
            self.worker.queue.acknowledge(&receipt).await?;
        }
        Ok(())
    }

    /// Ends the delivery that a newer one has taken the place of. Where it was of the same message, that is harmless, and the newer one stands;
    /// where it was of another message about the same job, one is enough.
    async fn supersede(&self, older: Option<Receipt>) -> crate::error::Result<()> {
        if let Some(older) = older {
            self.worker.queue.acknowledge(&older).await?;
        }
        Ok(())
    }

    fn start(&mut self, lease: Lease, receipt: Option<Receipt>) {
        let (worker, shutdown, receipts) = (self.worker.clone(), self.shutdown.clone(), Arc::clone(&self.receipts));
        lock(&receipts).insert(lease.job, receipt);
        self.running.spawn(async move {
            let done = tokio::select! {
                done = worker.transcodes.run(&lease, shutdown) => done,
                never = keep(&*worker.queue, &receipts, lease.job) => match never {},
            };
            let receipt = lock(&receipts).remove(&lease.job).flatten();
            if let Err(error) = done {
                tracing::error!(%error, job_id = %lease.job, "a job could not be brought to an end; its lease will run out");
            } else if let Some(receipt) = receipt
                && let Err(error) = end(&worker, lease.job, &receipt).await
            {
                tracing::warn!(%error, job_id = %lease.job, "a message could not be acknowledged; it will come again and find nothing to do");
            }
        });
    }

    /// Lets time pass while the engine refuses to work, and says so on the videos that wait meanwhile.
    async fn sit_out(&mut self) {
        for _ in 0..WHILE_REFUSED {
            if let Err(error) = self.worker.transcodes.note_refusal().await {
                tracing::warn!(%error, "videos that wait cannot be told why");
            }
            self.pause(PATIENCE).await;
            if *self.shutdown.borrow() {
                return;
            }
        }
    }

    async fn pause(&mut self, wait: Duration) {
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            _ = self.shutdown.wait_for(|down| *down) => {}
        }
    }
}

fn lock(receipts: &Receipts) -> MutexGuard<'_, HashMap<JobId, Option<Receipt>>> {
    receipts.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Keeps the message about a running job from coming again, for as long as it is asked to go on.
async fn keep(queue: &dyn JobQueue, receipts: &Receipts, job: JobId) -> Infallible {
    loop {
        tokio::time::sleep(queue.heartbeat()).await;
        let newest = lock(receipts).get(&job).cloned().flatten();
        if let Some(receipt) = newest
            && let Err(error) = queue.extend(&receipt).await
        {
            tracing::warn!(%error, job_id = %job, "a message could not be extended; it may come again");
        }
    }
}

/// Acknowledges the message about a job that has been worked on, where the row says that nobody needs it any more.
async fn end(worker: &Worker, job: JobId, receipt: &Receipt) -> crate::error::Result<()> {
    if worker.jobs.settled(job).await? {
        worker.queue.acknowledge(receipt).await?;
    }
    Ok(())
}

impl Tidying {
    async fn forget(&self) -> crate::error::Result<()> {
        self.invites.forget_expired().await?;
        self.audit_log.forget_old().await
    }

    async fn run(self) {
        loop {
            if let Err(error) = self.transcoder.leftovers(true).await {
                tracing::warn!(%error, "cannot clear away what interrupted encodes left; trying again later");
            }
            if let Err(error) = self.sources.let_go_of_old().await {
                tracing::warn!(%error, "cannot let go of old sources; trying again later");
            }
            if let Err(error) = self.users.finish_leaving().await {
                tracing::warn!(%error, "cannot delete the videos of an account that goes; trying again later");
            }
            if let Err(error) = self.forget().await {
                tracing::warn!(%error, "cannot forget what is old; trying again later");
            }
            if let Err(error) = self.removals.work_off().await {
                tracing::warn!(%error, "cannot delete leftovers; trying again later");
            }
            if let Err(error) = self.uploads.give_up_stale().await {
                tracing::warn!(%error, "cannot give up stale uploads; trying again later");
            }
            if let Err(error) = self.store_audit.sweep_daily().await {
                tracing::warn!(%error, "cannot look through the store; trying again tomorrow");
            }
            tokio::time::sleep(TIDY_EVERY).await;
        }
    }
}
