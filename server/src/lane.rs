//! A thread of its own for a connection that brings a file, for as long as the file comes faster than threads can be woken for it.
//!
//! In a lane the connection is driven by a thread that may block: it waits for the socket with `recv`, and what its handler does to the disk
//! happens there and then, with bytes that the processor still has at hand, instead of being handed to another thread and back for each piece.
//! The connection, its handler and its body stay what they are; they only run elsewhere. Lanes are few, and whoever turns slow leaves.

use std::{
    cell::Cell,
    future::poll_fn,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::{Context, Poll},
};

use tokio::{runtime::Handle, sync::Semaphore, task::spawn_blocking};

/// Lanes at once. Each is a thread of those that wait for the disk, of which there are far more.
const LANES: usize = 32;
/// Bytes of a body that hyper may have read and its reader not seen: its reads are no longer than about 400 kB, and it is one ahead. A read that
/// waits must never wait for more than the client is going to send.
const READ_AHEAD: u64 = 512 * 1024;

thread_local! {
    static IN_LANE: Cell<bool> = const { Cell::new(false) };
}

/// Whether what runs here may block: it has this thread for itself.
pub(crate) fn may_block() -> bool {
    IN_LANE.get()
}

/// All lanes. Clones are the same ones.
#[derive(Debug, Clone)]
pub(crate) struct Lanes(Arc<Semaphore>);

/// While it lives, lanes are open. A runtime that ends waits for threads that may block, so nobody may stay in one.
#[derive(Debug)]
pub(crate) struct Open(Arc<Semaphore>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// What one connection's body and socket tell each other. Clones are the same one.
#[derive(Debug, Clone, Default)]
pub(crate) struct Lane(Arc<State>);

#[derive(Debug, Default)]
struct State {
    wanted: AtomicBool,
    /// Bytes that are certain to come.
    coming: AtomicU64,
}

impl Lane {
    /// A body comes fast, and `left` bytes of it have not been seen yet.
    pub(crate) fn enter(&self, left: u64) {
        let coming = left.saturating_sub(READ_AHEAD);
        if coming > 0 && !self.is_wanted() {
            self.0.coming.store(coming, Ordering::Relaxed);
            self.0.wanted.store(true, Ordering::Relaxed);
        }
    }

    /// The body is at its end, or slow.
    pub(crate) fn leave(&self) {
        self.0.wanted.store(false, Ordering::Relaxed);
    }

    fn is_wanted(&self) -> bool {
        self.0.wanted.load(Ordering::Relaxed)
    }

    /// How many bytes the socket may wait for with its thread.
    pub(crate) fn coming(&self) -> u64 {
        if may_block() && self.is_wanted() { self.0.coming.load(Ordering::Relaxed) } else { 0 }
    }

    /// So many of them have come.
    pub(crate) fn came(&self, bytes: u64) {
        let left = self.0.coming.load(Ordering::Relaxed).saturating_sub(bytes);
        self.0.coming.store(left, Ordering::Relaxed);
    }
}

/// While it lives, what runs on this thread may block.
struct Inside;

impl Inside {
    fn enter() -> Self {
        IN_LANE.set(true);
        Self
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        IN_LANE.set(false);
    }
}

impl Default for Lanes {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(LANES)))
    }
}

impl Lanes {
    /// Lanes, and what keeps them open.
    pub(crate) fn open() -> (Self, Open) {
        let lanes = Self::default();
        let open = Open(Arc::clone(&lanes.0));
        (lanes, open)
    }

    /// Drives a connection to its end, in a lane whenever it wants one and one is free. `None` where the runtime ends first.
    pub(crate) async fn drive<C>(self, connection: C, lane: Lane) -> Option<C::Output>
    where
        C: Future + Send + 'static,
        C::Output: Send + 'static,
    {
        let mut connection = Box::pin(connection);
        loop {
            let permit = poll_fn(|context| match connection.as_mut().poll(context) {
                Poll::Ready(output) => Poll::Ready(Err(output)),
                Poll::Pending if !lane.is_wanted() => Poll::Pending,
                Poll::Pending => Arc::clone(&self.0).try_acquire_owned().map_or(Poll::Pending, |permit| Poll::Ready(Ok(permit))),
            });
            let permit = match permit.await {
                Ok(permit) => permit,
                Err(output) => return Some(output),
            };
            let (runtime, lane, lanes) = (Handle::current(), lane.clone(), Arc::clone(&self.0));
            let driven = spawn_blocking(move || {
                let stays = || lane.is_wanted() && !lanes.is_closed();
                let output = runtime.block_on(poll_fn(|context| poll_inside(connection.as_mut(), context, stays)));
                drop(permit);
                (connection, output)
            });
            match driven.await {
                Ok((_, Some(output))) => return Some(output),
                Ok((back, None)) => connection = back,
                Err(error) => match error.try_into_panic() {
                    Ok(panic) => std::panic::resume_unwind(panic),
                    Err(_) => return None,
                },
            }
        }
    }
}

/// One step in the lane: the connection's end, or nothing where it does not stay there.
fn poll_inside<C: Future>(connection: Pin<&mut C>, context: &mut Context<'_>, stays: impl Fn() -> bool) -> Poll<Option<C::Output>> {
    let inside = Inside::enter();
    let polled = connection.poll(context);
    drop(inside);
    match polled {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending if stays() => Poll::Pending,
        Poll::Pending => Poll::Ready(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_connection_is_driven_in_a_lane_for_as_long_as_it_wants_to_be() {
        let (lanes, lane, mut seen) = (Lanes::default(), Lane::default(), Vec::new());
        let wish = lane.clone();
        let connection = poll_fn(move |context| {
            seen.push(may_block());
            match seen.len() {
                2 => wish.enter(READ_AHEAD + 1),
                4 => wish.leave(),
                6 => return Poll::Ready(std::mem::take(&mut seen)),
                _ => {}
            }
            context.waker().wake_by_ref();
            Poll::Pending
        });
        let free = Arc::clone(&lanes.0);
        let seen = lanes.drive(connection, lane).await.expect("the runtime goes on");
        assert_eq!(seen, [false, false, true, true, false, false]);
        assert_eq!(free.available_permits(), LANES);
        assert!(!may_block());
    }

    #[tokio::test]
    async fn who_finds_no_lane_free_goes_on_without_one() {
        let (lanes, lane) = (Lanes(Arc::new(Semaphore::new(0))), Lane::default());
        lane.enter(u64::MAX);
        let mut polls = 0;
        let connection = poll_fn(move |context| {
            polls += 1;
            context.waker().wake_by_ref();
            if polls < 3 { Poll::Pending } else { Poll::Ready(may_block()) }
        });
        assert_eq!(lanes.drive(connection, lane).await, Some(false));
    }

    #[tokio::test]
    async fn nobody_stays_in_a_lane_that_is_closed() {
        let ((lanes, open), lane) = (Lanes::open(), Lane::default());
        lane.enter(u64::MAX);
        let (mut open, mut polls) = (Some(open), 0);
        let connection = poll_fn(move |context| {
            polls += 1;
            context.waker().wake_by_ref();
            match (polls, may_block()) {
                (1, false) | (3, false) => Poll::Pending,
                (2, true) => {
                    drop(open.take());
                    Poll::Pending
                }
                other => Poll::Ready(other),
            }
        });
        assert_eq!(lanes.drive(connection, lane).await, Some((4, false)));
    }

    #[test]
    fn nobody_waits_for_what_may_have_come_already() {
        let lane = Lane::default();
        let _inside = Inside::enter();
        lane.enter(READ_AHEAD);
        assert_eq!(lane.coming(), 0);
        lane.enter(READ_AHEAD + 10);
        lane.came(4);
        assert_eq!(lane.coming(), 6);
        lane.leave();
        assert_eq!(lane.coming(), 0);
    }
}
