//! Wake-ups among processes, on PostgreSQL. Whoever waits here does not look at rows for an hour: what it gets, it was told.

use std::time::Duration;

use domain::ids::{JobId, VideoId};
use sea_orm::{ConnectionTrait, DatabaseConnection};
use server::{
    adapters::db_queue::DbQueue,
    ports::job_queue::{JobQueue, Message, WakeUp},
};
use uuid::Uuid;

use super::own::{OwnDatabase, ask, postgres};

const AN_HOUR: Duration = Duration::from_secs(3_600);

fn wake_up() -> WakeUp {
    WakeUp { job: JobId(Uuid::now_v7()), video: VideoId(Uuid::now_v7()) }
}

/// Process ids of the connections that listen.
async fn listeners(db: &DatabaseConnection) -> Vec<String> {
    ask(db, "SELECT pid::text FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'LISTEN%' ORDER BY pid").await
}

async fn until(db: &DatabaseConnection, enough: impl Fn(&[String]) -> bool) -> Vec<String> {
    loop {
        let listeners = listeners(db).await;
        if enough(&listeners) {
            return listeners;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// The next messages.
async fn heard(queue: &DbQueue) -> Vec<Message> {
    let deliveries = queue.receive(AN_HOUR, 10).await.expect("listened");
    deliveries.into_iter().map(|delivery| delivery.message).collect()
}

#[tokio::test]
async fn a_job_of_one_process_wakes_the_others() {
    if postgres().is_none() {
        return;
    }
    let (own, folder) = (OwnDatabase::create().await, tempfile::tempdir().expect("a folder"));
    let (here, there) = (own.open(folder.path()).await, own.open(folder.path()).await);
    let sending = DbQueue::open(&here).looking_every(AN_HOUR);
    let waiting = DbQueue::open(&there).looking_every(AN_HOUR);
    let before = until(&here, |listeners| listeners.len() == 2).await;

    let first = wake_up();
    let (got, sent) = tokio::join!(heard(&waiting), sending.send(first));
    sent.expect("sent");
    assert_eq!(got, [Message::WakeUp(first)]);
    assert_eq!(heard(&sending).await, [Message::WakeUp(first)], "the process itself is woken as well, once");

    // What is none of ours is passed over.
    here.execute_unprepared("SELECT pg_notify('millrace_jobs', 'nonsense')").await.expect("sent");
    // A connection that breaks comes back by itself.
    here.execute_unprepared(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%' AND datname = current_database()",
    )
    .await
    .expect("ended");
    until(&here, |listeners| listeners.len() == 2 && listeners.iter().all(|pid| !before.contains(pid))).await;
    let second = wake_up();
    sending.send(second).await.expect("sent");
    assert_eq!(heard(&waiting).await, [Message::WakeUp(second)]);

    drop(waiting);
    until(&here, |listeners| listeners.len() == 1).await;
    drop(sending);
    until(&here, <[String]>::is_empty).await;
}
