//! The worker and what it does with messages, leases and encodes that run elsewhere: which messages come to an end and when, and that no
//! death, shut-down or report out of order loses an encode or starts it twice.

use std::{sync::Arc, time::Duration};

use domain::{ids::JobId, job::JobState};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, sea_query::Expr};
use server::{
    clock::now_ms,
    db::entity::{jobs, removals},
    ports::{
        job_queue::{Message, WakeUp},
        transcoder::{EncodeNews, TranscodeId},
    },
    services::jobs::Jobs,
};
use uuid::Uuid;

use crate::workshop::{ELSEWHERE, Workshop, engine::Manners, eventually, queue::FakeQueue, report};

fn queue() -> Arc<FakeQueue> {
    Arc::new(FakeQueue::default())
}

#[tokio::test]
async fn a_message_is_held_back_while_its_job_runs_and_ends_when_the_row_says_so() {
    let shop = Workshop::open(ELSEWHERE).await;
    let queue = queue();
    let worker = shop.hire(queue.clone(), 2);
    let job = shop.video().await;
    queue.deliver(Message::WakeUp(job), "first");
    let encode = shop.until_encoding(job).await;
    eventually("the message is extended, again and again", async || queue.extended("first") >= 3).await;
    assert!(!queue.acknowledged("first"), "the job is not over yet");
    shop.engine.set(&encode, EncodeNews::Done);
    eventually("the message ends", async || queue.acknowledged("first")).await;
    assert_eq!(shop.row(job).await.state, JobState::Done.as_str(), "not before the row says so");
    let extended = queue.extended("first");
    tokio::time::sleep(crate::workshop::queue::HEARTBEAT * 3).await;
    assert_eq!(queue.extended("first"), extended, "what is over is not extended");
    worker.shut_down().await;
}

#[tokio::test]
async fn of_several_deliveries_about_a_running_job_the_newest_receipt_counts() {
    let shop = Workshop::open(ELSEWHERE).await;
    let queue = queue();
    let job = shop.video().await;
    let worker = shop.hire(queue.clone(), 2);
    let encode = shop.until_encoding(job).await;
    for (receipt, older) in [("first", None), ("second", Some("first")), ("third", Some("second"))] {
        queue.deliver(Message::WakeUp(job), receipt);
        eventually("the newest one is extended", async || queue.extended(receipt) >= 2).await;
        if let Some(older) = older {
            assert!(queue.acknowledged(older), "of two messages about one job one is enough");
            let extended = queue.extended(older);
            tokio::time::sleep(crate::workshop::queue::HEARTBEAT * 3).await;
            assert_eq!(queue.extended(older), extended, "an older receipt is worth nothing");
        }
        assert!(!queue.acknowledged(receipt));
    }
    shop.engine.set(&encode, EncodeNews::Done);
    eventually("the newest one ends", async || queue.acknowledged("third")).await;
    assert_eq!(shop.engine.starts(job.job), 1);
    worker.shut_down().await;
}

#[tokio::test]
async fn what_has_nothing_to_say_any_more_is_ended_and_does_nothing() {
    let shop = Workshop::open(Manners { at_once: true, ..ELSEWHERE }).await;
    let (first, second) = (queue(), queue());
    let (done, deleted) = (shop.video().await, shop.video().await);
    let worker = shop.hire(first.clone(), 4);
    shop.until(done, JobState::Done).await;
    shop.until(deleted, JobState::Done).await;
    let gone = WakeUp { job: JobId(Uuid::now_v7()), video: done.video };
    shop.front.videos.delete(shop.ada.user, deleted.video).await.expect("deleted");
    shop.engine.looks.send_replace(false);
    let running = shop.video().await;
    first.deliver(Message::WakeUp(running), "running");
    shop.until(running, JobState::Running).await;
    let later = shop.video().await;
    jobs::Entity::update_many()
        .col_expr(jobs::Column::State, Expr::value(JobState::Queued.as_str()))
        .col_expr(jobs::Column::RunAfterMs, Expr::value(now_ms() + 240_000))
        .col_expr(jobs::Column::Fence, Expr::value(1_000))
        .filter(jobs::Column::Id.eq(later.job.0))
        .exec(&shop.app.db)
        .await
        .expect("put off");
    let other = shop.hire(second.clone(), 4);
    let starts = shop.engine.seen().started.len();
    for (job, receipt) in [(done, "done"), (gone, "gone"), (deleted, "deleted"), (running, "somebody else's"), (later, "later")] {
        second.deliver(Message::WakeUp(job), receipt);
        eventually(receipt, async || second.acknowledged(receipt)).await;
    }
    assert_eq!(shop.engine.seen().started.len(), starts);
    worker.kill().await;
    other.kill().await;
}

#[tokio::test]
async fn a_shut_down_leaves_the_message_and_gives_the_job_back() {
    let shop = Workshop::open(Manners { outlives: false, ..ELSEWHERE }).await;
    let queue = queue();
    let job = shop.video().await;
    let worker = shop.hire(queue.clone(), 2);
    queue.deliver(Message::WakeUp(job), "first");
    eventually("it encodes", async || shop.engine.starts(job.job) == 1 && queue.extended("first") > 0).await;
    worker.shut_down().await;
    let row = shop.row(job).await;
    assert_eq!((row.state.as_str(), row.attempt, row.generation_id), (JobState::Queued.as_str(), 0, None));
    assert!(!queue.acknowledged("first"), "somebody has to hear of it");
    assert_eq!(shop.engine.seen().canceled.len(), 1, "what dies with the process is stopped");
    assert!(shop.engine.seen().objects.is_empty(), "and leaves nothing");
}

#[tokio::test]
async fn a_shut_down_leaves_an_encode_elsewhere_running_and_the_next_process_goes_on_with_it() {
    let shop = Workshop::open(ELSEWHERE).await;
    let (first, second) = (queue(), queue());
    let job = shop.video().await;
    let worker = shop.hire(first.clone(), 2);
    first.deliver(Message::WakeUp(job), "first");
    let encode = shop.until_encoding(job).await;
    let generation = shop.row(job).await.generation_id;
    worker.shut_down().await;
    let row = shop.row(job).await;
    assert_eq!((row.state.as_str(), row.attempt), (JobState::Queued.as_str(), 0), "the try did not count");
    assert_eq!((row.encode_id.as_deref(), row.generation_id), (Some(encode.0.as_str()), generation));
    assert!(!first.acknowledged("first"));
    assert_eq!(shop.engine.seen().canceled, []);

    let next = shop.hire(second.clone(), 2);
    second.deliver(Message::WakeUp(job), "second");
    shop.engine.set(&encode, EncodeNews::Done);
    shop.until(job, JobState::Done).await;
    assert_eq!((shop.engine.starts(job.job), shop.engine.seen().looks), (1, 1), "begun once, looked at once");
    assert_eq!(shop.engine.seen().resumed, [(job.job, Some(encode))]);
    next.shut_down().await;
}

#[tokio::test]
async fn an_encode_elsewhere_outlives_its_workers_death() {
    let shop = Workshop::open(ELSEWHERE).await;
    let job = shop.video().await;
    let worker = shop.hire(queue(), 2);
    let encode = shop.until_encoding(job).await;
    worker.kill().await;
    assert_eq!(shop.row(job).await.state, JobState::Running.as_str(), "nobody has noticed yet");
    shop.let_lease_run_out(job).await;
    let next = shop.hire(queue(), 2);
    eventually("the next one goes on", async || !shop.engine.seen().resumed.is_empty()).await;
    shop.engine.set(&encode, EncodeNews::Done);
    shop.until(job, JobState::Done).await;
    assert_eq!(shop.engine.seen().resumed, [(job.job, Some(encode))]);
    assert_eq!((shop.engine.starts(job.job), shop.engine.seen().canceled.len()), (1, 0));
    assert_eq!(shop.row(job).await.attempt, 2);
    next.shut_down().await;
}

#[tokio::test]
async fn an_encode_whose_name_was_never_noted_is_found_and_not_started_again() {
    let shop = Workshop::open(ELSEWHERE).await;
    shop.engine.answers.send_replace(false);
    let job = shop.video().await;
    let worker = shop.hire(queue(), 2);
    eventually("it is started", async || shop.engine.starts(job.job) == 1).await;
    worker.kill().await;
    assert_eq!(shop.row(job).await.encode_id, None, "the answer was lost");
    shop.let_lease_run_out(job).await;
    let next = shop.hire(queue(), 2);
    let encode = shop.until_encoding(job).await;
    shop.engine.set(&encode, EncodeNews::Done);
    shop.until(job, JobState::Done).await;
    assert_eq!(shop.engine.seen().resumed, [(job.job, None)]);
    assert_eq!(shop.engine.starts(job.job), 1);
    next.shut_down().await;
}

#[tokio::test]
async fn a_report_that_reaches_another_process_reaches_the_one_that_waits() {
    let shop = Workshop::open(Manners { silent: true, ..ELSEWHERE }).await;
    let (waits, hears) = (queue(), queue());
    let job = shop.video().await;
    let waiting = shop.hire(waits.clone(), 2);
    let encode = shop.until_encoding(job).await;
    let hearing = shop.hire(hears.clone(), 2);
    hears.deliver(Message::Encode(report(job, &encode, 1_000, EncodeNews::Progress { percent: 40 })), "progress");
    eventually("progress is shown", async || shop.progress(job.video).await == 40).await;
    eventually("its message ends", async || hears.acknowledged("progress")).await;
    hears.deliver(Message::Encode(report(job, &encode, 2_000, EncodeNews::Done)), "done");
    shop.until(job, JobState::Done).await;
    eventually("its message ends", async || hears.acknowledged("done")).await;
    assert_eq!(shop.row(job).await.encode_report, None, "what is over tells nothing to the next try");
    waiting.shut_down().await;
    hearing.shut_down().await;
}

#[tokio::test]
async fn reports_are_heard_while_every_slot_waits_for_one() {
    let shop = Workshop::open(Manners { silent: true, ..ELSEWHERE }).await;
    let queue = queue();
    let job = shop.video().await;
    let worker = shop.hire(queue.clone(), 1);
    let encode = shop.until_encoding(job).await;
    let waiting = shop.video().await;
    queue.deliver(Message::WakeUp(waiting), "no room for it");
    queue.deliver(Message::Encode(report(job, &encode, 1_000, EncodeNews::Done)), "done");
    shop.until(job, JobState::Done).await;
    let next = shop.until_encoding(waiting).await;
    queue.deliver(Message::Encode(report(waiting, &next, 2_000, EncodeNews::Done)), "done as well");
    shop.until(waiting, JobState::Done).await;
    assert_eq!((shop.engine.starts(job.job), shop.engine.starts(waiting.job)), (1, 1));
    worker.shut_down().await;
}

#[tokio::test]
async fn stale_and_foreign_reports_change_nothing() {
    let shop = Workshop::open(ELSEWHERE).await;
    let job = shop.video().await;
    let worker = shop.hire(queue(), 2);
    let encode = shop.until_encoding(job).await;
    worker.kill().await;
    let jobs = Jobs::new(shop.app.db.clone(), "whoever hears".into());
    let noted = async || shop.row(job).await.encode_report.map(|text| serde_json::from_str(&text).expect("a report"));
    let progress = |percent| EncodeNews::Progress { percent };
    let half = report(job, &encode, 2_000, progress(50));
    assert!(jobs.note_report(&half).await.expect("noted"));
    for nothing_new in [
        report(job, &encode, 1_000, progress(20)),
        report(job, &TranscodeId("an earlier try's".into()), 9_000, EncodeNews::Done),
        report(WakeUp { job: JobId(Uuid::now_v7()), ..job }, &encode, 9_000, EncodeNews::Done),
        half.clone(),
    ] {
        assert!(!jobs.note_report(&nothing_new).await.expect("heard"), "{nothing_new:?}");
        assert_eq!(noted().await, Some(half.clone()), "{nothing_new:?}");
    }
    let done = report(job, &encode, 1_500, EncodeNews::Done);
    assert!(jobs.note_report(&done).await.expect("noted"));
    assert_eq!(noted().await, Some(done.clone()), "an end that comes late is an end");
    for too_late in [progress(99), EncodeNews::Canceled, EncodeNews::Failed { code: "1".into(), detail: "2".into() }] {
        assert!(!jobs.note_report(&report(job, &encode, 9_000, too_late)).await.expect("heard"));
        assert_eq!(noted().await, Some(done.clone()), "nothing comes after the end");
    }
}

#[tokio::test]
async fn of_reports_at_once_none_that_counts_is_lost() {
    let shop = Workshop::open(ELSEWHERE).await;
    let job = shop.video().await;
    let worker = shop.hire(queue(), 2);
    let encode = shop.until_encoding(job).await;
    worker.kill().await;
    let jobs = Jobs::new(shop.app.db.clone(), "whoever hears".into());
    let mut reports: Vec<_> = (0..20).map(|n| report(job, &encode, n, EncodeNews::Progress { percent: 1 })).collect();
    reports.insert(7, report(job, &encode, 7, EncodeNews::Done));
    for noted in futures::future::join_all(reports.iter().map(|report| jobs.note_report(report))).await {
        noted.expect("heard");
    }
    let row = shop.row(job).await.encode_report.expect("a report");
    assert!(row.contains("done"), "{row}");
}

#[tokio::test]
async fn deleting_a_video_stops_its_encode_whether_its_worker_lives_or_not() {
    for lives in [true, false] {
        let shop = Workshop::open(ELSEWHERE).await;
        let queue = queue();
        let job = shop.video().await;
        let worker = shop.hire(queue.clone(), 2);
        queue.deliver(Message::WakeUp(job), "first");
        let encode = shop.until_encoding(job).await;
        assert!(!shop.engine.seen().objects.is_empty());
        let dead = if lives {
            None
        } else {
            worker.kill().await;
            Some(())
        };
        shop.front.videos.delete(shop.ada.user, job.video).await.expect("deleted");
        assert!(shop.engine.seen().canceled.contains(&encode), "told at once");
        assert!(shop.engine.seen().objects.is_empty());
        let later = removals::Entity::find().one(&shop.app.db).await.expect("asked").expect("a second look");
        assert!(later.run_after_ms > now_ms(), "for what it writes until it stops");
        if dead.is_none() {
            eventually("its worker lets go of it", async || queue.acknowledged("first")).await;
        }
        assert_eq!(jobs::Entity::find().one(&shop.app.db).await.expect("asked"), None);
    }
}

#[tokio::test]
async fn a_failure_on_our_side_does_not_cost_the_encode() {
    let shop = Workshop::open(Manners { at_once: true, ..ELSEWHERE }).await;
    shop.store.failures.store(1, std::sync::atomic::Ordering::SeqCst);
    let job = shop.video().await;
    let worker = shop.hire(queue(), 2);
    eventually("the first try fails", async || shop.row(job).await.last_error.is_some()).await;
    let row = shop.row(job).await;
    assert_eq!((row.state.as_str(), row.attempt), (JobState::Queued.as_str(), 0));
    assert!(row.encode_id.is_some() && row.generation_id.is_some(), "the next one goes on with it");
    shop.until(job, JobState::Done).await;
    assert_eq!((shop.engine.starts(job.job), shop.engine.seen().canceled.len()), (1, 0));
    worker.shut_down().await;
}

#[tokio::test]
async fn a_failure_of_the_engine_begins_anew() {
    let shop = Workshop::open(ELSEWHERE).await;
    let job = shop.video().await;
    let worker = shop.hire(queue(), 2);
    let encode = shop.until_encoding(job).await;
    shop.engine.set(&encode, EncodeNews::Failed { code: "1517".into(), detail: "the service had a bad day".into() });
    eventually("it is started anew", async || shop.engine.starts(job.job) == 2).await;
    let started = shop.engine.seen().started.clone();
    assert_ne!(started[0].2, started[1].2, "in another generation: what is half made is never published");
    assert!(!shop.engine.seen().objects.contains_key(&started[0].2));
    shop.engine.set(&started[1].0, EncodeNews::Done);
    shop.until(job, JobState::Done).await;
    worker.shut_down().await;
}

#[tokio::test]
async fn a_long_look_at_a_source_keeps_the_lease() {
    let shop = Workshop::open(ELSEWHERE).await;
    shop.engine.looks.send_replace(false);
    let queue = queue();
    let job = shop.video().await;
    let worker = shop.hire(queue.clone(), 1);
    eventually("it looks", async || shop.engine.seen().looks == 1).await;
    // So late in its life the lease needs the next heartbeat, which is due ten seconds after the look began, and on a slow machine
    // some seconds later.
    let ends = now_ms() + 18_000;
    jobs::Entity::update_many()
        .col_expr(jobs::Column::LeaseExpiresAtMs, Expr::value(ends))
        .filter(jobs::Column::Id.eq(job.job.0))
        .exec(&shop.app.db)
        .await
        .expect("aged");
    let other = Jobs::new(shop.app.db.clone(), "another".into());
    while now_ms() <= ends + 500 {
        assert_eq!(other.claim_job(job.job).await.expect("asked"), None, "the lease is held all the while");
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    assert!(shop.row(job).await.lease_expires_at_ms > ends);
    shop.engine.looks.send_replace(true);
    let encode = shop.until_encoding(job).await;
    shop.engine.set(&encode, EncodeNews::Done);
    shop.until(job, JobState::Done).await;
    assert_eq!(shop.row(job).await.attempt, 1);
    assert_eq!(shop.engine.seen().looks, 1);
    worker.shut_down().await;
}
