//! The contract of [`JobQueue`], as one suite that every adapter passes.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use domain::ids::{JobId, VideoId};
use server::{
    adapters::db_queue::DbQueue,
    ports::job_queue::{Delivery, HEARTBEAT, JobQueue, Message, Receipt, WakeUp},
};
use uuid::Uuid;

use crate::app::App;

/// What adapters differ in by their nature.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Nature {
    /// After how long a message comes again that nobody ended; `None` where it never does.
    pub(crate) comes_again_after: Option<Duration>,
}

/// Long enough for any of them to answer.
const PATIENCE: Duration = Duration::from_secs(2);
/// So long that a machine which is busy with other things does not use up half of it.
const LONG_WAIT: Duration = Duration::from_secs(20);

pub(crate) fn wake_up() -> WakeUp {
    WakeUp { job: JobId(Uuid::now_v7()), video: VideoId(Uuid::now_v7()) }
}

/// Receives until there are so many messages, and ends none of them.
pub(crate) async fn receive(queue: &dyn JobQueue, count: usize) -> Vec<Delivery> {
    let mut all = Vec::new();
    for _ in 0..20 {
        all.extend(queue.receive(PATIENCE, 10).await.expect("received"));
        if all.len() >= count {
            break;
        }
    }
    assert_eq!(all.len(), count, "{all:?}");
    all
}

pub(crate) async fn end(queue: &dyn JobQueue, delivery: &Delivery) {
    if let Some(receipt) = &delivery.receipt {
        queue.acknowledge(receipt).await.expect("ended");
    }
}

/// Whether nothing comes for a while.
pub(crate) async fn is_quiet(queue: &dyn JobQueue, patience: Duration) -> bool {
    let until = Instant::now() + patience;
    while Instant::now() < until {
        if !queue.receive(until.saturating_duration_since(Instant::now()), 10).await.expect("received").is_empty() {
            return false;
        }
    }
    true
}

async fn what_is_sent_arrives_once(queue: &dyn JobQueue) {
    let sent = wake_up();
    queue.send(sent).await.expect("sent");
    let received = receive(queue, 1).await;
    assert_eq!(received[0].message, Message::WakeUp(sent));
    end(queue, &received[0]).await;
    assert!(is_quiet(queue, PATIENCE).await, "what was ended stays so");
}

async fn nobody_gets_more_than_they_asked_for(queue: &dyn JobQueue) {
    let mut open: Vec<_> = (0..5).map(|_| wake_up()).collect();
    for sent in &open {
        queue.send(*sent).await.expect("sent");
    }
    for most in [2, 1].into_iter().cycle().take(40) {
        let received = queue.receive(PATIENCE, most).await.expect("received");
        assert!(received.len() <= most, "{received:?}");
        for delivery in received {
            let Message::WakeUp(wake_up) = delivery.message else { panic!("{delivery:?}") };
            let index = open.iter().position(|sent| *sent == wake_up).expect("sent, and not received before");
            open.remove(index);
            end(queue, &delivery).await;
        }
        if open.is_empty() {
            return;
        }
    }
    panic!("never received: {open:?}");
}

async fn a_wait_for_nothing_ends_and_costs_no_more_than_it_said(queue: &dyn JobQueue) {
    let began = Instant::now();
    assert_eq!(queue.receive(PATIENCE, 1).await.expect("an empty answer is an answer"), []);
    assert!(began.elapsed() > Duration::from_millis(500), "an empty answer at once is asked for again at once");
    assert!(began.elapsed() < PATIENCE + LONG_WAIT, "{:?}", began.elapsed());
}

async fn a_message_wakes_who_waits(queue: Arc<dyn JobQueue>) {
    // One wait, which has begun before the message is sent: it ends with the message, and not with its own time.
    let waiting = tokio::spawn({
        let queue = Arc::clone(&queue);
        async move { (queue.receive(LONG_WAIT, 1).await.expect("received"), Instant::now()) }
    });
    tokio::time::sleep(Duration::from_millis(300)).await;
    let (sent, began) = (wake_up(), Instant::now());
    queue.send(sent).await.expect("sent");
    let (received, woken) = waiting.await.expect("received");
    assert_eq!(received.iter().map(|delivery| &delivery.message).collect::<Vec<_>>(), [&Message::WakeUp(sent)]);
    assert!(woken < began + LONG_WAIT / 2, "{:?}", woken - began);
    end(&*queue, &received[0]).await;
}

async fn receipts_of_nothing_are_harmless(queue: &dyn JobQueue) {
    let sent = wake_up();
    queue.send(sent).await.expect("sent");
    for nothing in ["made-up", "AQEBwJnKyrHigUMZj6rYigCgxlaS3SLy0a=="] {
        let nothing = Receipt(nothing.to_owned());
        queue.extend(&nothing).await.expect("harmless");
        queue.acknowledge(&nothing).await.expect("harmless");
    }
    let received = receive(queue, 1).await;
    assert_eq!(received[0].message, Message::WakeUp(sent), "the message is still there");
    end(queue, &received[0]).await;
    end(queue, &received[0]).await;
    if let Some(receipt) = &received[0].receipt {
        queue.extend(receipt).await.expect("too late, and harmless");
    }
}

async fn a_message_comes_again_until_it_is_ended(queue: &dyn JobQueue, after: Duration) {
    let sent = wake_up();
    queue.send(sent).await.expect("sent");
    let first = receive(queue, 1).await.remove(0);
    let receipt = first.receipt.clone().expect("something to end it by");
    // Extended, it stays away for longer than it would by itself.
    for _ in 0..3 {
        assert!(is_quiet(queue, after / 2).await, "it is being worked on");
        queue.extend(&receipt).await.expect("extended");
    }
    // Left alone, it comes again.
    let again = receive(queue, 1).await.remove(0);
    assert_eq!(again.message, Message::WakeUp(sent));
    assert_ne!(again.receipt, first.receipt, "each delivery has its own name");
    // The newest receipt is the one that ends it.
    queue.acknowledge(&receipt).await.expect("harmless");
    end(queue, &again).await;
    assert!(is_quiet(queue, after * 2).await, "it has ended");
}

/// All of it, on an empty queue that is nobody else's.
pub(crate) async fn run(queue: Arc<dyn JobQueue>, nature: Nature) {
    what_is_sent_arrives_once(&*queue).await;
    nobody_gets_more_than_they_asked_for(&*queue).await;
    a_wait_for_nothing_ends_and_costs_no_more_than_it_said(&*queue).await;
    a_message_wakes_who_waits(Arc::clone(&queue)).await;
    receipts_of_nothing_are_harmless(&*queue).await;
    if let Some(after) = nature.comes_again_after {
        a_message_comes_again_until_it_is_ended(&*queue, after).await;
    }
    let heartbeat = queue.heartbeat();
    assert!(heartbeat > Duration::ZERO && heartbeat <= HEARTBEAT, "{heartbeat:?}");
    assert!(nature.comes_again_after.is_none_or(|after| heartbeat * 2 < after), "one heartbeat may get lost");
}

#[tokio::test]
async fn the_database_as_a_queue_holds_to_the_contract() {
    let app = App::start().await;
    // Its messages are gone once they are read: the rows are what comes again.
    run(Arc::new(DbQueue::open(&app.db)), Nature { comes_again_after: None }).await;
}
