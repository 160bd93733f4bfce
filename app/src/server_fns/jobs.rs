//! What the machinery has before it, for owners of the server.

use domain::{backlog::Backlog, ids::JobId};
use leptos::{server, server_fn::codec::GetUrl};

use super::AppError;

/// How things stand; of what was given up a page each, behind the jobs named.
#[server(prefix = "/app", endpoint = "jobs", input = GetUrl)]
pub async fn list_jobs(
    /// The last of the page before, among those that failed on our side.
    ours: Option<JobId>,
    /// The last of the page before, among those that failed because of the file.
    files: Option<JobId>,
) -> Result<Backlog, AppError> {
    use crate::request;
    use ::server::services::backlog::After;
    let state = request::state();
    let user = request::viewer(&state).await?;
    state.backlogs.look(user, After { ours, files }).await.map_err(request::refuse)
}

/// Gives a job that was given up another try.
#[server(prefix = "/app", endpoint = "jobs/retry")]
pub async fn retry_job(
    /// The job.
    id: JobId,
) -> Result<(), AppError> {
    use crate::request;
    let state = request::state();
    let actor = request::actor(&state).await?;
    state.backlogs.try_again(actor, id).await.map_err(request::refuse)
}

/// Gives another try to all that failed on our side; says how many are in line, and how many are left as they are.
#[server(prefix = "/app", endpoint = "jobs/retry-all")]
pub async fn retry_all_jobs() -> Result<(u64, u64), AppError> {
    use crate::request;
    let state = request::state();
    let actor = request::actor(&state).await?;
    let done = state.backlogs.try_all_again(actor).await.map_err(request::refuse)?;
    Ok((done.queued, done.left))
}
