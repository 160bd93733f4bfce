//! A grant: a signed right to play one video until a moment. It travels in the path of playlist URLs, so that relative
//! addresses keep it. This file knows the shape; the key and the signature are the server's.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

use crate::{ids::PlaybackId, video::Visibility};

/// What a grant says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// The video it opens.
    pub playback_id: PlaybackId,
    /// How visible the video was when the grant was given. A grant given for a link is worth nothing once the video is
    /// private.
    pub visibility: Visibility,
    /// Second of the Unix epoch after which it opens nothing.
    pub expires_at: u64,
}

/// A text that is no grant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a grant")]
pub struct MalformedGrant;

const VERSION: u8 = 1;

impl Grant {
    /// The bytes that are signed: version, visibility, expiry (big endian), playback id.
    pub fn claims(&self) -> Vec<u8> {
        let mut bytes = vec![VERSION, self.visibility.as_byte()];
        bytes.extend_from_slice(&self.expires_at.to_be_bytes());
        bytes.extend_from_slice(self.playback_id.as_str().as_bytes());
        bytes
    }

    /// The token: base64url of claims and signature.
    pub fn token(&self, signature: &[u8]) -> String {
        let mut bytes = self.claims();
        bytes.extend_from_slice(signature);
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Takes a token apart into what it claims and the signature over [`Grant::claims`], which the caller has to check.
    ///
    /// # Errors
    /// Anything that [`Grant::token`] does not write.
    pub fn parse(token: &str) -> Result<(Self, Vec<u8>), MalformedGrant> {
        let bytes = URL_SAFE_NO_PAD.decode(token).map_err(|_| MalformedGrant)?;
        let (claims, signature) = bytes.split_at_checked(10 + PlaybackId::LENGTH).ok_or(MalformedGrant)?;
        if claims[0] != VERSION {
            return Err(MalformedGrant);
        }
        let visibility = Visibility::from_byte(claims[1]).ok_or(MalformedGrant)?;
        let expires_at = claims[2..10].iter().fold(0_u64, |value, byte| (value << 8) | u64::from(*byte));
        let playback_id = std::str::from_utf8(&claims[10..]).map_err(|_| MalformedGrant)?;
        let playback_id = playback_id.parse().map_err(|_| MalformedGrant)?;
        Ok((Self { playback_id, visibility, expires_at }, signature.to_vec()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn tokens_read_back(random: [u8; 16], expires_at: u64, signature: [u8; 32]) {
            let grant = Grant { playback_id: PlaybackId::from_random(random), visibility: Visibility::Unlisted, expires_at };
            prop_assert_eq!(Grant::parse(&grant.token(&signature)), Ok((grant, signature.to_vec())));
        }

        #[test]
        fn no_text_panics(token in ".{0,120}") {
            let _ = Grant::parse(&token);
        }
    }
}
