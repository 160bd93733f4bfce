//! The store on a local disk.
//!
//! Below its root: `sources/{upload}` and `published/{generation}/…` are whole objects; `incoming/{multipart id}/` is an upload on its way:
//! one preallocated file `data`, into which parts are written at their places in any order, and `ledger`, which lists the parts that are
//! safe. A part is acknowledged when its bytes and its ledger line are on the disk (`fdatasync`), never before; new files and folders and
//! what is renamed when their folder is as well. Objects appear by rename.

use std::{
    collections::HashMap,
    fmt,
    io::ErrorKind,
    path::{Path, PathBuf},
    sync::Arc,
};

use domain::{
    ids::GenerationId,
    storage_key::StorageKey,
    upload::{PartPlan, PartReceipt},
};
use futures::StreamExt;

use super::{part_locks::PartLocks, resent_part};
use crate::{
    failpoints,
    ports::blob_store::{
        AppendBytes, BlobError, BlobRead, BlobStore, ByteRange, ByteStream, Inventory, MeasureRoom, MultipartId, ReadArriving,
    },
};

mod append;
mod arriving;
mod disk;
mod gathering;
mod inventory;
mod ledger;
mod reads;
mod sweep;

use disk::{Writing, blocking, disk, make_folder, sync_folder};
use gathering::{Buffers, Gathering};
use inventory::promise;
use ledger::Ledger;
use reads::{read_pieces, sizes_below};
use sweep::{STREAM_PREFIX, sweep, try_writing};

/// A store below one folder.
#[derive(Debug)]
pub struct FsStore {
    root: PathBuf,
    locks: PartLocks,
    buffers: Buffers,
}

impl fmt::Display for FsStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "files below {}", self.root.display())
    }
}

impl FsStore {
    /// Opens the store below `root`, making the folder where it is missing.
    ///
    /// # Errors
    /// The folder cannot be made.
    pub async fn open(root: PathBuf) -> Result<Self, BlobError> {
        let root = blocking(move || {
            sweep(&root.join("incoming"));
            for folder in ["incoming", "sources", "published"] {
                make_folder(&root.join(folder)).map_err(disk)?;
            }
            root.canonicalize().map_err(disk)
        })
        .await?;
        Ok(Self { root, locks: PartLocks::default(), buffers: Buffers::default() })
    }

    fn path(&self, key: &StorageKey) -> PathBuf {
        self.root.join(key.to_string())
    }

    fn incoming(&self, upload: &MultipartId) -> PathBuf {
        self.root.join("incoming").join(&upload.0)
    }

    /// Makes the folder of an upload, with the ledger that `create_ledger` makes.
    async fn begin(
        &self,
        key: &StorageKey,
        plan: PartPlan,
        create_ledger: impl FnOnce(&Path) -> std::io::Result<()> + Send + 'static,
    ) -> Result<MultipartId, BlobError> {
        let StorageKey::Source { upload } = key else {
            return Err(BlobError::Unavailable("only sources come in parts".into()));
        };
        // A name of its own each time: of two that begin the same upload each has its own folder, and what a process left that died before its
        // row was written is in nobody's way.
        let id = MultipartId(format!("{upload}-{:016x}", rand::random::<u64>()));
        let (folder, root) = (self.incoming(&id), self.root.clone());
        blocking(move || {
            std::fs::create_dir(&folder).map_err(disk)?;
            let file = std::fs::File::create(folder.join("data")).map_err(disk)?;
            if let Err(error) = promise(&file, plan.file_size, &root) {
                // A full disk keeps nothing of an upload that cannot succeed; the first error is the one to tell.
                let _ = std::fs::remove_dir_all(&folder);
                return Err(disk(error));
            }
            create_ledger(&folder).map_err(disk)?;
            // Its entries, then its own.
            sync_folder(&folder).map_err(disk)?;
            folder.parent().map_or(Ok(()), sync_folder).map_err(disk)
        })
        .await?;
        Ok(id)
    }

    /// Writes `body` at `offset` of a file, up to `length` bytes, and says how many came and what their checksum is. Stops when `evicted`
    /// says that somebody else sends the same part.
    async fn write_at(
        &self,
        writing: &Arc<Writing>,
        offset: u64,
        length: u64,
        mut body: ByteStream,
        evicted: impl Future<Output = ()>,
    ) -> Result<(u64, u32), BlobError> {
        let (mut written, mut crc) = (0_u64, 0_u32);
        let mut gathering = Gathering::default();
        tokio::pin!(evicted);
        loop {
            let piece = tokio::select! {
                () = &mut evicted => return Err(BlobError::BodyInterrupted("the part was sent again".into())),
                piece = body.next() => piece.transpose().map_err(|error| BlobError::BodyInterrupted(error.to_string()))?,
            };
            let at_end = piece.is_none();
            let mut piece = piece.unwrap_or_default();
            if written + gathering.len() + piece.len() as u64 > length {
                return Err(BlobError::SizeMismatch);
            }
            while !piece.is_empty() || at_end {
                let load = if at_end { gathering.rest() } else { gathering.take(&mut piece, &self.buffers) };
                let Some(load) = load else { break };
                let load = load.write(writing, offset + written).await?;
                crc = crate::crc32c::append(crc, &load);
                written += load.len() as u64;
                self.buffers.take_back(load);
            }
            if at_end {
                return Ok((written, crc));
            }
        }
    }

    /// Moves a finished file to its place, durably.
    async fn settle(&self, from: PathBuf, key: &StorageKey) -> Result<(), BlobError> {
        let to = self.path(key);
        blocking(move || {
            let folder = to.parent().map(Path::to_path_buf).unwrap_or_default();
            make_folder(&folder).map_err(disk)?;
            failpoints::pass("store.rename.before");
            match std::fs::rename(&from, &to) {
                Err(error) if error.kind() == ErrorKind::CrossesDevices => {
                    let partial = to.with_extension("partial");
                    let copied = std::fs::copy(&from, &partial)
                        .and_then(|_| std::fs::File::open(&partial)?.sync_all())
                        .and_then(|()| std::fs::rename(&partial, &to));
                    copied.map_err(|error| {
                        // On a full disk, half a copy would keep it full.
                        let _ = std::fs::remove_file(&partial);
                        disk(error)
                    })?;
                    std::fs::remove_file(&from).map_err(disk)?;
                }
                other => other.map_err(disk)?,
            }
            failpoints::pass("store.rename.after");
            sync_folder(&folder).map_err(disk)
        })
        .await
    }
}

#[async_trait::async_trait]
impl BlobStore for FsStore {
    async fn begin_multipart(&self, key: &StorageKey, plan: PartPlan) -> Result<MultipartId, BlobError> {
        self.begin(key, plan, Ledger::create).await
    }

    async fn put_part(
        &self,
        key: &StorageKey,
        upload: &MultipartId,
        plan: PartPlan,
        number: u32,
        crc32c: u32,
        body: ByteStream,
    ) -> Result<PartReceipt, BlobError> {
        let (offset, length) = plan.part_range(number).ok_or(BlobError::NotFound)?;
        let receipt = PartReceipt { number, size: length, crc32c };
        let turn = self.locks.take_turn(&upload.0, number).await;
        let folder = self.incoming(upload);
        let opened = blocking(move || {
            let file = std::fs::OpenOptions::new().write(true).open(folder.join("data")).map_err(disk)?;
            let ledger = Ledger::open(&folder).map_err(disk)?;
            Ok((file, ledger))
        })
        .await;
        let (file, ledger) = match opened {
            // The last part sent again after the upload was completed: its bytes are in the object already.
            Err(BlobError::NotFound) if self.path(key).exists() => return resent_part::compare(receipt, crc32c, body).await,
            other => other?,
        };
        if ledger.is_appended() {
            return Err(BlobError::BegunOtherwise);
        }
        // A part that is safe is never written again.
        if let Some(known) = ledger.part(number) {
            return resent_part::compare(known, crc32c, body).await;
        }
        let evicted = turn.evicted();
        let writing = Arc::new(Writing { file, _turn: Some(turn) });
        let (written, crc) = self.write_at(&writing, offset, length, body, evicted).await?;
        if written != length {
            return Err(BlobError::SizeMismatch);
        }
        if crc != crc32c {
            return Err(BlobError::ChecksumMismatch);
        }
        let folder = self.incoming(upload);
        let done = receipt.clone();
        blocking(move || {
            writing.file.sync_data().map_err(disk)?;
            failpoints::pass("upload.part.synced");
            Ledger::record(&folder, &done).map_err(disk)?;
            failpoints::pass("upload.part.recorded");
            Ok(())
        })
        .await?;
        Ok(receipt)
    }

    async fn list_parts(&self, key: &StorageKey, upload: &MultipartId) -> Result<Vec<PartReceipt>, BlobError> {
        let (folder, whole) = (self.incoming(upload), self.path(key));
        blocking(move || match Ledger::open(&folder) {
            Ok(ledger) => Ok(ledger.parts()),
            Err(error) if error.kind() == ErrorKind::NotFound && whole.exists() => Ok(Vec::new()),
            Err(error) => Err(disk(error)),
        })
        .await
    }

    async fn complete_multipart(&self, key: &StorageKey, upload: &MultipartId, plan: PartPlan) -> Result<(), BlobError> {
        let (folder, whole) = (self.incoming(upload), self.path(key));
        let data = folder.join("data");
        // Completions of one upload take turns, as writers of one part do; parts are numbered from 1.
        let _turn = self.locks.take_turn(&upload.0, 0).await;
        let ready = blocking({
            let folder = folder.clone();
            move || {
                if whole.exists() {
                    return Ok(false);
                }
                let received: Vec<u32> = Ledger::open(&folder).map_err(disk)?.parts().iter().map(|part| part.number).collect();
                let missing = plan.missing(&received);
                if missing.is_empty() { Ok(true) } else { Err(BlobError::PartsMissing(missing)) }
            }
        })
        .await?;
        if ready {
            self.settle(data, key).await?;
        }
        failpoints::pass("store.incoming.before_removal");
        self.abort_multipart(key, upload).await
    }

    async fn abort_multipart(&self, _key: &StorageKey, upload: &MultipartId) -> Result<(), BlobError> {
        let folder = self.incoming(upload);
        blocking(move || match std::fs::remove_dir_all(folder) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(disk(error)),
            _ => Ok(()),
        })
        .await
    }

    async fn put_stream(&self, key: &StorageKey, body: ByteStream, max_size: u64) -> Result<u64, BlobError> {
        let name = MultipartId(format!("{STREAM_PREFIX}{}", key.to_string().replace('/', "-")));
        let folder = self.incoming(&name);
        let data = folder.join("data");
        let writing = blocking({
            let data = data.clone();
            move || {
                std::fs::create_dir_all(&folder).map_err(disk)?;
                let file = std::fs::File::create(data).map_err(disk)?;
                Ok(Arc::new(Writing { file, _turn: None }))
            }
        })
        .await?;
        let stored = match self.write_at(&writing, 0, max_size, body, std::future::pending()).await {
            Ok((written, _)) => blocking(move || writing.file.sync_all().map_err(disk)).await.map(|()| written),
            Err(error) => Err(error),
        };
        let stored = match stored {
            Ok(written) => self.settle(data, key).await.map(|()| written),
            Err(error) => Err(error),
        };
        self.abort_multipart(key, &name).await?;
        stored
    }

    async fn put_file(&self, key: &StorageKey, file: &Path) -> Result<(), BlobError> {
        let from = file.to_path_buf();
        let synced = from.clone();
        blocking(move || std::fs::File::open(synced).and_then(|file| file.sync_all()).map_err(disk)).await?;
        self.settle(from, key).await
    }

    async fn get(&self, key: &StorageKey, range: Option<ByteRange>) -> Result<BlobRead, BlobError> {
        let path = self.path(key);
        let (file, size) = blocking(move || {
            let file = std::fs::File::open(path).map_err(disk)?;
            let size = file.metadata().map_err(disk)?.len();
            Ok((Arc::new(file), size))
        })
        .await?;
        let (offset, end) = match range {
            None => (0, size),
            Some(range) if range.first >= size => return Err(BlobError::RangeNotSatisfiable(size)),
            Some(range) => (range.first, range.last.map_or(size, |last| last.saturating_add(1).min(size))),
        };
        let length = end.saturating_sub(offset);
        Ok(BlobRead { size, offset, length, body: read_pieces(file, offset, end) })
    }

    async fn size(&self, key: &StorageKey) -> Result<u64, BlobError> {
        let path = self.path(key);
        blocking(move || std::fs::metadata(path).map(|metadata| metadata.len()).map_err(disk)).await
    }

    async fn list_generation(&self, generation: GenerationId) -> Result<HashMap<String, u64>, BlobError> {
        let root = self.root.join(StorageKey::generation_prefix(generation));
        blocking(move || sizes_below(&root).map_err(disk)).await
    }

    async fn delete(&self, key: &StorageKey) -> Result<(), BlobError> {
        let path = self.path(key);
        blocking(move || match std::fs::remove_file(path) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(disk(error)),
            _ => Ok(()),
        })
        .await
    }

    async fn delete_prefix(&self, prefix: &str) -> Result<(), BlobError> {
        let folder = self.root.join(prefix);
        blocking(move || match std::fs::remove_dir_all(folder) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(disk(error)),
            _ => Ok(()),
        })
        .await
    }

    async fn check(&self) -> Result<(), BlobError> {
        let root = self.root.clone();
        blocking(move || try_writing(&root).map_err(disk)).await
    }

    fn url(&self, key: &StorageKey) -> String {
        format!("file://{}", self.path(key).display())
    }

    fn local_path(&self, key: &StorageKey) -> Option<PathBuf> {
        Some(self.path(key))
    }

    fn appender(&self) -> Option<&dyn AppendBytes> {
        Some(self)
    }

    fn arriving(&self) -> Option<&dyn ReadArriving> {
        Some(self)
    }

    fn inventory(&self) -> Option<&dyn Inventory> {
        Some(self)
    }

    fn measure(&self) -> Option<&dyn MeasureRoom> {
        Some(self)
    }
}
