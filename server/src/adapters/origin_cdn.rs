//! Delivery by this process: URLs on our own origin, signed with HMAC-SHA256 over generation, audience and expiry. A segment request is checked
//! with the key in memory and touches no database.

use std::fmt;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use domain::{ids::GenerationId, storage_key::StorageKey};
use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretSlice};
use sha2::Sha256;

use crate::ports::cdn::{Audience, Cdn, CdnError, SignedPrefix, Verified};

/// Path under which this origin serves published objects, with a slash at both ends.
pub const MEDIA_PATH: &str = "/media/";

/// Our own origin as a CDN.
pub struct OriginCdn {
    public_url: String,
    key: SecretSlice<u8>,
}

impl fmt::Debug for OriginCdn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OriginCdn").field("public_url", &self.public_url).finish_non_exhaustive()
    }
}

impl OriginCdn {
    /// Delivery at `public_url`, signed with `key`.
    pub fn new(public_url: String, key: SecretSlice<u8>) -> Self {
        Self { public_url, key }
    }

    fn mac(&self, generation: GenerationId, audience: Audience, expires_at: u64) -> Hmac<Sha256> {
        // The label keeps these signatures apart from those that the same key makes over grants.
        let mut mac = Hmac::<Sha256>::new_from_slice(self.key.expose_secret()).expect("HMAC takes keys of any length");
        mac.update(b"millrace media v1\0");
        mac.update(generation.0.as_bytes());
        mac.update(letter(audience).as_bytes());
        mac.update(&expires_at.to_be_bytes());
        mac
    }
}

/// The audience as it stands in a query.
const fn letter(audience: Audience) -> &'static str {
    match audience {
        Audience::Owner => "o",
        Audience::Shared => "l",
    }
}

#[async_trait::async_trait]
impl Cdn for OriginCdn {
    fn sign(&self, generation: GenerationId, audience: Audience, expires_at: u64) -> SignedPrefix {
        let signature = URL_SAFE_NO_PAD.encode(self.mac(generation, audience, expires_at).finalize().into_bytes());
        SignedPrefix {
            base: format!("{}{MEDIA_PATH}{generation}/", self.public_url),
            query: format!("e={expires_at}&a={}&s={signature}", letter(audience)),
        }
    }

    fn sign_playlists(&self, grant: &str, _expires_at: u64) -> SignedPrefix {
        // The grant in the path is signed itself.
        SignedPrefix { base: format!("{}/hls/{grant}/", self.public_url), query: String::new() }
    }

    fn verify(&self, generation: &str, file: &str, query: &str, now: u64) -> Option<Verified> {
        let (mut expires_at, mut audience, mut signature) = (None, None, None);
        for pair in query.split('&') {
            match pair.split_once('=')? {
                ("e", value) if expires_at.is_none() => expires_at = Some(value.parse::<u64>().ok()?),
                ("a", value) if audience.is_none() => {
                    audience = Some([Audience::Owner, Audience::Shared].into_iter().find(|audience| letter(*audience) == value)?);
                }
                ("s", value) if signature.is_none() => signature = Some(URL_SAFE_NO_PAD.decode(value).ok()?),
                _ => return None,
            }
        }
        let generation: GenerationId = generation.parse().ok()?;
        let (expires_at, audience) = (expires_at?, audience?);
        // `verify_slice` compares in constant time.
        self.mac(generation, audience, expires_at).verify_slice(&signature?).ok()?;
        if expires_at < now {
            return None;
        }
        StorageKey::published(generation, file).map(|key| Verified { generation, key, audience })
    }

    async fn withdraw(&self, _generation: GenerationId) -> Result<(), CdnError> {
        // There is no cache between this process and the store.
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn cdn(key: &[u8]) -> OriginCdn {
        OriginCdn::new("https://v.example".into(), key.to_vec().into())
    }

    #[test]
    fn a_signature_opens_its_generation_until_its_hour_and_nothing_else() {
        let cdn = cdn(b"secret");
        let generation = GenerationId(Uuid::now_v7());
        let signed = cdn.sign(generation, Audience::Shared, 1_000);
        let url = signed.url("720p/00001.m4s");
        let query = url.split_once('?').expect("a query").1;
        let name = generation.to_string();
        let verified = cdn.verify(&name, "720p/00001.m4s", query, 1_000).expect("it opens");
        assert_eq!((Some(verified.key), verified.audience), (StorageKey::published(generation, "720p/00001.m4s"), Audience::Shared));
        assert_eq!(cdn.verify(&name, "poster.jpg", query, 0).map(|verified| verified.key.content_type()), Some("image/jpeg"));
        assert_eq!(cdn.verify(&name, "720p/00001.m4s", query, 1_001), None, "expired");
        assert_eq!(cdn.verify(&Uuid::now_v7().to_string(), "720p/00001.m4s", query, 0), None, "another generation");
        assert_eq!(cdn.verify(&name, "../x", query, 0), None, "a path");
        for bad in [
            "",
            "e=1000",
            &query.replace("e=1000", "e=1001"),
            &query.replace("a=l", "a=o"),
            &format!("{query}&e=9"),
            &query[..query.len() - 1],
            "e=x&s=y",
        ] {
            assert_eq!(cdn.verify(&name, "720p/00001.m4s", bad, 0), None, "{bad}");
        }
        assert_eq!(super::tests::cdn(b"other").verify(&name, "720p/00001.m4s", query, 0), None, "another key");
    }
}
