//! The disk itself: what its errors mean, and what makes files and folders survive a power cut.

use std::{io::ErrorKind, path::Path};

use tokio::task::spawn_blocking;

use crate::{adapters::part_locks::Turn, lane, ports::blob_store::BlobError};

/// Maps what the disk says to what the port says.
pub(super) fn disk(error: std::io::Error) -> BlobError {
    match error.kind() {
        ErrorKind::NotFound => BlobError::NotFound,
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => BlobError::Full,
        _ => BlobError::Unavailable(Box::new(error)),
    }
}

/// Runs a piece of disk work where it may block: here, if this thread may.
pub(super) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, BlobError> + Send + 'static) -> Result<T, BlobError> {
    if lane::may_block() {
        return work();
    }
    spawn_blocking(work).await.map_err(|error| BlobError::Unavailable(Box::new(error)))?
}

/// Makes a rename or a new file in `folder` survive a power cut.
pub(super) fn sync_folder(folder: &Path) -> std::io::Result<()> {
    // What is above a relative path of one name has no name of its own.
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    std::fs::File::open(folder)?.sync_all()
}

/// Makes a folder, and those above it that are missing, so that they survive a power cut.
pub(super) fn make_folder(folder: &Path) -> std::io::Result<()> {
    let made = match std::fs::create_dir(folder) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => return Ok(()),
        Err(error) if error.kind() == ErrorKind::NotFound => match folder.parent() {
            Some(parent) => make_folder(parent).and_then(|()| make_folder(folder)),
            None => Err(error),
        },
        other => other,
    };
    made.and_then(|()| folder.parent().map_or(Ok(()), sync_folder))
}

/// What `statfs` calls a file system in memory.
const TMPFS: i64 = 0x0102_1994;

/// Reserves `size` bytes, so that a full disk shows at the beginning of an upload and not at its end. Whether the disk does: some do not know how,
/// and one in memory takes as long for it as for writing, while the sender waits.
pub(super) fn reserve(file: &std::fs::File, size: u64) -> std::io::Result<bool> {
    if rustix::fs::fstatfs(file).is_ok_and(|facts| facts.f_type == TMPFS) {
        return Ok(false);
    }
    match rustix::fs::fallocate(file, rustix::fs::FallocateFlags::empty(), 0, size) {
        Ok(()) => Ok(true),
        Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// A file that is written to. Whose turn it is to write there keeps it until the last write has ended, also where nobody waits for it any more.
#[derive(Debug)]
pub(super) struct Writing {
    pub(super) file: std::fs::File,
    pub(super) _turn: Option<Turn>,
}
