//! Sources as local files. A store on this disk has them already; from any other one a copy is fetched, since nothing in the sandbox can reach
//! the network. The copy that was made for a probe is kept for the encode that follows it, so that a source crosses the network once.

use std::{
    collections::VecDeque,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use domain::storage_key::StorageKey;
use futures::StreamExt;
use tokio::io::AsyncWriteExt;

use super::{failure::engine as engine_failure, scratch::Scratch};
use crate::ports::{
    blob_store::{BlobError, BlobStore},
    transcoder::TranscodeError,
};

/// Copies kept for encodes that may follow. More than that many probes without an encode are those of jobs that ended in between.
const KEPT: usize = 4;

/// A source that programs can read, for as long as this lives.
#[derive(Debug)]
pub(super) struct LocalSource {
    path: PathBuf,
    /// The folder of a copy; `None` for the store's own file.
    copy: Option<Scratch>,
}

impl LocalSource {
    /// The file.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

/// Copies that wait for their encode.
#[derive(Debug, Default)]
pub(super) struct Fetched(Mutex<VecDeque<(StorageKey, LocalSource)>>);

impl Fetched {
    /// The source as a local file: the store's own, the copy of a probe a moment ago, or a new copy.
    pub(super) async fn get(&self, store: &dyn BlobStore, key: &StorageKey, scratch_root: &Path) -> Result<LocalSource, TranscodeError> {
        if let Some(path) = store.local_path(key) {
            let path = tokio::fs::canonicalize(path).await.map_err(|error| engine_failure("the source cannot be read", error))?;
            return Ok(LocalSource { path, copy: None });
        }
        if let Some(kept) = self.take(key) {
            return Ok(kept);
        }
        let folder = Scratch::new(scratch_root).await.map_err(|error| engine_failure("a scratch folder cannot be made", error))?;
        let path = folder.path().join("source");
        download(store, key, &path).await.map_err(|error| engine_failure("the source cannot be fetched", error))?;
        Ok(LocalSource { path, copy: Some(folder) })
    }

    /// Keeps a copy for the encode that follows.
    pub(super) fn keep(&self, key: &StorageKey, source: LocalSource) {
        if source.copy.is_none() {
            return;
        }
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|(known, _)| known != key);
        kept.push_back((key.clone(), source));
        while kept.len() > KEPT {
            kept.pop_front();
        }
    }

    fn take(&self, key: &StorageKey) -> Option<LocalSource> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let at = kept.iter().position(|(known, _)| known == key)?;
        kept.remove(at).map(|(_, source)| source)
    }
}

async fn download(store: &dyn BlobStore, key: &StorageKey, path: &Path) -> Result<(), BlobError> {
    let local = |error: std::io::Error| BlobError::Unavailable(Box::new(error));
    let mut read = store.get(key, None).await?;
    let mut file = tokio::fs::File::create(path).await.map_err(local)?;
    let mut received = 0_u64;
    while let Some(bytes) = read.body.next().await {
        let bytes = bytes.map_err(local)?;
        received += bytes.len() as u64;
        file.write_all(&bytes).await.map_err(local)?;
    }
    file.flush().await.map_err(local)?;
    if received == read.length { Ok(()) } else { Err(BlobError::SizeMismatch) }
}
