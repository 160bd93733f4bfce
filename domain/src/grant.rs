//! A grant: a signed right to play one video until a moment. It travels in the path of playlist URLs, so that relative
//! addresses keep it. This file knows the shapes; the keys and the signatures are the server's.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    ids::{GrantId, PlaybackId},
    video::Visibility,
};

/// Whom something is signed for: by what right it opens, and so what ends it before its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Audience {
    /// The owner: good whatever the video's visibility.
    Owner,
    /// Everybody with the video's own link: worth nothing once the video is private.
    Link,
    /// Whoever has this named grant: good until it expires or is revoked.
    Named(GrantId),
}

/// Stand where a grant's id stands, for rights that have no row. No UUID of version 7 looks like them.
const OWNER: Uuid = Uuid::from_u128(1);
const LINK: Uuid = Uuid::from_u128(2);

impl Audience {
    /// Its id, as signed.
    pub const fn id(self) -> Uuid {
        match self {
            Self::Owner => OWNER,
            Self::Link => LINK,
            Self::Named(grant) => grant.0,
        }
    }

    /// Reads what [`Audience::id`] gave.
    pub fn from_id(id: Uuid) -> Self {
        match id {
            OWNER => Self::Owner,
            LINK => Self::Link,
            named => Self::Named(GrantId(named)),
        }
    }
}

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
    /// Which of the server's keys signed it.
    pub key_id: u8,
    /// By what right.
    pub audience: Audience,
}

/// A text that is no grant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a grant")]
pub struct MalformedGrant;

const VERSION: u8 = 2;
/// None has a meaning yet; a token with one is of a later time.
const FLAGS: u8 = 0;
/// Bytes in front of the playback id.
const HEAD: usize = 28;

impl Grant {
    /// The bytes that are signed: version, key id, flags, visibility, expiry (big endian), grant's id, playback id.
    pub fn claims(&self) -> Vec<u8> {
        let mut bytes = vec![VERSION, self.key_id, FLAGS, self.visibility.as_byte()];
        bytes.extend_from_slice(&self.expires_at.to_be_bytes());
        bytes.extend_from_slice(self.audience.id().as_bytes());
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
        let (claims, signature) = bytes.split_at_checked(HEAD + PlaybackId::LENGTH).ok_or(MalformedGrant)?;
        if claims[0] != VERSION || claims[2] != FLAGS {
            return Err(MalformedGrant);
        }
        let visibility = Visibility::from_byte(claims[3]).ok_or(MalformedGrant)?;
        let expires_at = claims[4..12].iter().fold(0_u64, |value, byte| (value << 8) | u64::from(*byte));
        let audience = Audience::from_id(Uuid::from_slice(&claims[12..HEAD]).map_err(|_| MalformedGrant)?);
        let playback_id = std::str::from_utf8(&claims[HEAD..]).map_err(|_| MalformedGrant)?;
        let playback_id = playback_id.parse().map_err(|_| MalformedGrant)?;
        Ok((Self { playback_id, visibility, expires_at, key_id: claims[1], audience }, signature.to_vec()))
    }
}

/// The secret in a named grant's link: which grant, signed. It gets its holder short-lived [`Grant`]s for as long as the grant stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LinkSecret {
    /// The grant.
    pub grant: GrantId,
    /// Which of the server's keys signed it.
    pub key_id: u8,
}

/// Apart from the version of a [`Grant`], so that neither is taken for the other.
const LINK_VERSION: u8 = 0x4c;

impl LinkSecret {
    /// Bytes of the signature: half of HMAC-SHA256's, to keep links short.
    pub const SIGNATURE_BYTES: usize = 16;

    /// The bytes that are signed.
    pub fn claims(&self) -> Vec<u8> {
        let mut bytes = vec![LINK_VERSION, self.key_id];
        bytes.extend_from_slice(self.grant.0.as_bytes());
        bytes
    }

    /// As it stands in a link.
    pub fn text(&self, signature: &[u8]) -> String {
        let mut bytes = self.claims();
        bytes.extend_from_slice(signature);
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Takes a link's secret apart into what it claims and the signature over [`LinkSecret::claims`], which the caller has to check.
    ///
    /// # Errors
    /// Anything that [`LinkSecret::text`] does not write.
    pub fn parse(text: &str) -> Result<(Self, Vec<u8>), MalformedGrant> {
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| MalformedGrant)?;
        let (claims, signature) = bytes.split_at_checked(18).ok_or(MalformedGrant)?;
        if claims[0] != LINK_VERSION || signature.len() != Self::SIGNATURE_BYTES {
            return Err(MalformedGrant);
        }
        let grant = GrantId(Uuid::from_slice(&claims[2..]).map_err(|_| MalformedGrant)?);
        Ok((Self { grant, key_id: claims[1] }, signature.to_vec()))
    }
}

/// How long the URLs of a playback are to last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Lifetime {
    /// Minutes: the player is a script that asks for fresh ones while it plays.
    #[default]
    Renewed,
    /// The whole film and a margin: the player reads its playlists once.
    Film,
}

/// A named grant as its owner sees it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct NamedGrant {
    /// Its id, for revoking it.
    pub id: GrantId,
    /// What its owner called it: usually for whom it is.
    pub name: String,
    /// Milliseconds of the Unix epoch.
    pub created_at_ms: i64,
    /// Milliseconds of the Unix epoch; `None` where it lasts until it is revoked.
    pub expires_at_ms: Option<i64>,
    /// Milliseconds of the Unix epoch, to the minute; `None` where it was never used.
    pub last_used_at_ms: Option<i64>,
    /// Hosts whose pages may show it in a frame. Empty: those of the video, else those of the account.
    pub embed_hosts: Vec<String>,
    /// The link to hand out.
    pub watch_url: String,
    /// The same for a frame.
    pub embed_url: String,
}

impl std::fmt::Debug for NamedGrant {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Its links are secrets.
        f.debug_struct("NamedGrant").field("id", &self.id).field("name", &self.name).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn tokens_read_back(random: [u8; 16], expires_at: u64, key_id: u8, id: u128, signature: [u8; 32]) {
            let audience = Audience::from_id(Uuid::from_u128(id));
            let playback_id = PlaybackId::from_random(random);
            let grant = Grant { playback_id, visibility: Visibility::Unlisted, expires_at, key_id, audience };
            prop_assert_eq!(Grant::parse(&grant.token(&signature)), Ok((grant, signature.to_vec())));
            let secret = LinkSecret { grant: GrantId(Uuid::from_u128(id)), key_id };
            prop_assert_eq!(LinkSecret::parse(&secret.text(&signature[..16])), Ok((secret, signature[..16].to_vec())));
        }

        #[test]
        fn no_text_panics(token in ".{0,160}") {
            let _ = (Grant::parse(&token), LinkSecret::parse(&token));
        }
    }

    #[test]
    fn neither_kind_of_token_is_the_other() {
        let audience = Audience::Named(GrantId(Uuid::max()));
        let playback_id = PlaybackId::from_random([3; 16]);
        let grant = Grant { playback_id, visibility: Visibility::Private, expires_at: 1, key_id: 1, audience };
        assert!(LinkSecret::parse(&grant.token(&[0; 32])).is_err());
        assert!(Grant::parse(&LinkSecret { grant: GrantId(Uuid::max()), key_id: 1 }.text(&[0; 16])).is_err());
        for audience in [Audience::Owner, Audience::Link, audience] {
            assert_eq!(Audience::from_id(audience.id()), audience);
        }
    }
}
