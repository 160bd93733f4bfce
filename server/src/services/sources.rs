//! Sources whose time is over: the file as uploaded goes some days after its video plays, where the operator wants that. Only where nothing that
//! viewers get is made from it: a source that is the top rendition itself stays as long as its video.

use domain::{
    ids::{GenerationId, UploadId},
    video::Stage,
};
use sea_orm::{ColumnTrait, DatabaseConnection, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Select, sea_query::Expr};
use uuid::Uuid;

use crate::{
    clock::now_ms,
    db::{
        begin_write,
        entity::{jobs, uploads, videos},
    },
    error::Result,
    services::removals::Removal,
};

/// Sources let go of in one go.
const BATCH: u64 = 100;

/// Videos that play without their source and have not changed since `before_ms`, whose source is still there, the oldest first.
pub fn old_query(before_ms: i64) -> Select<videos::Entity> {
    videos::Entity::find()
        .filter(videos::Column::Stage.eq(Stage::Ready.as_str()))
        .filter(videos::Column::S3InputUrl.is_not_null())
        .filter(videos::Column::GenerationId.is_not_null())
        .filter(videos::Column::PlaysSource.eq(false))
        .filter(videos::Column::UpdatedAtMs.lt(before_ms))
        .order_by_asc(videos::Column::UpdatedAtMs)
        .limit(BATCH)
}

/// Lets go of sources.
#[derive(Debug, Clone)]
pub struct Sources {
    db: DatabaseConnection,
    retention_days: i64,
}

impl Sources {
    /// Sources of the videos in `db`, kept for `retention_days` after the last change to their video; 0 keeps them for ever.
    pub fn new(db: DatabaseConnection, retention_days: i64) -> Self {
        Self { db, retention_days }
    }

    /// Notes the removal of sources that have been kept long enough. Whoever works off removals deletes them.
    ///
    /// # Errors
    /// The database fails.
    pub async fn let_go_of_old(&self) -> Result<()> {
        if self.retention_days == 0 {
            return Ok(());
        }
        let before = now_ms() - self.retention_days * 86_400_000;
        let old = old_query(before).all(&self.db).await?;
        for video in old {
            let transaction = begin_write(&self.db).await?;
            // Under the row's lock: whoever begins to work on the video meanwhile has changed its stage.
            let changed = videos::Entity::update_many()
                .col_expr(videos::Column::S3InputUrl, Expr::value(None::<String>))
                .col_expr(videos::Column::PackagedGenerationId, Expr::value(None::<Uuid>))
                .col_expr(videos::Column::PackagedFacts, Expr::value(None::<String>))
                .filter(videos::Column::Id.eq(video.id))
                .filter(videos::Column::Stage.eq(Stage::Ready.as_str()))
                .filter(videos::Column::S3InputUrl.is_not_null())
                .filter(videos::Column::PlaysSource.eq(false))
                .exec(&transaction)
                .await?;
            let upload = uploads::Entity::find().filter(uploads::Column::VideoId.eq(video.id)).one(&transaction).await?;
            let open_jobs = jobs::Entity::of(video.id).filter(jobs::Column::State.is_in(["queued", "running"])).one(&transaction).await?;
            if let (1, Some(upload), None) = (changed.rows_affected, upload, open_jobs) {
                Removal::Source(UploadId(upload.id)).note(&transaction).await?;
                if let Some(packaged) = video.packaged_generation_id {
                    Removal::Packaged(GenerationId(packaged)).note(&transaction).await?;
                }
                transaction.commit().await?;
                tracing::info!(video_id = %video.id, upload_id = %upload.id, "the source's time is over");
            }
        }
        Ok(())
    }
}
