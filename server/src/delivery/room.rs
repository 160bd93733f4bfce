//! How much memory media may take up: whoever holds some of it has taken a place, and gives it back by letting go.
//!
//! What has been thrown out of the cache while somebody is still being sent it counts until that has ended. So the limit holds whatever clients do.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

/// Bytes that there are, and bytes that are taken.
#[derive(Debug)]
pub(super) struct Room {
    limit: u64,
    taken: AtomicU64,
}

/// Some of the bytes, until it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    room: Arc<Room>,
    bytes: u64,
}

impl Room {
    pub(super) fn new(limit: u64) -> Arc<Self> {
        Arc::new(Self { limit, taken: AtomicU64::new(0) })
    }

    pub(super) fn limit(&self) -> u64 {
        self.limit
    }

    pub(super) fn taken(&self) -> u64 {
        self.taken.load(Ordering::Relaxed)
    }

    /// A place for so many bytes, where there is one.
    pub(super) fn take(self: &Arc<Self>, bytes: u64) -> Option<Place> {
        let fits = |taken: u64| taken.checked_add(bytes).filter(|sum| *sum <= self.limit);
        self.taken.fetch_update(Ordering::AcqRel, Ordering::Relaxed, fits).ok()?;
        Some(Place { room: Arc::clone(self), bytes })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.room.taken.fetch_sub(self.bytes, Ordering::AcqRel);
    }
}
