//! Whether the other side goes on: so many bytes have to move in each period that we wait for it.
//!
//! Time counts only while we wait, never while a slow disk or a slow store makes the other side wait for us.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use tokio::time::{Instant, Sleep, sleep};

/// Too little has moved in a period.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stalled;

/// What one body or one socket has moved.
#[derive(Debug)]
pub(super) struct Progress {
    least: u64,
    period: Duration,
    /// Bytes and time waited in this period.
    in_period: u64,
    waited: Duration,
    waiting: Option<Waiting>,
}

#[derive(Debug)]
struct Waiting {
    since: Instant,
    end: Pin<Box<Sleep>>,
}

impl Progress {
    /// `least` bytes have to move in each `period` of waiting.
    pub(super) fn new(least: u64, period: Duration) -> Self {
        Self { least, period, in_period: 0, waited: Duration::ZERO, waiting: None }
    }

    /// Accounts for what has moved.
    pub(super) fn moved(&mut self, bytes: u64) -> Result<(), Stalled> {
        if let Some(waiting) = self.waiting.take() {
            self.waited += waiting.since.elapsed();
        }
        self.in_period = self.in_period.saturating_add(bytes);
        if self.waited >= self.period { self.end_period() } else { Ok(()) }
    }

    fn end_period(&mut self) -> Result<(), Stalled> {
        if self.in_period < self.least {
            return Err(Stalled);
        }
        self.in_period = 0;
        self.waited = Duration::ZERO;
        Ok(())
    }

    /// Waits for more to move, as long as there is time in this period.
    pub(super) fn wait(&mut self, context: &mut Context<'_>) -> Poll<Stalled> {
        loop {
            let left = self.period.saturating_sub(self.waited);
            let waiting = self.waiting.get_or_insert_with(|| Waiting { since: Instant::now(), end: Box::pin(sleep(left)) });
            if waiting.end.as_mut().poll(context).is_pending() {
                return Poll::Pending;
            }
            self.waiting = None;
            if let Err(stalled) = self.end_period() {
                return Poll::Ready(stalled);
            }
        }
    }
}
