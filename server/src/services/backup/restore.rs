//! A data folder out of a backup: every file is held against its checksum on the way, and the database comes last, so that half a folder is none.

use std::path::{Path, PathBuf};

use domain::{
    ids::{GenerationId, UploadId},
    storage_key::StorageKey,
};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, sea_query::Expr};
use uuid::Uuid;

use super::{
    BATCH, BackupError, Result, Summary, at, blocking,
    files::copy_anew,
    manifest::{Entry, MANIFEST, Manifest},
    open,
};
use crate::db::entity::{uploads, videos};

/// What the database is called in a data folder.
const DATABASE: &str = "millrace.db";

fn manifest_of(folder: &Path) -> Result<Manifest> {
    Manifest::read(folder)?
        .ok_or_else(|| BackupError::Refused(format!("{} holds no whole backup: there is no {MANIFEST} in it", folder.display())))
}

fn summary_of(manifest: &Manifest) -> Summary {
    let bytes = manifest.files.values().map(|entry| entry.size).sum();
    Summary { files: manifest.files.len() as u64, bytes, ..Summary::default() }
}

fn check(name: &str, found: &Entry, expected: &Entry) -> Result<()> {
    if found == expected { Ok(()) } else { Err(BackupError::Damaged(format!("{name} is not what was written"))) }
}

/// Reads a whole backup and holds every file against its checksum.
///
/// # Errors
/// One of them is not what was written.
pub async fn verify(folder: &Path) -> Result<Summary> {
    let folder = folder.to_path_buf();
    blocking(move || {
        let manifest = manifest_of(&folder)?;
        for (name, expected) in &manifest.files {
            check(name, &Entry::of(&folder.join(name))?, expected)?;
        }
        Ok(summary_of(&manifest))
    })
    .await
}

/// Fills an empty data folder from a backup.
///
/// # Errors
/// The data folder is not empty, the backup is damaged, or something cannot be written; then the data folder is empty again.
pub async fn restore(folder: &Path, data_dir: &Path) -> Result<Summary> {
    let (folder, data_dir) = (folder.to_path_buf(), data_dir.to_path_buf());
    let database = data_dir.join(DATABASE);
    let manifest = blocking({
        let data_dir = data_dir.clone();
        move || {
            let manifest = manifest_of(&folder)?;
            if std::fs::read_dir(&data_dir).map_err(at(&data_dir))?.next().is_some() {
                let detail = format!("{} is not empty; restore into an empty data folder (setting `data_dir`)", data_dir.display());
                return Err(BackupError::Refused(detail));
            }
            fill(&folder, &data_dir, &manifest).inspect_err(|_| empty(&data_dir))?;
            Ok(manifest)
        }
    })
    .await?;
    if let Err(error) = name_new_places(&database, &data_dir.join("store")).await {
        empty(&data_dir);
        return Err(error);
    }
    Ok(Summary { copied: manifest.files.len() as u64, ..summary_of(&manifest) })
}

fn fill(folder: &Path, data_dir: &Path, manifest: &Manifest) -> Result<()> {
    let (database, others): (Vec<_>, Vec<_>) = manifest.files.iter().partition(|(name, _)| **name == manifest.database);
    for (name, expected) in others {
        check(name, &copy_anew(&folder.join(name), &data_dir.join(name))?, expected)?;
    }
    for (name, expected) in database {
        check(name, &copy_anew(&folder.join(name), &data_dir.join(DATABASE))?, expected)?;
    }
    Ok(())
}

/// What was written before something went wrong would keep the next try from beginning.
fn empty(data_dir: &Path) {
    for entry in std::fs::read_dir(data_dir).into_iter().flatten().flatten() {
        let path = entry.path();
        let _ = if path.is_dir() { std::fs::remove_dir_all(&path) } else { std::fs::remove_file(&path) };
    }
}

/// The rows tell outside tools where the files are; that may be elsewhere now.
async fn name_new_places(database: &Path, store: &Path) -> Result<()> {
    let path = database.to_str().ok_or_else(|| BackupError::Refused("the data folder has a name that is no text".into()))?;
    let rows = open(path).await?;
    // Made with the objects; there are none where nothing has been uploaded.
    let store: PathBuf = store.canonicalize().unwrap_or_else(|_| store.to_path_buf());
    let mut after = Uuid::nil();
    loop {
        let query = videos::Entity::find().filter(videos::Column::Id.gt(after)).order_by_asc(videos::Column::Id).limit(BATCH);
        let batch = query.all(&rows).await?;
        let Some(last) = batch.last().map(|video| video.id) else { break };
        after = last;
        for video in batch {
            let upload = uploads::Entity::find().filter(uploads::Column::VideoId.eq(video.id)).one(&rows).await?;
            let source = upload.filter(|_| video.s3_input_url.is_some()).map(|upload| StorageKey::Source { upload: UploadId(upload.id) });
            let output = video.generation_id.filter(|_| video.s3_output_url.is_some()).map(GenerationId);
            let url = |path: String| format!("file://{}", store.join(path).display());
            videos::Entity::update_many()
                .col_expr(videos::Column::S3InputUrl, Expr::value(source.map(|key| url(key.to_string()))))
                .col_expr(
                    videos::Column::S3OutputUrl,
                    Expr::value(output.map(|output| format!("{}/", url(StorageKey::generation_prefix(output)).trim_end_matches('/')))),
                )
                .filter(videos::Column::Id.eq(video.id))
                .exec(&rows)
                .await?;
        }
    }
    rows.close().await?;
    Ok(())
}
