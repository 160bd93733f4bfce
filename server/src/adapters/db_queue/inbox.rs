//! Wake-ups that have come to this process and that nobody has taken yet. They are hints: what does not fit in is found by looking at the
//! rows.

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
};

use tokio::sync::{Notify, futures::Notified};

use crate::ports::job_queue::WakeUp;

/// Wake-ups kept at most. A process that does not work on jobs takes none out.
const ROOM: usize = 256;

/// The inbox.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    waiting: Mutex<VecDeque<WakeUp>>,
    arrived: Notify,
}

impl Inbox {
    fn waiting(&self) -> MutexGuard<'_, VecDeque<WakeUp>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a wake-up in, unless it is in already or there is no room.
    pub(super) fn put(&self, wake_up: WakeUp) {
        let mut waiting = self.waiting();
        if waiting.len() < ROOM && !waiting.contains(&wake_up) {
            waiting.push_back(wake_up);
        }
        drop(waiting);
        self.arrived.notify_one();
    }

    /// Resolves when something comes from now on.
    pub(super) fn arrived(&self) -> Notified<'_> {
        self.arrived.notified()
    }

    /// Takes some out, the oldest first.
    pub(super) fn take(&self, most: usize) -> Vec<WakeUp> {
        let mut waiting = self.waiting();
        let count = waiting.len().min(most);
        waiting.drain(..count).collect()
    }
}

#[cfg(test)]
mod tests {
    use domain::ids::{JobId, VideoId};
    use uuid::Uuid;

    use super::*;

    fn wake_up(number: u128) -> WakeUp {
        WakeUp { job: JobId(Uuid::from_u128(number)), video: VideoId(Uuid::nil()) }
    }

    #[test]
    fn what_is_doubled_counts_once_and_nobody_taking_anything_out_costs_no_memory() {
        let inbox = Inbox::default();
        for number in 0..1_000 {
            inbox.put(wake_up(number));
            inbox.put(wake_up(number));
        }
        assert_eq!(inbox.take(2), [wake_up(0), wake_up(1)]);
        assert_eq!(inbox.take(usize::MAX).len(), ROOM - 2);
        assert_eq!(inbox.take(1), []);
    }
}
