//! A copy of everything that must survive, made while the server runs: the database as it was at one moment, every object that it names, and the
//! key that signs links. Only for the embedded set: SQLite and files.
//!
//! The order makes it whole: first nothing is removed from the store any more, then the database is copied, then what that copy names. What comes
//! later is in the next backup. Objects never change, so that a further backup into the same folder copies only what is new. The manifest is
//! written last: a backup without a new one is the one before.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use domain::{
    ids::{GenerationId, UploadId},
    storage_key::StorageKey,
};
use sea_orm::{
    ActiveValue::Set, ColumnTrait, ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DbErr, EntityTrait, QueryFilter,
    QueryOrder, QuerySelect, QueryTrait, sea_query::Expr,
};
use tokio::task::spawn_blocking;
use uuid::Uuid;

use crate::{
    clock::now_ms,
    db::entity::{holds, uploads, videos},
    ports::blob_store::{BlobError, BlobStore},
};

mod files;
mod manifest;
mod restore;

pub use files::SIGNING_KEY;
pub use restore::{restore, verify};

use files::{Copied, copy, make_folder, remove_others};
use manifest::{Entry, MANIFEST, Manifest};

/// Renewed so often while a backup is being made.
const RENEW_HOLD_EVERY: Duration = Duration::from_secs(60);
/// Removals go on so long after a backup died.
const HOLD_MS: i64 = 5 * 60_000;
/// Rows read at once.
const BATCH: u64 = 500;

/// Why there is no backup, or no restored data folder.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The database.
    #[error("database: {0}")]
    Database(#[from] DbErr),
    /// The store.
    #[error("store: {0}")]
    Store(#[from] BlobError),
    /// A file.
    #[error("{path}: {source}")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Something that the operator has to put right.
    #[error("{0}")]
    Refused(String),
    /// The backup is not what was written.
    #[error("the backup is damaged: {0}")]
    Damaged(String),
}

/// Their result.
pub type Result<T> = std::result::Result<T, BackupError>;

/// Says which file an error is about.
fn at(path: &Path) -> impl FnOnce(io::Error) -> BackupError {
    let path = path.to_path_buf();
    move |source| BackupError::File { path, source }
}

/// Runs a piece of disk work where it may block.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    spawn_blocking(work).await.map_err(|error| BackupError::Refused(error.to_string()))?
}

/// What came of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Summary {
    /// Files in the backup.
    pub files: u64,
    /// Bytes in them.
    pub bytes: u64,
    /// Files that were copied; the others were there already.
    pub copied: u64,
    /// What rows name and the store does not have.
    pub missing: Vec<String>,
}

/// What is copied.
#[derive(Debug)]
pub struct Backup {
    /// The database.
    pub db: DatabaseConnection,
    /// The store, whose objects are files.
    pub store: Arc<dyn BlobStore>,
    /// Where the key may be that signs links.
    pub data_dir: PathBuf,
}

impl Backup {
    /// Makes a backup in `folder`, or brings the one that is there up to date.
    ///
    /// # Errors
    /// Something cannot be read or written; then the backup before, if there was one, still stands.
    pub async fn make(&self, folder: &Path) -> Result<Summary> {
        let folder = make_folder(folder, &self.data_dir)?;
        let hold = self.hold().await?;
        let renewing = tokio::spawn(renew(self.db.clone(), hold));
        let made = self.make_held(&folder).await;
        renewing.abort();
        holds::Entity::delete_by_id(hold).exec(&self.db).await?;
        made
    }

    /// From now on nothing is removed from the store. What is being removed at this moment was given up before, so no copy of the database that is
    /// made from now on names it.
    async fn hold(&self) -> Result<Uuid> {
        let id = Uuid::now_v7();
        let row = holds::ActiveModel { id: Set(id), until_ms: Set(now_ms() + HOLD_MS) };
        holds::Entity::insert(row).exec_without_returning(&self.db).await?;
        holds::Entity::delete_many().filter(holds::Column::UntilMs.lt(now_ms())).exec(&self.db).await?;
        Ok(id)
    }

    async fn make_held(&self, folder: &Path) -> Result<Summary> {
        let before = Manifest::read(folder)?.unwrap_or_default();
        let name = format!("database-{}.db", now_ms());
        let snapshot = folder.join(&name);
        let mut manifest = Manifest { made_at_ms: now_ms(), database: name.clone(), ..Manifest::default() };
        let mut summary = Summary::default();
        let copy_of_db = self.snapshot(&snapshot).await?;
        let named = self.copy_objects(&copy_of_db, folder, &before, &mut manifest, &mut summary).await;
        copy_of_db.close().await?;
        named?;
        let key = self.data_dir.join(SIGNING_KEY);
        if key.exists() {
            self.add(&key, SIGNING_KEY.to_owned(), folder, &Manifest::default(), &mut manifest, &mut summary).await?;
        }
        let (entry, folder) = blocking({
            let folder = folder.to_path_buf();
            move || Ok((Entry::of(&snapshot)?, folder))
        })
        .await?;
        summary.copied += 1;
        manifest.files.insert(name, entry);
        summary.files = manifest.files.len() as u64;
        summary.bytes = manifest.files.values().map(|entry| entry.size).sum();
        blocking(move || {
            manifest.write(&folder)?;
            remove_others(&folder, &manifest)
        })
        .await?;
        Ok(summary)
    }

    /// The database at one moment, without what a backup cannot bring back: uploads of which only a part is there.
    async fn snapshot(&self, file: &Path) -> Result<DatabaseConnection> {
        let path = file.to_str().ok_or_else(|| BackupError::Refused("the backup's folder has a name that is no text".into()))?;
        self.db.execute_unprepared(&format!("VACUUM INTO '{}'", path.replace('\'', "''"))).await?;
        let copy = open(path).await?;
        let unfinished = uploads::Entity::find().select_only().column(uploads::Column::VideoId).filter(uploads::Column::Complete.eq(false));
        videos::Entity::delete_many().filter(videos::Column::Id.in_subquery(unfinished.into_query())).exec(&copy).await?;
        holds::Entity::delete_many().exec(&copy).await?;
        Ok(copy)
    }

    async fn copy_objects(
        &self,
        rows: &DatabaseConnection,
        folder: &Path,
        before: &Manifest,
        manifest: &mut Manifest,
        summary: &mut Summary,
    ) -> Result<()> {
        let mut after = Uuid::nil();
        loop {
            let query = videos::Entity::find().filter(videos::Column::Id.gt(after)).order_by_asc(videos::Column::Id).limit(BATCH);
            let batch = query.all(rows).await?;
            let Some(last) = batch.last().map(|video| video.id) else { return Ok(()) };
            after = last;
            let ids = batch.iter().filter(|video| video.s3_input_url.is_some()).map(|video| video.id);
            for upload in uploads::Entity::find().filter(uploads::Column::VideoId.is_in(ids)).all(rows).await? {
                self.add_object(&StorageKey::Source { upload: UploadId(upload.id) }, folder, before, manifest, summary).await?;
            }
            for video in batch {
                let mut generations = vec![video.generation_id, video.poster_generation_id];
                generations.dedup();
                // Where all that viewers get is the source itself, and no picture of it could be made, nothing is stored beside it.
                let stored = video.published_bytes != Some(0);
                for generation in generations.into_iter().flatten().filter(|_| stored).map(GenerationId) {
                    self.add_generation(generation, folder, before, manifest, summary).await?;
                }
            }
        }
    }

    async fn add_generation(
        &self,
        generation: GenerationId,
        folder: &Path,
        before: &Manifest,
        manifest: &mut Manifest,
        summary: &mut Summary,
    ) -> Result<()> {
        let files = self.store.list_generation(generation).await?;
        if files.is_empty() {
            summary.missing.push(StorageKey::generation_prefix(generation));
        }
        for key in files.keys().filter_map(|file| StorageKey::published(generation, file)) {
            self.add_object(&key, folder, before, manifest, summary).await?;
        }
        Ok(())
    }

    async fn add_object(
        &self,
        key: &StorageKey,
        folder: &Path,
        before: &Manifest,
        manifest: &mut Manifest,
        summary: &mut Summary,
    ) -> Result<()> {
        let Some(from) = self.store.local_path(key) else {
            return Err(BackupError::Refused("the store's objects are not files of this machine".into()));
        };
        match self.add(&from, format!("store/{key}"), folder, before, manifest, summary).await {
            Err(BackupError::File { source, .. }) if source.kind() == io::ErrorKind::NotFound && !from.exists() => {
                summary.missing.push(key.to_string());
                Ok(())
            }
            other => other,
        }
    }

    async fn add(
        &self,
        from: &Path,
        name: String,
        folder: &Path,
        before: &Manifest,
        manifest: &mut Manifest,
        summary: &mut Summary,
    ) -> Result<()> {
        let (from, to, known) = (from.to_path_buf(), folder.join(&name), before.files.get(&name).cloned());
        let Copied { entry, new } = blocking(move || copy(&from, &to, known.as_ref())).await?;
        summary.copied += u64::from(new);
        manifest.files.insert(name, entry);
        Ok(())
    }
}

/// A database file as one file: nothing of it stays beside it when it is closed.
async fn open(path: &str) -> Result<DatabaseConnection> {
    let mut options = ConnectOptions::new(format!("sqlite://{path}?mode=rw"));
    options.max_connections(1).sqlx_logging(false);
    let connection = Database::connect(options).await?;
    connection.execute_unprepared("PRAGMA journal_mode = DELETE").await?;
    Ok(connection)
}

async fn renew(db: DatabaseConnection, hold: Uuid) {
    loop {
        tokio::time::sleep(RENEW_HOLD_EVERY).await;
        let renewed = holds::Entity::update_many()
            .col_expr(holds::Column::UntilMs, Expr::value(now_ms() + HOLD_MS))
            .filter(holds::Column::Id.eq(hold))
            .exec(&db);
        if let Err(error) = renewed.await {
            tracing::warn!(%error, "cannot tell that a backup is being made; trying again");
        }
    }
}

/// Whether a folder holds a backup.
pub fn is_backup(folder: &Path) -> bool {
    folder.join(MANIFEST).is_file()
}
