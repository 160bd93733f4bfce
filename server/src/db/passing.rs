//! What is noted in passing: when something was last used. Nobody waits for that for long, nor fails by it: where somebody else writes, or
//! nothing can be written, reading goes on.

use std::{future::Future, time::Duration};

use sea_orm::DbErr;

/// How long a request waits until it is noted; what takes longer goes on beside it.
const NOTED_WITHIN: Duration = Duration::from_millis(250);

/// Notes it.
pub async fn note<T>(write: impl Future<Output = Result<T, DbErr>> + Send + 'static) {
    let noted = tokio::spawn(async move {
        if let Err(error) = write.await {
            tracing::warn!(%error, "cannot note when something was last used");
        }
    });
    let _ = tokio::time::timeout(NOTED_WITHIN, noted).await;
}
