//! What a worker does when something does not answer, dies or makes nonsense: it waits without giving anything up, and nothing that costs money
//! or space is forgotten.

use std::sync::{Arc, atomic::Ordering};

use domain::{
    failure::FailureCode,
    job::{JobState, MAX_ATTEMPTS},
    video::Stage,
};
use futures::StreamExt;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, sea_query::Expr};
use server::{
    clock::now_ms,
    db::entity::{jobs, removals},
    ports::{job_queue::WakeUp, transcoder::EncodeNews},
    services::jobs::Jobs,
};

use crate::workshop::{ELSEWHERE, Workshop, engine::Manners, eventually, queue::FakeQueue};

fn queue() -> Arc<FakeQueue> {
    Arc::new(FakeQueue::default())
}

/// Makes a job that waits for a later moment due now.
async fn make_due(shop: &Workshop, job: WakeUp) {
    let due = jobs::Entity::update_many().col_expr(jobs::Column::RunAfterMs, Expr::value(0));
    due.filter(jobs::Column::Id.eq(job.job.0)).exec(&shop.app.db).await.expect("made due");
}

#[tokio::test]
async fn a_video_says_why_it_waits_while_the_engine_refuses_to_work_and_goes_on_by_itself() {
    let shop = Workshop::open(Manners { at_once: true, ..ELSEWHERE }).await;
    let job = shop.video().await;
    let shown = async || shop.front.videos.get(shop.ada.user, job.video).await.expect("a video");
    assert_eq!(shown().await.failure, None);
    shop.engine.refuses.store(true, Ordering::Relaxed);
    let worker = shop.hire(queue(), 2);
    eventually("it says why", async || shown().await.failure.is_some()).await;
    let video = shown().await;
    assert_eq!((video.stage, video.failure), (Stage::Queued, Some(FailureCode::ProcessingRefused.into())));
    let row = shop.row(job).await;
    assert_eq!((row.state.as_str(), row.attempt), (JobState::Queued.as_str(), 0), "it has cost no try");
    assert!(shop.front.videos.retry(shop.ada.user, job.video).await.is_err(), "there is nothing to try again");
    worker.shut_down().await;

    shop.engine.refuses.store(false, Ordering::Relaxed);
    let worker = shop.hire(queue(), 2);
    shop.until(job, JobState::Done).await;
    let video = shown().await;
    assert_eq!((video.stage, video.failure), (Stage::Ready, None));
    worker.shut_down().await;
}

#[tokio::test]
async fn where_another_worker_is_at_work_videos_wait_for_that_one_and_nothing_is_said() {
    let shop = Workshop::open(ELSEWHERE).await;
    let busy = shop.video().await;
    let worker = shop.hire(queue(), 1);
    shop.until_encoding(busy).await;
    let waiting = shop.video().await;
    let (_, refusing) = shop.apply(queue());
    refusing.transcodes.note_refusal().await.expect("noted");
    assert_eq!(shop.front.videos.get(shop.ada.user, waiting.video).await.expect("a video").failure, None);
    worker.shut_down().await;
    shop.let_lease_run_out(busy).await;
    refusing.transcodes.note_refusal().await.expect("noted");
    let said = shop.front.videos.get(shop.ada.user, waiting.video).await.expect("a video").failure;
    assert_eq!(said, Some(FailureCode::ProcessingRefused.into()));
}

#[tokio::test]
async fn an_engine_that_does_not_answer_costs_neither_a_try_nor_an_encode() {
    let shop = Workshop::open(ELSEWHERE).await;
    let job = shop.video().await;
    let worker = shop.hire(queue(), 2);
    let encode = shop.until_encoding(job).await;
    worker.shut_down().await;
    shop.engine.away.store(true, Ordering::Relaxed);
    let generation = shop.row(job).await.generation_id;
    for _ in 0..7 {
        make_due(&shop, job).await;
        let worker = shop.hire(queue(), 2);
        eventually("it waits", async || {
            let row = shop.row(job).await;
            row.state == JobState::Queued.as_str() && row.run_after_ms > now_ms()
        })
        .await;
        worker.shut_down().await;
        let row = shop.row(job).await;
        assert_eq!((row.attempt, row.generation_id, row.encode_id.as_deref()), (0, generation, Some(encode.0.as_str())));
        assert!(row.last_error.is_some_and(|error| error.contains("nobody answers")));
    }
    shop.engine.away.store(false, Ordering::Relaxed);
    shop.engine.set(&encode, EncodeNews::Done);
    make_due(&shop, job).await;
    let worker = shop.hire(queue(), 2);
    shop.until(job, JobState::Done).await;
    assert_eq!((shop.engine.starts(job.job), shop.engine.seen().canceled.len()), (1, 0));
    worker.shut_down().await;
}

#[tokio::test]
async fn a_death_that_costs_no_encode_costs_no_try() {
    let shop = Workshop::open(ELSEWHERE).await;
    let job = shop.video().await;
    let mut worker = shop.hire(queue(), 1);
    let encode = shop.until_encoding(job).await;
    // Four tries have failed before, and this one is the last.
    let last = jobs::Entity::update_many().col_expr(jobs::Column::Attempt, Expr::value(MAX_ATTEMPTS));
    last.exec(&shop.app.db).await.expect("noted");
    for _ in 0..2 {
        worker.kill().await;
        let before = shop.row(job).await;
        assert_eq!(before.attempt, MAX_ATTEMPTS);
        shop.let_lease_run_out(job).await;
        worker = shop.hire(queue(), 1);
        eventually("the next one goes on, and is not counted", async || {
            let row = shop.row(job).await;
            row.fence > before.fence && row.attempt == MAX_ATTEMPTS
        })
        .await;
    }
    worker.shut_down().await;
    assert_eq!(shop.row(job).await.attempt, MAX_ATTEMPTS - 1, "whoever is told to stop gives its try back");
    shop.engine.set(&encode, EncodeNews::Done);
    let worker = shop.hire(queue(), 1);
    shop.until(job, JobState::Done).await;
    assert_eq!(shop.row(job).await.attempt, MAX_ATTEMPTS);
    assert_eq!((shop.engine.starts(job.job), shop.engine.seen().canceled.len()), (1, 0));
    worker.shut_down().await;
}

#[tokio::test]
async fn a_job_whose_workers_die_each_time_they_publish_comes_to_its_end() {
    let shop = Workshop::open(Manners { at_once: true, ..ELSEWHERE }).await;
    shop.store.hangs.store(true, Ordering::SeqCst);
    let job = shop.video().await;
    for tries in 1..=MAX_ATTEMPTS + 1 {
        let worker = shop.hire(queue(), 1);
        eventually("it publishes", async || {
            let stage = shop.front.videos.get(shop.ada.user, job.video).await.expect("a video").stage;
            shop.row(job).await.fence == i64::from(tries) && stage == Stage::Publishing
        })
        .await;
        worker.kill().await;
        assert_eq!(shop.row(job).await.attempt, tries, "each counts");
        shop.let_lease_run_out(job).await;
    }
    let worker = shop.hire(queue(), 1);
    shop.until(job, JobState::Failed).await;
    assert_eq!(shop.row(job).await.failure_code.as_deref(), Some(FailureCode::ProcessingFailed.as_str()));
    assert_eq!(shop.engine.starts(job.job), 1, "nothing was paid for twice");
    worker.shut_down().await;
}

#[tokio::test]
async fn a_video_deleted_while_its_encode_has_no_name_yet_takes_the_encode_with_it() {
    let shop = Workshop::open(ELSEWHERE).await;
    shop.engine.answers.send_replace(false);
    let job = shop.video().await;
    let worker = shop.hire(queue(), 2);
    eventually("it was started", async || shop.engine.starts(job.job) == 1).await;
    // The process dies before the answer comes.
    worker.kill().await;
    assert_eq!(shop.row(job).await.encode_id, None);
    // The service is away when the video is deleted, and comes back.
    shop.engine.away.store(true, Ordering::Relaxed);
    shop.front.videos.delete(shop.ada.user, job.video).await.expect("deleted");
    assert_eq!(shop.engine.seen().canceled, []);
    assert_eq!(removals::Entity::find().filter(removals::Column::Kind.eq("encode")).all(&shop.app.db).await.expect("listed").len(), 1);
    shop.engine.away.store(false, Ordering::Relaxed);
    removals::Entity::update_many().col_expr(removals::Column::RunAfterMs, Expr::value(0)).exec(&shop.app.db).await.expect("made due");
    let next = shop.hire(queue(), 2);
    eventually("it is stopped", async || shop.engine.seen().canceled.len() == 1).await;
    eventually("what it wrote is gone", async || shop.engine.seen().objects.is_empty()).await;
    let late = removals::Entity::find().filter(removals::Column::Kind.eq("generation")).one(&shop.app.db).await.expect("asked");
    assert!(late.is_some_and(|late| late.run_after_ms > now_ms()), "and is looked for once more, later");
    next.shut_down().await;
}

#[tokio::test]
async fn what_an_engine_elsewhere_makes_wrong_twice_is_not_paid_for_a_third_time() {
    let shop = Workshop::open(Manners { at_once: true, ..ELSEWHERE }).await;
    shop.engine.spoil.store(true, Ordering::Relaxed);
    let job = shop.video().await;
    let worker = shop.hire(queue(), 2);
    eventually("once more", async || shop.row(job).await.attempt == 1 && shop.row(job).await.state == JobState::Queued.as_str()).await;
    make_due(&shop, job).await;
    shop.until(job, JobState::Failed).await;
    assert_eq!(shop.engine.starts(job.job), 2);
    worker.shut_down().await;
}

#[tokio::test]
async fn a_dead_workers_job_comes_before_those_that_only_wait() {
    let shop = Workshop::open(ELSEWHERE).await;
    shop.engine.looks.send_replace(false);
    let begun = shop.video().await;
    let worker = shop.hire(queue(), 1);
    shop.until(begun, JobState::Running).await;
    worker.kill().await;
    for _ in 0..3 {
        shop.video().await;
    }
    shop.let_lease_run_out(begun).await;
    let lease = Jobs::new(shop.app.db.clone(), "next".into()).claim().await.expect("asked").expect("there are four");
    assert_eq!(lease.job, begun.job);
}

#[tokio::test]
async fn a_body_that_never_becomes_a_video_is_noted_to_go() {
    let shop = Workshop::open(ELSEWHERE).await;
    let body = futures::stream::iter([Ok(bytes::Bytes::from_static(b"a source"))]).boxed();
    let received = shop.front.uploads.receive(shop.ada.user, body).await.expect("received");
    let noted = || async { removals::Entity::find().filter(removals::Column::Kind.eq("source")).all(&shop.app.db).await.expect("listed") };
    let note = noted().await;
    assert_eq!(note.iter().map(|note| note.target).collect::<Vec<_>>(), [received.upload().0]);
    assert!(note[0].run_after_ms > now_ms() + 3_600_000, "not while it may still become one");
    shop.front.uploads.adopt(shop.ada.user, &received, "clip.mp4", None).await.expect("a video");
    assert!(noted().await.is_empty());
}
