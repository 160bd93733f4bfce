//! From the rows to the store: is everything there that a video's rows name?

use std::collections::HashMap;

use domain::{
    ids::{GenerationId, UploadId, VideoId},
    job::JobState,
    playlist::{Rendition, Track},
    source::SourceFacts,
    storage_key::StorageKey,
    store_audit::{AuditReport, Finding, FindingKind},
    video::Stage,
};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, sea_query::Expr};
use uuid::Uuid;

use super::{AuditOptions, Listener, StoreAudit};
use crate::{
    db::entity::{jobs, uploads, videos},
    error::Result,
    ports::{
        blob_store::{BlobError, MultipartId},
        transcoder::POSTER_FILE,
    },
    services::{
        publishing::lasts_as_long,
        videos::{published, source_facts, stage},
    },
};

/// Videos looked at in one go.
const BATCH: u64 = 100;

/// A video that is looked at, and what came out so far.
pub(super) struct Look {
    pub(super) video: videos::Model,
    pub(super) upload: Option<uploads::Model>,
    pub(super) findings: Vec<Finding>,
}

impl Look {
    /// Notes that something about the video is not as it should be.
    pub(super) fn find(&mut self, kind: FindingKind, key: impl ToString, detail: impl Into<String>) {
        let (video, key) = (Some(VideoId(self.video.id)), key.to_string());
        self.findings.push(Finding { kind, video, key, detail: detail.into(), repaired: false });
    }
}

impl StoreAudit {
    pub(super) async fn look_at_rows(&self, options: AuditOptions, report: &mut AuditReport, listener: Listener<'_>) -> Result<()> {
        let mut after = options.after.map_or_else(Uuid::nil, |video| video.0);
        loop {
            let query = videos::Entity::find().filter(videos::Column::Id.gt(after)).order_by_asc(videos::Column::Id).limit(BATCH);
            let batch = query.all(&self.db).await?;
            let Some(last) = batch.last().map(|video| video.id) else { return Ok(()) };
            after = last;
            for video in batch {
                let id = video.id;
                for finding in self.look_at_video(video, options, report).await? {
                    report.add(finding);
                }
                report.checked.videos += 1;
                report.checked.last_video = Some(VideoId(id));
                listener(report);
            }
        }
    }

    /// Looks twice where something seems wrong: somebody may have deleted the video meanwhile, or encoded it anew.
    async fn look_at_video(&self, video: videos::Model, options: AuditOptions, report: &mut AuditReport) -> Result<Vec<Finding>> {
        let id = video.id;
        let first = self.look_once(video, options, report).await?;
        if first.is_empty() {
            return Ok(first);
        }
        match videos::Entity::find_by_id(id).one(&self.db).await? {
            Some(video) => self.look_once(video, options, &mut AuditReport::default()).await,
            None => Ok(Vec::new()),
        }
    }

    async fn look_once(&self, video: videos::Model, options: AuditOptions, report: &mut AuditReport) -> Result<Vec<Finding>> {
        let upload = uploads::Entity::find().filter(uploads::Column::VideoId.eq(video.id)).one(&self.db).await?;
        let mut look = Look { video, upload, findings: Vec::new() };
        let at = stage(&look.video)?;
        match at {
            Stage::Uploading => self.look_at_upload(&mut look).await?,
            Stage::Queued | Stage::Checking | Stage::Encoding | Stage::Publishing => self.look_at_job(&mut look).await?,
            Stage::Ready | Stage::Failed => {}
        }
        let source = if at == Stage::Uploading { None } else { self.look_at_source(&mut look, report).await? };
        let facts = source_facts(&look.video)?;
        let renditions = match look.video.generation_id {
            Some(generation) => self.look_at_generation(&mut look, GenerationId(generation), facts.as_ref(), report).await?,
            None => Vec::new(),
        };
        if look.video.s3_input_url.is_none() && renditions.iter().any(|rendition| rendition.generation.is_some()) {
            look.find(FindingKind::SourceMissing, "", "Its largest picture is played from the source, which was let go of.");
        }
        if at == Stage::Ready && renditions.is_empty() {
            look.find(FindingKind::RenditionsMissing, "", "The video is done, but no rendition of it has a row.");
        }
        if options.deep && at == Stage::Ready && look.findings.is_empty() {
            self.probe(&mut look, source, facts.as_ref(), &renditions, report).await?;
        }
        Ok(look.findings)
    }

    async fn look_at_upload(&self, look: &mut Look) -> Result<()> {
        let Some(upload) = look.upload.clone() else {
            look.find(FindingKind::UploadMissing, "", "The video waits for an upload that has no row.");
            return Ok(());
        };
        let key = StorageKey::Source { upload: UploadId(upload.id) };
        match self.store.list_parts(&key, &MultipartId(upload.multipart_id)).await {
            Err(BlobError::NotFound) => look.find(FindingKind::PartsMissing, &key, "The store knows nothing of this unfinished upload."),
            other => drop(other?),
        }
        Ok(())
    }

    async fn look_at_job(&self, look: &mut Look) -> Result<()> {
        let open = [JobState::Queued.as_str(), JobState::Running.as_str()];
        let job = jobs::Entity::of(look.video.id).filter(jobs::Column::State.is_in(open)).one(&self.db).await?;
        if job.is_none() {
            let detail = format!("The video is {}, and no job is for it.", look.video.stage);
            look.find(FindingKind::JobMissing, "", detail);
        }
        Ok(())
    }

    /// The source, where there has to be one and it is as it should be.
    async fn look_at_source(&self, look: &mut Look, report: &mut AuditReport) -> Result<Option<StorageKey>> {
        if look.video.s3_input_url.is_none() {
            return Ok(None);
        }
        let Some((id, expected)) = look.upload.as_ref().map(|upload| (upload.id, upload.size_bytes.unsigned_abs())) else {
            look.find(FindingKind::UploadMissing, "", "The source of this video has no row.");
            return Ok(None);
        };
        let key = StorageKey::Source { upload: UploadId(id) };
        report.checked.objects += 1;
        match self.store.size(&key).await {
            Ok(size) if size == expected => {
                report.checked.bytes += size;
                return Ok(Some(key));
            }
            Ok(size) => look.find(FindingKind::SourceSize, &key, format!("The source has {size} bytes, not {expected}.")),
            Err(BlobError::NotFound) => look.find(FindingKind::SourceMissing, &key, "The source is not in the store."),
            Err(error) => return Err(error.into()),
        }
        Ok(None)
    }

    async fn look_at_generation(
        &self,
        look: &mut Look,
        generation: GenerationId,
        facts: Option<&SourceFacts>,
        report: &mut AuditReport,
    ) -> Result<Vec<Rendition>> {
        let renditions = published(&self.db, generation).await?;
        let mut stored = self.store.list_generation(generation).await?;
        let bytes: u64 = stored.values().sum();
        report.checked.objects += stored.len() as u64;
        report.checked.bytes += bytes;
        self.count(look, generation, bytes).await?;
        let prefix = StorageKey::generation_prefix(generation);
        for rendition in &renditions {
            // One that comes from the source itself is as whole as that.
            if rendition.generation.is_none() {
                look_at_rendition(look, &prefix, rendition, &mut stored);
            }
            if let Some(facts) = facts.filter(|facts| !lasts_as_long(facts, rendition)) {
                let detail = format!(
                    "{} lasts {} ms, the source {} ms.",
                    rendition.name,
                    rendition.playlist.duration_us() / 1_000,
                    facts.duration_ms
                );
                look.find(FindingKind::Duration, format!("{prefix}{}", rendition.name), detail);
            }
        }
        if look.video.poster_generation_id == Some(generation.0) && stored.remove(POSTER_FILE).is_none_or(|size| size == 0) {
            look.find(FindingKind::ObjectMissing, format!("{prefix}{POSTER_FILE}"), "The poster is not in the store, or empty.");
        }
        // Engines elsewhere leave playlists and pictures of their own, which nobody reads.
        let extra = |name: &&String| !name.ends_with(".m3u8") && !name.ends_with(".jpg");
        let extra: Vec<&String> = stored.keys().filter(extra).collect();
        if let Some(first) = extra.iter().min() {
            look.find(FindingKind::ObjectOrphan, format!("{prefix}{first}"), format!("{} objects are in no playlist.", extra.len()));
        }
        Ok(renditions)
    }

    /// Writes down how much is stored, where that is not known yet.
    async fn count(&self, look: &Look, generation: GenerationId, bytes: u64) -> Result<()> {
        if look.video.published_bytes.is_some() {
            return Ok(());
        }
        videos::Entity::update_many()
            .col_expr(videos::Column::PublishedBytes, Expr::value(i64::try_from(bytes).unwrap_or(i64::MAX)))
            .filter(videos::Column::Id.eq(look.video.id))
            .filter(videos::Column::GenerationId.eq(generation.0))
            .exec(&self.db)
            .await?;
        Ok(())
    }
}

/// Takes what a rendition names out of what is stored; what is not there or has another size is found.
fn look_at_rendition(look: &mut Look, prefix: &str, rendition: &Rendition, stored: &mut HashMap<String, u64>) {
    let init = std::iter::once((rendition.playlist.init.as_str(), None));
    let segments = rendition.playlist.segments.iter().map(|segment| (segment.file.as_str(), Some(segment.bytes)));
    let (mut missing, mut wrong) = (Vec::new(), Vec::new());
    for (file, expected) in init.chain(segments) {
        let path = rendition.path(file);
        match stored.remove(&path) {
            None => missing.push(path),
            Some(size) if size == 0 || expected.is_some_and(|expected| expected != size) => wrong.push(path),
            Some(_) => {}
        }
    }
    let kind = if matches!(rendition.track, Track::Video { .. }) { "picture" } else { "sound" };
    for (found, paths, what) in [
        (FindingKind::ObjectMissing, missing, "are not in the store"),
        (FindingKind::ObjectSize, wrong, "have another length than their row says"),
    ] {
        if let Some(first) = paths.first() {
            look.find(found, format!("{prefix}{first}"), format!("{} objects of the {kind} {} {what}.", paths.len(), rendition.name));
        }
    }
}
