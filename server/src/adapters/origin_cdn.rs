//! Delivery by this process: URLs on our own origin, signed with HMAC-SHA256 over generation, grant and expiry. A segment request is checked
//! with the key in memory and touches no database.

use std::fmt::{self, Write};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use domain::{
    ids::{GenerationId, GrantId},
    storage_key::StorageKey,
};
use uuid::Uuid;

use crate::{
    ports::cdn::{Audience, Cdn, CdnError, MEDIA_PATH, SignedPrefix, Verified},
    signing::{SIGNATURE_BYTES, SigningKeys},
};

/// Keeps these signatures apart from those that the same keys make over grants.
const LABEL: &str = "millrace media v2";

/// Our own origin as a CDN.
pub struct OriginCdn {
    public_url: String,
    keys: SigningKeys,
}

impl fmt::Debug for OriginCdn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OriginCdn").field("public_url", &self.public_url).finish_non_exhaustive()
    }
}

/// What a query says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Claims {
    expires_at: u64,
    audience: Audience,
    /// Whether it opens one file alone.
    one_file: bool,
    key_id: u8,
}

/// As it stands in a query, in front of the signature. The one spelling: every other is refused.
impl fmt::Display for Claims {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { expires_at, audience, one_file, key_id } = self;
        let scope = if *one_file { "&f=1" } else { "" };
        match audience {
            Audience::Owner => write!(f, "e={expires_at}&g=o{scope}&k={key_id:02x}"),
            Audience::Link => write!(f, "e={expires_at}&g=l{scope}&k={key_id:02x}"),
            Audience::Named(grant) => write!(f, "e={expires_at}&g={}{scope}&k={key_id:02x}", grant.0.simple()),
        }
    }
}

/// What is signed, on the stack: each request for a segment has one.
struct Message {
    bytes: [u8; Message::ROOM],
    length: usize,
}

impl Message {
    /// Claims have at most 66 bytes, a generation 16, and the longest name of a file 129.
    const ROOM: usize = 256;

    fn push(&mut self, bytes: &[u8]) -> fmt::Result {
        let end = self.length + bytes.len();
        self.bytes.get_mut(self.length..end).ok_or(fmt::Error)?.copy_from_slice(bytes);
        self.length = end;
        Ok(())
    }

    fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

impl fmt::Write for Message {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.push(text.as_bytes())
    }
}

impl Claims {
    fn parse(text: &str) -> Option<Self> {
        let (mut expires_at, mut audience, mut one_file, mut key_id) = (None, None, false, None);
        for pair in text.split('&') {
            match pair.split_once('=')? {
                ("e", value) => expires_at = Some(value.parse().ok()?),
                ("g", "o") => audience = Some(Audience::Owner),
                ("g", "l") => audience = Some(Audience::Link),
                ("g", value) => audience = Some(Audience::Named(GrantId(Uuid::try_parse(value).ok()?))),
                ("f", "1") => one_file = true,
                ("k", value) => key_id = Some(u8::from_str_radix(value, 16).ok()?),
                _ => return None,
            }
        }
        let claims = Self { expires_at: expires_at?, audience: audience?, one_file, key_id: key_id? };
        let mut spelled = Message { bytes: [0; Message::ROOM], length: 0 };
        write!(spelled, "{claims}").ok()?;
        (spelled.as_bytes() == text.as_bytes()).then_some(claims)
    }

    /// What is signed: the claims, the generation, and the file where it is for one alone. `None` for a file with a longer name than any has.
    fn message(self, generation: GenerationId, file: &str) -> Option<Message> {
        let mut message = Message { bytes: [0; Message::ROOM], length: 0 };
        write!(message, "{self}\0").ok()?;
        message.push(generation.0.as_bytes()).ok()?;
        if self.one_file {
            message.push(file.as_bytes()).ok()?;
        }
        Some(message)
    }
}

impl OriginCdn {
    /// Delivery at `public_url`, signed with `keys`.
    pub fn new(public_url: String, keys: SigningKeys) -> Self {
        Self { public_url, keys }
    }

    fn query(&self, generation: GenerationId, audience: Audience, file: Option<&str>, expires_at: u64) -> String {
        let claims = Claims { expires_at, audience, one_file: file.is_some(), key_id: self.keys.current_id() };
        let Some(message) = claims.message(generation, file.unwrap_or_default()) else { return String::new() };
        format!("{claims}&s={}", URL_SAFE_NO_PAD.encode(self.keys.sign(LABEL, message.as_bytes())))
    }

    fn base(&self, generation: GenerationId) -> String {
        format!("{}{MEDIA_PATH}{generation}/", self.public_url)
    }
}

#[async_trait::async_trait]
impl Cdn for OriginCdn {
    fn sign(&self, generation: GenerationId, audience: Audience, expires_at: u64) -> SignedPrefix {
        SignedPrefix { base: self.base(generation), query: self.query(generation, audience, None, expires_at) }
    }

    fn sign_file(&self, generation: GenerationId, audience: Audience, file: &str, expires_at: u64) -> String {
        SignedPrefix { base: self.base(generation), query: self.query(generation, audience, Some(file), expires_at) }.url(file)
    }

    fn sign_playlists(&self, grant: &str, _expires_at: u64) -> SignedPrefix {
        // The grant in the path is signed itself.
        SignedPrefix { base: format!("{}/hls/{grant}/", self.public_url), query: String::new() }
    }

    fn verify(&self, generation: &str, file: &str, query: &str, now: u64) -> Option<Verified> {
        let (text, signature) = query.rsplit_once("&s=")?;
        let claims = Claims::parse(text)?;
        let mut decoded = [0; SIGNATURE_BYTES + 4];
        let length = URL_SAFE_NO_PAD.decode_slice(signature, &mut decoded).ok()?;
        // UUIDs can be written in several ways; we write them in one.
        let parsed: GenerationId = generation.parse().ok()?;
        if parsed.0.hyphenated().encode_lower(&mut Uuid::encode_buffer()) != generation || claims.expires_at < now {
            return None;
        }
        let message = claims.message(parsed, file)?;
        if !self.keys.verify(claims.key_id, LABEL, message.as_bytes(), &decoded[..length], SIGNATURE_BYTES) {
            return None;
        }
        StorageKey::published(parsed, file).map(|key| Verified { generation: parsed, key, audience: claims.audience })
    }

    async fn withdraw(&self, _generation: GenerationId) -> Result<(), CdnError> {
        // The only cache between the store and viewers is the memory of this process, which whoever deletes objects lets go of.
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
        let signed = cdn.sign(generation, Audience::Link, 1_000);
        let url = signed.url("720p/00001.m4s");
        let query = url.split_once('?').expect("a query").1;
        let name = generation.to_string();
        let verified = cdn.verify(&name, "720p/00001.m4s", query, 1_000).expect("it opens");
        assert_eq!((Some(verified.key), verified.audience), (StorageKey::published(generation, "720p/00001.m4s"), Audience::Link));
        assert_eq!(cdn.verify(&name, "poster.jpg", query, 0).map(|verified| verified.key.content_type()), Some("image/jpeg"));
        assert_eq!(cdn.verify(&name, "720p/00001.m4s", query, 1_001), None, "expired");
        assert_eq!(cdn.verify(&Uuid::now_v7().to_string(), "720p/00001.m4s", query, 0), None, "another generation");
        assert_eq!(cdn.verify(&name, "../x", query, 0), None, "a path");
        for bad in [
            "",
            "e=1000",
            &query.replace("e=1000", "e=1001"),
            &query.replace("g=l", "g=o"),
            &query.replace("g=l", "g=l&f=1"),
            &query.replace("e=1000", "e=+1000"),
            &query.replace("e=1000", "e=01000"),
            &query.replace("&s=", "&s=&s="),
            &format!("{query}="),
            &format!("{query}&e=9"),
            &query[..query.len() - 1],
            "e=x&s=y",
        ] {
            assert_eq!(cdn.verify(&name, "720p/00001.m4s", bad, 0), None, "{bad}");
        }
        assert_eq!(super::tests::cdn(b"other").verify(&name, "720p/00001.m4s", query, 0), None, "another key");
    }
    #[test]
    fn a_file_signed_alone_opens_no_other_and_a_named_grant_is_told() {
        let cdn = cdn(b"secret");
        let (generation, grant) = (GenerationId(Uuid::now_v7()), GrantId(Uuid::now_v7()));
        let url = cdn.sign_file(generation, Audience::Named(grant), "poster.jpg", 1_000);
        let query = url.split_once('?').expect("a query").1;
        let name = generation.to_string();
        assert_eq!(cdn.verify(&name, "poster.jpg", query, 0).map(|verified| verified.audience), Some(Audience::Named(grant)));
        assert_eq!(cdn.verify(&name, "720p/00001.m4s", query, 0), None, "another file");
        let everything = query.replace("&f=1", "");
        assert_eq!(cdn.verify(&name, "720p/00001.m4s", &everything, 0), None, "a wider scope");
        assert_eq!(cdn.verify(&name.to_uppercase(), "poster.jpg", query, 0), None, "another spelling");
        assert_eq!(cdn.verify(&generation.0.simple().to_string(), "poster.jpg", query, 0), None, "another spelling");
        let text = query.replace(&grant.0.simple().to_string(), &grant.to_string());
        assert_eq!(cdn.verify(&name, "poster.jpg", &text, 0), None, "another spelling of the grant");
    }

    #[test]
    fn while_keys_change_what_the_old_one_signed_still_opens() {
        let generation = GenerationId(Uuid::now_v7());
        let query = cdn(b"old").sign(generation, Audience::Owner, 1_000).query;
        let changing = OriginCdn::new("https://v.example".into(), SigningKeys::new(b"new".to_vec().into(), Some(b"old".to_vec().into())));
        assert!(changing.verify(&generation.to_string(), "poster.jpg", &query, 0).is_some());
        assert!(cdn(b"new").verify(&generation.to_string(), "poster.jpg", &query, 0).is_none());
    }
}
