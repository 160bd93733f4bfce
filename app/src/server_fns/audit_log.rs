//! The audit log, for owners.

use domain::{audit::AuditPage, ids::AuditId};
use leptos::{server, server_fn::codec::GetUrl};

use super::AppError;

/// A page of the log, newest first, after the entry `after`.
#[server(prefix = "/app", endpoint = "audit-log", input = GetUrl)]
pub async fn list_acts(
    /// The last entry of the page before.
    after: Option<AuditId>,
) -> Result<AuditPage, AppError> {
    use crate::request;
    let state = request::state();
    let user = request::viewer(&state).await?;
    state.audit_log.page(user, after).await.map_err(request::refuse)
}
