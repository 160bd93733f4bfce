//! Reading what should play: the source, and each picture put together from its segments, go through the same probe as an upload does.

use domain::{
    ids::{GenerationId, UploadId},
    playlist::{Rendition, Track},
    source::SourceFacts,
    storage_key::StorageKey,
    store_audit::{AuditReport, FindingKind},
};
use futures::{StreamExt, TryStreamExt};
use uuid::Uuid;

use super::{StoreAudit, note_temporary, rows::Look};
use crate::{
    error::{Error, Result},
    ports::{blob_store::ByteStream, transcoder::TranscodeError},
    services::{publishing::is_as_long, removals::Removal},
};

impl StoreAudit {
    pub(super) async fn probe(
        &self,
        look: &mut Look,
        source: Option<StorageKey>,
        facts: Option<&SourceFacts>,
        renditions: &[Rendition],
        report: &mut AuditReport,
    ) -> Result<()> {
        if let Some(source) = source {
            let length = facts.map(|facts| facts.duration_ms * 1_000);
            self.probe_file(look, &source, source.to_string(), length, report).await?;
        }
        let Some(generation) = look.video.generation_id.map(GenerationId) else { return Ok(()) };
        let stored = renditions.iter().filter(|rendition| rendition.generation.is_none());
        for rendition in stored.filter(|rendition| matches!(rendition.track, Track::Video { .. })) {
            let shown = format!("{}{}", StorageKey::generation_prefix(generation), rendition.name);
            self.probe_rendition(look, generation, rendition, shown, report).await?;
        }
        Ok(())
    }

    /// A rendition as one file: a copy that is there while it is read.
    async fn probe_rendition(
        &self,
        look: &mut Look,
        generation: GenerationId,
        rendition: &Rendition,
        shown: String,
        report: &mut AuditReport,
    ) -> Result<()> {
        let upload = UploadId(Uuid::now_v7());
        let copy = StorageKey::Source { upload };
        note_temporary(&self.db, upload).await?;
        self.store.put_stream(&copy, self.joined(generation, rendition), u64::MAX).await?;
        let length = rendition.playlist.duration_us();
        let probed = self.probe_file(look, &copy, shown, Some(length), report).await;
        self.store.delete(&copy).await?;
        Removal::keep_source(&self.db, upload).await?;
        probed
    }

    fn joined(&self, generation: GenerationId, rendition: &Rendition) -> ByteStream {
        let segments = rendition.playlist.segments.iter().map(|segment| segment.file.as_str());
        let files: Vec<_> = std::iter::once(rendition.playlist.init.as_str()).chain(segments).map(|file| rendition.path(file)).collect();
        let store = std::sync::Arc::clone(&self.store);
        let bodies = futures::stream::iter(files).then(move |file| {
            let store = std::sync::Arc::clone(&store);
            async move {
                let key = StorageKey::published(generation, &file).ok_or_else(|| std::io::Error::other("no name for an object"))?;
                let read = store.get(&key, None).await.map_err(std::io::Error::other)?;
                Ok::<ByteStream, std::io::Error>(read.body)
            }
        });
        bodies.try_flatten().boxed()
    }

    async fn probe_file(
        &self,
        look: &mut Look,
        file: &StorageKey,
        shown: String,
        length_us: Option<u64>,
        report: &mut AuditReport,
    ) -> Result<()> {
        report.checked.probed += 1;
        match self.transcoder.probe(file).await {
            Ok(found) => {
                let found = found.duration_ms * 1_000;
                if let Some(expected) = length_us.filter(|expected| !is_as_long(found, *expected)) {
                    let detail = format!("It lasts {} ms; its rows say {} ms.", found / 1_000, expected / 1_000);
                    look.find(FindingKind::Duration, shown, detail);
                }
                Ok(())
            }
            Err(TranscodeError::Source { detail, .. }) => {
                look.find(FindingKind::Unreadable, shown, detail);
                Ok(())
            }
            Err(error) => Err(Error::from(error)),
        }
    }
}
