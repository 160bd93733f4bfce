//! Room on the disk and who has taken it up: uploads are refused before a disk is full, videos wait, and what is let go of goes, if later.

use std::sync::atomic::Ordering;

use domain::{error::Code, failure::FailureCode, job::JobState, upload::BeginUpload};
use sea_orm::{ColumnTrait, EntityTrait, PaginatorTrait, QueryFilter, sea_query::Expr};
use server::{
    clock::now_ms,
    db::entity::{jobs, removals},
    error::Error,
    ports::blob_store::Room,
};

use crate::{
    app::App,
    workshop::{Workshop, engine::Manners, eventually, queue::FakeQueue},
};

const HERE: Manners = Manners { outlives: false, at_once: true, silent: false };
const SMALL: u64 = 1_000_000;

async fn shop() -> Workshop {
    Workshop::on(App::with(&[("MILLRACE_STORAGE_MIN_FREE_BYTES", "1000000")]).await, HERE).await
}

fn begin(size: u64) -> BeginUpload {
    serde_json::from_value(serde_json::json!({ "fileName": "film.mp4", "size": size })).expect("a beginning")
}

#[tokio::test]
async fn an_upload_that_would_fill_the_disk_is_refused_and_says_so() {
    let shop = shop().await;
    shop.store.leave_room(Room { total: 100 * SMALL, free: SMALL + SMALL / 2 });
    assert!(shop.front.storage.make_room(SMALL / 2).await.is_ok(), "what leaves enough is taken");
    let Err(Error::Problem(refusal)) = shop.front.uploads.begin(shop.ada.user, &begin(SMALL)).await else {
        panic!("it was not refused for its size");
    };
    assert_eq!((refusal.code, refusal.code.http_status(), refusal.retry_after_seconds), (Code::StorageFull, 507, Some(60)));
    shop.store.leave_room(Room { total: 100 * SMALL, free: SMALL - 1 });
    let body = Box::pin(futures::stream::empty());
    assert!(
        matches!(shop.front.uploads.receive(shop.ada.user, body).await, Err(Error::Problem(problem)) if problem.code == Code::StorageFull)
    );
    // A small disk can be used: the mark is a tenth of it at most.
    shop.store.leave_room(Room { total: SMALL, free: SMALL / 5 });
    assert!(shop.front.storage.make_room(SMALL / 20).await.is_ok());
}

#[tokio::test]
async fn a_video_waits_for_room_and_goes_on_when_there_is_some() {
    let shop = shop().await;
    let job = shop.video().await;
    shop.store.leave_room(Room { total: 100 * SMALL, free: 0 });
    let worker = shop.hire(std::sync::Arc::new(FakeQueue::default()), 1);
    eventually("it says why it waits", async || {
        let video = shop.front.videos.get(shop.ada.user, job.video).await.expect("a video");
        video.failure == Some(FailureCode::WaitingForSpace.into())
    })
    .await;
    // However old it is, a full disk is not its failure.
    let old = jobs::Entity::update_many().col_expr(jobs::Column::CreatedAtMs, Expr::value(now_ms() - 100 * 3_600_000));
    old.filter(jobs::Column::Id.eq(job.job.0)).exec(&shop.app.db).await.expect("aged");
    due(&shop, job.job.0).await;
    eventually("it waits again", async || {
        let row = shop.row(job).await;
        row.state == JobState::Queued.as_str() && row.run_after_ms > now_ms()
    })
    .await;
    assert_eq!(shop.row(job).await.attempt, 0, "no try is lost");
    shop.store.leave_room(Room { total: 100 * SMALL, free: u64::MAX });
    due(&shop, job.job.0).await;
    shop.until(job, JobState::Done).await;
    worker.shut_down().await;
}

/// Lets a waiting job's moment come.
async fn due(shop: &Workshop, job: uuid::Uuid) {
    let due = jobs::Entity::update_many().col_expr(jobs::Column::RunAfterMs, Expr::value(0));
    let waiting = due.filter(jobs::Column::Id.eq(job)).filter(jobs::Column::State.eq(JobState::Queued.as_str()));
    waiting.exec(&shop.app.db).await.expect("due");
}

#[tokio::test]
async fn what_is_deleted_while_the_store_is_down_goes_when_it_is_back() {
    let shop = shop().await;
    let job = shop.video().await;
    let worker = shop.hire(std::sync::Arc::new(FakeQueue::default()), 1);
    shop.until(job, JobState::Done).await;
    worker.shut_down().await;
    assert!(!shop.engine.seen().objects.is_empty());
    shop.store.deaf.store(true, Ordering::SeqCst);
    shop.front.videos.delete(shop.ada.user, job.video).await.expect("it is gone for its owner");
    eventually("a first try has failed", async || {
        let later = removals::Entity::find().filter(removals::Column::RunAfterMs.gt(now_ms()));
        later.count(&shop.app.db).await.expect("counted") > 0
    })
    .await;
    assert!(!shop.engine.seen().objects.is_empty(), "nothing is lost from the list of what is to go");
    // Another process, after the store has come back.
    shop.store.deaf.store(false, Ordering::SeqCst);
    removals::Entity::update_many().col_expr(removals::Column::RunAfterMs, Expr::value(0)).exec(&shop.app.db).await.expect("due");
    let (_, worker) = shop.apply(std::sync::Arc::new(FakeQueue::default()));
    worker.tidying.removals.work_off().await.expect("worked off");
    assert!(shop.engine.seen().objects.is_empty());
    assert_eq!(removals::Entity::find().count(&shop.app.db).await.expect("counted"), 0);
}

#[tokio::test]
async fn everybody_sees_their_own_and_owners_see_all() {
    let app = App::start().await;
    let ada = app.somebody("ada@example.com").await;
    let bob = app.somebody("bob@example.com").await;
    app.upload(&ada, "one.bin", &[1; 3_000]).await;
    app.begin(&ada, "two.bin", 500).await;
    app.upload(&bob, "three.bin", &[1; 700]).await;
    let used = app.state.storage.used(ada.user).await.expect("asked");
    assert_eq!((used.own.videos, used.own.sources, used.own.unfinished, used.own.renditions), (2, 3_000, 500, 0));
    let all = used.server.expect("the first account is an owner");
    assert_eq!((all.all.total(), all.accounts.len()), (4_200, 2));
    assert_eq!(all.accounts[0].email, "ada@example.com", "the largest first");
    assert!(all.disk.is_some_and(|disk| disk.total > disk.free));
    let used = app.state.storage.used(bob.user).await.expect("asked");
    assert_eq!((used.own.sources, used.server), (700, None));
}
