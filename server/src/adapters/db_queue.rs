//! The embedded queue: job rows are the queue. A wake-up within this process is immediate; a job that another process wrote is
//! found by looking, which the worker does whenever [`DbQueue::receive`] returns.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::sync::Notify;

use crate::ports::job_queue::{Delivery, JobQueue, Message, QueueError, Receipt, WakeUp};

/// How long a job of another process waits at most before it is looked for.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Wake-ups within one process.
#[derive(Debug, Default)]
pub struct DbQueue {
    waiting: Mutex<Vec<WakeUp>>,
    arrived: Notify,
}

impl DbQueue {
    fn take(&self, most: usize) -> Vec<Delivery> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let count = waiting.len().min(most);
        waiting.drain(..count).map(|wake_up| Delivery { message: Message::WakeUp(wake_up), receipt: None }).collect()
    }
}

#[async_trait::async_trait]
impl JobQueue for DbQueue {
    async fn send(&self, wake_up: WakeUp) -> Result<(), QueueError> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).push(wake_up);
        self.arrived.notify_one();
        Ok(())
    }

    async fn receive(&self, patience: Duration, most: usize) -> Result<Vec<Delivery>, QueueError> {
        let arrived = self.arrived.notified();
        let waiting = self.take(most);
        if !waiting.is_empty() {
            return Ok(waiting);
        }
        // A time-out is an answer too: it sends the worker to the rows.
        let _ = tokio::time::timeout(patience.min(LOOK_EVERY), arrived).await;
        Ok(self.take(most))
    }

    async fn extend(&self, _receipt: &Receipt) -> Result<(), QueueError> {
        Ok(())
    }

    async fn acknowledge(&self, _receipt: &Receipt) -> Result<(), QueueError> {
        Ok(())
    }
}
