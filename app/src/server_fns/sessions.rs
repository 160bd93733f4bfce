//! The sessions of an account.

use domain::account::SignedIn;
use leptos::{server, server_fn::codec::GetUrl};

use super::AppError;

/// Where the account is signed in.
#[server(prefix = "/app", endpoint = "sessions", input = GetUrl)]
pub async fn list_sessions() -> Result<Vec<SignedIn>, AppError> {
    use crate::request;
    let state = request::state();
    let user = request::viewer(&state).await?;
    state.sessions.list(user, &request::session_id().await?).await.map_err(request::refuse)
}

/// Ends one session of the account.
#[server(prefix = "/app", endpoint = "sessions/end")]
pub async fn end_session(
    /// The session.
    handle: String,
) -> Result<(), AppError> {
    use crate::request;
    let state = request::state();
    let actor = request::actor(&state).await?;
    state.sessions.end(actor, &handle).await.map_err(request::refuse)
}

/// Ends all sessions of the account, this one too.
#[server(prefix = "/app", endpoint = "sessions/end-all")]
pub async fn sign_out_everywhere() -> Result<(), AppError> {
    use crate::request;
    let state = request::state();
    let actor = request::actor(&state).await?;
    state.sessions.end_all(actor).await.map_err(request::refuse)?;
    request::end_session().await?;
    request::go_to("/sign-in");
    Ok(())
}
