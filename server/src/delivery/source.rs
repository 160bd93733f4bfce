//! Where the bytes of an object come from that is not in memory: the store.

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
use crate::ports::blob_store::{BlobError, BlobStore};

/// Reads an object, once there is room for it. Whatever makes objects on request instead of storing them stands here, in front of the store, and gives
/// its bytes to [`MediaCache::hold`].
pub(super) async fn fetch(store: Arc<dyn BlobStore>, cache: MediaCache, key: StorageKey) -> Result<Found, BlobError> {
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
