//! A video with all that belongs to it, locked, for those who remove it or add a job to it.
//!
//! The order of the locks is the same everywhere: the upload, the jobs, the video. Whoever adds a job (completing an upload, trying again)
//! holds the upload's row, so no job appears between the second lock and the third; a worker holds its job's row when it writes into the
//! video's. So nobody waits for somebody who waits for them. On SQLite there is one writer at a time and these are plain reads.

use std::collections::BTreeSet;

use domain::{
    error::Problem,
    ids::{GenerationId, UploadId, UserId, VideoId},
};
use sea_orm::{ColumnTrait, ConnectionTrait, DatabaseTransaction, QueryFilter, QueryOrder, QuerySelect};
use uuid::Uuid;

use crate::{
    db::entity::{jobs, uploads, videos},
    error::Result,
    ports::{blob_store::MultipartId, transcoder::TranscodeId},
    services::removals::Removal,
};

/// The rows, as they stay until the end of the transaction.
pub(super) struct Whole {
    /// Its upload.
    pub(super) upload: Option<uploads::Model>,
    /// Its jobs, those that are over too.
    jobs: Vec<jobs::Model>,
    /// The video.
    pub(super) video: videos::Model,
}

impl Whole {
    /// Waits for whoever is at the video of `user`, and keeps everybody else from it.
    ///
    /// # Errors
    /// It is not there.
    pub(super) async fn lock(transaction: &DatabaseTransaction, user: UserId, video: VideoId) -> Result<Self> {
        let of_video = uploads::Entity::of(user.0).filter(uploads::Column::VideoId.eq(video.0));
        let upload = of_video.lock_exclusive().one(transaction).await?;
        let jobs = jobs::Entity::of(video.0).order_by_asc(jobs::Column::Id).lock_exclusive().all(transaction).await?;
        let row = videos::Entity::of(user.0).filter(videos::Column::Id.eq(video.0)).lock_exclusive().one(transaction).await?;
        Ok(Self { upload, jobs, video: row.ok_or_else(Problem::not_found)? })
    }

    /// Notes all that is stored for it, or is being made, as to be removed.
    ///
    /// # Errors
    /// The database fails.
    pub(super) async fn note_removals(self, db: &impl ConnectionTrait) -> Result<()> {
        if let Some(upload) = self.upload {
            let id = UploadId(upload.id);
            // The multipart upload first: a completion that runs meanwhile then leaves its object where the second removal finds it.
            if !upload.complete && !upload.multipart_id.is_empty() {
                Removal::Multipart(id, MultipartId(upload.multipart_id)).note(db).await?;
            }
            Removal::Source(id).note(db).await?;
        }
        if let Some(packaged) = self.video.packaged_generation_id {
            // Behind the source, so that nothing is put into a cache again.
            Removal::Packaged(GenerationId(packaged)).note(db).await?;
        }
        let given = [self.video.generation_id, self.video.poster_generation_id, self.video.growing_generation_id];
        let published: BTreeSet<Uuid> = given.into_iter().flatten().collect();
        for generation in &published {
            Removal::Published(GenerationId(*generation)).note(db).await?;
        }
        for (generation, encode) in self.jobs.into_iter().filter_map(|job| Some((GenerationId(job.generation_id?), job.encode_id))) {
            if encode.is_some() || !published.contains(&generation.0) {
                // Also where no name is noted: one may have been started a moment ago.
                Removal::Encode(generation, encode.map(TranscodeId)).note(db).await?;
            }
        }
        Ok(())
    }
}
