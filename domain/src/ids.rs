//! Identifiers. Every row's id is a UUID v7 in a type of its own, so that a video's id cannot be passed where an
//! upload's is meant. [`PlaybackId`] is the only id that appears in a public URL.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A text that is no id of the kind asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a valid id")]
pub struct InvalidId;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl From<Uuid> for $name {
            fn from(id: Uuid) -> Self {
                Self(id)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                Uuid::try_parse(text).map(Self).map_err(|_| InvalidId)
            }
        }
    };
}

id!(
    /// An account.
    UserId
);
id!(
    /// A video, known to its owner only.
    VideoId
);
id!(
    /// One file on its way to the store.
    UploadId
);
id!(
    /// One piece of work for a worker.
    JobId
);
id!(
    /// One set of published objects. Never reused: a new encode is a new generation under a new prefix.
    GenerationId
);
id!(
    /// An API key (not its secret).
    ApiKeyId
);
id!(
    /// A named right to play one video, which its owner gave and can take back.
    GrantId
);
id!(
    /// An invitation (not its secret).
    InviteId
);
id!(
    /// An entry of the audit log.
    AuditId
);

impl UploadId {
    /// The id that a client makes up, of 16 random bytes: a UUID of version 4 (RFC 9562).
    pub fn from_random(bytes: [u8; 16]) -> Self {
        Self(uuid::Builder::from_random_bytes(bytes).into_uuid())
    }
}

/// The public handle of a video, in watch, embed and playlist URLs: 16 characters that say nothing about the video.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(try_from = "String", into = "String")]
#[schema(value_type = String, pattern = "^[2-9A-HJ-NP-Za-kmnp-z]{16}$", example = "k3vQ9tk3vQ9tk3vQ")]
pub struct PlaybackId(String);

impl PlaybackId {
    /// Number of characters.
    pub const LENGTH: usize = 16;
    /// Letters and digits that are not mistaken for each other when read aloud or copied by hand.
    pub const ALPHABET: &'static [u8; 56] = b"23456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnpqrstuvwxyz";

    /// Makes an id of random bytes: 16 × log2(56) = 92 bits.
    ///
    /// Bytes are taken modulo 56, which favours 32 of the letters by 5 to 4; that costs less than one bit in all.
    pub fn from_random(bytes: [u8; Self::LENGTH]) -> Self {
        Self(bytes.iter().map(|byte| Self::ALPHABET[usize::from(*byte) % Self::ALPHABET.len()] as char).collect())
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for PlaybackId {
    type Error = InvalidId;

    fn try_from(text: String) -> Result<Self, InvalidId> {
        let valid = text.len() == Self::LENGTH && text.bytes().all(|byte| Self::ALPHABET.contains(&byte));
        if valid { Ok(Self(text)) } else { Err(InvalidId) }
    }
}

impl FromStr for PlaybackId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        Self::try_from(text.to_owned())
    }
}

impl From<PlaybackId> for String {
    fn from(id: PlaybackId) -> Self {
        id.0
    }
}

impl fmt::Display for PlaybackId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_playback_id_reads_back_and_refuses_paths() {
        let id = PlaybackId::from_random([7; 16]);
        assert_eq!(id.as_str().parse::<PlaybackId>(), Ok(id.clone()));
        for bad in ["", "short", "../../../../etc/p", "0000000000000000", "IIIIIIIIIIIIIIII"] {
            assert_eq!(bad.parse::<PlaybackId>(), Err(InvalidId), "{bad}");
        }
    }
}
