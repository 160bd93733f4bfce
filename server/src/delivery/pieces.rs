//! Bodies that are read from a file while they are sent, for what finds no room in memory.
//!
//! A piece is read when the one before has gone out, or the one before that: a reader that takes nothing holds no more, whatever stands between it and
//! us. For the first few bodies two pieces are as much as a socket takes: with less, each time that it is filled costs a turn of the scheduler more and
//! wakes the reader once more. For all others they are small, so that a flood of slow readers cannot take up much. Their memory goes round, since new
//! memory costs a fault for each of its pages.

use std::{
    io,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use bytes::Bytes;
use futures::StreamExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::local_file::{LocalFile, waiting};
use crate::ports::blob_store::{BlobError, BlobRead, ByteRange};

/// Bytes of a piece, and how many of them a body may have in memory, for so many bodies.
const LARGE: (usize, usize) = (512 * 1024, 2);
const LARGE_BODIES: usize = 32;
/// For all others.
const SMALL: (usize, usize) = (64 * 1024, 1);
/// Memory of large pieces that waits for the next ones.
const SPARE: usize = 16;

/// Bodies that are being read. Clones count together.
#[derive(Debug, Clone, Default)]
pub(super) struct Pieces(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    bodies: AtomicUsize,
    spare: Mutex<Vec<Vec<u8>>>,
}

/// One of them, until the last of its pieces has gone out: whoever sends it may let go of the body long before.
#[derive(Debug)]
struct Turn(Arc<Shared>);

/// A body that is being read.
struct Reading {
    file: Arc<LocalFile>,
    offset: u64,
    end: u64,
    piece: usize,
    /// Pieces that may be read before others have gone out.
    ahead: Arc<Semaphore>,
    turn: Arc<Turn>,
}

/// A piece on its way out.
struct Piece {
    bytes: Vec<u8>,
    length: usize,
    turn: Arc<Turn>,
    _ahead: Option<OwnedSemaphorePermit>,
}

impl AsRef<[u8]> for Piece {
    fn as_ref(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        let mut spare = self.turn.0.spare();
        if self.bytes.len() == LARGE.0 && spare.len() < SPARE {
            spare.push(std::mem::take(&mut self.bytes));
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.0.bodies.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Shared {
    fn spare(&self) -> MutexGuard<'_, Vec<Vec<u8>>> {
        self.spare.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Memory of so many bytes, to be written over: what is in it means nothing.
    fn memory(&self, size: usize) -> Vec<u8> {
        let spare = if size == LARGE.0 { self.spare().pop() } else { None };
        spare.unwrap_or_else(|| vec![0; size])
    }
}

impl Pieces {
    /// Reads a file or a range of it.
    pub(super) fn read(&self, file: LocalFile, range: Option<ByteRange>) -> Result<BlobRead, BlobError> {
        let size = file.size();
        let (offset, end) = match range {
            None => (0, size),
            Some(range) if range.first >= size => return Err(BlobError::RangeNotSatisfiable(size)),
            Some(range) => (range.first, range.last.map_or(size, |last| last.saturating_add(1).min(size))),
        };
        let before = self.0.bodies.fetch_add(1, Ordering::AcqRel);
        let turn = Arc::new(Turn(Arc::clone(&self.0)));
        let (piece, ahead) = if before < LARGE_BODIES { LARGE } else { SMALL };
        let reading = Reading { file: Arc::new(file), offset, end, piece, ahead: Arc::new(Semaphore::new(ahead)), turn };
        let body = futures::stream::unfold(reading, Reading::next).boxed();
        Ok(BlobRead { size, offset, length: end.saturating_sub(offset), body })
    }
}

impl Reading {
    /// The next piece, once there may be one.
    async fn next(mut self) -> Option<(io::Result<Bytes>, Self)> {
        let left = usize::try_from(self.end.checked_sub(self.offset).filter(|left| *left > 0)?).unwrap_or(usize::MAX);
        let ahead = Arc::clone(&self.ahead).acquire_owned().await.ok();
        let (offset, length) = (self.offset, left.min(self.piece));
        let (bytes, turn) = (self.turn.0.memory(self.piece), Arc::clone(&self.turn));
        let mut piece = Piece { bytes, length, turn, _ahead: ahead };
        let had = self.file.read_now(&mut piece.bytes[..length], offset);
        let piece = if had == length {
            Ok(piece)
        } else {
            let file = Arc::clone(&self.file);
            waiting(move || file.read(&mut piece.bytes[had..length], offset + had as u64).map(|()| piece)).await
        };
        // An error ends the body: the connection is cut, so that nobody takes half a segment for a whole one.
        self.offset = if piece.is_ok() { offset + length as u64 } else { self.end };
        Some((piece.map(Bytes::from_owner), self))
    }
}

#[cfg(test)]
mod tests {
    use futures::TryStreamExt;

    use super::*;

    #[tokio::test]
    async fn bodies_that_were_read_and_have_not_gone_out_count() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("file");
        std::fs::write(&path, vec![7; LARGE.0 + 9]).expect("written");
        let pieces = Pieces::default();
        let read = async || {
            let file = LocalFile::open(path.clone()).await.expect("it opens");
            pieces.read(file, None).expect("it is read").body.try_collect::<Vec<Bytes>>().await.expect("all of it")
        };
        let mut queued = Vec::new();
        for _ in 0..LARGE_BODIES {
            let body = read().await;
            assert_eq!(body.iter().map(Bytes::len).collect::<Vec<_>>(), [LARGE.0, 9]);
            queued.push(body);
        }
        let mut small = pieces.read(LocalFile::open(path.clone()).await.expect("it opens"), None).expect("it is read").body;
        let first = small.try_next().await.expect("a piece").expect("a piece");
        assert_eq!(first.len(), SMALL.0, "there are as many as there may be, though all of them have been read to their ends");
        drop((small, first, queued.pop()));
        assert_eq!(read().await.len(), 2, "one has gone out");
    }
}
