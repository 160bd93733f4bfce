//! Where a source's bytes come from, for whoever reads them asynchronously.

use std::{future::Future, ops::Range};

use bytes::Bytes;

use super::{
    opening::{Limits, Opening},
    package::Package,
    refusal::Refusal,
    segment::Segment,
};

/// A source that is read in ranges.
pub trait Source: Sync {
    /// Why a read failed.
    type Error: std::error::Error;

    /// The bytes of a range, all of them; it lies in the source. One that has not arrived yet is waited for, or an error.
    fn read(&self, range: Range<u64>) -> impl Future<Output = Result<Bytes, Self::Error>> + Send;
}

/// Why a source could not be opened or read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError<E: std::error::Error> {
    /// It is not to be packaged; nothing to do with how it is read.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The read failed; a new try may help.
    #[error("the source cannot be read: {0}")]
    Source(E),
    /// A read brought fewer or more bytes than it should.
    #[error("the source gave another number of bytes than was asked for")]
    WrongLength,
}

/// Opens a source of `size` bytes.
///
/// # Errors
/// It is not to be packaged, or cannot be read.
pub async fn open<S: Source>(source: &S, size: u64, limits: Limits) -> Result<Package, ReadError<S::Error>> {
    let mut opening = Opening::new(size, limits);
    loop {
        let bytes = source.read(opening.wants()).await.map_err(ReadError::Source)?;
        if let Some(package) = opening.take(&bytes)? {
            return Ok(package);
        }
    }
}

/// The bytes of a segment, in pieces, with at most `gap` bytes read over between two of its ranges ([`Segment::reads`]).
///
/// # Errors
/// The source cannot be read.
pub async fn read_segment<S: Source>(source: &S, segment: &Segment, gap: u64) -> Result<Vec<Bytes>, ReadError<S::Error>> {
    let reads = segment.reads(gap);
    let mut answers = Vec::with_capacity(reads.len());
    for read in reads {
        answers.push(source.read(read).await.map_err(ReadError::Source)?);
    }
    segment.body(gap, &answers).ok_or(ReadError::WrongLength)
}
