//! A queue whose deliveries are the test's own words, and which remembers what was done with their receipts.

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard},
    time::Duration,
};

use server::ports::job_queue::{Delivery, JobQueue, Message, QueueError, Receipt, WakeUp};
use tokio::sync::Notify;

/// How often a message is extended here.
pub(crate) const HEARTBEAT: Duration = Duration::from_millis(50);

#[derive(Debug, Default)]
pub(crate) struct FakeQueue {
    waiting: Mutex<VecDeque<Delivery>>,
    arrived: Notify,
    done: Mutex<Done>,
}

/// What was done with receipts, in order.
#[derive(Debug, Default)]
pub(crate) struct Done {
    pub(crate) extended: Vec<String>,
    pub(crate) acknowledged: Vec<String>,
}

impl FakeQueue {
    /// Delivers a message under this receipt.
    pub(crate) fn deliver(&self, message: Message, receipt: &str) {
        let delivery = Delivery { message, receipt: Some(Receipt(receipt.to_owned())) };
        self.waiting.lock().expect("not poisoned").push_back(delivery);
        self.arrived.notify_one();
    }

    pub(crate) fn done(&self) -> MutexGuard<'_, Done> {
        self.done.lock().expect("not poisoned")
    }

    pub(crate) fn extended(&self, receipt: &str) -> usize {
        self.done().extended.iter().filter(|extended| *extended == receipt).count()
    }

    pub(crate) fn acknowledged(&self, receipt: &str) -> bool {
        self.done().acknowledged.iter().any(|acknowledged| acknowledged == receipt)
    }

    fn take(&self, most: usize) -> Vec<Delivery> {
        let mut waiting = self.waiting.lock().expect("not poisoned");
        let count = waiting.len().min(most);
        waiting.drain(..count).collect()
    }
}

#[async_trait::async_trait]
impl JobQueue for FakeQueue {
    async fn send(&self, _wake_up: WakeUp) -> Result<(), QueueError> {
        // Lost, as messages may be: tests deliver what they want delivered.
        Ok(())
    }

    async fn receive(&self, patience: Duration, most: usize) -> Result<Vec<Delivery>, QueueError> {
        let arrived = self.arrived.notified();
        let waiting = self.take(most);
        if !waiting.is_empty() {
            return Ok(waiting);
        }
        let _ = tokio::time::timeout(patience, arrived).await;
        Ok(self.take(most))
    }

    async fn extend(&self, receipt: &Receipt) -> Result<(), QueueError> {
        self.done().extended.push(receipt.0.clone());
        Ok(())
    }

    async fn acknowledge(&self, receipt: &Receipt) -> Result<(), QueueError> {
        self.done().acknowledged.push(receipt.0.clone());
        Ok(())
    }

    fn heartbeat(&self) -> Duration {
        HEARTBEAT
    }
}
