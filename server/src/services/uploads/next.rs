//! What comes behind a complete upload: a worker, and whoever wants to watch.

use std::sync::Arc;

use domain::ids::{UploadId, UserId};

use super::Uploads;
use crate::{
    ports::job_queue::{JobQueue, WakeUp},
    services::{changes::Change, packages::Packages},
};

/// Who has a file before them once it is complete.
#[derive(Debug, Clone)]
pub struct Next {
    /// Workers.
    pub queue: Arc<dyn JobQueue>,
    /// Viewers, where it plays as it is.
    pub packages: Packages,
}

impl Uploads {
    /// Wakes a worker, and lets the file be played at once if it can be.
    pub(super) async fn hand_on(&self, user: UserId, upload: UploadId, wake_up: WakeUp) {
        if let Err(error) = self.next.queue.send(wake_up).await {
            // The row stands; workers look at the rows by themselves.
            tracing::warn!(%error, job_id = %wake_up.job, "could not wake a worker");
        }
        self.changes.tell(Change::Video { user, video: wake_up.video });
        self.next.packages.offer(user, wake_up.video, upload).await;
    }
}
