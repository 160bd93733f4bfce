//! Checksums of bodies, by the algorithms that clients of tus may choose from.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use futures::{StreamExt, stream};
use sha1::{Digest, Sha1};
use sha2::Sha256;

use crate::{crc32c, ports::blob_store::ByteStream};

/// The algorithms, by their names in the protocol.
pub const ALGORITHMS: &str = "sha1,sha256,crc32c";

/// What a body's bytes should come to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checksum {
    algorithm: Algorithm,
    expected: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Algorithm {
    Sha1,
    Sha256,
    Crc32c,
}

/// A checksum that is being computed.
enum Sum {
    Sha1(Sha1),
    Sha256(Sha256),
    Crc32c(u32),
}

impl Sum {
    fn of(algorithm: Algorithm) -> Self {
        match algorithm {
            Algorithm::Sha1 => Self::Sha1(Sha1::new()),
            Algorithm::Sha256 => Self::Sha256(Sha256::new()),
            Algorithm::Crc32c => Self::Crc32c(0),
        }
    }

    fn add(&mut self, bytes: &[u8]) {
        match self {
            Self::Sha1(sum) => sum.update(bytes),
            Self::Sha256(sum) => sum.update(bytes),
            Self::Crc32c(sum) => *sum = crc32c::append(*sum, bytes),
        }
    }

    fn bytes(self) -> Vec<u8> {
        match self {
            Self::Sha1(sum) => sum.finalize().to_vec(),
            Self::Sha256(sum) => sum.finalize().to_vec(),
            Self::Crc32c(sum) => sum.to_be_bytes().to_vec(),
        }
    }
}

impl Checksum {
    /// A checksum by the name of its algorithm. `None` where nobody here knows the algorithm, or the checksum has another length than its own.
    pub fn new(algorithm: &str, expected: Vec<u8>) -> Option<Self> {
        let (algorithm, length) = match algorithm {
            "sha1" => (Algorithm::Sha1, 20),
            "sha256" => (Algorithm::Sha256, 32),
            "crc32c" => (Algorithm::Crc32c, 4),
            _ => return None,
        };
        (expected.len() == length).then_some(Self { algorithm, expected })
    }

    /// The body, which ends in an error where its bytes are others; and whether they were.
    pub(super) fn verified(self, body: ByteStream) -> (ByteStream, Arc<AtomicBool>) {
        let differs = Arc::new(AtomicBool::new(false));
        let noted = Arc::clone(&differs);
        let state = Some((body, Sum::of(self.algorithm), self.expected));
        let verified = stream::unfold(state, move |state| {
            let noted = Arc::clone(&noted);
            async move {
                let (mut body, mut sum, expected) = state?;
                match body.next().await {
                    Some(Ok(piece)) => {
                        sum.add(&piece);
                        Some((Ok(piece), Some((body, sum, expected))))
                    }
                    Some(Err(error)) => Some((Err(error), None)),
                    None if sum.bytes() == expected => None,
                    None => {
                        noted.store(true, Ordering::Relaxed);
                        Some((Err(std::io::Error::other("the bytes differ from their checksum")), None))
                    }
                }
            }
        });
        (verified.boxed(), differs)
    }
}

#[cfg(test)]
mod tests {
    use base64::{Engine, prelude::BASE64_STANDARD};
    use bytes::Bytes;
    use futures::TryStreamExt;

    use super::*;

    #[tokio::test]
    async fn bodies_are_held_against_what_they_should_come_to() {
        for (algorithm, right) in
            [("sha1", "Kq5sNclPz7QV2+lfQIuc6R7oRu0="), ("sha256", "uU0nuZNNPgilLlLX2n2r+sSE7+N6U4DukIj3rOLvzek="), ("crc32c", "yZRlqg==")]
        {
            let right = BASE64_STANDARD.decode(right).expect("base64");
            let wrong: Vec<u8> = right.iter().map(|byte| byte ^ 1).collect();
            for (expected, is_right) in [(right, true), (wrong, false)] {
                let pieces = [Bytes::from_static(b"hello "), Bytes::from_static(b"world")].map(Ok);
                let sum = Checksum::new(algorithm, expected).expect("known");
                let (body, differs) = sum.verified(stream::iter(pieces).boxed());
                assert_eq!(body.try_collect::<Vec<_>>().await.is_ok(), is_right, "{algorithm}");
                assert_eq!(differs.load(Ordering::Relaxed), !is_right, "{algorithm}");
            }
        }
        assert_eq!(Checksum::new("md5", vec![0; 16]), None);
        assert_eq!(Checksum::new("sha1", vec![0; 19]), None);
    }
}
