//! Where the bytes of an object come from that is not in memory: the store, or a source that it is made of.

use std::{io, path::Path, sync::Arc};

use bytes::Bytes;
use domain::storage_key::StorageKey;
use futures::TryStreamExt;
use rustix::{buffer::spare_capacity, io::pread};
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
    let Some(place) = cache.place_for(made.size()) else { return Ok(Found::NoRoom) };
    Ok(Found::Object(Arc::new(Object::new(key, made.whole().await?, Some(place)))))
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
    let Some((place, length)) = place(cache, size) else { return Ok(Found::NoRoom) };
    let mut bytes = Vec::with_capacity(length);
    while bytes.len() < length {
        // One call; a signal or a strange file system may give less than all.
        let at = bytes.len() as u64;
        match pread(&file, spare_capacity(&mut bytes), at) {
            Ok(0) => return Err(from_disk(io::ErrorKind::UnexpectedEof.into())),
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(from_disk(error.into())),
        }
    }
    // Its capacity may be more than was asked for, and what lies behind the end is not the object's.
    bytes.truncate(length);
    Ok(Found::Object(Arc::new(Object::new(key, Bytes::from(bytes), Some(place)))))
}

async fn download(store: &dyn BlobStore, cache: &MediaCache, key: StorageKey) -> Result<Found, BlobError> {
    let read = store.get(&key, None).await?;
    let Some((place, length)) = place(cache, read.size) else { return Ok(Found::NoRoom) };
    let (mut bytes, mut body) = (Vec::with_capacity(length), read.body);
    while let Some(piece) = body.try_next().await.map_err(from_disk)? {
        if bytes.len() + piece.len() > length {
            return Err(from_disk(io::ErrorKind::InvalidData.into()));
        }
        bytes.extend_from_slice(&piece);
    }
    if bytes.len() < length {
        return Err(from_disk(io::ErrorKind::UnexpectedEof.into()));
    }
    Ok(Found::Object(Arc::new(Object::new(key, Bytes::from(bytes), Some(place)))))
}

fn place(cache: &MediaCache, size: u64) -> Option<(Place, usize)> {
    Some((cache.place_for(size)?, usize::try_from(size).ok()?))
}

fn from_disk(error: io::Error) -> BlobError {
    if error.kind() == io::ErrorKind::NotFound { BlobError::NotFound } else { BlobError::Unavailable(Box::new(error)) }
}
