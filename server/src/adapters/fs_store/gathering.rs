//! Bytes on their way from a request to the disk. Where whoever takes them may block ([`lane`]), each piece is written as it came, while the
//! processor has it at hand; elsewhere pieces are gathered, for a hand-over to another thread costs more than copying them.

use std::{
    ops::Deref,
    os::unix::fs::FileExt,
    sync::{Arc, Mutex, PoisonError},
};

use bytes::Bytes;

use super::disk::{Writing, blocking, disk};
use crate::{lane, ports::blob_store::BlobError};

/// Bytes gathered before they are handed to the disk.
const ENOUGH: usize = 512 * 1024;
/// Buffers that are kept for the next request.
const KEPT: usize = 8;

/// Buffers that were used before: a new one costs a fault for each of its pages. Clones are the same ones.
#[derive(Debug, Default)]
pub(super) struct Buffers(Mutex<Vec<Vec<u8>>>);

impl Buffers {
    fn take(&self) -> Vec<u8> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop();
        kept.unwrap_or_else(|| Vec::with_capacity(ENOUGH))
    }

    /// Takes back what has been written.
    pub(super) fn take_back(&self, load: Load) {
        let Load::Gathered(mut buffer) = load else { return };
        buffer.clear();
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() < KEPT {
            kept.push(buffer);
        }
    }
}

/// What has arrived and is not on its way to the disk yet.
#[derive(Debug, Default)]
pub(super) struct Gathering(Vec<u8>);

impl Gathering {
    /// Takes of `piece` what there is room for. What it returns has to be written before the rest is taken.
    pub(super) fn take(&mut self, piece: &mut Bytes, buffers: &Buffers) -> Option<Load> {
        if lane::may_block() {
            return self.rest().or_else(|| Some(Load::Piece(std::mem::take(piece))));
        }
        if self.0.capacity() == 0 {
            self.0 = buffers.take();
        }
        let room = ENOUGH - self.0.len();
        self.0.extend_from_slice(&piece.split_to(room.min(piece.len())));
        if self.0.len() < ENOUGH { None } else { self.rest() }
    }

    /// Bytes that wait here.
    pub(super) fn len(&self) -> u64 {
        self.0.len() as u64
    }

    /// What is left at the end.
    pub(super) fn rest(&mut self) -> Option<Load> {
        (!self.0.is_empty()).then(|| Load::Gathered(std::mem::take(&mut self.0)))
    }
}

/// Bytes that go to the disk at once.
#[derive(Debug)]
pub(super) enum Load {
    /// As they came.
    Piece(Bytes),
    /// Of several pieces.
    Gathered(Vec<u8>),
}

impl Deref for Load {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Piece(bytes) => bytes,
            Self::Gathered(bytes) => bytes,
        }
    }
}

impl Load {
    /// Writes them at their place.
    pub(super) async fn write(self, writing: &Arc<Writing>, offset: u64) -> Result<Self, BlobError> {
        let writing = Arc::clone(writing);
        blocking(move || writing.file.write_all_at(&self, offset).map_err(disk).map(|()| self)).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_become_loads_of_one_length_and_a_rest() {
        let (buffers, mut gathering, mut loads) = (Buffers::default(), Gathering::default(), Vec::new());
        for length in [1, ENOUGH, 3 * ENOUGH, 0, 5] {
            let mut piece = Bytes::from(vec![7; length]);
            while !piece.is_empty() {
                loads.extend(gathering.take(&mut piece, &buffers));
            }
        }
        loads.extend(gathering.rest());
        assert_eq!(loads.iter().map(|load| load.len()).collect::<Vec<_>>(), [ENOUGH, ENOUGH, ENOUGH, ENOUGH, 6]);
        assert!(gathering.rest().is_none());
        for load in loads {
            buffers.take_back(load);
        }
        let again = buffers.take();
        assert!(again.is_empty() && again.capacity() >= ENOUGH);
    }
}
