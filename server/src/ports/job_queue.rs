//! How a worker hears that there is work, or that work done elsewhere has come further. The job row is the truth; what travels here is a
//! message that may be lost, doubled, late or out of order.

use std::{fmt::Debug, time::Duration};

use domain::ids::{JobId, VideoId};

use super::transcoder::EncodeReport;

/// A wake-up: this job may be ready to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WakeUp {
    /// The job.
    pub job: JobId,
    /// The video it works on.
    pub video: VideoId,
}

/// What a message says.
#[derive(Debug, Clone, PartialEq)]
pub enum Message {
    /// There may be work.
    WakeUp(WakeUp),
    /// An engine elsewhere tells how far an encode is.
    Encode(EncodeReport),
}

/// A queue's own name for one delivery of a message. A later delivery of the same message has another one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt(pub String);

/// A message that came. Until it is acknowledged it may come again, to somebody else as well.
#[derive(Debug, Clone, PartialEq)]
pub struct Delivery {
    /// What it says.
    pub message: Message,
    /// What to acknowledge it by; `None` where there is nothing to acknowledge.
    pub receipt: Option<Receipt>,
}

/// What a queue can fail with; a new try may help.
#[derive(Debug, thiserror::Error)]
#[error("the queue failed: {0}")]
pub struct QueueError(#[source] pub Box<dyn std::error::Error + Send + Sync>);

/// A queue of messages to workers.
#[async_trait::async_trait]
pub trait JobQueue: Debug + Send + Sync {
    /// Sends a wake-up. A failure is no loss: workers look at the rows by themselves.
    async fn send(&self, wake_up: WakeUp) -> Result<(), QueueError>;

    /// Waits for messages, at most `patience`, and takes at most `most` (at least 1) of them. An empty answer is an answer: the worker looks at
    /// the rows anyway. What is not a message of ours is logged and dropped here.
    async fn receive(&self, patience: Duration, most: usize) -> Result<Vec<Delivery>, QueueError>;

    /// Keeps a message from coming again for another while: its work goes on. Called every [`JobQueue::heartbeat`]. Harmless for one that is
    /// gone.
    async fn extend(&self, receipt: &Receipt) -> Result<(), QueueError>;

    /// Ends a message: what it asked for stands in the row, or never will. Harmless for one that is gone.
    async fn acknowledge(&self, receipt: &Receipt) -> Result<(), QueueError>;

    /// How often a message whose work goes on is to be extended.
    fn heartbeat(&self) -> Duration {
        HEARTBEAT
    }
}

/// How often a message whose work goes on is extended where the queue asks for nothing else.
pub const HEARTBEAT: Duration = Duration::from_secs(15);
