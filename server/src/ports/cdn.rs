//! Who delivers published bytes, and how their URLs are signed.

use std::fmt::Debug;

pub use domain::grant::Audience;
use domain::{ids::GenerationId, storage_key::StorageKey};

/// Path under which our own origin serves published objects, with a slash at both ends.
pub const MEDIA_PATH: &str = "/media/";

/// The generation below an address on our own origin; `None` for those of another CDN.
pub fn generation_here(base: &str) -> Option<GenerationId> {
    base.strip_suffix('/')?.rsplit_once(MEDIA_PATH)?.1.parse().ok()
}

/// The right to fetch everything below a path until a moment: URL base and query that go around a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedPrefix {
    /// URL up to and with the slash behind the path.
    pub base: String,
    /// Query without its question mark; empty where the path is the right by itself.
    pub query: String,
}

impl SignedPrefix {
    /// The URL of something below the path, such as `720p/00001.m4s`.
    pub fn url(&self, file: &str) -> String {
        format!("{}{}", self.base, self.relative(file))
    }

    /// The same as a reference relative to the path.
    pub fn relative(&self, file: &str) -> String {
        if self.query.is_empty() { file.to_owned() } else { format!("{file}?{}", self.query) }
    }
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

/// What a deliverer can fail with; a new try may help.
#[derive(Debug, thiserror::Error)]
#[error("the CDN failed: {0}")]
pub struct CdnError(#[source] pub Box<dyn std::error::Error + Send + Sync>);

/// A deliverer of published objects, and of the playlists that name them.
#[async_trait::async_trait]
pub trait Cdn: Debug + Send + Sync {
    /// Signs a generation's prefix until `expires_at`, a second of the Unix epoch. In one process the same input gives the same output, so
    /// that browsers can cache.
    fn sign(&self, generation: GenerationId, audience: Audience, expires_at: u64) -> SignedPrefix;

    /// The same for a generation that has no objects and whose files are made on request: where their bytes pass through us, that is no different.
    fn sign_packaged(&self, generation: GenerationId, audience: Audience, expires_at: u64) -> SignedPrefix {
        self.sign(generation, audience, expires_at)
    }

    /// The URL of one object of a generation, good until `expires_at` for that object alone.
    fn sign_file(&self, generation: GenerationId, audience: Audience, file: &str, expires_at: u64) -> String;

    /// Signs `/hls/{grant}/`, where the playlists of a grant are fetched, until `expires_at`, a second of the Unix epoch.
    fn sign_playlists(&self, grant: &str, expires_at: u64) -> SignedPrefix;

    /// What a request to our own origin asks for, if its signature is right and holds at `now`. `None` is the answer of deliverers whose
    /// bytes do not pass through us.
    fn verify(&self, generation: &str, file: &str, query: &str, now: u64) -> Option<Verified>;

    /// Takes a generation whose objects were deleted out of caches. Doing it again is harmless.
    async fn withdraw(&self, generation: GenerationId) -> Result<(), CdnError>;

    /// The same for a generation whose files were made on request.
    async fn withdraw_packaged(&self, _generation: GenerationId) -> Result<(), CdnError> {
        Ok(())
    }
}
