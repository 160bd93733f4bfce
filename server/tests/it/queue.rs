//! Leases: one worker a job, and nothing a worker does counts once it has lost its lease.

use domain::{
    ids::VideoId,
    job::{JobState, LEASE_MS},
    video::Stage,
};
use sea_orm::{EntityTrait, PaginatorTrait, sea_query::Expr};
use server::{
    db::entity::jobs,
    services::{
        jobs::{Held, Jobs, hold, over, retry_later},
        videos::advance,
    },
};

use crate::app::{App, noise};

/// Number of jobs there are.
pub(crate) async fn jobs(app: &App) -> u64 {
    jobs::Entity::find().count(&app.db).await.expect("counted")
}

async fn with_jobs(count: usize) -> App {
    let app = App::start().await;
    let ada = app.somebody("ada@example.com").await;
    for _ in 0..count {
        app.upload(&ada, "clip.mp4", &noise(100)).await;
    }
    app
}

#[tokio::test]
async fn every_job_is_leased_once_however_many_ask() {
    let app = with_jobs(12).await;
    let workers: Vec<Jobs> = (0..4).map(|n| Jobs::new(app.db.clone(), format!("worker {n}"))).collect();
    let claims = futures::future::join_all(workers.iter().map(async |jobs| {
        let mut mine = Vec::new();
        while let Some(lease) = jobs.claim().await.expect("asked") {
            mine.push(lease.job);
        }
        mine
    }))
    .await;
    let mut all: Vec<_> = claims.concat();
    assert_eq!(all.len(), 12);
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), 12);
}

#[tokio::test]
async fn a_silent_workers_job_goes_to_another_and_its_late_writes_are_refused() {
    let app = with_jobs(1).await;
    let (first, second) = (Jobs::new(app.db.clone(), "first".into()), Jobs::new(app.db.clone(), "second".into()));
    let stale = first.claim().await.expect("asked").expect("a job");
    assert_eq!(second.claim().await.expect("asked"), None, "the lease holds");
    assert_eq!(first.renew(&stale).await.expect("renewed"), Held::Yes);
    let expired = server::clock::now_ms() - LEASE_MS;
    jobs::Entity::update_many().col_expr(jobs::Column::LeaseExpiresAtMs, Expr::value(expired)).exec(&app.db).await.expect("aged");
    let fresh = second.claim().await.expect("asked").expect("the job again");
    assert_eq!((fresh.job, fresh.attempt, fresh.fence), (stale.job, 2, stale.fence + 1));
    assert_eq!(first.renew(&stale).await.expect("asked"), Held::Lost);
    assert_eq!(hold(&app.db, &stale, &over(JobState::Done, None)).await.expect("asked"), Held::Lost);
    assert_eq!(hold(&app.db, &fresh, &over(JobState::Done, None)).await.expect("asked"), Held::Yes);
    assert_eq!(second.claim().await.expect("asked"), None, "done is done");
}

#[tokio::test]
async fn a_failed_try_waits_before_the_next() {
    let app = with_jobs(1).await;
    let jobs = Jobs::new(app.db.clone(), "worker".into());
    let lease = jobs.claim().await.expect("asked").expect("a job");
    assert_eq!(hold(&app.db, &lease, &retry_later(&lease, "the disk hiccuped")).await.expect("noted"), Held::Yes);
    assert_eq!(jobs.claim().await.expect("asked"), None, "not at once");
    jobs::Entity::update_many().col_expr(jobs::Column::RunAfterMs, Expr::value(0)).exec(&app.db).await.expect("time passes");
    assert_eq!(jobs.claim().await.expect("asked").expect("again").attempt, 2);
}

#[tokio::test]
async fn a_job_that_kills_its_workers_ends_with_a_reason() {
    let mut app = App::start().await;
    let ada = app.somebody("ada@example.com").await;
    let video = app.upload(&ada, "clip.mp4", &noise(100)).await;
    // As after the fifth worker died in the middle of it: running, its lease run out, nothing noted.
    jobs::Entity::update_many()
        .col_expr(jobs::Column::State, Expr::value(JobState::Running.as_str()))
        .col_expr(jobs::Column::Attempt, Expr::value(domain::job::MAX_ATTEMPTS))
        .exec(&app.db)
        .await
        .expect("aged");
    app.work();
    let status = app.settled(&ada, &video).await;
    assert_eq!(status["error"]["code"], "processing_failed", "{status}");
}

#[tokio::test]
async fn an_illegal_step_writes_nothing() {
    let app = with_jobs(1).await;
    let video = jobs::Entity::find().one(&app.db).await.expect("asked").expect("a job").video_id;
    let video = VideoId(video);
    assert!(!advance(&app.db, video, Stage::Ready, &[]).await.expect("asked"), "queued does not become ready");
    assert!(!advance(&app.db, video, Stage::Publishing, &[]).await.expect("asked"));
    assert!(advance(&app.db, video, Stage::Checking, &[]).await.expect("asked"));
}
