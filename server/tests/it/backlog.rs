//! What was given up: a list that owners of the server read, and from which they give another try; what waits says why and costs no try.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use domain::{
    account::Role,
    audit::AuditKind,
    error::Code,
    failure::FailureCode,
    ids::JobId,
    job::{JobState, MAX_ATTEMPTS},
    video::Stage,
};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, sea_query::Expr};
use server::{
    clock::now_ms,
    db::entity::{jobs, users, videos},
    error::Error,
    ports::{job_queue::WakeUp, transcoder::EncodeNews},
    services::{
        audit_log::Actor,
        backlog::{After, Backlogs, Redriven},
        jobs::{Held, Jobs},
    },
};

use crate::workshop::{ELSEWHERE, Workshop, engine::Manners, eventually, queue::FakeQueue};

/// A place whose first account owns the server.
async fn owned(manners: Manners) -> Workshop {
    let shop = Workshop::open(manners).await;
    let owner = users::Entity::update_many().col_expr(users::Column::Role, Expr::value(Role::Owner.as_str()));
    owner.exec(&shop.app.db).await.expect("an owner");
    shop
}

fn backlogs(shop: &Workshop) -> &Backlogs {
    &shop.front.backlogs
}

/// Kills worker after worker over a job, as poison does, until it is given up.
async fn poison(shop: &Workshop, job: WakeUp) {
    for _ in 0..MAX_ATTEMPTS {
        let lease = Jobs::new(shop.app.db.clone(), "one that dies".into()).claim_job(job.job).await.expect("asked");
        assert!(lease.is_some(), "it is taken again");
        shop.let_lease_run_out(job).await;
    }
    let worker = shop.hire(Arc::new(FakeQueue::default()), 1);
    shop.until(job, JobState::Failed).await;
    worker.shut_down().await;
}

async fn blame(shop: &Workshop, job: WakeUp, code: FailureCode) {
    let failed = videos::Entity::update_many()
        .col_expr(videos::Column::Stage, Expr::value(Stage::Failed.as_str()))
        .col_expr(videos::Column::FailureCode, Expr::value(code.as_str()));
    failed.filter(videos::Column::Id.eq(job.video.0)).exec(&shop.app.db).await.expect("failed");
    let failed = jobs::Entity::update_many()
        .col_expr(jobs::Column::State, Expr::value(JobState::Failed.as_str()))
        .col_expr(jobs::Column::FailureCode, Expr::value(code.as_str()));
    failed.filter(jobs::Column::Id.eq(job.job.0)).exec(&shop.app.db).await.expect("failed");
}

#[tokio::test]
async fn a_job_that_kills_its_workers_ends_in_the_list_and_goes_on_from_there() {
    let shop = owned(Manners { at_once: true, ..ELSEWHERE }).await;
    let job = shop.video().await;
    poison(&shop, job).await;
    let actor = Actor::from(shop.ada.user);
    let seen = backlogs(&shop).look(shop.ada.user, After::default()).await.expect("an owner may");
    assert_eq!((seen.waiting, seen.running.len(), seen.files.jobs.len()), (0, 0, 0));
    let [failed] = seen.ours.jobs.as_slice() else { panic!("{seen:?}") };
    assert_eq!((failed.id, failed.video, failed.owner.as_str()), (job.job, job.video, "ada@example.com"));
    assert_eq!((failed.code, failed.repeatable), (FailureCode::ProcessingFailed, true));
    assert!(failed.attempts > MAX_ATTEMPTS && failed.at_ms.is_some() && failed.detail.contains("worker"), "{failed:?}");

    backlogs(&shop).try_again(actor, job.job).await.expect("another try");
    let twice = backlogs(&shop).try_again(actor, job.job).await.expect_err("it is under way");
    assert!(matches!(twice, Error::Problem(problem) if problem.code == Code::Conflict));
    let seen = backlogs(&shop).look(shop.ada.user, After::default()).await.expect("asked");
    assert_eq!((seen.waiting, seen.ours.jobs.len()), (1, 0), "it waits, and is no longer what somebody has to look at");
    assert!(seen.oldest_since_ms.is_some());
    let acts = shop.front.audit_log.page(shop.ada.user, None).await.expect("the log").entries;
    assert!(acts.iter().any(|act| act.kind == AuditKind::JobRetried && act.subject.contains(&job.video.to_string())), "{acts:?}");

    let worker = shop.hire(Arc::new(FakeQueue::default()), 1);
    let ready = async || shop.front.videos.get(shop.ada.user, job.video).await.expect("a video").stage == Stage::Ready;
    eventually("it is done", ready).await;
    worker.shut_down().await;
}

#[tokio::test]
async fn all_that_failed_on_our_side_go_again_at_once_and_bad_files_one_by_one() {
    let shop = owned(ELSEWHERE).await;
    let (mut ours, mut files) = (Vec::new(), Vec::new());
    for number in 0..60 {
        let job = shop.video().await;
        let code = if number % 10 == 9 { FailureCode::Damaged } else { FailureCode::ProcessingFailed };
        blame(&shop, job, code).await;
        if code.blames_file() { files.push(job) } else { ours.push(job) }
    }
    // The source of one of them is gone.
    let gone = videos::Entity::update_many().col_expr(videos::Column::S3InputUrl, Expr::value(None::<String>));
    gone.filter(videos::Column::Id.eq(ours[0].video.0)).exec(&shop.app.db).await.expect("let go of");

    let mut listed = Vec::new();
    let mut after = After::default();
    loop {
        let page = backlogs(&shop).look(shop.ada.user, after).await.expect("asked");
        assert_eq!(page.files.jobs.len(), files.len());
        listed.extend(page.ours.jobs);
        after.ours = page.ours.next;
        if after.ours.is_none() {
            break;
        }
    }
    let newest_first: Vec<JobId> = ours.iter().rev().map(|job| job.job).collect();
    assert_eq!(listed.iter().map(|job| job.id).collect::<Vec<_>>(), newest_first);
    assert!(listed.iter().all(|job| job.repeatable == (job.id != ours[0].job)));

    let done = backlogs(&shop).try_all_again(shop.ada.user.into()).await.expect("tried");
    assert_eq!(done, Redriven { queued: ours.len() as u64 - 1, left: 1 });
    let seen = backlogs(&shop).look(shop.ada.user, After::default()).await.expect("asked");
    assert_eq!((seen.waiting as usize, seen.ours.jobs.len(), seen.files.jobs.len()), (ours.len() - 1, 1, files.len()));
    backlogs(&shop).try_again(shop.ada.user.into(), files[0].job).await.expect("the settings may have changed");
    assert_eq!(backlogs(&shop).try_all_again_as_operator().await.expect("tried"), Redriven { queued: 0, left: 1 });
}

#[tokio::test]
async fn it_is_for_owners_of_the_server() {
    let shop = owned(ELSEWHERE).await;
    let job = shop.video().await;
    blame(&shop, job, FailureCode::ProcessingFailed).await;
    let bob = shop.app.somebody("bob@example.com").await;
    let member = users::Entity::update_many().col_expr(users::Column::Role, Expr::value(Role::Member.as_str()));
    member.filter(users::Column::Id.eq(bob.user.0)).exec(&shop.app.db).await.expect("a member");
    let refusals = [
        backlogs(&shop).look(bob.user, After::default()).await.map(drop),
        backlogs(&shop).try_again(bob.user.into(), job.job).await,
        backlogs(&shop).try_all_again(bob.user.into()).await.map(drop),
    ];
    for refusal in refusals {
        assert!(matches!(refusal, Err(Error::Problem(problem)) if problem.code == Code::Forbidden));
    }
    assert_eq!(shop.row(job).await.state, JobState::Failed.as_str());
}

#[tokio::test]
async fn what_is_put_off_costs_no_try_and_says_why_until_it_goes_on() {
    let shop = owned(Manners { at_once: true, ..ELSEWHERE }).await;
    let job = shop.video().await;
    let jobs = Jobs::new(shop.app.db.clone(), "one whose disk is full".into());
    let shown = async || shop.front.videos.get(shop.ada.user, job.video).await.expect("a video");
    for round in 0..MAX_ATTEMPTS * 2 {
        let lease = jobs.claim_job(job.job).await.expect("asked").expect("it is due");
        assert_eq!(lease.attempt, 1, "round {round}");
        assert_eq!(jobs.postpone(&lease, FailureCode::WaitingForSpace, Duration::ZERO).await.expect("put off"), Held::Yes);
        let video = shown().await;
        assert_eq!((video.stage, video.failure), (Stage::Queued, Some(FailureCode::WaitingForSpace.into())));
    }
    let lease = jobs.claim_job(job.job).await.expect("asked").expect("it is due");
    assert_eq!(jobs.postpone(&lease, FailureCode::WaitingForSpace, Duration::from_hours(9)).await.expect("put off"), Held::Yes);
    let row = shop.row(job).await;
    assert!(row.run_after_ms > now_ms() && row.run_after_ms <= now_ms() + 300_000, "five minutes at most");
    assert_eq!(jobs.postpone(&lease, FailureCode::WaitingForSpace, Duration::ZERO).await.expect("asked"), Held::Lost);

    let due = jobs::Entity::update_many().col_expr(jobs::Column::RunAfterMs, Expr::value(0));
    due.filter(jobs::Column::Id.eq(job.job.0)).exec(&shop.app.db).await.expect("made due");
    let worker = shop.hire(Arc::new(FakeQueue::default()), 1);
    shop.until(job, JobState::Done).await;
    assert_eq!((shown().await.stage, shown().await.failure), (Stage::Ready, None));
    worker.shut_down().await;
}

#[tokio::test]
async fn a_store_and_an_engine_that_do_not_answer_are_waited_for_and_named() {
    let shop = owned(Manners { at_once: true, ..ELSEWHERE }).await;
    let job = shop.video().await;
    let shown = async || shop.front.videos.get(shop.ada.user, job.video).await.expect("a video").failure.map(|failure| failure.code);
    shop.engine.away.store(true, Ordering::Relaxed);
    let worker = shop.hire(Arc::new(FakeQueue::default()), 1);
    eventually("it waits for the engine", async || shown().await == Some(FailureCode::WaitingForEngine)).await;
    assert_eq!(shop.row(job).await.attempt, 0);
    shop.store.failures.store(1, Ordering::SeqCst);
    shop.engine.away.store(false, Ordering::Relaxed);
    eventually("it waits for the store", async || shown().await == Some(FailureCode::WaitingForStorage)).await;
    assert_eq!(shop.row(job).await.attempt, 0);
    shop.until(job, JobState::Done).await;
    assert_eq!(shown().await, None);
    worker.shut_down().await;
}

#[tokio::test]
async fn a_video_that_is_done_plays_on_while_it_is_processed_once_more() {
    let shop = owned(ELSEWHERE).await;
    let job = shop.video().await;
    let worker = shop.hire(Arc::new(FakeQueue::default()), 1);
    let encode = shop.until_encoding(job).await;
    shop.engine.set(&encode, EncodeNews::Done);
    shop.until(job, JobState::Done).await;
    let generation =
        async || videos::Entity::find_by_id(job.video.0).one(&shop.app.db).await.expect("asked").expect("a video").generation_id;
    let first = generation().await;
    let again = WakeUp { job: backlogs(&shop).encode_again_as_operator(job.video).await.expect("in line"), ..job };
    assert!(backlogs(&shop).encode_again_as_operator(job.video).await.is_err(), "once is enough");
    let encode = shop.until_encoding(again).await;
    assert_eq!(generation().await, first);
    assert!(shop.front.videos.get(shop.ada.user, job.video).await.expect("a video").playable);
    shop.engine.set(&encode, EncodeNews::Done);
    shop.until(again, JobState::Done).await;
    assert!(generation().await.is_some_and(|second| Some(second) != first));
    worker.shut_down().await;
}
