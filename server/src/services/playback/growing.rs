//! Playlists of what is still being encoded. They are read anew each time; once it is published, the same addresses have the whole.

use std::{future::Future, sync::Arc};

use domain::{error::Problem, ids::GenerationId, playlist::Rendition};
use tokio::time::timeout;

use super::{PATIENTLY, Playbacks};
use crate::{
    error::Result,
    ports::cdn::SignedPrefix,
    services::{growing, videos::published},
};

impl Playbacks {
    /// What there is of the renditions by now; all of them, if they have been published since somebody looked.
    pub(super) async fn grown(&self, generation: GenerationId) -> Result<Arc<Vec<Rendition>>> {
        let grown = patiently(growing::renditions(&self.db, generation)).await?;
        if !grown.is_empty() {
            return Ok(Arc::new(grown));
        }
        let published = patiently(published(&self.db, generation)).await?;
        if published.is_empty() { Err(Problem::not_found().into()) } else { Ok(Arc::new(published)) }
    }

    /// A media playlist as long as it grows.
    pub(super) async fn growing_playlist(&self, generation: GenerationId, name: &str, signed: &SignedPrefix) -> Result<Option<String>> {
        let found = patiently(growing::rendition(&self.db, generation, name)).await?;
        Ok(found
            .map(|(rendition, target_seconds)| rendition.playlist.render_begun(target_seconds, |file| signed.url(&rendition.path(file)))))
    }
}

async fn patiently<T>(read: impl Future<Output = Result<T>>) -> Result<T> {
    timeout(PATIENTLY, read).await.unwrap_or_else(|_| Err(Problem::unavailable().into()))
}
