//! What counts as wrong, and what a person is told to do about it.

use domain::{alert::AlertKind, failure::FailureCode, job::JobState, upload::bytes_in_words};
use sea_orm::{ColumnTrait, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect, Select};
use uuid::Uuid;

use super::Alerts;
use crate::{db::entity::jobs, error::Result};

/// Videos that a message names.
const NAMED: u64 = 5;
/// Fewer failed videos count as so many: that there is a second one is no news.
const FEW: u64 = 3;

/// What was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Finding {
    pub(super) kind: AlertKind,
    /// What it is about; empty where there is one thing only.
    pub(super) subject: String,
    /// How bad it is, where that can be said; else 0. Twice as much is told before the time of a reminder.
    pub(super) size: i64,
    /// What is wrong and what to do; `None` where nothing is.
    pub(super) wrong: Option<String>,
}

impl Finding {
    /// Whether it is at least twice as bad as when it was last told.
    pub(super) fn has_grown_since(&self, told: i64) -> bool {
        told > 0 && self.size / 2 >= told
    }
}

/// Jobs that were given up by a fault on our side, and that nobody has tried again since.
pub fn given_up_query() -> Select<jobs::Entity> {
    jobs::Entity::find()
        .filter(jobs::Column::State.eq(JobState::Failed.as_str()))
        .filter(jobs::Column::FailureCode.eq(FailureCode::ProcessingFailed.as_str()))
}

impl Alerts {
    pub(super) async fn findings(&self) -> Result<Vec<Finding>> {
        let mut all = vec![self.failed_videos().await?];
        all.extend(self.queue().await?);
        all.extend(self.disks());
        Ok(all)
    }

    async fn failed_videos(&self) -> Result<Finding> {
        let count = given_up_query().count(&self.db).await?;
        let wrong = if count == 0 {
            None
        } else {
            let query = given_up_query().order_by_desc(jobs::Column::Id).limit(NAMED).select_only().column(jobs::Column::VideoId);
            let last: Vec<Uuid> = query.into_tuple().all(&self.db).await?;
            let named: Vec<_> = last.iter().map(Uuid::to_string).collect();
            let (videos, more) = if count == 1 { ("1 video", "") } else { (&*format!("{count} videos"), "The last ones: ") };
            Some(format!(
                "{videos} could not be processed because something on this server went wrong, not because of the file. {more}{}. The log says why \
                 (look for the id). When that is mended, try again from the page Jobs.",
                named.join(", ")
            ))
        };
        let size = i64::try_from(count.max(FEW)).unwrap_or(i64::MAX);
        Ok(Finding { kind: AlertKind::FailedVideos, subject: String::new(), size, wrong })
    }

    async fn queue(&self) -> Result<[Finding; 2]> {
        let queue = self.vitals.look().await?;
        let waiting = queue.count(JobState::Queued);
        let old = waiting > 0 && queue.oldest_ms >= self.limits.queue_ms;
        let idle = queue.count(JobState::Running) == 0;
        let since = queue.oldest_ms / 60_000;
        let finding = |kind, wrong: Option<String>| Finding { kind, subject: String::new(), size: 0, wrong };
        let no_worker = (old && idle).then(|| {
            format!(
                "{waiting} in the queue, the oldest for {since} minutes, and nothing is being processed: no worker runs, or something that it needs \
                 does not answer. \"millrace doctor\" says what. They go on by themselves as soon as a worker can."
            )
        });
        let too_slow = (old && !idle).then(|| {
            format!(
                "{waiting} in the queue, the oldest for {since} minutes: more comes in than the workers can process. Add workers, or raise \
                 `transcode.jobs` where there are cores left."
            )
        });
        Ok([finding(AlertKind::NoWorker, no_worker), finding(AlertKind::OldQueue, too_slow)])
    }

    fn disks(&self) -> Vec<Finding> {
        let mut seen = Vec::new();
        let mut all = Vec::new();
        for disk in self.vitals.disks() {
            let subject = format!("{}: {}", self.machine, disk.folder);
            // Two folders on one disk are one alert.
            let low = disk.free < self.limits.disk_bytes && !seen.contains(&disk.device);
            seen.push(disk.device);
            let wrong = low.then(|| {
                format!(
                    "{} of {} are free on the disk of the {} folder of {}. Make room: delete videos, or move the folder to a larger disk. When it is full, \
                     uploads are refused and videos wait; what is there plays on.",
                    bytes_in_words(disk.free),
                    bytes_in_words(disk.size),
                    disk.folder,
                    if self.machine.is_empty() { "this server" } else { &self.machine },
                )
            });
            // Half of the room is twice as bad.
            let size = i64::try_from(self.limits.disk_bytes / disk.free.max(1)).unwrap_or(i64::MAX);
            all.push(Finding { kind: AlertKind::LowDisk, subject, size, wrong });
        }
        all
    }
}
