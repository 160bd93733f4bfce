//! Which published generations belong to private videos or to disabled accounts and which named grants are revoked, in memory, so that a segment request can be
//! refused without a database: what was signed for everybody with the link stops within seconds of a video becoming private, and what was
//! signed with a grant within seconds of its end.

use std::{
    collections::HashSet,
    sync::{Arc, PoisonError, RwLock},
    time::{Duration, Instant},
};

use domain::{
    grant::Audience,
    ids::{GenerationId, GrantId, VideoId},
    video::Visibility,
};
use sea_orm::{ColumnTrait, DatabaseConnection, EntityTrait, QueryFilter, QuerySelect, QueryTrait, Select};
use tokio::time::timeout;
use uuid::Uuid;

use crate::{
    clock::now_ms,
    db::entity::{grants, users, videos},
    error::Result,
};

/// How often changes are looked for.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// A transaction may commit a little after the time it wrote into its row, and that time is its own machine's.
const OVERLAP_MS: i64 = 30_000;
/// Once in so many looks, further back: what a machine with a slow clock wrote is late, and not lost.
const FURTHER_EVERY: u64 = 30;
/// How far.
const FURTHER_MS: i64 = 3_600_000;

/// How long what was seen last is gone by while the database does not answer: as long as the signatures of our own player last at most. Nobody
/// can revoke anything while it is away from all; where it is away from this process alone, this bounds what it may miss.
const TRUSTED_FOR: Duration = Duration::from_secs(10 * 60);
/// How long one look may take. A database that was stopped says nothing at all.
const LOOKS_WITHIN: Duration = Duration::from_secs(5);

/// Where a video's bytes may be.
type Generations = (Option<Uuid>, Option<Uuid>, Option<Uuid>, Option<Uuid>);
/// A row's visibility, and its generations: the published one, the poster's, the packaged one and the one that grows.
type Row = (String, Option<Uuid>, Option<Uuid>, Option<Uuid>, Option<Uuid>);

/// The sets. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct PrivateMedia {
    generations: Arc<RwLock<HashSet<GenerationId>>>,
    revoked: Arc<RwLock<HashSet<GrantId>>>,
    disabled: Arc<RwLock<Disabled>>,
    /// When the database was seen last.
    seen: Arc<RwLock<Seen>>,
}

/// The moment of the last look, by a clock that nobody sets.
#[derive(Debug)]
struct Seen(Instant);

impl Default for Seen {
    fn default() -> Self {
        Self(Instant::now())
    }
}

/// Accounts that may not come in, and what they have published.
#[derive(Debug, Default)]
struct Disabled {
    users: HashSet<Uuid>,
    generations: HashSet<GenerationId>,
}

impl PrivateMedia {
    /// Whether the generation's video is private, as of some seconds ago.
    pub fn contains(&self, generation: GenerationId) -> bool {
        self.generations.read().unwrap_or_else(PoisonError::into_inner).contains(&generation)
    }

    /// Whether what was signed for `audience` still opens the generation, as of some seconds ago. That a grant has run out is not asked:
    /// nothing is signed with it for longer than it lasts.
    pub fn opens(&self, generation: GenerationId, audience: Audience) -> bool {
        if self.disabled.read().unwrap_or_else(PoisonError::into_inner).generations.contains(&generation) {
            return false;
        }
        match audience {
            Audience::Owner => true,
            Audience::Link => !self.contains(generation),
            Audience::Named(grant) => !self.revoked.read().unwrap_or_else(PoisonError::into_inner).contains(&grant),
        }
    }

    /// Whether what is known here is recent enough to go by.
    pub fn is_current(&self) -> bool {
        self.seen.read().unwrap_or_else(PoisonError::into_inner).0.elapsed() < TRUSTED_FOR
    }

    /// Refuses a grant in this process from now on.
    pub fn revoke(&self, grant: GrantId) {
        self.note_revoked(vec![grant.0]);
    }

    /// Reads all private videos and revoked grants.
    ///
    /// # Errors
    /// The database fails.
    pub async fn load(&self, db: &DatabaseConnection) -> Result<()> {
        self.note(private_query().into_tuple().all(db).await?);
        self.note_revoked(revoked_query(0).into_tuple().all(db).await?);
        self.look_at_accounts(db).await?;
        self.note_seen();
        Ok(())
    }

    fn note_seen(&self) {
        self.seen.write().unwrap_or_else(PoisonError::into_inner).0 = Instant::now();
    }

    /// Looks who is disabled. Only where that has changed, what they have published is read anew.
    ///
    /// # Errors
    /// The database fails.
    pub async fn look_at_accounts(&self, db: &DatabaseConnection) -> Result<()> {
        let users: HashSet<Uuid> = users::Entity::disabled().into_tuple::<Uuid>().all(db).await?.into_iter().collect();
        if self.disabled.read().unwrap_or_else(PoisonError::into_inner).users == users {
            return Ok(());
        }
        let rows: Vec<Generations> = disabled_query().into_tuple().all(db).await?;
        let all = rows.into_iter().flat_map(|(published, poster, packaged, growing)| [published, poster, packaged, growing]);
        let generations = all.flatten().map(GenerationId).collect();
        *self.disabled.write().unwrap_or_else(PoisonError::into_inner) = Disabled { users, generations };
        Ok(())
    }

    /// Reads one video anew: what this process changes counts at once, in both directions.
    ///
    /// # Errors
    /// The database fails.
    pub async fn refresh(&self, db: &DatabaseConnection, video: VideoId) -> Result<()> {
        self.note(what_counts().filter(videos::Column::Id.eq(video.0)).into_tuple().all(db).await?);
        Ok(())
    }

    /// Looks for other processes' changes, until it is dropped.
    pub async fn follow(&self, db: &DatabaseConnection) {
        let mut since = now_ms();
        for look in 1_u64.. {
            tokio::time::sleep(LOOK_EVERY).await;
            let now = now_ms();
            let back = if look.is_multiple_of(FURTHER_EVERY) { FURTHER_MS } else { OVERLAP_MS };
            match timeout(LOOKS_WITHIN, self.look(db, since - back)).await {
                Ok(Ok(())) => {
                    since = now;
                    self.note_seen();
                }
                Ok(Err(error)) => tracing::warn!(%error, "cannot look for videos that became private and grants that ended; trying again"),
                Err(_) => tracing::warn!("no answer to which videos became private and which grants ended; trying again"),
            }
        }
    }

    async fn look(&self, db: &DatabaseConnection, since_ms: i64) -> Result<()> {
        self.note(changed_query(since_ms).into_tuple().all(db).await?);
        self.note_revoked(revoked_query(since_ms).into_tuple().all(db).await?);
        self.look_at_accounts(db).await
    }

    /// No grant comes back: revoked is revoked.
    fn note_revoked(&self, grants: Vec<Uuid>) {
        if !grants.is_empty() {
            self.revoked.write().unwrap_or_else(PoisonError::into_inner).extend(grants.into_iter().map(GrantId));
        }
    }

    fn note(&self, rows: Vec<Row>) {
        let mut generations = self.generations.write().unwrap_or_else(PoisonError::into_inner);
        for (visibility, published, poster, packaged, growing) in rows {
            for generation in [published, poster, packaged, growing].into_iter().flatten().map(GenerationId) {
                if visibility == Visibility::Private.as_str() {
                    generations.insert(generation);
                } else {
                    generations.remove(&generation);
                }
            }
        }
    }
}

/// Where a video's bytes may be.
const GENERATIONS: [videos::Column; 4] = [
    videos::Column::GenerationId,
    videos::Column::PosterGenerationId,
    videos::Column::PackagedGenerationId,
    videos::Column::GrowingGenerationId,
];

/// A [`Row`] of each video.
fn what_counts() -> Select<videos::Entity> {
    videos::Entity::find().select_only().column(videos::Column::Visibility).columns(GENERATIONS)
}

/// What disabled accounts have published. Asked only when somebody is disabled or enabled, so it may look at all videos.
pub fn disabled_query() -> Select<videos::Entity> {
    let users = users::Entity::disabled().into_query();
    videos::Entity::find().select_only().columns(GENERATIONS).filter(videos::Column::UserId.in_subquery(users))
}

/// All private videos.
pub fn private_query() -> Select<videos::Entity> {
    what_counts().filter(videos::Column::Visibility.eq(Visibility::Private.as_str()))
}

/// Videos that changed at `since_ms` or later.
pub fn changed_query(since_ms: i64) -> Select<videos::Entity> {
    what_counts().filter(videos::Column::UpdatedAtMs.gte(since_ms))
}

/// Grants that were revoked at `since_ms` or later.
pub fn revoked_query(since_ms: i64) -> Select<grants::Entity> {
    grants::Entity::find().select_only().column(grants::Column::Id).filter(grants::Column::RevokedAtMs.gte(since_ms))
}
