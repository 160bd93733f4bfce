//! Sources: kept as long as the operator says, and given straight to us where the store takes no parts by itself.

use axum::http::{Method, StatusCode};
use domain::video::Stage;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, sea_query::Expr};
use server::{
    clock::now_ms,
    db::entity::{jobs, videos},
    services::sources::Sources,
};
use uuid::Uuid;

use crate::app::{App, files_below, noise};

/// A video that has been playing for `days`, without the work of making it.
async fn ready_for(app: &App, video: &str, days: i64) {
    let id: Uuid = video.parse().expect("an id");
    let then = now_ms() - days * 86_400_000 - 1_000;
    videos::Entity::update_many()
        .col_expr(videos::Column::Stage, Expr::value(Stage::Ready.as_str()))
        .col_expr(videos::Column::GenerationId, Expr::value(Uuid::now_v7()))
        .col_expr(videos::Column::UpdatedAtMs, Expr::value(then))
        .filter(videos::Column::Id.eq(id))
        .exec(&app.db)
        .await
        .expect("written");
    jobs::Entity::update_many()
        .col_expr(jobs::Column::State, Expr::value("done"))
        .filter(jobs::Column::VideoId.eq(id))
        .exec(&app.db)
        .await
        .expect("written");
}

fn sources(app: &App) -> usize {
    files_below(&app.folder.path().join("store/sources")).len()
}

#[tokio::test]
async fn a_source_goes_when_its_time_is_over_and_not_before() {
    let app = App::start().await;
    let ada = app.somebody("ada@example.com").await;
    let (old, young, waiting) = (
        app.upload(&ada, "old.mp4", &noise(100)).await,
        app.upload(&ada, "young.mp4", &noise(100)).await,
        app.upload(&ada, "new.mp4", &noise(100)).await,
    );
    ready_for(&app, &old, 10).await;
    ready_for(&app, &young, 2).await;
    assert_eq!(sources(&app), 3);

    let kept = Sources::new(app.db.clone(), 0);
    kept.let_go_of_old().await.expect("looked");
    app.removals().work_off().await.expect("worked off");
    assert_eq!(sources(&app), 3, "0 days means for ever");

    let week = Sources::new(app.db.clone(), 7);
    for _ in 0..2 {
        week.let_go_of_old().await.expect("looked");
        app.removals().work_off().await.expect("worked off");
        assert_eq!(sources(&app), 2, "one is old enough");
    }
    let url = |id: &str| {
        let id: Uuid = id.parse().expect("an id");
        let db = app.db.clone();
        async move { videos::Entity::find_by_id(id).one(&db).await.expect("read").expect("there").s3_input_url }
    };
    assert_eq!(url(&old).await, None);
    assert!(url(&young).await.is_some() && url(&waiting).await.is_some());
    assert_eq!(app.status(&ada, &old).await["status"], "done", "the video plays on");
}

#[tokio::test]
async fn a_source_that_is_being_worked_on_stays() {
    let app = App::start().await;
    let ada = app.somebody("ada@example.com").await;
    let video = app.upload(&ada, "clip.mp4", &noise(100)).await;
    ready_for(&app, &video, 10).await;
    jobs::Entity::update_many().col_expr(jobs::Column::State, Expr::value("queued")).exec(&app.db).await.expect("written");
    Sources::new(app.db.clone(), 7).let_go_of_old().await.expect("looked");
    app.removals().work_off().await.expect("worked off");
    assert_eq!(sources(&app), 1);
}

#[tokio::test]
async fn a_store_that_takes_parts_from_us_alone_gives_no_targets() {
    let app = App::start().await;
    let ada = app.somebody("ada@example.com").await;
    let ticket = app.begin(&ada, "clip.mp4", 1_000).await;
    assert_eq!(ticket.target_url, None);
    let path = format!("/api/v1/uploads/{}/parts/1/target", ticket.upload_id);
    let json = [("content-type", "application/json")];
    let answer = app.ask(Some(&ada), Method::POST, &path, &json, r#"{"crc32c":1}"#).await;
    assert_eq!((answer.status, answer.code().as_str()), (StatusCode::NOT_FOUND, "not_found"));
    let beyond = app.ask(Some(&ada), Method::POST, &path.replace("/1/", "/2/"), &json, r#"{"crc32c":1}"#).await;
    assert_eq!(beyond.status, StatusCode::BAD_REQUEST, "{}", beyond.text());
    let bob = app.somebody("bob@example.com").await;
    assert_eq!(app.ask(Some(&bob), Method::POST, &path, &json, r#"{"crc32c":1}"#).await.status, StatusCode::NOT_FOUND);
    assert_eq!(app.ask(None, Method::POST, &path, &json, r#"{"crc32c":1}"#).await.status, StatusCode::UNAUTHORIZED);
}
