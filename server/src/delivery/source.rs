//! Where the bytes of an object come from that is not in memory: the store, or a source that it is made of.

use std::{io, sync::Arc};

use domain::storage_key::StorageKey;
use futures::TryStreamExt;

use super::{
    local_file::{LocalFile, from_disk, waiting},
    media_cache::{Found, MediaCache},
    object::Object,
    room::Place,
};
use crate::{
    ports::blob_store::{BlobError, BlobStore},
    services::packages::{Made, Packages, source_key},
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

/// An object that is cut out of a local source, if nothing has to be waited for.
pub(super) fn cut_now(store: &dyn BlobStore, packages: &Packages, key: &StorageKey) -> Option<LocalFile> {
    match key {
        StorageKey::Published { generation, file } => {
            let source = store.local_path(&source_key(*generation))?;
            LocalFile::cut_now(&source, || packages.cut(*generation, file))
        }
        StorageKey::Source { .. } => None,
    }
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
    let Some(path) = store.local_path(&key) else { return download(&*store, &cache, key).await };
    let file = LocalFile::open(path).await?;
    let Some((mut place, length)) = place(&cache, file.size()) else { return Ok(Found::NoRoom) };
    // In one read: a reader that is woken for each piece costs more than the piece.
    let read = move || {
        let mut bytes = place.memory(length);
        file.read(&mut bytes, 0)?;
        Ok(Found::Object(Arc::new(Object::held(key, bytes, place))))
    };
    waiting(read).await.map_err(from_disk)
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
