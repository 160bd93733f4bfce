//! A thread of its own for a connection that brings a file, for as long as the file comes faster than threads can be woken for it.
//!
//! In a lane the connection is driven by a thread that may block: it waits for the socket with `recv`, and what its handler does to the disk
//! happens there and then, with bytes that the processor still has at hand, instead of being handed to another thread and back for each piece.
//! The connection, its handler and its body stay what they are; they only run elsewhere. Who sends one body after another stays there between
//! them, so that threads are not woken for each. Lanes are few, and whoever turns slow leaves.

use std::{
    cell::Cell,
    future::poll_fn,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
};

use tokio::{runtime::Handle, sync::Semaphore, task::spawn_blocking};

/// Lanes at once. Each is a thread of those that wait for the disk, of which there are far more.
const LANES: usize = 32;

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
pub(crate) struct Lane(Arc<Mutex<Phase>>);

/// Where a connection is in its lane.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Phase {
    /// It wants none.
    #[default]
    Outside,
    /// A body comes fast; so many bytes of it are still to come.
    Body(u64),
    /// The request is there, and its answer is being made.
    Answer,
    /// The answer is on its way. Who sends fast asks again at once.
    Between,
    /// Something of the next request is there. Whether it was read on since.
    Head(bool),
}

/// What a read that finds the connection in a lane is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reading {
    /// Wait by the runtime: there is no lane.
    ByRuntime,
    /// Wait with the thread for a body, of which so many bytes are to come.
    Body(u64),
    /// Wait with the thread for the next request.
    Head,
    /// Wait for whoever answers: what comes meanwhile is for later. The connection is woken when that changes.
    Rest,
    /// Ask again when all others have had their turn.
    Again,
}

impl Lane {
    fn phase(&self) -> MutexGuard<'_, Phase> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A body comes fast, and `left` bytes of it have not been seen yet. Hyper reads on only once all that it has read was taken, so those are the
    /// bytes that the socket has still to give.
    pub(crate) fn enter(&self, left: u64) {
        let mut phase = self.phase();
        if left > 0 && (*phase == Phase::Outside || !may_block()) {
            *phase = Phase::Body(left);
        }
    }

    /// The body of the next request is asked for, of a connection that has stayed in its lane. Whether it has: then it has to be woken.
    pub(crate) fn go_on(&self, left: u64) -> bool {
        let mut phase = self.phase();
        let goes_on = *phase == Phase::Answer && left > 0;
        if goes_on {
            *phase = Phase::Body(left);
        }
        goes_on
    }

    /// The body is at its end, or nobody wants the rest of it.
    pub(crate) fn body_ended(&self) {
        let mut phase = self.phase();
        *phase = match *phase {
            Phase::Body(_) if may_block() => Phase::Answer,
            Phase::Body(_) => Phase::Outside,
            other => other,
        };
    }

    /// Something of an answer was written. Whether reads were told to rest until then.
    pub(crate) fn answered(&self) -> bool {
        let mut phase = self.phase();
        let rested = *phase == Phase::Answer;
        if rested {
            *phase = Phase::Between;
        }
        rested
    }

    /// A request is being answered.
    pub(crate) fn asked(&self) {
        let mut phase = self.phase();
        if matches!(*phase, Phase::Between | Phase::Head(_)) {
            *phase = Phase::Answer;
        }
    }

    /// The client is slow, or wants something that takes no lane.
    pub(crate) fn leave(&self) {
        *self.phase() = Phase::Outside;
    }

    fn is_wanted(&self) -> bool {
        *self.phase() != Phase::Outside
    }

    /// What a read is to do.
    pub(crate) fn reading(&self) -> Reading {
        if !may_block() {
            return Reading::ByRuntime;
        }
        let mut phase = self.phase();
        match *phase {
            Phase::Outside => Reading::ByRuntime,
            Phase::Body(left) => Reading::Body(left),
            Phase::Between => Reading::Head,
            Phase::Answer => Reading::Rest,
            Phase::Head(false) => {
                *phase = Phase::Head(true);
                Reading::Again
            }
            // Nobody answers yet, so it is not there as a whole. That may take any time.
            Phase::Head(true) => {
                *phase = Phase::Outside;
                Reading::ByRuntime
            }
        }
    }

    /// So many bytes have come.
    pub(crate) fn came(&self, bytes: u64) {
        let mut phase = self.phase();
        *phase = match *phase {
            Phase::Body(left) if left > bytes => Phase::Body(left - bytes),
            Phase::Body(_) => Phase::Answer,
            Phase::Between => Phase::Head(false),
            other => other,
        };
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
                2 => wish.enter(1),
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
    fn who_sends_one_body_after_another_stays() {
        let lane = Lane::default();
        lane.enter(0);
        assert!(!lane.is_wanted(), "there is nothing to wait for");
        lane.enter(10);
        assert_eq!(lane.reading(), Reading::ByRuntime, "it is not in its lane yet");
        let _inside = Inside::enter();
        assert_eq!(lane.reading(), Reading::Body(10));
        lane.came(4);
        assert!(!lane.answered(), "this asks the client to go on");
        assert_eq!(lane.reading(), Reading::Body(6));
        lane.came(6);
        assert_eq!(lane.reading(), Reading::Rest);
        assert!(lane.answered() && !lane.answered());
        assert_eq!(lane.reading(), Reading::Head);
        lane.came(300);
        assert_eq!(lane.reading(), Reading::Again);
        lane.asked();
        assert_eq!(lane.reading(), Reading::Rest, "whether a body follows is not known yet");
        assert!(!lane.go_on(0) && lane.go_on(5) && !lane.go_on(5));
        assert_eq!(lane.reading(), Reading::Body(5));
        lane.body_ended();
        assert_eq!(lane.reading(), Reading::Rest, "nobody wants the rest");
    }

    #[test]
    fn half_a_request_and_a_body_without_a_lane_hold_nobody_up() {
        let lane = Lane::default();
        lane.enter(10);
        lane.enter(6);
        {
            let _inside = Inside::enter();
            assert_eq!(lane.reading(), Reading::Body(6), "a lane became free late");
            lane.came(6);
            lane.answered();
            lane.came(3);
            assert_eq!((lane.reading(), lane.reading()), (Reading::Again, Reading::ByRuntime));
        }
        assert!(!lane.is_wanted());
        lane.enter(10);
        lane.body_ended();
        assert!(!lane.is_wanted());
    }
}
