//! The embedded queue: job rows are the queue. A wake-up within this process is immediate; on PostgreSQL other processes are notified as
//! well. What nobody was told of is found by looking, which the worker does whenever [`DbQueue::receive`] returns.

use std::{sync::Arc, time::Duration};

use sea_orm::{DatabaseConnection, DbBackend};
use tokio::time::{Instant, timeout_at};

use self::{inbox::Inbox, notices::Notices};
use crate::ports::job_queue::{Delivery, JobQueue, Message, QueueError, Receipt, WakeUp};

mod inbox;
mod notices;

/// How long a job that nobody was told of waits at most before it is looked for.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Wake-ups within one process, and on PostgreSQL among all.
#[derive(Debug)]
pub struct DbQueue {
    inbox: Arc<Inbox>,
    /// Where the database passes wake-ups on.
    notices: Option<Notices>,
    look_every: Duration,
}

impl DbQueue {
    /// The queue in `db`. On PostgreSQL it listens on a connection of its own until it is dropped.
    pub fn open(db: &DatabaseConnection) -> Self {
        let inbox = Arc::new(Inbox::default());
        let postgres = db.get_database_backend() == DbBackend::Postgres;
        let notices = postgres.then(|| Notices::open(db, Arc::clone(&inbox)));
        Self { inbox, notices, look_every: LOOK_EVERY }
    }

    /// Looks for jobs that nobody was told of as seldom as this.
    #[must_use]
    pub fn looking_every(mut self, look_every: Duration) -> Self {
        self.look_every = look_every;
        self
    }

    fn take(&self, most: usize) -> Vec<Delivery> {
        let taken = self.inbox.take(most).into_iter();
        taken.map(|wake_up| Delivery { message: Message::WakeUp(wake_up), receipt: None }).collect()
    }
}

#[async_trait::async_trait]
impl JobQueue for DbQueue {
    async fn send(&self, wake_up: WakeUp) -> Result<(), QueueError> {
        self.inbox.put(wake_up);
        match &self.notices {
            Some(notices) => notices.send(wake_up).await,
            None => Ok(()),
        }
    }

    async fn receive(&self, patience: Duration, most: usize) -> Result<Vec<Delivery>, QueueError> {
        let until = Instant::now() + patience.min(self.look_every);
        loop {
            let arrived = self.inbox.arrived();
            let waiting = self.take(most);
            // A time-out is an answer too: it sends the worker to the rows.
            if !waiting.is_empty() || timeout_at(until, arrived).await.is_err() {
                return Ok(waiting);
            }
        }
    }

    async fn extend(&self, _receipt: &Receipt) -> Result<(), QueueError> {
        Ok(())
    }

    async fn acknowledge(&self, _receipt: &Receipt) -> Result<(), QueueError> {
        Ok(())
    }
}
