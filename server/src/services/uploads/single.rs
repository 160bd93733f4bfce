//! A file that comes in one request: it is stored first, and becomes a video when the whole request has been understood.

use std::sync::Arc;

use domain::{
    error::{Code, Problem},
    ids::{UploadId, UserId, VideoId},
    storage_key::StorageKey,
    upload::{PartPlan, clean_title, title_from_file_name},
    video::Stage,
};
use uuid::Uuid;

use super::{
    Uploads,
    quota::{Taken, Usage},
    rows::{insert_upload, insert_video},
};
use crate::{
    clock::now_ms,
    db::begin_write,
    error::Result,
    failpoints,
    ports::{
        blob_store::{BlobError, ByteStream},
        job_queue::WakeUp,
    },
    services::{jobs, removals::Removal},
    telemetry::metrics,
};

/// How long a body that comes in one request may take to arrive and to become a video.
const ADOPTED_WITHIN_MS: i64 = 48 * 3_600_000;

/// A file that arrived in one request. Until it is adopted or forgotten, it counts as the account's.
#[derive(Debug, Clone)]
pub struct Received {
    upload: UploadId,
    size: u64,
    /// Held for what it gives back when it is dropped.
    _taken: Arc<Taken>,
}

impl Received {
    /// Where it is stored.
    pub fn upload(&self) -> UploadId {
        self.upload
    }
}

impl Uploads {
    /// Stores a body that comes in one request. It is nobody's video yet: [`Uploads::adopt`] makes it one, [`Uploads::discard`] forgets it.
    ///
    /// # Errors
    /// The body is empty, too large or breaks off, the account has no room for it, or the store is full.
    pub async fn receive(&self, user: UserId, body: ByteStream) -> Result<Received> {
        let upload = UploadId(Uuid::now_v7());
        let key = StorageKey::Source { upload };
        drop(self.storage.make_room(0).await?);
        let taken = Taken::new(self.db.clone(), self.limits, self.arriving.clone(), user);
        // Whatever happens to this request from now on, nothing is left in the store that no row names.
        Removal::unless_kept(&self.db, upload, now_ms() + ADOPTED_WITHIN_MS).await?;
        failpoints::pass("upload.single.noted");
        let (body, full) = self.storage.watched(body);
        let stored = self.store.put_stream(&key, taken.within_quota(body), self.limits.max_size).await;
        if let Some(refusal) = taken.refusal().or_else(|| full.get().cloned()) {
            return Err(refusal.into());
        }
        let size = match stored {
            Err(BlobError::SizeMismatch) => {
                return Err(Problem::new(
                    Code::TooLarge,
                    format!("The file is larger than the {} that this server takes.", domain::upload::bytes_in_words(self.limits.max_size)),
                )
                .into());
            }
            other => other?,
        };
        if size == 0 {
            self.store.delete(&key).await?;
            return Err(Problem::new(Code::EmptyFile, "The file is empty. Choose another one.").into());
        }
        failpoints::pass("upload.single.stored");
        Ok(Received { upload, size, _taken: taken })
    }

    /// Makes a video of a received body and queues its processing.
    ///
    /// # Errors
    /// The account has no room for it any more, or the database fails.
    pub async fn adopt(&self, user: UserId, received: &Received, file_name: &str, title: Option<&str>) -> Result<VideoId> {
        let video = VideoId(Uuid::now_v7());
        let title = title.and_then(clean_title).unwrap_or_else(|| title_from_file_name(file_name));
        let url = self.store.url(&StorageKey::Source { upload: received.upload });
        let transaction = begin_write(&self.db).await?;
        Usage::locked(&transaction, user).await?.check_bytes(&self.limits, received.size)?;
        insert_video(&transaction, user, video, &title, file_name, received.size, Stage::Queued, Some(url)).await?;
        insert_upload(&transaction, user, video, received.upload, "", PartPlan::for_size(received.size), None).await?;
        Removal::keep_source(&transaction, received.upload).await?;
        let job = jobs::enqueue(&transaction, user, video).await?;
        failpoints::pass("upload.single.before_commit");
        transaction.commit().await?;
        failpoints::pass("upload.single.committed");
        metrics::upload("begun");
        metrics::upload("completed");
        metrics::received(received.size);
        self.hand_on(user, received.upload, WakeUp { job, video }).await;
        Ok(video)
    }

    /// Forgets a received body.
    ///
    /// # Errors
    /// The store or the database fails.
    pub async fn discard(&self, received: &Received) -> Result<()> {
        self.store.delete(&StorageKey::Source { upload: received.upload }).await?;
        Removal::keep_source(&self.db, received.upload).await
    }
}
