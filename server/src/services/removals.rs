//! Deletes objects that nothing refers to any more. What to delete is written in the transaction that lets go of it, so that neither
//! a crash nor a failing store leaves anything behind.

use std::{sync::Arc, time::Duration};

use domain::{
    ids::{GenerationId, UploadId},
    storage_key::StorageKey,
};
use sea_orm::{
    ActiveValue::Set, ColumnTrait, ConnectionTrait, DatabaseConnection, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Select,
    sea_query::Expr,
};
use uuid::Uuid;

use crate::{
    clock::now_ms,
    db::entity::{holds, removals},
    delivery::media_cache::MediaCache,
    error::{Error, Result},
    failpoints,
    ports::{
        blob_store::{BlobStore, MultipartId},
        cdn::Cdn,
        transcoder::{TranscodeId, Transcoder},
    },
    services::packages::{Packages, packaged_generation},
};

/// How long an engine elsewhere may go on writing after it was told to stop.
const ENCODES_STOP_WITHIN_MS: i64 = 120_000;
/// How long somebody waits for what is deleted at once.
const SOON: Duration = Duration::from_secs(2);
/// No hold lasts longer than this without being renewed.
pub const LONGEST_HOLD_MS: i64 = 10 * 60_000;
/// Wait after a store refused to delete.
const RETRY_MS: i64 = 60_000;

/// What to delete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Removal {
    /// Everything stored under a generation that nobody was given.
    Generation(GenerationId),
    /// Everything stored under a generation that was published: caches are told as well.
    Published(GenerationId),
    /// What was made, or is still being made, under a generation that nobody was given; the encode's name where it was noted.
    Encode(GenerationId, Option<TranscodeId>),
    /// What was packaged from a source, which goes by a removal of its own: caches are told.
    Packaged(GenerationId),
    /// A source.
    Source(UploadId),
    /// An unfinished multipart upload.
    Multipart(UploadId, MultipartId),
}

impl Removal {
    /// Notes the removal; part of the caller's transaction.
    ///
    /// # Errors
    /// The database fails.
    pub async fn note(&self, db: &impl ConnectionTrait) -> Result<()> {
        self.note_for(db, 0).await
    }

    /// Notes the removal for a later moment, in milliseconds of the Unix epoch.
    ///
    /// # Errors
    /// The database fails.
    pub async fn note_for(&self, db: &impl ConnectionTrait, run_after_ms: i64) -> Result<()> {
        self.note_as(Uuid::now_v7(), db, run_after_ms).await
    }

    /// Notes that a source is to go at a moment in milliseconds of the Unix epoch, unless [`Removal::keep_source`] says otherwise before.
    ///
    /// # Errors
    /// The database fails.
    pub async fn unless_kept(db: &impl ConnectionTrait, upload: UploadId, run_after_ms: i64) -> Result<()> {
        Self::Source(upload).note_as(upload.0, db, run_after_ms).await
    }

    /// Takes back what [`Removal::unless_kept`] has noted; part of the caller's transaction.
    ///
    /// # Errors
    /// The database fails.
    pub async fn keep_source(db: &impl ConnectionTrait, upload: UploadId) -> Result<()> {
        removals::Entity::delete_by_id(upload.0).exec(db).await?;
        Ok(())
    }

    async fn note_as(&self, id: Uuid, db: &impl ConnectionTrait, run_after_ms: i64) -> Result<()> {
        let (kind, target, multipart) = match self {
            Self::Generation(generation) => ("generation", generation.0, String::new()),
            Self::Published(generation) => ("published", generation.0, String::new()),
            Self::Encode(generation, encode) => {
                ("encode", generation.0, encode.as_ref().map(|encode| encode.0.clone()).unwrap_or_default())
            }
            Self::Packaged(generation) => ("packaged", generation.0, String::new()),
            Self::Source(upload) => ("source", upload.0, String::new()),
            Self::Multipart(upload, id) => ("multipart", upload.0, id.0.clone()),
        };
        let row = removals::ActiveModel {
            id: Set(id),
            kind: Set(kind.to_owned()),
            target: Set(target),
            multipart_id: Set(multipart),
            run_after_ms: Set(run_after_ms),
        };
        removals::Entity::insert(row).exec_without_returning(db).await?;
        Ok(())
    }

    fn read(row: &removals::Model) -> Result<Self> {
        match row.kind.as_str() {
            "generation" => Ok(Self::Generation(GenerationId(row.target))),
            "published" => Ok(Self::Published(GenerationId(row.target))),
            "encode" => {
                let encode = Some(row.multipart_id.clone()).filter(|name| !name.is_empty()).map(TranscodeId);
                Ok(Self::Encode(GenerationId(row.target), encode))
            }
            "packaged" => Ok(Self::Packaged(GenerationId(row.target))),
            "source" => Ok(Self::Source(UploadId(row.target))),
            "multipart" => Ok(Self::Multipart(UploadId(row.target), MultipartId(row.multipart_id.clone()))),
            other => Err(Error::broken(format!("a removal of the unknown kind {other}"))),
        }
    }
}

/// Some of the removals whose moment has come.
pub fn due_query(now: i64) -> Select<removals::Entity> {
    removals::Entity::find().filter(removals::Column::RunAfterMs.lte(now)).order_by_asc(removals::Column::RunAfterMs).limit(100)
}

/// Works the notes off.
#[derive(Debug, Clone)]
pub struct Removals {
    db: DatabaseConnection,
    store: Arc<dyn BlobStore>,
    transcoder: Arc<dyn Transcoder>,
    cdn: Arc<dyn Cdn>,
    media: MediaCache,
    packages: Packages,
}

impl Removals {
    /// Removals noted in `db`, from `store`, from the encodes of `transcoder`, from the caches of `cdn` and from the memory of this process.
    pub fn new(
        db: DatabaseConnection,
        store: Arc<dyn BlobStore>,
        transcoder: Arc<dyn Transcoder>,
        cdn: Arc<dyn Cdn>,
        media: MediaCache,
        packages: Packages,
    ) -> Self {
        Self { db, store, transcoder, cdn, media, packages }
    }

    /// Begins to delete what is noted and due, and waits a moment for it: whoever deletes something small sees it gone, and nobody waits for
    /// what others left to delete. What is not done then goes on by itself.
    pub async fn work_off_soon(&self) {
        let removals = self.clone();
        let work = tokio::spawn(async move {
            if let Err(error) = removals.work_off().await {
                tracing::warn!(%error, "cannot delete objects yet; a worker tries again later");
            }
        });
        let _ = tokio::time::timeout(SOON, work).await;
    }

    /// Deletes all that is noted and due. A removal that fails is tried again later; deleting twice is harmless.
    ///
    /// # Errors
    /// The database fails.
    pub async fn work_off(&self) -> Result<()> {
        loop {
            if self.are_held_back().await? {
                return Ok(());
            }
            let due = due_query(now_ms()).all(&self.db).await?;
            if due.is_empty() {
                return Ok(());
            }
            for row in due {
                failpoints::pass("removal.before_deletion");
                match self.remove(&Removal::read(&row)?).await {
                    Ok(()) => {
                        failpoints::pass("removal.deleted");
                        removals::Entity::delete_by_id(row.id).exec(&self.db).await?;
                    }
                    Err(error) => {
                        tracing::warn!(kind = row.kind, target_id = %row.target, %error, "cannot delete objects yet; trying again later");
                        removals::Entity::update_many()
                            .col_expr(removals::Column::RunAfterMs, Expr::value(now_ms() + RETRY_MS))
                            .filter(removals::Column::Id.eq(row.id))
                            .exec(&self.db)
                            .await?;
                    }
                }
            }
        }
    }

    /// Whether somebody still copies what is to be removed: what was noted before they began is in no copy of theirs, and waits all the same.
    async fn are_held_back(&self) -> Result<bool> {
        let now = now_ms();
        // One that would last longer was written by another clock than ours.
        let stands = holds::Column::UntilMs.between(now, now + LONGEST_HOLD_MS);
        Ok(holds::Entity::find().filter(stands).limit(1).one(&self.db).await?.is_some())
    }

    async fn remove(&self, removal: &Removal) -> Result<()> {
        match removal {
            Removal::Generation(generation) => self.delete(*generation).await?,
            Removal::Published(generation) => {
                self.delete(*generation).await?;
                self.cdn.withdraw(*generation).await?;
            }
            Removal::Encode(generation, encode) => {
                match encode {
                    Some(encode) => self.transcoder.cancel(encode).await?,
                    None => self.transcoder.cancel_generation(*generation).await?,
                }
                if self.transcoder.outlives_process() {
                    // What it writes between being told to stop and stopping.
                    Removal::Generation(*generation).note_for(&self.db, now_ms() + ENCODES_STOP_WITHIN_MS).await?;
                }
                self.delete(*generation).await?;
            }
            Removal::Packaged(generation) => self.cdn.withdraw_packaged(*generation).await?,
            Removal::Source(upload) => {
                self.store.delete(&StorageKey::Source { upload: *upload }).await?;
                self.forget_packaged(*upload);
            }
            Removal::Multipart(upload, id) => {
                self.store.abort_multipart(&StorageKey::Source { upload: *upload }, id).await?;
                self.forget_packaged(*upload);
            }
        }
        Ok(())
    }

    /// What was cut from a source goes with it.
    fn forget_packaged(&self, upload: UploadId) {
        self.packages.forget(upload);
        self.media.forget(packaged_generation(upload));
    }

    /// Deletes what is stored of a generation, and then lets go of what is in memory: in the other order it could be read in between.
    async fn delete(&self, generation: GenerationId) -> Result<()> {
        self.store.delete_prefix(&StorageKey::generation_prefix(generation)).await?;
        self.media.forget(generation);
        Ok(())
    }
}
