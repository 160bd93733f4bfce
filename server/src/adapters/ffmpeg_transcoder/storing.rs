//! Puts finished files into the store, each in a task of its own that comes to its end whatever becomes of the encode: what a store does half
//! way through would come out after its generation was let go of, and stay.

use std::{path::Path, sync::Arc, time::Duration};

use domain::{ids::GenerationId, storage_key::StorageKey};
use tokio::{sync::Semaphore, time::timeout};

use super::failure::engine;
use crate::ports::{blob_store::BlobStore, transcoder::TranscodeError};

/// Files stored at the same time.
const AT_ONCE: u32 = 4;
/// How long whoever stops an encode waits for what is being stored. A disk takes a moment.
const SETTLES_WITHIN: Duration = Duration::from_secs(10);

/// The way into the store for the files of one encode.
#[derive(Debug, Clone)]
pub(super) struct Storing {
    store: Arc<dyn BlobStore>,
    turns: Arc<Semaphore>,
}

impl Storing {
    pub(super) fn new(store: &Arc<dyn BlobStore>) -> Self {
        Self { store: Arc::clone(store), turns: Arc::new(Semaphore::new(AT_ONCE as usize)) }
    }

    /// Moves one file into the store.
    pub(super) async fn put(&self, generation: GenerationId, name: &str, file: &Path) -> Result<(), TranscodeError> {
        let key = StorageKey::published(generation, name).ok_or_else(|| engine("no name for an object", name))?;
        let turn = Arc::clone(&self.turns).acquire_owned().await.map_err(|error| engine("nothing is stored any more", error))?;
        let (store, file) = (Arc::clone(&self.store), file.to_owned());
        let stored = tokio::spawn(async move {
            let _turn = turn;
            store.put_file(&key, &file).await
        });
        let stored = stored.await.map_err(|error| engine(&format!("{name} cannot be stored"), error))?;
        stored.map_err(|error| engine(&format!("{name} cannot be stored"), error))
    }

    /// Returns once nothing is being stored; for an encode that was stopped.
    pub(super) async fn settled(&self) {
        if timeout(SETTLES_WITHIN, self.turns.acquire_many(AT_ONCE)).await.is_err() {
            tracing::warn!("the store still takes what an encode made that was stopped");
        }
    }
}
