//! Opened sources, kept while they are of use: as many as fit into a bounded share of memory, each opened once however many ask at once.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use domain::ids::GenerationId;
use tokio::sync::OnceCell;

use super::Ready;

/// Bytes of tables kept at most, but for the one that is used now: an hour of picture and sound has about two million.
const MEMORY: usize = 128 << 20;

/// The shelf. Clones are the same one.
#[derive(Debug, Clone, Default)]
pub(super) struct Shelf(Arc<Mutex<HashMap<GenerationId, Slot>>>);

#[derive(Debug, Clone)]
struct Slot {
    ready: Arc<OnceCell<Arc<Ready>>>,
    used: Instant,
}

impl Slot {
    fn memory(&self) -> usize {
        self.ready.get().map_or(0, |ready| ready.memory())
    }
}

impl Shelf {
    /// What stands under a generation; `open` is asked for it where there is nothing, once at a time. What fails is not kept.
    pub(super) async fn get_or_open<E, F>(&self, generation: GenerationId, open: impl FnOnce() -> F) -> Result<Arc<Ready>, E>
    where
        F: Future<Output = Result<Ready, E>>,
    {
        let cell = {
            let mut slots = self.slots();
            let slot = slots.entry(generation).or_insert_with(|| Slot { ready: Arc::default(), used: Instant::now() });
            slot.used = Instant::now();
            Arc::clone(&slot.ready)
        };
        if let Some(ready) = cell.get() {
            return Ok(Arc::clone(ready));
        }
        let opened = cell.get_or_try_init(|| async { open().await.map(Arc::new) }).await.cloned();
        match &opened {
            Ok(_) => self.make_room(generation),
            // Others may be trying as well; whoever succeeds is found by its cell, and asked for anew at worst.
            Err(_) => self.drop_if_empty(generation),
        }
        opened
    }

    /// What stands under a generation.
    pub(super) fn get(&self, generation: GenerationId) -> Option<Arc<Ready>> {
        let mut slots = self.slots();
        let slot = slots.get_mut(&generation)?;
        slot.used = Instant::now();
        slot.ready.get().cloned()
    }

    /// Puts something under a generation that somebody else has opened.
    pub(super) fn put(&self, generation: GenerationId, ready: Ready) {
        let slot = Slot { ready: Arc::new(OnceCell::new_with(Some(Arc::new(ready)))), used: Instant::now() };
        self.slots().insert(generation, slot);
        self.make_room(generation);
    }

    /// Forgets what stands under a generation.
    pub(super) fn forget(&self, generation: GenerationId) {
        self.slots().remove(&generation);
    }

    /// Whether anything stands under it.
    pub(super) fn knows(&self, generation: GenerationId) -> bool {
        self.slots().get(&generation).is_some_and(|slot| slot.ready.initialized())
    }

    fn drop_if_empty(&self, generation: GenerationId) {
        let mut slots = self.slots();
        if slots.get(&generation).is_some_and(|slot| !slot.ready.initialized()) {
            slots.remove(&generation);
        }
    }

    /// Lets the ones go that were used longest ago.
    fn make_room(&self, but: GenerationId) {
        let mut slots = self.slots();
        while slots.values().map(Slot::memory).sum::<usize>() > MEMORY {
            let others = slots.iter().filter(|(generation, slot)| **generation != but && slot.ready.initialized());
            let Some(oldest) = others.min_by_key(|(_, slot)| slot.used).map(|(generation, _)| *generation) else { return };
            slots.remove(&oldest);
        }
    }

    fn slots(&self) -> MutexGuard<'_, HashMap<GenerationId, Slot>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
