//! Every object the store holds: its path, content type and caching, in one place. Nobody else builds a path.
//!
//! Keys carry a generation's or upload's id, never the video's. Published objects are immutable.

use std::fmt;

use crate::ids::{GenerationId, UploadId};

/// The name of one stored object.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum StorageKey {
    /// A file as it was uploaded.
    Source {
        /// The upload that brought it.
        upload: UploadId,
    },
    /// A playable object: an init segment, a segment or a poster.
    Published {
        /// The generation it belongs to.
        generation: GenerationId,
        /// Path below the generation: `poster.jpg`, or `{rendition}/{file}`. Letters, digits, `.`, `_`, `-` and at most
        /// one `/`; [`StorageKey::published`] holds to that.
        file: String,
    },
}

impl StorageKey {
    /// A published object's key, or `None` where `file` is no name that this product gives to an object.
    ///
    /// It is the only way to make a key from a request's path: no `..`, no empty part, no backslash gets through.
    pub fn published(generation: GenerationId, file: &str) -> Option<Self> {
        let parts: Vec<&str> = file.split('/').collect();
        let plain = |part: &&str| {
            !part.is_empty()
                && !part.starts_with('.')
                && part.len() <= 64
                && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'))
        };
        (parts.len() <= 2 && parts.iter().all(plain)).then(|| Self::Published { generation, file: file.to_owned() })
    }

    /// Reads what stands in a store: the key that [`fmt::Display`] wrote, or `None` where this product gives no such name.
    pub fn parse(path: &str) -> Option<Self> {
        let key = match path.strip_prefix("sources/") {
            Some(upload) => Self::Source { upload: upload.parse().ok()? },
            None => {
                let (generation, file) = path.strip_prefix("published/")?.split_once('/')?;
                Self::published(generation.parse().ok()?, file)?
            }
        };
        // Ids have other spellings that are never written.
        (key.to_string() == path).then_some(key)
    }

    /// The path prefix of all objects of a generation, ending in `/`.
    pub fn generation_prefix(generation: GenerationId) -> String {
        format!("published/{generation}/")
    }

    /// The media type to store and serve the object with. Sources are never served.
    pub fn content_type(&self) -> &'static str {
        match self {
            Self::Source { .. } => "application/octet-stream",
            Self::Published { file, .. } => match file.rsplit_once('.').map(|(_, extension)| extension) {
                Some("m4s") => "video/iso.segment",
                Some("mp4" | "cmfv") => "video/mp4",
                Some("cmfa") => "audio/mp4",
                Some("m3u8") => "application/vnd.apple.mpegurl",
                Some("jpg") => "image/jpeg",
                Some("vtt") => "text/vtt; charset=utf-8",
                _ => "application/octet-stream",
            },
        }
    }

    /// The `Cache-Control` to store and serve the object with. Private: the URL carries somebody's grant.
    pub fn cache_control(&self) -> &'static str {
        match self {
            Self::Source { .. } => "private, no-store",
            Self::Published { .. } => "private, max-age=31536000, immutable",
        }
    }
}

impl fmt::Display for StorageKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Source { upload } => write!(f, "sources/{upload}"),
            Self::Published { generation, file } => write!(f, "published/{generation}/{file}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    #[test]
    fn a_request_path_cannot_leave_its_generation() {
        let generation = GenerationId(Uuid::nil());
        for bad in ["", "..", "../x", "a/../b", "a//b", "/a", "a/b/c", "a\\b", ".hidden", "v/.x", "a%2fb", "a b", "ä.m4s"] {
            assert_eq!(StorageKey::published(generation, bad), None, "{bad}");
        }
        let key = StorageKey::published(generation, "v720/00001.m4s").expect("a good name");
        assert_eq!(key.to_string(), format!("published/{}/v720/00001.m4s", Uuid::nil()));
        assert_eq!(key.content_type(), "video/iso.segment");
    }

    #[test]
    fn what_stands_in_a_store_is_read_back() {
        let source = StorageKey::Source { upload: UploadId(Uuid::max()) };
        let segment = StorageKey::published(GenerationId(Uuid::max()), "720p/00001.m4s").expect("a good name");
        for key in [source, segment] {
            assert_eq!(StorageKey::parse(&key.to_string()), Some(key));
        }
        let nil = Uuid::nil();
        for foreign in
            ["", "notes.txt", "sources/", "sources/x", &format!("sources/{nil}.partial"), &format!("published/{nil}"), "published/x/y"]
        {
            assert_eq!(StorageKey::parse(foreign), None, "{foreign}");
        }
    }
}
