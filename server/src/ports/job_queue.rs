//! How a worker hears that there is work. The job row is the truth; what travels here is a wake-up that may be lost, doubled
//! or late.

use std::{fmt::Debug, time::Duration};

use domain::ids::{JobId, VideoId};

/// A wake-up: this job may be ready to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WakeUp {
    /// The job.
    pub job: JobId,
    /// The video it works on.
    pub video: VideoId,
}

/// What a queue can fail with; a new try may help.
#[derive(Debug, thiserror::Error)]
#[error("the queue failed: {0}")]
pub struct QueueError(#[source] pub Box<dyn std::error::Error + Send + Sync>);

/// A queue of wake-ups.
#[async_trait::async_trait]
pub trait JobQueue: Debug + Send + Sync {
    /// Sends a wake-up. A failure is no loss: workers look at the rows by themselves.
    async fn send(&self, wake_up: WakeUp) -> Result<(), QueueError>;

    /// Waits for wake-ups, at most `patience`. An empty answer is an answer: the worker looks at the rows anyway.
    async fn receive(&self, patience: Duration) -> Result<Vec<WakeUp>, QueueError>;
}
