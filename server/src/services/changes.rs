//! Tells open pages what has changed. A change made in this process is told at once; one made by another process (a worker of its own)
//! is found by looking at what was written last, while anybody listens.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use domain::ids::{UserId, VideoId};
use sea_orm::{DatabaseConnection, DbErr, EntityTrait, ExprTrait, QueryFilter, QueryOrder, QuerySelect, Select, sea_query::Expr};
use tokio::sync::broadcast;
use uuid::Uuid;

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
/// Changes on one page.
const BATCH: u64 = 500;

/// A video, whose it is, and when it changed.
type Row = (Uuid, Uuid, i64);

/// A page of the videos that changed after the moment and video that `after` names, in the order of their changes.
pub fn changed_query(after: (i64, Uuid)) -> Select<videos::Entity> {
    let (updated, id) = (videos::Column::UpdatedAtMs, videos::Column::Id);
    let later = Expr::tuple([Expr::col(updated), Expr::col(id)]).gt(Expr::tuple([Expr::value(after.0), Expr::value(after.1)]));
    let columns = [id, videos::Column::UserId, updated];
    videos::Entity::find().select_only().columns(columns).filter(later).order_by_asc(updated).order_by_asc(id).limit(BATCH)
}

/// All videos that changed at `since` or later, page by page.
async fn changed_since(db: &DatabaseConnection, since: i64) -> Result<Vec<Row>, DbErr> {
    let (mut rows, mut after): (Vec<Row>, _) = (Vec::new(), (since, Uuid::nil()));
    loop {
        let page: Vec<Row> = changed_query(after).into_tuple().all(db).await?;
        let whole = page.len() as u64 == BATCH;
        rows.extend(page);
        match rows.last() {
            Some((video, _, updated)) if whole => after = (*updated, *video),
            _ => return Ok(rows),
        }
    }
}

/// The channel of changes. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Changes {
    sender: broadcast::Sender<Change>,
    deletions: Arc<AtomicU64>,
}

impl Default for Changes {
    fn default() -> Self {
        Self { sender: broadcast::Sender::new(1024), deletions: Arc::default() }
    }
}

impl Changes {
    /// Tells everybody who listens.
    pub fn tell(&self, change: Change) {
        if matches!(change, Change::Deleted { .. }) {
            self.deletions.fetch_add(1, Ordering::AcqRel);
        }
        // No listener is no fault.
        let _ = self.sender.send(change);
    }

    /// How many videos this process has deleted: what was read before another one may be of one that is gone.
    pub fn deletions(&self) -> u64 {
        self.deletions.load(Ordering::Acquire)
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
            match changed_since(db, since - OVERLAP_MS).await {
                Ok(rows) => {
                    for (video, user, updated) in rows {
                        // A machine whose clock is fast must not hide what the others write.
                        since = Ord::max(since, Ord::min(updated, now_ms()));
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
