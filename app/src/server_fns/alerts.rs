//! What needs a person, for owners.

use domain::alert::Alerts;
use leptos::{server, server_fn::codec::GetUrl};

use super::AppError;

/// Alerts that go on, messages that nobody took, and on which ways messages go.
#[server(prefix = "/app", endpoint = "alerts", input = GetUrl)]
pub async fn list_alerts() -> Result<Alerts, AppError> {
    use crate::request;
    let state = request::state();
    let user = request::viewer(&state).await?;
    state.alerts.shown(user).await.map_err(request::refuse)
}
