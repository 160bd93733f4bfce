//! One writer a part: a sender that comes later evicts the one before, whose connection is likely dead, and waits until it has let go.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, Weak},
};

use tokio::sync::{OwnedMutexGuard, watch};

#[derive(Debug)]
struct Slot {
    writer: Arc<tokio::sync::Mutex<()>>,
    newest: watch::Sender<u64>,
}

/// The parts that are being written.
#[derive(Debug, Default)]
pub(super) struct PartLocks {
    slots: Mutex<HashMap<(String, u32), Weak<Slot>>>,
}

/// The right to write one part, until it is dropped.
#[derive(Debug)]
pub(super) struct Turn {
    slot: Arc<Slot>,
    mine: u64,
    _writer: OwnedMutexGuard<()>,
}

impl PartLocks {
    /// Evicts whoever writes the part and takes its place.
    pub(super) async fn take_turn(&self, upload: &str, number: u32) -> Turn {
        let slot = self.slot(upload, number);
        let mut mine = 0;
        slot.newest.send_modify(|newest| {
            *newest += 1;
            mine = *newest;
        });
        let writer = Arc::clone(&slot.writer).lock_owned().await;
        Turn { slot, mine, _writer: writer }
    }

    fn slot(&self, upload: &str, number: u32) -> Arc<Slot> {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        slots.retain(|_, slot| slot.strong_count() > 0);
        let key = (upload.to_owned(), number);
        if let Some(slot) = slots.get(&key).and_then(Weak::upgrade) {
            return slot;
        }
        let slot = Arc::new(Slot { writer: Arc::default(), newest: watch::Sender::new(0) });
        slots.insert(key, Arc::downgrade(&slot));
        slot
    }
}

impl Turn {
    /// Ends when somebody newer wants the part.
    pub(super) fn evicted(&self) -> impl Future<Output = ()> + Send + 'static {
        let (mut newest, mine) = (self.slot.newest.subscribe(), self.mine);
        async move {
            if newest.wait_for(|newest| *newest > mine).await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_newcomer_evicts_the_holder_and_waits_for_it() {
        let locks = Arc::new(PartLocks::default());
        let first = locks.take_turn("u", 1).await;
        let other_part = locks.take_turn("u", 2).await;
        let second = tokio::spawn({
            let locks = Arc::clone(&locks);
            async move { locks.take_turn("u", 1).await }
        });
        first.evicted().await;
        assert!(!second.is_finished());
        drop(first);
        let second = second.await.expect("it gets its turn");
        assert!(futures::FutureExt::now_or_never(second.evicted()).is_none());
        assert!(futures::FutureExt::now_or_never(other_part.evicted()).is_none());
    }
}
