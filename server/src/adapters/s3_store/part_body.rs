//! A body on its way through us to S3: counted and summed as it flows. The last piece is let go only when length and sum are right, so that S3
//! never gets as many bytes as were announced of a body that is wrong, and keeps nothing.

use std::{
    io,
    pin::Pin,
    sync::{Arc, Mutex, OnceLock, PoisonError},
    task::{Context, Poll},
};

use aws_sdk_s3::primitives::{ByteStream as SdkStream, SdkBody};
use bytes::Bytes;
use futures::{Stream, StreamExt};
use http_body::{Body, Frame, SizeHint};

use crate::ports::blob_store::{BlobError, ByteStream};

/// Why a body was stopped, for whoever waits for the request: the SDK only knows that there was no more of it.
#[derive(Debug, Clone, Default)]
pub(super) struct Verdict(Arc<OnceLock<BlobError>>);

impl Verdict {
    /// What the port says of the body, if it was to blame.
    pub(super) fn blame(self) -> Option<BlobError> {
        Some(match self.0.get()? {
            BlobError::ChecksumMismatch => BlobError::ChecksumMismatch,
            BlobError::SizeMismatch => BlobError::SizeMismatch,
            other => BlobError::BodyInterrupted(other.to_string()),
        })
    }

    fn pronounce(&self, error: BlobError) -> io::Error {
        let said = io::Error::other(error.to_string());
        // The first one counts.
        let _ = self.0.set(error);
        said
    }
}

/// Makes a body that can be sent, and where its verdict will stand.
pub(super) fn checked(body: ByteStream, length: u64, crc32c: u32) -> (SdkStream, Verdict) {
    let verdict = Verdict::default();
    let flow = Flow { body, verdict: verdict.clone(), length, crc32c, seen: 0, sum: 0, held: None, ended: false };
    let pieces = futures::stream::unfold(flow, |mut flow| async move { flow.next().await.map(|piece| (piece, flow)) });
    let body = PartBody { pieces: Mutex::new(pieces.boxed()), left: length };
    (SdkStream::new(SdkBody::from_body_1_x(body)), verdict)
}

struct Flow {
    body: ByteStream,
    verdict: Verdict,
    length: u64,
    crc32c: u32,
    seen: u64,
    sum: u32,
    held: Option<Bytes>,
    ended: bool,
}

impl Flow {
    async fn next(&mut self) -> Option<io::Result<Bytes>> {
        while !self.ended {
            match self.body.next().await {
                Some(Ok(piece)) if piece.is_empty() => {}
                Some(Ok(piece)) => {
                    self.seen += piece.len() as u64;
                    if self.seen > self.length {
                        return Some(self.stop(BlobError::SizeMismatch));
                    }
                    self.sum = crate::crc32c::append(self.sum, &piece);
                    if let Some(before) = self.held.replace(piece) {
                        return Some(Ok(before));
                    }
                }
                Some(Err(error)) => return Some(self.stop(BlobError::BodyInterrupted(error.to_string()))),
                None if self.seen != self.length => return Some(self.stop(BlobError::SizeMismatch)),
                None if self.sum != self.crc32c => return Some(self.stop(BlobError::ChecksumMismatch)),
                None => self.ended = true,
            }
        }
        self.held.take().map(Ok)
    }

    fn stop(&mut self, error: BlobError) -> io::Result<Bytes> {
        (self.ended, self.held) = (true, None);
        Err(self.verdict.pronounce(error))
    }
}

/// The body as the SDK wants it. The lock is never waited for: it makes of a stream that one thread at a time may use one that the SDK takes.
struct PartBody {
    pieces: Mutex<Pin<Box<dyn Stream<Item = io::Result<Bytes>> + Send>>>,
    left: u64,
}

impl Body for PartBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let this = self.get_mut();
        let pieces = this.pieces.get_mut().unwrap_or_else(PoisonError::into_inner);
        let piece = std::task::ready!(pieces.as_mut().poll_next(context));
        if let Some(Ok(piece)) = &piece {
            this.left = this.left.saturating_sub(piece.len() as u64);
        }
        Poll::Ready(piece.map(|piece| piece.map(Frame::data)))
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn sent(pieces: Vec<io::Result<&'static [u8]>>, length: u64, crc32c: u32) -> (Vec<u8>, Option<BlobError>) {
        let body = futures::stream::iter(pieces.into_iter().map(|piece| piece.map(Bytes::from_static))).boxed();
        let (mut stream, verdict) = checked(body, length, crc32c);
        let mut sent = Vec::new();
        while let Some(Ok(piece)) = stream.next().await {
            sent.extend_from_slice(&piece);
        }
        (sent, verdict.blame())
    }

    #[tokio::test]
    async fn a_right_body_flows_and_a_wrong_one_never_reaches_its_length() {
        let crc = crate::crc32c::append(0, b"abcdef");
        let (all, blame) = sent(vec![Ok(b"abc"), Ok(b""), Ok(b"def")], 6, crc).await;
        assert_eq!((all.as_slice(), blame.is_none()), (b"abcdef".as_slice(), true));

        let (part, blame) = sent(vec![Ok(b"abc"), Ok(b"dEf")], 6, crc).await;
        assert!(part.len() < 6 && matches!(blame, Some(BlobError::ChecksumMismatch)));
        let (part, blame) = sent(vec![Ok(b"abc"), Ok(b"def"), Ok(b"g")], 6, crc).await;
        assert!(part.len() < 6 && matches!(blame, Some(BlobError::SizeMismatch)));
        let (part, blame) = sent(vec![Ok(b"abc")], 6, crc).await;
        assert!(part.len() < 6 && matches!(blame, Some(BlobError::SizeMismatch)));
        let (part, blame) = sent(vec![Ok(b"abc"), Err(io::Error::other("gone"))], 6, crc).await;
        assert!(part.len() < 6 && matches!(blame, Some(BlobError::BodyInterrupted(_))));
    }
}
