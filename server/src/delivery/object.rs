//! One object in memory, with what its answers say of it made once.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use axum::http::HeaderValue;
use bytes::Bytes;
use domain::storage_key::StorageKey;

use super::room::Place;

/// An object. Its bytes count as taken until the last answer with them has gone out.
#[derive(Debug)]
pub struct Object {
    /// Its name.
    pub key: StorageKey,
    /// `Content-Length` of the whole.
    pub length: HeaderValue,
    /// `Content-Type`.
    pub content_type: HeaderValue,
    /// `Cache-Control`.
    pub cache_control: HeaderValue,
    /// `ETag`.
    pub etag: HeaderValue,
    bytes: Bytes,
    asked_again: AtomicBool,
    kept: bool,
    /// Where the bytes do not hold it themselves.
    _place: Option<Place>,
}

/// Bytes on their way out, which keep their object.
struct Lent(Arc<Object>);

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        &self.0.bytes
    }
}

impl Object {
    /// An object of bytes that came from elsewhere.
    pub(super) fn new(key: StorageKey, bytes: Bytes, place: Option<Place>) -> Self {
        let kept = place.is_some();
        Self { kept, _place: place.map(Place::without_memory), ..Self::of(key, bytes) }
    }

    /// An object whose bytes were read into its place.
    pub(super) fn held(key: StorageKey, bytes: Vec<u8>, place: Place) -> Self {
        Self { kept: true, ..Self::of(key, place.hold(bytes)) }
    }

    fn of(key: StorageKey, bytes: Bytes) -> Self {
        let text = |text: &str| HeaderValue::from_str(text).unwrap_or(HeaderValue::from_static("\"\""));
        Self {
            length: HeaderValue::from(bytes.len()),
            content_type: HeaderValue::from_static(key.content_type()),
            cache_control: HeaderValue::from_static(key.cache_control()),
            etag: text(&etag(&key)),
            key,
            bytes,
            asked_again: AtomicBool::new(false),
            kept: false,
            _place: None,
        }
    }

    /// How many bytes it has.
    pub fn size(&self) -> u64 {
        self.bytes.len() as u64
    }

    /// All of it, without a copy.
    pub fn bytes(self: &Arc<Self>) -> Bytes {
        Bytes::from_owner(Lent(Arc::clone(self)))
    }

    pub(super) fn has_place(&self) -> bool {
        self.kept
    }

    pub(super) fn ask(&self) {
        self.asked_again.store(true, Ordering::Relaxed);
    }

    /// Whether somebody has asked for it since this was asked last.
    pub(super) fn was_asked(&self) -> bool {
        self.asked_again.swap(false, Ordering::Relaxed)
    }
}

/// The validator of an object. Objects never change, so that their name is one.
pub fn etag(key: &StorageKey) -> String {
    match key {
        StorageKey::Published { generation, file } => format!("\"{generation}/{file}\""),
        StorageKey::Source { upload } => format!("\"{upload}\""),
    }
}
