//! A store that holds what the engine says it made, and swallows sources: for tests in which no byte matters.

use std::{
    collections::HashMap,
    fmt::{self, Display},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use domain::{
    ids::GenerationId,
    storage_key::StorageKey,
    upload::{PartPlan, PartReceipt},
};
use futures::TryStreamExt;
use server::ports::blob_store::{BlobError, BlobRead, BlobStore, ByteRange, ByteStream, MeasureRoom, MultipartId, Room};

use super::engine::Engine;

#[derive(Debug)]
pub(crate) struct FakeStore {
    engine: Arc<Engine>,
    /// So many looks at a generation fail first.
    pub(crate) failures: AtomicUsize,
    /// Whether looks at a generation last for ever.
    pub(crate) hangs: AtomicBool,
    /// Whether it refuses to delete.
    pub(crate) deaf: AtomicBool,
    room: Mutex<Option<Room>>,
}

impl FakeStore {
    pub(crate) fn of(engine: &Arc<Engine>) -> Self {
        let (failures, hangs, deaf) = (AtomicUsize::new(0), AtomicBool::new(false), AtomicBool::new(false));
        Self { engine: Arc::clone(engine), failures, hangs, deaf, room: Mutex::new(None) }
    }

    /// From now on it is so full.
    pub(crate) fn leave_room(&self, room: Room) {
        *self.room.lock().expect("nobody panicked") = Some(room);
    }
}

impl Display for FakeStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("memory")
    }
}

/// What no test with this store asks for.
fn unused<T>() -> Result<T, BlobError> {
    Err(BlobError::Unavailable("not in this store".into()))
}

#[async_trait::async_trait]
impl BlobStore for FakeStore {
    async fn begin_multipart(&self, _key: &StorageKey, _plan: PartPlan) -> Result<MultipartId, BlobError> {
        unused()
    }

    async fn put_part(
        &self,
        _key: &StorageKey,
        _upload: &MultipartId,
        _plan: PartPlan,
        _number: u32,
        _crc32c: u32,
        _body: ByteStream,
    ) -> Result<PartReceipt, BlobError> {
        unused()
    }

    async fn list_parts(&self, _key: &StorageKey, _upload: &MultipartId) -> Result<Vec<PartReceipt>, BlobError> {
        unused()
    }

    async fn complete_multipart(&self, _key: &StorageKey, _upload: &MultipartId, _plan: PartPlan) -> Result<(), BlobError> {
        unused()
    }

    async fn abort_multipart(&self, _key: &StorageKey, _upload: &MultipartId) -> Result<(), BlobError> {
        Ok(())
    }

    async fn put_stream(&self, _key: &StorageKey, body: ByteStream, _max_size: u64) -> Result<u64, BlobError> {
        let size = body.try_fold(0, async |size, piece| Ok(size + piece.len() as u64)).await;
        size.map_err(|error| BlobError::BodyInterrupted(error.to_string()))
    }

    async fn put_file(&self, _key: &StorageKey, _file: &Path) -> Result<(), BlobError> {
        unused()
    }

    async fn get(&self, _key: &StorageKey, _range: Option<ByteRange>) -> Result<BlobRead, BlobError> {
        unused()
    }

    async fn size(&self, _key: &StorageKey) -> Result<u64, BlobError> {
        unused()
    }

    async fn list_generation(&self, generation: GenerationId) -> Result<HashMap<String, u64>, BlobError> {
        if self.hangs.load(Ordering::SeqCst) {
            return std::future::pending().await;
        }
        let left = self.failures.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        match left {
            Ok(_) => Err(BlobError::Unavailable("down for a moment".into())),
            Err(_) => Ok(self.engine.seen().objects.get(&generation).cloned().unwrap_or_default()),
        }
    }

    async fn delete(&self, _key: &StorageKey) -> Result<(), BlobError> {
        Ok(())
    }

    async fn delete_prefix(&self, prefix: &str) -> Result<(), BlobError> {
        if self.deaf.load(Ordering::SeqCst) {
            return Err(BlobError::Unavailable("down for a while".into()));
        }
        self.engine.seen().objects.retain(|generation, _| StorageKey::generation_prefix(*generation) != prefix);
        Ok(())
    }

    fn url(&self, key: &StorageKey) -> String {
        format!("memory:{key:?}")
    }

    fn local_path(&self, _key: &StorageKey) -> Option<PathBuf> {
        None
    }

    fn measure(&self) -> Option<&dyn MeasureRoom> {
        self.room.lock().expect("nobody panicked").map(|_| self as &dyn MeasureRoom)
    }
}

#[async_trait::async_trait]
impl MeasureRoom for FakeStore {
    async fn room(&self) -> Result<Room, BlobError> {
        self.room.lock().expect("nobody panicked").ok_or(BlobError::NotFound)
    }
}
