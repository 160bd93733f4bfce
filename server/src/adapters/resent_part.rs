//! A part that is sent again although it is safe: it is read to its end, so that the answer arrives, and compared. Nothing is written.

use domain::upload::PartReceipt;
use futures::StreamExt;

use crate::{
    crc32c,
    ports::blob_store::{BlobError, ByteStream},
};

/// Acknowledges the same bytes again and refuses others.
pub(super) async fn compare(known: PartReceipt, announced_crc32c: u32, body: ByteStream) -> Result<PartReceipt, BlobError> {
    let (size, crc) = measure(body).await?;
    match (size == known.size, crc == known.crc32c && crc == announced_crc32c) {
        (false, _) => Err(BlobError::SizeMismatch),
        (true, false) => Err(BlobError::ChecksumMismatch),
        (true, true) => Ok(known),
    }
}

/// Length and checksum of a body whose bytes are not kept.
async fn measure(mut body: ByteStream) -> Result<(u64, u32), BlobError> {
    let (mut size, mut crc) = (0, 0);
    while let Some(piece) = body.next().await {
        let piece = piece.map_err(|error| BlobError::BodyInterrupted(error.to_string()))?;
        size += piece.len() as u64;
        crc = crc32c::append(crc, &piece);
    }
    Ok((size, crc))
}
