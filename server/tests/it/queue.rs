//! Leases: one worker a job, and nothing a worker does counts once it has lost its lease.

use domain::{
    ids::VideoId,
    job::{JobState, LEASE_MS, LONGEST_DELAY_MS},
    video::Stage,
};
use sea_orm::{EntityTrait, PaginatorTrait, sea_query::Expr};
use server::{
    db::entity::jobs,
    process_name::ProcessName,
    services::{
        jobs::{Held, Jobs, hold, over, retry_later},
        videos::advance,
    },
};

use crate::{
    app::{App, noise},
    workshop::{ELSEWHERE, Workshop},
};

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
    let workers: Vec<Jobs> = (0..4).map(|n| Jobs::new(app.db.clone(), format!("worker {n}").as_str().into())).collect();
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
    let let_go = jobs::Entity::update_many().col_expr(jobs::Column::LeaseExpiresAtMs, Expr::value(0));
    let_go.exec(&app.db).await.expect("nobody's");
    let fresh = second.claim().await.expect("asked").expect("the job again");
    assert_eq!((fresh.job, fresh.attempt, fresh.fence), (stale.job, 2, stale.fence + 1));
    assert_eq!(first.renew(&stale).await.expect("asked"), Held::Lost);
    assert_eq!(hold(&app.db, &stale, &over(JobState::Done, None)).await.expect("asked"), Held::Lost);
    assert_eq!(hold(&app.db, &fresh, &over(JobState::Done, None)).await.expect("asked"), Held::Yes);
    assert_eq!(second.claim().await.expect("asked"), None, "done is done");
}

#[tokio::test]
async fn a_clock_that_is_wrong_takes_no_job_from_a_worker_that_lives() {
    let app = with_jobs(1).await;
    let (first, second) = (Jobs::new(app.db.clone(), "first".into()), Jobs::new(app.db.clone(), "second".into()));
    let lease = first.claim().await.expect("asked").expect("a job");
    // As the lease of a worker looks whose clock is an hour behind ours, or ahead.
    for skew in [-3_600_000, 3_600_000] {
        let moment = server::clock::now_ms() + LEASE_MS + skew;
        jobs::Entity::update_many().col_expr(jobs::Column::LeaseExpiresAtMs, Expr::value(moment)).exec(&app.db).await.expect("skewed");
        assert_eq!(second.claim().await.expect("asked"), None);
        assert_eq!(second.claim_job(lease.job).await.expect("asked"), None);
    }
    assert_eq!(first.renew(&lease).await.expect("renewed"), Held::Yes);
}

#[tokio::test]
async fn a_wait_that_another_clock_wrote_ends() {
    let app = with_jobs(1).await;
    let jobs = Jobs::new(app.db.clone(), "worker".into());
    let wait_for = async |ms: i64| {
        let moment = Expr::value(server::clock::now_ms() + ms);
        jobs::Entity::update_many().col_expr(jobs::Column::RunAfterMs, moment).exec(&app.db).await.expect("set");
    };
    wait_for(LONGEST_DELAY_MS).await;
    assert_eq!(jobs.claim().await.expect("asked"), None, "an ordinary wait");
    wait_for(3_600_000).await;
    assert!(jobs.claim().await.expect("asked").is_some(), "no wait is an hour long");
}

#[tokio::test]
async fn a_dead_processs_job_goes_on_at_once() {
    let app = with_jobs(1).await;
    let mut child = std::process::Command::new("true").spawn().expect("a process");
    // The name that it would have: this machine, its id and its beginning.
    let own = ProcessName::own().to_string();
    let machine = own.split('-').next().expect("a machine");
    let dead = Jobs::new(app.db.clone(), format!("{machine}-{}-1-0", child.id()).as_str().into());
    child.wait().expect("it ends");
    let stale = dead.claim().await.expect("asked").expect("a job");
    let living = Jobs::new(app.db.clone(), ProcessName::own());
    let fresh = living.claim().await.expect("asked").expect("the job, without waiting for its lease to run out");
    assert_eq!((fresh.job, fresh.fence), (stale.job, stale.fence + 1));
    assert_eq!(Jobs::new(app.db.clone(), ProcessName::own()).claim().await.expect("asked"), None, "we live");
}

#[tokio::test]
async fn accounts_take_turns() {
    let app = App::start().await;
    let (ada, bob) = (app.somebody("ada@example.com").await, app.somebody("bob@example.com").await);
    let jobs = Jobs::new(app.db.clone(), "worker".into());
    let claim = async || jobs.claim().await.expect("asked").map(|lease| lease.video.to_string());
    let mut hers = Vec::new();
    for _ in 0..20 {
        hers.push(app.upload(&ada, "one of many.mp4", &noise(10)).await);
    }
    for expected in &hers[..5] {
        assert_eq!(claim().await.as_ref(), Some(expected), "nobody else is there");
    }
    let his = [app.upload(&bob, "first.mp4", &noise(10)).await, app.upload(&bob, "second.mp4", &noise(10)).await];
    let next = [claim().await, claim().await, claim().await, claim().await].map(|video| video.expect("a job"));
    assert_eq!(next, [&hers[5], &his[0], &hers[6], &his[1]].map(Clone::clone));
    let late = app.upload(&ada, "last of many.mp4", &noise(10)).await;
    let mut rest = Vec::new();
    while let Some(video) = claim().await {
        rest.push(video);
    }
    assert_eq!(rest, [&hers[7..], &[late]].concat());
}

#[tokio::test]
async fn five_hundred_files_of_one_keep_nobody_elses_one_waiting() {
    let shop = Workshop::open(ELSEWHERE).await;
    let (bob, carol) = (shop.app.somebody("bob@example.com").await, shop.app.somebody("carol@example.com").await);
    let jobs = Jobs::new(shop.app.db.clone(), "worker".into());
    // Each is over at once: a machine that is busy with other things must not take its worker for a silent one.
    let claim = async || {
        let lease = jobs.claim().await.expect("asked").expect("there are hundreds");
        assert_eq!(hold(&shop.app.db, &lease, &over(JobState::Done, None)).await.expect("noted"), Held::Yes);
        lease.job
    };
    let mut hers = Vec::new();
    for _ in 0..500 {
        hers.push(shop.video().await.job);
    }
    let mut hers = hers.into_iter();
    for expected in hers.by_ref().take(40) {
        assert_eq!(claim().await, expected, "nobody else is there");
    }
    let ones = [shop.video_of(&bob).await.job, shop.video_of(&carol).await.job];
    let next = [claim().await, claim().await, claim().await];
    assert_eq!(next, [hers.next().expect("many"), ones[0], ones[1]], "one of hers, and everybody else's");
    // However often, and though she goes on adding.
    let mut late = Vec::new();
    for _ in 0..10 {
        late.push(shop.video().await.job);
        let one = shop.video_of(&bob).await.job;
        assert_eq!([claim().await, claim().await], [hers.next().expect("many"), one]);
    }
    for expected in hers.chain(late) {
        assert_eq!(claim().await, expected, "hers go on in their order");
    }
    assert_eq!(jobs.claim().await.expect("asked"), None);
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
