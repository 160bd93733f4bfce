//! `/livez` and `/readyz`: whether the process runs, and whether it can do its work.

use axum::{
    Json,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};

use super::AppState;
use crate::services::readiness::Readiness;

/// `GET /livez`: the process runs. It asks nothing of anybody, so that a database that is gone gets nobody restarted.
pub async fn live() -> Response {
    ([(header::CACHE_CONTROL, "no-store")], "ok\n").into_response()
}

/// `GET /readyz`: each thing that is needed, by name, and 503 where one is not there or the process is about to end.
pub async fn ready(State(state): State<AppState>) -> Response {
    answer(&state.readiness).await
}

/// The answer of [`ready`].
pub(super) async fn answer(readiness: &Readiness) -> Response {
    let report = readiness.report().await;
    let status = if report.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, [(header::CACHE_CONTROL, "no-store")], Json(report)).into_response()
}
