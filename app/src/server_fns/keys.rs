//! API keys.

use domain::{
    account::{ApiKey, NewApiKey, Scope},
    ids::ApiKeyId,
};
use leptos::{server, server_fn::codec::GetUrl};

use super::AppError;

/// The account's keys.
#[server(prefix = "/app", endpoint = "keys", input = GetUrl)]
pub async fn list_keys() -> Result<Vec<ApiKey>, AppError> {
    use crate::request;
    let state = request::state();
    let user = request::viewer(&state).await?;
    state.api_keys.list(user).await.map_err(request::refuse)
}

/// Creates a key. This answer is the one moment its secret is known.
#[server(prefix = "/app", endpoint = "keys/create")]
pub async fn create_key(
    /// What its owner calls it.
    name: String,
    /// What it may do.
    scope: Scope,
) -> Result<NewApiKey, AppError> {
    use crate::request;
    let state = request::state();
    let actor = request::actor(&state).await?;
    state.api_keys.create(actor, &name, scope).await.map_err(|error| request::refuse(error).keeping(&name))
}

/// Revokes a key: requests with it are refused from now on. Says which: what an action was asked is forgotten by the time its answer is looked at.
#[server(prefix = "/app", endpoint = "keys/revoke")]
pub async fn revoke_key(
    /// The key.
    id: ApiKeyId,
) -> Result<ApiKeyId, AppError> {
    use crate::request;
    let state = request::state();
    let actor = request::actor(&state).await?;
    state.api_keys.revoke(actor, id).await.map_err(request::refuse)?;
    Ok(id)
}
