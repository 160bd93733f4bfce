//! Who is worth a place: what was asked for a second time, so soon that it would still be in memory if it had been kept the first time.
//!
//! Somebody who looks through many things that nobody else looks at would otherwise throw out what all others are being sent.

use std::{
    collections::HashSet,
    hash::{BuildHasher, RandomState},
    sync::{Mutex, PoisonError},
};

use domain::storage_key::StorageKey;

/// What was asked for lately and has no place.
#[derive(Debug)]
pub(super) struct Newcomers {
    hasher: RandomState,
    /// As many bytes of objects as the cache holds: half of them in each list.
    half: u64,
    lists: Mutex<Lists>,
}

/// Objects by their hashes. Where two have the same, one of them gets a place too early.
#[derive(Debug, Default)]
struct Lists {
    recent: HashSet<u64>,
    before: HashSet<u64>,
    /// What the recent ones weigh.
    weight: u64,
}

impl Newcomers {
    /// Those of a cache of so many bytes.
    pub(super) fn new(limit: u64) -> Self {
        Self { hasher: RandomState::new(), half: limit / 2, lists: Mutex::default() }
    }

    /// Whether an object was asked for before; if not, it has been now.
    pub(super) fn knows(&self, key: &StorageKey, weight: u64) -> bool {
        let hash = self.hasher.hash_one(key);
        let mut lists = self.lists.lock().unwrap_or_else(PoisonError::into_inner);
        if lists.recent.remove(&hash) || lists.before.remove(&hash) {
            return true;
        }
        lists.weight += weight;
        if lists.weight > self.half {
            lists.before = std::mem::take(&mut lists.recent);
            lists.weight = weight;
        }
        lists.recent.insert(hash);
        false
    }
}

#[cfg(test)]
mod tests {
    use domain::ids::GenerationId;
    use uuid::Uuid;

    use super::*;

    #[test]
    fn who_comes_back_soon_is_known_and_who_comes_back_late_is_not() {
        let generation = GenerationId(Uuid::now_v7());
        let key = |number: usize| StorageKey::published(generation, &format!("v/{number}.m4s")).expect("a key");
        let newcomers = Newcomers::new(1_000);
        for first in [0, 20] {
            assert!((first..first + 5).all(|number| !newcomers.knows(&key(number), 100)));
            assert!((first..first + 5).all(|number| newcomers.knows(&key(number), 100)), "soon");
        }
        for _ in 0..3 {
            assert!((0..20).all(|number| !newcomers.knows(&key(number), 100)), "late: twice as much has been asked for meanwhile");
        }
        let lists = newcomers.lists.lock().expect("nobody panicked");
        assert!(lists.recent.len() + lists.before.len() <= 10);
    }
}
