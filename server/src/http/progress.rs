//! Whether the other side goes on: so many bytes have to move in each period that we wait for it.
//!
//! Time counts only while we wait, never while a slow disk or a slow store makes the other side wait for us.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use tokio::time::{Instant, Sleep, sleep_until};

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
    waiting_since: Option<Instant>,
    /// Goes off when a period may be over, or before: setting it anew for each wait would cost more than many a wait.
    alarm: Option<Pin<Box<Sleep>>>,
}

impl Progress {
    /// `least` bytes have to move in each `period` of waiting.
    pub(super) fn new(least: u64, period: Duration) -> Self {
        Self { least, period, in_period: 0, waited: Duration::ZERO, waiting_since: None, alarm: None }
    }

    /// Accounts for what has moved.
    pub(super) fn moved(&mut self, bytes: u64) -> Result<(), Stalled> {
        if let Some(since) = self.waiting_since.take() {
            self.waited += since.elapsed();
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
            let since = *self.waiting_since.get_or_insert_with(Instant::now);
            let end = since + self.period.saturating_sub(self.waited);
            let alarm = self.alarm.get_or_insert_with(|| Box::pin(sleep_until(end)));
            if alarm.as_mut().poll(context).is_pending() {
                return Poll::Pending;
            }
            // It was set for an earlier wait, after which there was time left: it never goes off too late.
            alarm.as_mut().reset(end);
            if Instant::now() < end {
                continue;
            }
            self.waiting_since = None;
            if let Err(stalled) = self.end_period() {
                return Poll::Ready(stalled);
            }
        }
    }
}
