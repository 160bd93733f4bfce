//! Several at one video at once: whoever comes second waits, and sees what the first has done. SQLite lets one write at a time; PostgreSQL
//! has row locks for it.

use std::time::Duration;

use bytes::Bytes;
use domain::{
    ids::{GenerationId, VideoId},
    job::JobState,
    storage_key::StorageKey,
    video::Stage,
};
use futures::StreamExt;
use sea_orm::{ActiveValue::Set, ConnectionTrait, DatabaseConnection, DbBackend, EntityTrait, PaginatorTrait, sea_query::Expr};
use server::{
    db::{
        begin_write,
        entity::{jobs, removals, turns, videos},
    },
    services::{
        jobs::{Held, Jobs, Lease, hold, over},
        publishing::Publishing,
        removals::Removal,
        videos::advance,
    },
};
use uuid::Uuid;

use super::own::ask;
use crate::{
    app::{App, Somebody, files_below, noise},
    workshop::eventually,
};

/// A video that a worker has just begun to work on.
async fn begun(app: &App, who: &Somebody) -> (VideoId, Lease) {
    let video = app.upload(who, "clip.mp4", &noise(10)).await.parse().expect("an id");
    let lease = Jobs::new(app.db.clone(), "a worker".into()).claim().await.expect("asked").expect("its job");
    assert_eq!(lease.video, video);
    (video, lease)
}

/// A generation with something in the store.
async fn encoded(app: &App) -> GenerationId {
    let generation = GenerationId(Uuid::now_v7());
    let key = StorageKey::published(generation, "poster.jpg").expect("a name");
    let body = futures::stream::iter([Ok(Bytes::from_static(b"picture"))]).boxed();
    app.state.store.put_stream(&key, body, 100).await.expect("stored");
    generation
}

fn stored(app: &App) -> Vec<String> {
    files_below(&app.folder.path().join("store"))
}

/// Waits until so many wait for a lock. SQLite does not tell.
pub(super) async fn somebody_waits(db: &DatabaseConnection, how_many: usize) {
    if db.get_database_backend() == DbBackend::Sqlite {
        return tokio::time::sleep(Duration::from_millis(300)).await;
    }
    let waiting = "SELECT pid::text FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    while ask(db, waiting).await.len() < how_many {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn what_a_worker_has_just_begun_is_deleted_with_its_video() {
    let app = App::start().await;
    let ada = app.somebody("ada@example.com").await;
    let (video, lease) = begun(&app, &ada).await;
    let generation = encoded(&app).await;
    let transaction = begin_write(&app.db).await.expect("begun");
    let noted = [(jobs::Column::GenerationId, Expr::value(generation.0))];
    assert_eq!(hold(&transaction, &lease, &noted).await.expect("noted"), Held::Yes);
    let deleting = tokio::spawn({
        let (videos, user) = (app.state.videos.clone(), ada.user);
        async move { videos.delete(user, video).await }
    });
    somebody_waits(&app.db, 1).await;
    assert!(advance(&transaction, video, Stage::Checking, &[]).await.expect("advanced"), "the worker never waits for who deletes");
    transaction.commit().await.expect("committed");
    deleting.await.expect("no panic").expect("deleted");
    assert_eq!(hold(&app.db, &lease, &[]).await.expect("asked"), Held::Lost);
    eventually("its generation goes with it", async || stored(&app).is_empty()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn publishing_deleting_and_renaming_at_once_leave_nothing_behind() {
    let app = App::start().await;
    let ada = app.somebody("ada@example.com").await;
    let publishing = Publishing::new(app.db.clone(), app.state.store.clone());
    for round in 0..12 {
        let (video, lease) = begun(&app, &ada).await;
        let generation = encoded(&app).await;
        let noted = [(jobs::Column::GenerationId, Expr::value(generation.0))];
        assert_eq!(hold(&app.db, &lease, &noted).await.expect("noted"), Held::Yes);
        for stage in [Stage::Checking, Stage::Encoding, Stage::Publishing] {
            assert!(advance(&app.db, video, stage, &[]).await.expect("advanced"));
        }
        let publish = tokio::spawn({
            let publishing = publishing.clone();
            async move { publishing.publish(&lease, generation, &[], 0, true).await }
        });
        let delete = tokio::spawn({
            let (videos, user) = (app.state.videos.clone(), ada.user);
            async move {
                tokio::time::sleep(Duration::from_millis(round)).await;
                videos.delete(user, video).await
            }
        });
        let rename = tokio::spawn({
            let (videos, user) = (app.state.videos.clone(), ada.user);
            async move { videos.rename(user, video, "renamed").await }
        });
        delete.await.expect("no panic").expect("deleted");
        let renamed = rename.await.expect("no panic").map_err(|error| domain::error::Problem::from(error).code.as_str());
        assert!(renamed.as_ref().err().is_none_or(|code| *code == "not_found"), "{renamed:?}");
        if publish.await.expect("no panic").expect("no deadlock") == Held::Lost {
            // As a worker does that lost its lease.
            Removal::Generation(generation).note(&app.db).await.expect("noted");
            app.removals().work_off().await.expect("removed");
        }
        // Whoever deletes waits a moment for the bytes; where the disk takes longer, they go on going.
        eventually("nothing is left in the store", async || stored(&app).is_empty()).await;
    }
    let noted = async || removals::Entity::find().count(&app.db).await.expect("counted");
    eventually("nothing is left to remove", async || noted().await == 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_who_try_again_at_once_make_one_job() {
    let app = App::start().await;
    let ada = app.somebody("ada@example.com").await;
    let (video, lease) = begun(&app, &ada).await;
    assert_eq!(hold(&app.db, &lease, &over(JobState::Failed, Some("the disk broke"))).await.expect("noted"), Held::Yes);
    let why = [(videos::Column::FailureCode, Expr::value("processing_failed"))];
    assert!(advance(&app.db, video, Stage::Failed, &why).await.expect("noted"));
    let tries = (0..4).map(|_| {
        let (videos, user) = (app.state.videos.clone(), ada.user);
        tokio::spawn(async move { videos.retry(user, video).await })
    });
    let tries = futures::future::join_all(tries).await;
    assert_eq!(tries.into_iter().filter(|tried| tried.as_ref().expect("no panic").is_ok()).count(), 1);
    assert_eq!(crate::queue::jobs(&app).await, 2, "the one that failed and the new one");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_completed_upload_is_not_given_up() {
    let app = App::start().await;
    let ada = app.somebody("ada@example.com").await;
    let bytes = noise(10);
    for _ in 0..6 {
        let ticket = app.begin(&ada, "clip.mp4", bytes.len()).await;
        app.put_part(&ada, &ticket, 1, crc32c::crc32c(&bytes), bytes.clone()).await;
        let giving_up = tokio::spawn({
            let (videos, user, video) = (app.state.videos.clone(), ada.user, ticket.video_id);
            async move { videos.give_up(user, video).await }
        });
        let completed = app.complete(&ada, &ticket).await.status.is_success();
        let given_up = giving_up.await.expect("no panic").is_ok();
        assert!(!(completed && given_up), "what was acknowledged stays");
        let there = videos::Entity::find_by_id(ticket.video_id.0).one(&app.db).await.expect("asked").is_some();
        assert_eq!(there, !given_up);
    }
}

#[tokio::test]
async fn a_connection_whose_transaction_sqlite_has_ended_by_itself_swallows_nothing() {
    let app = App::start().await;
    if app.db.get_database_backend() != DbBackend::Sqlite {
        return;
    }
    let note = |name: &str| turns::Entity::insert(turns::ActiveModel { name: Set(name.to_owned()) });
    // As a full disk does it: the driver does not know that the transaction is over.
    let ended = begin_write(&app.db).await.expect("begun");
    ended.execute_unprepared("ROLLBACK").await.expect("ended");
    drop(ended);
    let given_up = begin_write(&app.db).await.expect("begun");
    note("given up").exec_without_returning(&given_up).await.expect("written");
    given_up.rollback().await.expect("rolled back");
    let kept = begin_write(&app.db).await.expect("begun");
    note("kept").exec_without_returning(&kept).await.expect("written");
    kept.commit().await.expect("answered");
    let elsewhere = app.other_process().await;
    let seen = |name: &str| turns::Entity::find_by_id(name).one(&elsewhere.db);
    assert!(seen("kept").await.expect("asked").is_some(), "what was answered is there for everybody");
    assert!(seen("given up").await.expect("asked").is_none());
}
