//! Tells open pages what has changed. A change made in this process is told at once; one made by another process (a worker of its own)
//! is found by looking at what was written last, while anybody listens.

use std::{collections::HashMap, time::Duration};

use domain::ids::{UserId, VideoId};
use sea_orm::{ColumnTrait, DatabaseConnection, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use tokio::sync::broadcast;

use crate::{clock::now_ms, db::entity::videos};

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// Something about the video is different.
    Video {
        /// Whose it is.
        user: UserId,
        /// The video.
        video: VideoId,
    },
    /// The video is gone.
    Deleted {
        /// Whose it was.
        user: UserId,
        /// The video.
        video: VideoId,
    },
}

impl Change {
    /// Whose video it is about.
    pub const fn user(self) -> UserId {
        match self {
            Self::Video { user, .. } | Self::Deleted { user, .. } => user,
        }
    }
}

/// How often other processes' changes are looked for.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// A transaction may commit a little after the time it wrote into its row.
const OVERLAP_MS: i64 = 5_000;
/// Changes looked at in one go.
const BATCH: u64 = 500;

/// The channel of changes. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Changes {
    sender: broadcast::Sender<Change>,
}

impl Default for Changes {
    fn default() -> Self {
        Self { sender: broadcast::Sender::new(1024) }
    }
}

impl Changes {
    /// Tells everybody who listens.
    pub fn tell(&self, change: Change) {
        // No listener is no fault.
        let _ = self.sender.send(change);
    }

    /// Listens from now on. A listener that lags is told so and has to fetch anew.
    pub fn listen(&self) -> broadcast::Receiver<Change> {
        self.sender.subscribe()
    }

    /// Looks for what other processes wrote, until it is dropped.
    pub async fn follow(&self, db: &DatabaseConnection) {
        let mut told: HashMap<VideoId, i64> = HashMap::new();
        let mut since = now_ms();
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            if self.sender.receiver_count() == 0 {
                since = now_ms();
                continue;
            }
            let rows: Result<Vec<(uuid::Uuid, uuid::Uuid, i64)>, _> = videos::Entity::find()
                .select_only()
                .columns([videos::Column::Id, videos::Column::UserId, videos::Column::UpdatedAtMs])
                .filter(videos::Column::UpdatedAtMs.gte(since - OVERLAP_MS))
                .order_by_asc(videos::Column::UpdatedAtMs)
                .limit(BATCH)
                .into_tuple()
                .all(db)
                .await;
            match rows {
                Ok(rows) => {
                    for (video, user, updated) in rows {
                        since = since.max(updated);
                        if told.insert(VideoId(video), updated) != Some(updated) {
                            self.tell(Change::Video { user: UserId(user), video: VideoId(video) });
                        }
                    }
                    told.retain(|_, updated| *updated >= since - 2 * OVERLAP_MS);
                }
                Err(error) => tracing::warn!(%error, "cannot look for changes; trying again"),
            }
        }
    }
}
