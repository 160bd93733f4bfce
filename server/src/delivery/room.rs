//! How much memory media may take up: whoever holds some of it has taken a place, and gives it back by letting go.
//!
//! What has been thrown out of the cache while somebody is still being sent it counts until that has ended. So the limit holds whatever clients do.
//! Memory that was let go of is kept for whoever reads the next object, for new memory costs a fault for each of its pages; it counts as well.

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicU64, Ordering},
};

/// The part of all the room that memory without an object may take up.
const SPARE: u64 = 8;

/// Bytes that there are, and bytes that are taken.
#[derive(Debug)]
pub(super) struct Room {
    limit: u64,
    taken: AtomicU64,
    spare: Mutex<Spare>,
}

/// Memory of objects that are gone, with the bytes that each takes.
#[derive(Debug, Default)]
struct Spare {
    memory: Vec<(Vec<u8>, u64)>,
    bytes: u64,
}

/// Some of the bytes, until it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    room: Arc<Room>,
    bytes: u64,
    /// Memory that was another object's, with whatever that left in it.
    memory: Vec<u8>,
}

/// Bytes in their place.
struct Held {
    bytes: Vec<u8>,
    place: Place,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.place.memory = std::mem::take(&mut self.bytes);
        self.place.keep();
    }
}

impl Room {
    pub(super) fn new(limit: u64) -> Arc<Self> {
        Arc::new(Self { limit, taken: AtomicU64::new(0), spare: Mutex::default() })
    }

    pub(super) fn limit(&self) -> u64 {
        self.limit
    }

    /// Bytes that objects take.
    pub(super) fn taken(&self) -> u64 {
        let spare = self.spare().bytes;
        self.taken.load(Ordering::Relaxed).saturating_sub(spare)
    }

    /// A place for so many bytes, where there is one.
    pub(super) fn take(self: &Arc<Self>, bytes: u64) -> Option<Place> {
        let place = |bytes, memory| Some(Place { room: Arc::clone(self), bytes, memory });
        // Neither too small nor so large that half of it would lie idle.
        let fits = |taken: &u64| (bytes..=bytes.saturating_mul(2)).contains(taken);
        if let Some((memory, taken)) = self.spare().remove(fits) {
            return place(taken, memory);
        }
        loop {
            let fits = |taken: u64| taken.checked_add(bytes).filter(|sum| *sum <= self.limit);
            if self.taken.fetch_update(Ordering::AcqRel, Ordering::Relaxed, fits).is_ok() {
                return place(bytes, Vec::new());
            }
            let (_, idle) = self.spare().remove(|_| true)?;
            self.give_back(idle);
        }
    }

    fn give_back(&self, bytes: u64) {
        self.taken.fetch_sub(bytes, Ordering::AcqRel);
    }

    fn spare(&self) -> MutexGuard<'_, Spare> {
        self.spare.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Spare {
    fn remove(&mut self, fits: impl Fn(&u64) -> bool) -> Option<(Vec<u8>, u64)> {
        let at = self.memory.iter().position(|(_, bytes)| fits(bytes))?;
        let found = self.memory.swap_remove(at);
        self.bytes -= found.1;
        Some(found)
    }
}

impl Place {
    /// Memory of so many bytes, to be written over: what is in it means nothing.
    pub(super) fn memory(&mut self, length: usize) -> Vec<u8> {
        let mut memory = std::mem::take(&mut self.memory);
        if memory.capacity() < length {
            return vec![0; length];
        }
        memory.resize(length, 0);
        memory
    }

    /// The place alone, for bytes that have memory of their own.
    pub(super) fn without_memory(mut self) -> Self {
        self.memory = Vec::new();
        self
    }

    /// Bytes that take this place until the last of their readers has let go of them.
    pub(super) fn hold(self, bytes: Vec<u8>) -> bytes::Bytes {
        bytes::Bytes::from_owner(Held { bytes, place: self })
    }

    /// Keeps the memory for the next one.
    fn keep(&mut self) {
        let mut spare = self.room.spare();
        if self.memory.capacity() > 0 && spare.bytes + self.bytes <= self.room.limit / SPARE {
            spare.bytes += self.bytes;
            spare.memory.push((std::mem::take(&mut self.memory), std::mem::take(&mut self.bytes)));
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.room.give_back(self.bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_used_again_and_counts_and_gives_way() {
        let room = Room::new(800);
        let mut place = room.take(60).expect("there is room");
        let memory = place.memory(50);
        let at = memory.as_ptr();
        let held = place.hold(memory);
        let slice = held.slice(10..20);
        drop(held);
        assert_eq!(room.taken(), 60, "somebody still reads it");
        drop(slice);
        assert_eq!((room.taken(), room.taken.load(Ordering::Relaxed)), (0, 60), "kept, and counted");
        let mut again = room.take(40).expect("there is room");
        let memory = again.memory(30);
        assert_eq!((memory.as_ptr(), memory.len(), room.taken()), (at, 30, 60));
        drop(again.hold(memory));
        assert!(room.take(801).is_none());
        let all = room.take(800).expect("what is idle gives way");
        assert_eq!(room.taken(), 800);
        drop(all);
        assert_eq!(room.taken.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn little_is_kept() {
        let room = Room::new(800);
        let places: Vec<_> = (0..3).map(|_| room.take(60).expect("there is room")).collect();
        let held: Vec<_> =
            places.into_iter().map(|mut place| (place.memory(60), place)).map(|(memory, place)| place.hold(memory)).collect();
        assert_eq!(room.taken(), 180);
        drop(held);
        assert_eq!(room.taken.load(Ordering::Relaxed), 60);
    }
}
