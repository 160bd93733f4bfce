//! Bodies that are read from a file while they are sent, for what finds no room in memory.
//!
//! A piece is read when the one before has gone out, or the one before that: a reader that takes nothing holds no more, whatever stands between it and
//! us. Pieces are large, which is fast, for the first few bodies, and small for all others, so that a flood of slow readers cannot take up much.

use std::{
    fs::File,
    io,
    os::unix::fs::FileExt,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use bytes::Bytes;
use futures::StreamExt;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    task::spawn_blocking,
};

use crate::ports::blob_store::{BlobError, BlobRead, ByteRange};

/// Bytes of a piece, and how many of them a body may have in memory, for so many bodies.
const LARGE: (usize, usize) = (512 * 1024, 2);
const LARGE_BODIES: usize = 32;
/// For all others.
const SMALL: (usize, usize) = (64 * 1024, 1);

/// Bodies that are being read. Clones count together.
#[derive(Debug, Clone, Default)]
pub(super) struct Pieces(Arc<AtomicUsize>);

/// One of them.
struct Reading {
    file: Arc<File>,
    offset: u64,
    end: u64,
    piece: usize,
    /// Pieces that may be read before others have gone out.
    ahead: Arc<Semaphore>,
    bodies: Arc<AtomicUsize>,
}

/// A piece on its way out.
struct Piece {
    bytes: Vec<u8>,
    _ahead: Option<OwnedSemaphorePermit>,
}

impl AsRef<[u8]> for Piece {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        self.bodies.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Pieces {
    /// Reads a file or a range of it.
    pub(super) async fn read(&self, path: PathBuf, range: Option<ByteRange>) -> Result<BlobRead, BlobError> {
        let opened = spawn_blocking(move || {
            let file = File::open(path)?;
            let size = file.metadata()?.len();
            Ok((Arc::new(file), size))
        });
        let (file, size) = opened.await.unwrap_or_else(|error| Err(io::Error::other(error))).map_err(failed)?;
        let (offset, end) = match range {
            None => (0, size),
            Some(range) if range.first >= size => return Err(BlobError::RangeNotSatisfiable(size)),
            Some(range) => (range.first, range.last.map_or(size, |last| last.saturating_add(1).min(size))),
        };
        let before = self.0.fetch_add(1, Ordering::AcqRel);
        let (piece, ahead) = if before < LARGE_BODIES { LARGE } else { SMALL };
        let reading = Reading { file, offset, end, piece, ahead: Arc::new(Semaphore::new(ahead)), bodies: Arc::clone(&self.0) };
        let body = futures::stream::unfold(reading, Reading::next).boxed();
        Ok(BlobRead { size, offset, length: end.saturating_sub(offset), body })
    }
}

impl Reading {
    /// The next piece, once there may be one.
    async fn next(mut self) -> Option<(io::Result<Bytes>, Self)> {
        let left = usize::try_from(self.end.checked_sub(self.offset).filter(|left| *left > 0)?).unwrap_or(usize::MAX);
        let ahead = Arc::clone(&self.ahead).acquire_owned().await.ok();
        let (file, offset, length) = (Arc::clone(&self.file), self.offset, left.min(self.piece));
        let piece = spawn_blocking(move || {
            let mut bytes = vec![0; length];
            file.read_exact_at(&mut bytes, offset).map(|()| Bytes::from_owner(Piece { bytes, _ahead: ahead }))
        });
        let piece = piece.await.unwrap_or_else(|error| Err(io::Error::other(error)));
        // An error ends the body: the connection is cut, so that nobody takes half a segment for a whole one.
        self.offset = if piece.is_ok() { offset + length as u64 } else { self.end };
        Some((piece, self))
    }
}

fn failed(error: io::Error) -> BlobError {
    if error.kind() == io::ErrorKind::NotFound { BlobError::NotFound } else { BlobError::Unavailable(Box::new(error)) }
}
