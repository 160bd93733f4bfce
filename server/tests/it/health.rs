//! `/livez` and `/readyz`: what is missing is named, what comes back is found again, and the end of the process is told first.

use std::time::Duration;

use axum::http::StatusCode;
use serde_json::Value;

use crate::app::App;

/// Asks until `/readyz` gives this status: an answer stands for a moment, and the engine's first look at itself takes longer than one.
async fn until(app: &App, status: StatusCode) -> Value {
    loop {
        let answer = app.get(None, "/readyz").await;
        if answer.status == status {
            assert_eq!(answer.headers["cache-control"], "no-store");
            return answer.json();
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

fn missing(report: &Value) -> Vec<&str> {
    let checks = report["checks"].as_array().expect("checks");
    checks.iter().filter(|check| check["ok"] == false).filter_map(|check| check["name"].as_str()).collect()
}

#[tokio::test]
async fn what_is_needed_is_named_and_found_again() {
    let app = App::start().await;
    let report = until(&app, StatusCode::OK).await;
    let names: Vec<_> = report["checks"].as_array().expect("checks").iter().filter_map(|check| check["name"].as_str()).collect();
    assert_eq!(names, ["database", "schema", "store", "engine", "running"]);

    let (store, away) = (app.folder.path().join("store"), app.folder.path().join("away"));
    std::fs::rename(&store, &away).expect("moved");
    assert_eq!(missing(&until(&app, StatusCode::SERVICE_UNAVAILABLE).await), ["store"]);
    std::fs::rename(&away, &store).expect("moved back");
    until(&app, StatusCode::OK).await;
    assert_eq!(std::fs::read_dir(&store).expect("listed").count(), 3, "a look leaves nothing behind");

    app.db.clone().close().await.expect("closed");
    let report = until(&app, StatusCode::SERVICE_UNAVAILABLE).await;
    assert_eq!(missing(&report), ["database", "schema"]);
    for alive in ["/livez", "/healthz"] {
        assert_eq!(app.get(None, alive).await.status, StatusCode::OK, "a database that is gone restarts nobody");
    }
}

#[tokio::test]
async fn who_asks_often_is_answered_from_memory_and_the_end_is_told_at_once() {
    let app = App::start().await;
    until(&app, StatusCode::OK).await;
    // The database is gone; an answer that is a moment old stands, so that nobody makes load by asking.
    app.db.clone().close().await.expect("closed");
    app.shut_down();
    let report = until(&app, StatusCode::SERVICE_UNAVAILABLE).await;
    assert!(missing(&report).contains(&"running"), "{report}");
}
