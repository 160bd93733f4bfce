//! Videos as their owner sees and changes them. Every query carries the owner: somebody else's video is not there.

use std::sync::Arc;

use crate::{
    clock::{now_ms, now_seconds},
    db::{
        begin_write,
        entity::{renditions, videos},
    },
    error::{Error, Result},
    failpoints,
    ports::{
        cdn::{Audience, Cdn},
        job_queue::JobQueue,
        transcoder::POSTER_FILE,
    },
    services::{
        audit_log::{Act, Actor},
        changes::{Change, Changes},
        private_media::PrivateMedia,
        removals::Removals,
    },
};
use domain::{
    audit::AuditKind,
    error::{Code, Problem},
    failure::{Failure, FailureCode},
    ids::{GenerationId, PlaybackId, UserId, VideoId},
    playlist::{Rendition, Track},
    source::SourceFacts,
    upload::clean_title,
    video::{RenditionFacts, Stage, Video, VideoPage, Visibility, fold_title},
};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DatabaseConnection, DatabaseTransaction, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Select,
    sea_query::{Expr, SimpleExpr},
};

mod again;
mod search;
mod whole;

use self::whole::Whole;

/// Videos on one page of the library at most.
pub const PAGE_LIMIT: u64 = 100;
/// How long the poster of a page that stays open can be fetched.
const POSTER_LIFETIME_SECONDS: u64 = 24 * 3600;

/// Videos.
#[derive(Debug, Clone)]
pub struct Videos {
    db: DatabaseConnection,
    cdn: Arc<dyn Cdn>,
    queue: Arc<dyn JobQueue>,
    changes: Changes,
    removals: Removals,
    private_media: PrivateMedia,
}

/// The end of the hour after `now`, plus `lifetime`: the same within an hour, so that browsers can cache what is signed with it.
pub fn stable_expiry(now: u64, lifetime: u64) -> u64 {
    (now / 3600 + 1) * 3600 + lifetime
}

impl Videos {
    /// Videos in `db`.
    pub fn new(
        db: DatabaseConnection,
        cdn: Arc<dyn Cdn>,
        queue: Arc<dyn JobQueue>,
        changes: Changes,
        removals: Removals,
        private_media: PrivateMedia,
    ) -> Self {
        Self { db, cdn, queue, changes, removals, private_media }
    }

    /// One page of the library, newest first; `after` is the last video of the page before.
    ///
    /// # Errors
    /// The database fails.
    pub async fn page(&self, user: UserId, search: Option<&str>, after: Option<VideoId>, limit: u64) -> Result<VideoPage> {
        let limit = limit.clamp(1, PAGE_LIMIT);
        // One more than asked for tells whether there is a next page.
        let (mut rows, next) = match search.and_then(search::clean) {
            Some(text) => search::page(&self.db, user, &text, after, limit).await?,
            None => {
                let rows = page_query(user, after, limit + 1).all(&self.db).await?;
                let last = usize::try_from(limit).unwrap_or(usize::MAX);
                let next = rows.get(last - 1).filter(|_| rows.len() > last).map(|row| VideoId(row.id));
                (rows, next)
            }
        };
        rows.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        let videos = rows.into_iter().map(|row| self.shown(row, Vec::new())).collect::<Result<_>>()?;
        Ok(VideoPage { videos, next })
    }

    /// One video with its renditions.
    ///
    /// # Errors
    /// It is not there, or not the user's.
    pub async fn get(&self, user: UserId, video: VideoId) -> Result<Video> {
        let row = self.row(user, video).await?;
        let published = match row.generation_id {
            Some(generation) => published(&self.db, GenerationId(generation)).await?,
            None => Vec::new(),
        };
        self.shown(row, published)
    }

    /// Gives a video another title.
    ///
    /// # Errors
    /// It is not there, or the title is empty.
    pub async fn rename(&self, user: UserId, video: VideoId, title: &str) -> Result<Video> {
        let title = clean_title(title).ok_or_else(|| Problem::invalid("A title needs at least one character."))?;
        let folded = fold_title(&title);
        self.change(user, video, &[(videos::Column::Title, title), (videos::Column::TitleFolded, folded)]).await
    }

    /// Says who may watch. A video that becomes private is closed to all links that were given out before.
    ///
    /// # Errors
    /// It is not there.
    pub async fn set_visibility(&self, actor: impl Into<Actor>, video: VideoId, visibility: Visibility) -> Result<Video> {
        let actor = actor.into();
        let user = actor.user;
        let transaction = begin_write(&self.db).await?;
        let mine = videos::Entity::of(user.0).filter(videos::Column::Id.eq(video.0));
        let before = mine.lock_exclusive().one(&transaction).await?;
        let before = before.ok_or_else(Problem::not_found)?;
        if before.visibility != visibility.as_str() {
            videos::Entity::update_many()
                .col_expr(videos::Column::Visibility, Expr::value(visibility.as_str()))
                .col_expr(videos::Column::UpdatedAtMs, Expr::value(now_ms()))
                .filter(videos::Column::Id.eq(video.0))
                .filter(videos::Column::UserId.eq(user.0))
                .exec(&transaction)
                .await?;
            let act = Act::of(actor, AuditKind::VisibilityChanged).on_video(before.id);
            act.with("from", before.visibility).with("to", visibility.as_str()).note(&transaction).await?;
        }
        transaction.commit().await?;
        self.private_media.refresh(&self.db, video).await?;
        self.changes.tell(Change::Video { user, video });
        self.get(user, video).await
    }

    async fn change(&self, user: UserId, video: VideoId, changes: &[(videos::Column, String)]) -> Result<Video> {
        let mut update = videos::Entity::update_many().col_expr(videos::Column::UpdatedAtMs, Expr::value(now_ms()));
        for (column, value) in changes {
            update = update.col_expr(*column, Expr::value(value.clone()));
        }
        let changed = update.filter(videos::Column::Id.eq(video.0)).filter(videos::Column::UserId.eq(user.0)).exec(&self.db).await?;
        if changed.rows_affected == 0 {
            return Err(Problem::not_found().into());
        }
        self.changes.tell(Change::Video { user, video });
        self.get(user, video).await
    }

    /// Deletes a video and everything stored for it. A worker that is at it finds its job gone and stops.
    ///
    /// # Errors
    /// It is not there.
    pub async fn delete(&self, actor: impl Into<Actor>, video: VideoId) -> Result<()> {
        let actor = actor.into();
        self.row(actor.user, video).await?;
        let transaction = begin_write(&self.db).await?;
        let whole = Whole::lock(&transaction, actor.user, video).await?;
        Act::of(actor, AuditKind::VideoDeleted).on_video(whole.video.id).note(&transaction).await?;
        self.remove(transaction, actor.user, whole).await
    }

    /// Deletes a video because its account goes: that is noted as one act. What it stored is noted to be removed;
    /// [`Self::work_off_removals`] then does it for many at once.
    ///
    /// # Errors
    /// It is not there.
    pub async fn delete_with_account(&self, user: UserId, video: VideoId) -> Result<()> {
        let transaction = begin_write(&self.db).await?;
        let whole = Whole::lock(&transaction, user, video).await?;
        self.let_go(transaction, user, whole).await
    }

    /// Takes note of who has been disabled or enabled: from now on nothing of theirs is delivered here, or all of it again. Other processes
    /// see it within seconds, as this one does where it fails.
    pub async fn look_at_accounts(&self) {
        if let Err(error) = self.private_media.look_at_accounts(&self.db).await {
            tracing::warn!(%error, "cannot look who is disabled; trying again");
        }
    }

    /// Removes what is noted, as far as that takes a moment.
    pub async fn work_off_removals(&self) {
        self.removals.work_off_soon().await;
    }

    /// Deletes a video whose upload is not complete.
    ///
    /// # Errors
    /// It is not there, or its upload has been completed: what was acknowledged is not given up.
    pub async fn give_up(&self, user: UserId, video: VideoId) -> Result<()> {
        self.row(user, video).await?;
        let transaction = begin_write(&self.db).await?;
        let whole = Whole::lock(&transaction, user, video).await?;
        if whole.upload.as_ref().is_some_and(|upload| upload.complete) {
            return Err(Problem::new(Code::Conflict, "The upload is complete. Delete the video instead.").into());
        }
        self.remove(transaction, user, whole).await
    }

    async fn remove(&self, transaction: DatabaseTransaction, user: UserId, whole: Whole) -> Result<()> {
        self.let_go(transaction, user, whole).await?;
        self.removals.work_off_soon().await;
        Ok(())
    }

    async fn let_go(&self, transaction: DatabaseTransaction, user: UserId, whole: Whole) -> Result<()> {
        let video = VideoId(whole.video.id);
        whole.note_removals(&transaction).await?;
        // Jobs, uploads and renditions go with it by their foreign keys.
        videos::Entity::delete_by_id(video.0).exec(&transaction).await?;
        failpoints::pass("video.delete.before_commit");
        transaction.commit().await?;
        failpoints::pass("video.delete.committed");
        self.changes.tell(Change::Deleted { user, video });
        Ok(())
    }

    async fn row(&self, user: UserId, video: VideoId) -> Result<videos::Model> {
        let row = videos::Entity::of(user.0).filter(videos::Column::Id.eq(video.0)).one(&self.db).await?;
        Ok(row.ok_or_else(Problem::not_found)?)
    }

    fn shown(&self, row: videos::Model, published: Vec<Rendition>) -> Result<Video> {
        let poster_url = row.poster_generation_id.map(|generation| {
            let expires_at = stable_expiry(now_seconds(), POSTER_LIFETIME_SECONDS);
            self.cdn.sign_file(GenerationId(generation), Audience::Owner, POSTER_FILE, expires_at)
        });
        Ok(Video {
            id: VideoId(row.id),
            playback_id: playback_id(&row)?,
            visibility: visibility(&row)?,
            stage: stage(&row)?,
            progress: u8::try_from(row.progress.clamp(0, 100)).unwrap_or(100),
            playable: row.is_playable(),
            failure: row.failure_code.as_deref().and_then(FailureCode::parse).map(Failure::from),
            source: source_facts(&row)?,
            renditions: published.iter().map(rendition_facts).collect(),
            poster_url,
            created_at_ms: i64::try_from(row.created_at.unix_timestamp_nanos() / 1_000_000).unwrap_or_default(),
            size_bytes: row.size_bytes.unsigned_abs(),
            title: row.title,
            file_name: row.file_name,
        })
    }
}

/// Videos of `user` from the newest on, behind `after` where it is given.
pub fn page_query(user: UserId, after: Option<VideoId>, limit: u64) -> Select<videos::Entity> {
    let mut query = videos::Entity::of(user.0);
    if let Some(after) = after {
        query = query.filter(videos::Column::Id.lt(after.0));
    }
    query.order_by_desc(videos::Column::Id).limit(limit)
}

/// Takes a video to `next`, if that is a legal step from where it stands, together with `changes`. The one place where stage and status
/// are written. Part of the caller's transaction.
///
/// # Errors
/// The database fails.
pub async fn advance(db: &impl ConnectionTrait, video: VideoId, next: Stage, changes: &[(videos::Column, SimpleExpr)]) -> Result<bool> {
    let from: Vec<&str> = Stage::ALL.into_iter().filter(|stage| stage.may_become(next)).map(Stage::as_str).collect();
    let mut update = videos::Entity::update_many()
        .col_expr(videos::Column::Stage, Expr::value(next.as_str()))
        .col_expr(videos::Column::Status, Expr::value(next.status().as_str()))
        .col_expr(videos::Column::Progress, Expr::value(if next == Stage::Ready { 100 } else { 0 }))
        .col_expr(videos::Column::UpdatedAtMs, Expr::value(now_ms()));
    for (column, value) in changes {
        update = update.col_expr(*column, value.clone());
    }
    let result = update.filter(videos::Column::Id.eq(video.0)).filter(videos::Column::Stage.is_in(from)).exec(db).await?;
    Ok(result.rows_affected == 1)
}

/// The renditions of a generation, as published.
///
/// # Errors
/// The database fails or holds something unreadable.
pub async fn published(db: &impl ConnectionTrait, generation: GenerationId) -> Result<Vec<Rendition>> {
    let rows = renditions::Entity::of(generation.0).all(db).await?;
    let read = |row: &renditions::Model| serde_json::from_str(&row.body).map_err(|error| Error::broken(format!("a rendition: {error}")));
    let mut published: Vec<Rendition> = rows.iter().map(read).collect::<Result<_>>()?;
    sort(&mut published);
    Ok(published)
}

/// The largest picture first, sound last.
pub fn sort(renditions: &mut [Rendition]) {
    renditions.sort_by_key(|rendition| match rendition.track {
        Track::Video { width, height, .. } => (0, std::cmp::Reverse(u64::from(width) * u64::from(height))),
        Track::Audio { .. } => (1, std::cmp::Reverse(0)),
    });
}

fn rendition_facts(rendition: &Rendition) -> RenditionFacts {
    RenditionFacts {
        name: rendition.name.clone(),
        size: match rendition.track {
            Track::Video { width, height, .. } => Some((width, height)),
            Track::Audio { .. } => None,
        },
        average_bandwidth: rendition.playlist.average_bandwidth(),
        bytes: rendition.playlist.bytes(),
        copied: rendition.copied,
    }
}

/// The public handle in a row.
///
/// # Errors
/// It cannot be read.
pub fn playback_id(row: &videos::Model) -> Result<PlaybackId> {
    row.playback_id.parse().map_err(|_| Error::broken("a playback id that cannot be read"))
}

/// The visibility in a row.
///
/// # Errors
/// It cannot be read.
pub fn visibility(row: &videos::Model) -> Result<Visibility> {
    Visibility::parse(&row.visibility).ok_or_else(|| Error::broken(format!("an unknown visibility: {}", row.visibility)))
}

/// The stage in a row.
///
/// # Errors
/// It cannot be read.
pub fn stage(row: &videos::Model) -> Result<Stage> {
    Stage::parse(&row.stage).ok_or_else(|| Error::broken(format!("an unknown stage: {}", row.stage)))
}

/// The facts in a row, if it has been probed.
///
/// # Errors
/// They cannot be read.
pub fn source_facts(row: &videos::Model) -> Result<Option<SourceFacts>> {
    let read = |text: &str| serde_json::from_str(text).map_err(|error| Error::broken(format!("source facts: {error}")));
    row.source_facts.as_deref().map(read).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_signed_within_an_hour_is_the_same() {
        assert_eq!(stable_expiry(7_200, 60), stable_expiry(10_799, 60));
        assert!(stable_expiry(10_800, 60) > stable_expiry(10_799, 60));
        assert!(stable_expiry(10_799, 60) > 10_799 + 60);
    }
}
