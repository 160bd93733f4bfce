//! One file of a packaged generation: bytes that are made, and ranges of the source behind them.

use std::{fs::File, ops::Range, sync::Arc};

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use rustix::io::ReadWriteFlags;
use tokio::task::spawn_blocking;

use super::{
    BEGINNING, NotPackaged, Ready,
    gathered::Gathered,
    reading::{Reading, unavailable},
};
use crate::{
    packager::{Media, Segment, Source, read_segment},
    ports::blob_store::{BlobError, BlobRead, ByteRange},
};

/// Bytes that are read at once of a file that is sent piece by piece.
const PIECE: u64 = 512 << 10;

/// The file, before its bytes are read.
#[derive(Debug)]
pub struct Made(Kind);

#[derive(Debug)]
enum Kind {
    /// It is here.
    Whole(Bytes),
    /// Its head is; the rest is the source's.
    Segment(Cut, Reading),
}

/// A segment that is cut out of a source, before any byte of that is read.
#[derive(Debug)]
pub struct Cut {
    pub(super) ready: Arc<Ready>,
    pub(super) media: Media,
    pub(super) segment: Segment,
}

impl Cut {
    /// Its bytes, of the source's file. `None` where its beginning cannot be had without waiting, or is not what it should be.
    pub fn gathered_now(self, file: File) -> Option<Gathered> {
        let (range, mut beginning) = (self.beginning(), [0; BEGINNING as usize]);
        let gathered = Gathered::new(Arc::new(file), self.segment);
        let beginning = &mut beginning[..range.len()];
        if !beginning.is_empty() && gathered.read_some(beginning, range.start as u64, ReadWriteFlags::NOWAIT).ok()? < range.len() {
            return None;
        }
        check(&self.ready, self.media, beginning).ok().map(|()| gathered)
    }

    /// Where its first bytes lie in the segment: those that [`Cut::check`] wants to see.
    fn beginning(&self) -> Range<usize> {
        let header = self.segment.header.len();
        header..header + self.segment.ranges.first().map_or(0, |range| (range.end - range.start).min(BEGINNING) as usize)
    }

    fn check(&self, beginning: &[u8]) -> Result<(), BlobError> {
        check(&self.ready, self.media, beginning)
    }
}

/// Whether a segment begins as its tables say, which call many pictures key frames that are none.
fn check(ready: &Ready, media: Media, beginning: &[u8]) -> Result<(), BlobError> {
    if matches!(media, Media::Video) && !beginning.is_empty() {
        ready.package.check_beginning(beginning).map_err(NotPackaged::from)?;
    }
    Ok(())
}

/// A piece of a file that is sent piece by piece.
#[derive(Debug, Clone)]
enum Piece {
    Here(Bytes),
    Source(Range<u64>),
}

impl Piece {
    fn length(&self) -> u64 {
        match self {
            Self::Here(bytes) => bytes.len() as u64,
            Self::Source(range) => range.end - range.start,
        }
    }

    /// What is left of it from `first` to `end`, counted from its own beginning.
    fn part(self, first: u64, end: u64) -> Self {
        match self {
            Self::Here(bytes) => Self::Here(bytes.slice(first as usize..end as usize)),
            Self::Source(range) => Self::Source(range.start + first..range.start + end),
        }
    }
}

impl Made {
    pub(super) const fn whole_of(bytes: Bytes) -> Self {
        Self(Kind::Whole(bytes))
    }

    pub(super) const fn segment(cut: Cut, reading: Reading) -> Self {
        Self(Kind::Segment(cut, reading))
    }

    /// Bytes in it.
    pub const fn size(&self) -> u64 {
        match &self.0 {
            Kind::Whole(bytes) => bytes.len() as u64,
            Kind::Segment(cut, _) => cut.segment.length,
        }
    }

    /// All of it, written over `memory`, which has its length.
    ///
    /// # Errors
    /// The source cannot be read, or is not what its tables say.
    pub async fn whole(self, mut memory: Vec<u8>) -> Result<Vec<u8>, BlobError> {
        let (cut, reading) = match self.0 {
            Kind::Whole(bytes) => {
                memory.clear();
                memory.extend_from_slice(&bytes);
                return Ok(memory);
            }
            Kind::Segment(cut, reading) => (cut, reading),
        };
        let whole = match reading.file() {
            Some(file) => {
                let gathered = Gathered::new(file, cut.segment.clone());
                let read = move || gathered.read(&mut memory, 0).map(|()| memory);
                spawn_blocking(read).await.unwrap_or_else(|error| Err(std::io::Error::other(error))).map_err(unavailable)?
            }
            None => {
                let pieces = read_segment(&reading, &cut.segment, reading.gap()).await.map_err(NotPackaged::from)?;
                memory.clear();
                pieces.iter().for_each(|piece| memory.extend_from_slice(piece));
                memory
            }
        };
        cut.check(whole.get(cut.beginning()).unwrap_or_default())?;
        Ok(whole)
    }

    /// It or a range of it, piece by piece.
    ///
    /// # Errors
    /// [`BlobError::RangeNotSatisfiable`], or as for [`Made::whole`].
    pub async fn stream(self, range: Option<ByteRange>) -> Result<BlobRead, BlobError> {
        let size = self.size();
        let (first, end) = match range {
            None => (0, size),
            Some(range) if range.first >= size => return Err(BlobError::RangeNotSatisfiable(size)),
            Some(range) => (range.first, range.last.map_or(size, |last| last.saturating_add(1).min(size))),
        };
        let (pieces, reading) = match self.0 {
            Kind::Whole(bytes) => (vec![Piece::Here(bytes)], None),
            Kind::Segment(cut, reading) => {
                if let Some(range) = cut.segment.ranges.first() {
                    cut.check(&reading.read(range.start..range.end.min(range.start + BEGINNING)).await?)?;
                }
                (pieces(cut.segment), Some(reading))
            }
        };
        let asked = cut(pieces, first, end);
        let body = stream::iter(asked).then(move |piece| {
            let reading = reading.clone();
            async move {
                match (piece, reading) {
                    (Piece::Here(bytes), _) => Ok(bytes),
                    (Piece::Source(range), Some(reading)) => reading.read(range).await.map_err(std::io::Error::other),
                    (Piece::Source(_), None) => Ok(Bytes::new()),
                }
            }
        });
        Ok(BlobRead {
            size,
            offset: first,
            length: end.saturating_sub(first),
            body: body.try_filter(|bytes| std::future::ready(!bytes.is_empty())).boxed(),
        })
    }
}

/// The pieces of a segment, none too large.
fn pieces(segment: Segment) -> Vec<Piece> {
    let mut pieces = vec![Piece::Here(segment.header)];
    for range in segment.ranges {
        let starts = (range.start..range.end).step_by(PIECE as usize);
        pieces.extend(starts.map(|start| Piece::Source(start..range.end.min(start + PIECE))));
    }
    pieces
}

/// What of these pieces lies between two bytes, counted from the beginning of the first one.
fn cut(pieces: Vec<Piece>, first: u64, end: u64) -> Vec<Piece> {
    let mut at = 0;
    let mut found = Vec::with_capacity(pieces.len());
    for piece in pieces {
        let (start, length) = (at, piece.length());
        at += length;
        let (from, to) = (first.max(start), end.min(at));
        if from < to {
            found.push(piece.part(from - start, to - start));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_cut_out_of_what_is_here_and_of_the_source() {
        let segment =
            Segment { header: Bytes::from_static(b"0123456789"), ranges: vec![100..110, 500..500 + PIECE + 5], length: 25 + PIECE };
        let all = pieces(segment);
        assert_eq!(all.len(), 4);
        let lengths = |pieces: &[Piece]| pieces.iter().map(Piece::length).sum::<u64>();
        assert_eq!(lengths(&all), 25 + PIECE);
        for (first, end) in [(0, 25 + PIECE), (0, 1), (9, 11), (10, 20), (15, 21), (20 + PIECE, 25 + PIECE), (24 + PIECE, 25 + PIECE)] {
            assert_eq!(lengths(&cut(all.clone(), first, end)), end - first, "{first} to {end}");
        }
        let Piece::Source(range) = &cut(all, 12, 13)[0] else { panic!("of the source") };
        assert_eq!(*range, 102..103);
    }
}
