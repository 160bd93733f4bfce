//! What is stored and what is left: for everybody their own, for owners everybody's.

use domain::storage_use::StorageUse;
use leptos::{server, server_fn::codec::GetUrl};

use super::AppError;

/// What takes up room.
#[server(name = AskStorageUse, prefix = "/app", endpoint = "storage", input = GetUrl)]
pub async fn storage_use() -> Result<StorageUse, AppError> {
    use crate::request;
    let state = request::state();
    let user = request::viewer(&state).await?;
    state.storage.used(user).await.map_err(request::refuse)
}

/// Begins a check of the store.
#[server(prefix = "/app", endpoint = "storage/check")]
pub async fn check_storage() -> Result<(), AppError> {
    use crate::request;
    let state = request::state();
    let user = request::viewer(&state).await?;
    state.storage.start_check(user).await.map_err(request::refuse)
}
