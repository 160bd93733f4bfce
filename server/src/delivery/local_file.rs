//! Files of the store, and segments that are cut out of them. What the system has of them in its own memory is read on the spot: handing that to a
//! thread that may wait costs more than the reading. Such a thread does the rest.

use std::{
    fs::File,
    io::{self, ErrorKind, IoSliceMut},
    num::NonZeroU64,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

use rustix::{
    fs::{Advice, CWD, Mode, OFlags, ResolveFlags, fadvise, openat2},
    io::{ReadWriteFlags, preadv2},
};
use tokio::task::spawn_blocking;

use crate::{
    ports::blob_store::BlobError,
    services::packages::{Cut, Gathered},
};

/// What the disk is told to bring at once, where something has to be waited for.
const AHEAD: u64 = 1024 * 1024;

/// An open file, or a segment of one.
#[derive(Debug)]
pub(super) struct LocalFile {
    bytes: Contents,
    size: u64,
}

#[derive(Debug)]
enum Contents {
    File(File),
    Segment(Gathered),
}

impl LocalFile {
    /// Opens a file without waiting for a disk. `None` where that cannot be done, for whatever reason.
    pub(super) fn open_now(path: &Path) -> Option<Self> {
        Self::of(file_now(path)?).ok()
    }

    /// Opens a file.
    pub(super) async fn open(path: PathBuf) -> Result<Self, BlobError> {
        match Self::open_now(&path) {
            Some(file) => Ok(file),
            None => waiting(move || Self::of(File::open(path)?)).await.map_err(from_disk),
        }
    }

    fn of(file: File) -> io::Result<Self> {
        let size = file.metadata()?.len();
        Ok(Self { bytes: Contents::File(file), size })
    }

    /// A segment that is cut out of the file at `path`, without waiting for a disk. `None` where that cannot be done, where there is nothing to cut, or
    /// where it does not begin as it should.
    pub(super) fn cut_now(path: &Path, cut: impl FnOnce() -> Option<Cut>) -> Option<Self> {
        let file = file_now(path)?;
        let segment = cut()?.gathered_now(file)?;
        Some(Self { size: segment.size(), bytes: Contents::Segment(segment) })
    }

    /// Bytes in it.
    pub(super) const fn size(&self) -> u64 {
        self.size
    }

    /// Fills a buffer with what can be had without waiting: how much that was.
    pub(super) fn read_now(&self, buffer: &mut [u8], offset: u64) -> usize {
        let mut read = 0;
        while read < buffer.len() {
            let at = offset.saturating_add(read as u64);
            // File systems that know no such reading say so, which is an error like the one of what is not there.
            let left = &mut buffer[read..];
            let more = match &self.bytes {
                Contents::File(file) => preadv2(file, &mut [IoSliceMut::new(left)], at, ReadWriteFlags::NOWAIT).map_err(io::Error::from),
                Contents::Segment(segment) => segment.read_some(left, at, ReadWriteFlags::NOWAIT),
            };
            match more {
                Ok(more @ 1..) => read += more,
                Ok(0) | Err(_) => break,
            }
        }
        read
    }

    /// Fills a buffer, with a thread that may wait.
    pub(super) fn read(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let file = match &self.bytes {
            Contents::File(file) => file,
            Contents::Segment(segment) => return segment.read(buffer, offset),
        };
        // It is only advice.
        let _ = fadvise(file, offset, NonZeroU64::new(AHEAD.max(buffer.len() as u64)), Advice::WillNeed);
        file.read_exact_at(buffer, offset)
    }
}

/// Opens a file, if the system has all of its path at hand.
fn file_now(path: &Path) -> Option<File> {
    let opened = openat2(CWD, path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty(), ResolveFlags::CACHED);
    Some(opened.ok()?.into())
}

/// Does what may wait for a disk.
pub(super) async fn waiting<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    spawn_blocking(work).await.unwrap_or_else(|error| Err(io::Error::other(error)))
}

pub(super) fn from_disk(error: io::Error) -> BlobError {
    if error.kind() == ErrorKind::NotFound { BlobError::NotFound } else { BlobError::Unavailable(Box::new(error)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_cannot_be_had_at_once_is_waited_for() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("file");
        let all: Vec<u8> = (0..300_000_u32).map(|number| number as u8 ^ (number >> 8) as u8).collect();
        std::fs::write(&path, &all).expect("written");
        let file = LocalFile::open(path).await.expect("it opens");
        assert_eq!(file.size(), 300_000);
        for (from, to) in [(0, all.len()), (5, 10), (299_999, 300_000), (7, 7)] {
            let mut buffer = vec![0; to - from];
            let had = file.read_now(&mut buffer, from as u64);
            assert!(had <= buffer.len() && buffer[..had] == all[from..from + had]);
            file.read(&mut buffer[had..], (from + had) as u64).expect("the rest");
            assert_eq!(buffer, all[from..to]);
        }
        let mut beyond = [0; 10];
        assert_eq!(file.read_now(&mut beyond, 300_000), 0);
        assert_eq!(file.read(&mut beyond, 299_995).expect_err("there is no such byte").kind(), ErrorKind::UnexpectedEof);
    }

    #[tokio::test]
    async fn what_is_not_there_is_not_found() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("nothing");
        assert!(LocalFile::open_now(&path).is_none());
        assert!(matches!(LocalFile::open(path).await, Err(BlobError::NotFound)));
    }
}
