//! How far uploads have come, noted in the database for people to see. What is safe stands in the store, so no sender waits for this, and of a fast
//! one not each part is noted.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use domain::{
    ids::{UploadId, UserId, VideoId},
    storage_key::StorageKey,
};

use super::{Uploads, plan, tus::FINGERPRINT};
use crate::{
    db::entity::uploads,
    error::Result,
    ports::blob_store::{BlobError, MultipartId},
};

/// Between two notes about one upload.
const NOTE_EVERY: Duration = Duration::from_millis(500);

/// The uploads about which something is being noted, and whether more has arrived since that began. Clones are the same ones.
#[derive(Debug, Clone, Default)]
pub(super) struct Noting(Arc<Mutex<HashMap<UploadId, bool>>>);

impl Noting {
    /// Whether the caller is to note it; else whoever does already will once more.
    fn begin(&self, upload: UploadId) -> bool {
        let mut noting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match noting.get_mut(&upload) {
            Some(more) => {
                *more = true;
                false
            }
            None => noting.insert(upload, false).is_none(),
        }
    }

    /// Whether more has arrived since; if not, it is over.
    fn goes_on(&self, upload: UploadId) -> bool {
        let mut noting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let more = noting.get_mut(&upload).is_some_and(std::mem::take);
        if !more {
            noting.remove(&upload);
        }
        more
    }
}

impl Uploads {
    /// Notes soon how much of an upload is safe.
    pub(super) fn note_soon(&self, user: UserId, row: &uploads::Model) {
        let upload = UploadId(row.id);
        if !self.noting.begin(upload) {
            return;
        }
        let (uploads, row) = (self.clone(), row.clone());
        tokio::spawn(async move {
            loop {
                if let Err(error) = uploads.note_safe(user, &row).await {
                    tracing::debug!(%error, upload_id = %upload, "cannot note how far an upload has come");
                }
                tokio::time::sleep(NOTE_EVERY).await;
                if !uploads.noting.goes_on(upload) {
                    return;
                }
            }
        });
    }

    /// Notes how much of an upload is safe.
    async fn note_safe(&self, user: UserId, row: &uploads::Model) -> Result<()> {
        let (upload, plan, multipart) = (UploadId(row.id), plan(row), MultipartId(row.multipart_id.clone()));
        let safe = if row.fingerprint.as_deref() == Some(FINGERPRINT) {
            self.appender()?.safe_so_far(&multipart).await.map(|bytes| (bytes, plan.file_size))
        } else {
            let parts = self.store.list_parts(&StorageKey::Source { upload }, &multipart).await;
            parts.map(|parts| (parts.len() as u64, u64::from(plan.part_count())))
        };
        let (safe, all) = match safe {
            // It is complete or was given up meanwhile.
            Err(BlobError::NotFound) => return Ok(()),
            other => other?,
        };
        let percent = u128::from(safe) * 100 / u128::from(all.max(1));
        self.note_progress(user, VideoId(row.video_id), upload, u64::try_from(percent).unwrap_or(100)).await
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn one_notes_for_all_that_arrives_meanwhile() {
        let (noting, upload) = (Noting::default(), UploadId(Uuid::now_v7()));
        assert!(noting.begin(upload) && !noting.begin(upload) && !noting.begin(upload));
        assert!(noting.begin(UploadId(Uuid::now_v7())), "others are noted for themselves");
        assert!(noting.goes_on(upload) && !noting.goes_on(upload));
        assert!(noting.begin(upload), "it begins anew");
    }
}
