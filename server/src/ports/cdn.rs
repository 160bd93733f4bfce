//! Who delivers published bytes, and how their URLs are signed.

use std::fmt::Debug;

use domain::{ids::GenerationId, storage_key::StorageKey};

/// The right to fetch every object of one generation until a moment: URL base and query that go around an object's file name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedPrefix {
    /// URL up to and with the slash behind the generation.
    pub base: String,
    /// Query without its question mark.
    pub query: String,
}

impl SignedPrefix {
    /// The URL of an object below the generation, such as `720p/00001.m4s`.
    pub fn url(&self, file: &str) -> String {
        format!("{}{file}?{}", self.base, self.query)
    }
}

/// Whom something is signed for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Audience {
    /// The owner: good whatever the video's visibility.
    Owner,
    /// Everybody with the link: worth nothing once the video is private.
    Shared,
}

/// A request whose signature is right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// The generation.
    pub generation: GenerationId,
    /// The object.
    pub key: StorageKey,
    /// Whom it was signed for.
    pub audience: Audience,
}

/// A deliverer of published objects.
pub trait Cdn: Debug + Send + Sync {
    /// Signs a generation's prefix until `expires_at`, a second of the Unix epoch. The same input gives the same output, so
    /// that browsers can cache.
    fn sign(&self, generation: GenerationId, audience: Audience, expires_at: u64) -> SignedPrefix;

    /// What a request to our own origin asks for, if its signature is right and holds at `now`. `None` is the answer of deliverers whose
    /// bytes do not pass through us.
    fn verify(&self, generation: &str, file: &str, query: &str, now: u64) -> Option<Verified>;
}
