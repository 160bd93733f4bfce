//! One file of a packaged generation: bytes that are made, and ranges of the source behind them.

use std::{fs::File, ops::Range, os::unix::fs::FileExt, sync::Arc};

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use tokio::task::spawn_blocking;

use super::{BEGINNING, NotPackaged, Ready, reading::Reading};
use crate::{
    packager::{Media, ReadError, Segment, Source, read_segment},
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
    Segment { ready: Arc<Ready>, media: Media, segment: Segment, reading: Reading },
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

    pub(super) const fn segment(ready: Arc<Ready>, media: Media, segment: Segment, reading: Reading) -> Self {
        Self(Kind::Segment { ready, media, segment, reading })
    }

    /// Bytes in it.
    pub const fn size(&self) -> u64 {
        match &self.0 {
            Kind::Whole(bytes) => bytes.len() as u64,
            Kind::Segment { segment, .. } => segment.length,
        }
    }

    /// All of it, written over `memory`, which has its length.
    ///
    /// # Errors
    /// The source cannot be read, or is not what its tables say.
    pub async fn whole(self, mut memory: Vec<u8>) -> Result<Vec<u8>, BlobError> {
        let (ready, media, segment, reading) = match self.0 {
            Kind::Whole(bytes) => {
                memory.clear();
                memory.extend_from_slice(&bytes);
                return Ok(memory);
            }
            Kind::Segment { ready, media, segment, reading } => (ready, media, segment, reading),
        };
        let header = segment.header.len();
        let beginning = header..header + segment.ranges.first().map_or(0, |range| (range.end - range.start).min(BEGINNING) as usize);
        let whole = match reading.file() {
            Some(file) => read_into(file, segment, memory).await?,
            None => {
                let pieces = read_segment(&reading, &segment, reading.gap()).await.map_err(NotPackaged::from)?;
                memory.clear();
                pieces.iter().for_each(|piece| memory.extend_from_slice(piece));
                memory
            }
        };
        if let Some(beginning) = whole.get(beginning).filter(|beginning| !beginning.is_empty()) {
            check(&ready, media, beginning)?;
        }
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
            Kind::Segment { ready, media, segment, reading } => {
                if let Some(range) = segment.ranges.first() {
                    let beginning = reading.read(range.start..range.end.min(range.start + BEGINNING)).await?;
                    check(&ready, media, &beginning)?;
                }
                (pieces(segment), Some(reading))
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

/// The tables call many pictures key frames that are none.
fn check(ready: &Ready, media: Media, beginning: &[u8]) -> Result<(), BlobError> {
    if matches!(media, Media::Video) {
        ready.package.check_beginning(beginning.get(..BEGINNING as usize).unwrap_or(beginning)).map_err(NotPackaged::from)?;
    }
    Ok(())
}

/// Reads a segment's ranges from a local file to where they belong. Reading over what lies between them would cost a copy.
async fn read_into(file: Arc<File>, segment: Segment, mut memory: Vec<u8>) -> Result<Vec<u8>, BlobError> {
    let wrong = || BlobError::from(NotPackaged::from(ReadError::WrongLength));
    let read = move || {
        let (header, mut rest) = memory.split_at_mut_checked(segment.header.len()).ok_or_else(wrong)?;
        header.copy_from_slice(&segment.header);
        for range in segment.ranges {
            let length = usize::try_from(range.end - range.start).unwrap_or(usize::MAX);
            let (place, behind) = rest.split_at_mut_checked(length).ok_or_else(wrong)?;
            file.read_exact_at(place, range.start).map_err(|error| BlobError::Unavailable(Box::new(error)))?;
            rest = behind;
        }
        if rest.is_empty() { Ok(memory) } else { Err(wrong()) }
    };
    spawn_blocking(read).await.map_err(|error| BlobError::Unavailable(Box::new(error)))?
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
