//! One thing to do later. Setting it again, or dropping it, forgets the first.

use std::cell::RefCell;

use gloo_timers::callback::Timeout;

/// At most one pending call.
#[derive(Default)]
pub(super) struct Timer(RefCell<Option<Timeout>>);

impl Timer {
    /// Calls `then` once, `ms` from now.
    pub(super) fn set(&self, ms: u32, then: impl FnOnce() + 'static) {
        // The old one is dropped outside the borrow: it may be the one that is calling.
        let old = self.0.replace(Some(Timeout::new(ms, then)));
        drop(old);
    }

    /// Forgets it; `true` where something was set.
    pub(super) fn cancel(&self) -> bool {
        let old = self.0.take();
        old.is_some()
    }
}
