//! Where the bytes of an object come from that is not in memory: the store, or a source that it is made of.

use std::{io, os::unix::fs::FileExt, path::Path, sync::Arc};

use domain::storage_key::StorageKey;
use futures::TryStreamExt;
use tokio::task::spawn_blocking;

use super::{
    media_cache::{Found, MediaCache},
    object::Object,
    room::Place,
};
use crate::{
    ports::blob_store::{BlobError, BlobStore},
    services::packages::{Made, Packages},
};

/// An object, from wherever it is. What is in no store may be made of a source; where that is known, the store is not asked.
pub(super) async fn obtain(store: Arc<dyn BlobStore>, packages: Packages, cache: MediaCache, key: StorageKey) -> Result<Found, BlobError> {
    if !is_made(&packages, &key) {
        match fetch(store, cache.clone(), key.clone()).await {
            Err(BlobError::NotFound) => {}
            stored => return stored,
        }
    }
    let made = make(&packages, &key).await?;
    let Some((mut place, length)) = place(&cache, made.size()) else { return Ok(Found::NoRoom) };
    let bytes = made.whole(place.memory(length)).await?;
    Ok(Found::Object(Arc::new(Object::held(key, bytes, place))))
}

/// Whether an object is known to be made of a source.
pub(super) fn is_made(packages: &Packages, key: &StorageKey) -> bool {
    matches!(key, StorageKey::Published { generation, .. } if packages.knows(*generation))
}

/// An object that is made of a source.
pub(super) async fn make(packages: &Packages, key: &StorageKey) -> Result<Made, BlobError> {
    match key {
        StorageKey::Published { generation, file } => packages.make(*generation, file).await,
        StorageKey::Source { .. } => Err(BlobError::NotFound),
    }
}

/// Reads an object from the store, once there is room for it.
async fn fetch(store: Arc<dyn BlobStore>, cache: MediaCache, key: StorageKey) -> Result<Found, BlobError> {
    match store.local_path(&key) {
        Some(path) => {
            let read = spawn_blocking(move || read_file(&cache, key, &path)).await;
            read.unwrap_or_else(|error| Err(BlobError::Unavailable(Box::new(error))))
        }
        None => download(&*store, &cache, key).await,
    }
}

/// A file in one read: segments are a few seconds long, and a reader that is woken for each piece costs more than the piece.
fn read_file(cache: &MediaCache, key: StorageKey, path: &Path) -> Result<Found, BlobError> {
    let file = std::fs::File::open(path).map_err(from_disk)?;
    let size = file.metadata().map_err(from_disk)?.len();
    let Some((mut place, length)) = place(cache, size) else { return Ok(Found::NoRoom) };
    let mut bytes = place.memory(length);
    file.read_exact_at(&mut bytes, 0).map_err(from_disk)?;
    Ok(Found::Object(Arc::new(Object::held(key, bytes, place))))
}

async fn download(store: &dyn BlobStore, cache: &MediaCache, key: StorageKey) -> Result<Found, BlobError> {
    let read = store.get(&key, None).await?;
    let Some((mut place, length)) = place(cache, read.size) else { return Ok(Found::NoRoom) };
    let (mut bytes, mut body) = (place.memory(length), read.body);
    bytes.clear();
    while let Some(piece) = body.try_next().await.map_err(from_disk)? {
        if bytes.len() + piece.len() > length {
            return Err(from_disk(io::ErrorKind::InvalidData.into()));
        }
        bytes.extend_from_slice(&piece);
    }
    if bytes.len() < length {
        return Err(from_disk(io::ErrorKind::UnexpectedEof.into()));
    }
    Ok(Found::Object(Arc::new(Object::held(key, bytes, place))))
}

fn place(cache: &MediaCache, size: u64) -> Option<(Place, usize)> {
    Some((cache.place_for(size)?, usize::try_from(size).ok()?))
}

fn from_disk(error: io::Error) -> BlobError {
    if error.kind() == io::ErrorKind::NotFound { BlobError::NotFound } else { BlobError::Unavailable(Box::new(error)) }
}
