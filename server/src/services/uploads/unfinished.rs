//! What an account has begun and not completed, so that it can go on: in another tab, after a crash, from another machine.

use std::collections::HashMap;

use domain::{
    ids::{UploadId, UserId, VideoId},
    storage_key::StorageKey,
    upload::{UnfinishedUpload, UnfinishedUploads},
};
use sea_orm::{ColumnTrait, QueryFilter};
use uuid::Uuid;

use super::{Uploads, tus::FINGERPRINT};
use crate::{
    clock::now_ms,
    db::entity::{uploads, videos},
    error::{Error, Result},
    ports::blob_store::MultipartId,
    telemetry::metrics,
};

const DAY_MS: i64 = 86_400_000;

impl Uploads {
    /// The uploads of an account that can be continued, the one that was active last first.
    ///
    /// # Errors
    /// The database fails.
    pub async fn unfinished(&self, user: UserId) -> Result<UnfinishedUploads> {
        let kept_ms = self.limits.unfinished_days * DAY_MS;
        let rows = uploads::Entity::unfinished_of(user.0, now_ms() - kept_ms).all(&self.db).await?;
        let ids: Vec<Uuid> = rows.iter().map(|row| row.video_id).collect();
        let found = videos::Entity::of(user.0).filter(videos::Column::Id.is_in(ids)).all(&self.db).await?;
        let mut videos: HashMap<Uuid, videos::Model> = found.into_iter().map(|video| (video.id, video)).collect();
        // A video that was deleted between the two questions took its upload with it.
        let shown = |row: uploads::Model| {
            let video = videos.remove(&row.video_id)?;
            Some(UnfinishedUpload {
                upload_id: UploadId(row.id),
                video_id: VideoId(row.video_id),
                file_name: video.file_name,
                size: row.size_bytes.unsigned_abs(),
                percent: u8::try_from(video.progress.clamp(0, 100)).unwrap_or(0),
                fingerprint: row.fingerprint,
                updated_at_ms: row.updated_at_ms,
                expires_at_ms: row.updated_at_ms + kept_ms,
            })
        };
        // Those by tus go on by tus alone.
        let in_parts = rows.into_iter().filter(|row| row.fingerprint.as_deref() != Some(FINGERPRINT));
        Ok(UnfinishedUploads { uploads: in_parts.filter_map(shown).collect() })
    }

    /// Gives up the uploads that nobody went on with for too long.
    ///
    /// # Errors
    /// The database or the store fails.
    pub async fn give_up_stale(&self) -> Result<()> {
        let before = now_ms() - self.limits.unfinished_days * 86_400_000;
        let stale = uploads::Entity::unfinished_since(before).all(&self.db).await?;
        for row in stale {
            tracing::info!(upload_id = %row.id, video_id = %row.video_id, "giving up an upload that nobody went on with");
            match self.videos.give_up(UserId(row.user_id), VideoId(row.video_id)).await {
                // Somebody went on with it after all, or deleted it, since the list was made.
                Err(Error::Problem(_)) => {}
                other => {
                    other?;
                    metrics::upload("expired");
                }
            }
        }
        Ok(())
    }

    /// The parts of an unfinished upload that are safe; `None` where it is not unfinished any more.
    pub(super) async fn received(&self, user: UserId, row: &uploads::Model) -> Result<Option<Vec<u32>>> {
        let upload = UploadId(row.id);
        let key = StorageKey::Source { upload };
        let parts = self.store.list_parts(&key, &MultipartId(row.multipart_id.clone())).await?;
        // Whoever died between the store's completion and the row's left an object where parts were. To send them again would be for nothing.
        if parts.is_empty() && self.store.size(&key).await.is_ok() {
            self.complete(user, upload).await?;
            return Ok(None);
        }
        Ok(Some(parts.iter().map(|part| part.number).collect()))
    }
}
