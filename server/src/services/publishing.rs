//! Makes renditions playable: checks every object that a playlist is going to name, then switches the video to the new generation by
//! one row update. Published objects are never changed; what was published before is let go of.

use std::{collections::HashMap, sync::Arc};

use domain::{
    ids::{GenerationId, VideoId},
    job::JobState,
    playlist::{Rendition, Track, multivariant},
    source::SourceFacts,
    storage_key::StorageKey,
    video::Stage,
};
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, DatabaseConnection, EntityTrait, QueryFilter,
    sea_query::{Expr, SimpleExpr},
};

use crate::{
    db::{
        begin_write,
        entity::{renditions, videos},
    },
    error::{Error, Result, Unfit},
    failpoints,
    ports::{blob_store::BlobStore, transcoder::POSTER_FILE},
    services::{
        growing,
        jobs::{Held, Lease, hold, over},
        packages::PackagedFacts,
        removals::Removal,
        videos::advance,
    },
};

/// A rendition may differ from its source by this share of the length, or by [`LENGTH_SLACK_US`] where that is more.
const LENGTH_SLACK: f64 = 0.02;
/// A frame group and an audio frame or two.
const LENGTH_SLACK_US: u64 = 1_000_000;

/// Publishes.
#[derive(Debug, Clone)]
pub struct Publishing {
    db: DatabaseConnection,
    store: Arc<dyn BlobStore>,
}

impl Publishing {
    /// Publishes what is in `store`.
    pub fn new(db: DatabaseConnection, store: Arc<dyn BlobStore>) -> Self {
        Self { db, store }
    }

    /// Checks playlists and objects, whoever made them; gives the bytes of all objects.
    ///
    /// # Errors
    /// [`Unfit`] in the inner result; the store's failure in the outer one.
    pub async fn check(
        &self,
        generation: GenerationId,
        facts: &SourceFacts,
        made: &[Rendition],
    ) -> Result<std::result::Result<u64, Unfit>> {
        if let Err(unfit) = check_playlists(facts, made) {
            return Ok(Err(unfit));
        }
        let stored = self.store.list_generation(generation).await?;
        // What comes from the source itself was looked at before, and is in no generation's folder.
        let objects = made.iter().filter(|rendition| rendition.generation.is_none()).flat_map(|rendition| {
            let init = std::iter::once((rendition.playlist.init.as_str(), None));
            let segments = rendition.playlist.segments.iter().map(|segment| (segment.file.as_str(), Some(segment.bytes)));
            init.chain(segments).map(move |(file, bytes)| (rendition.path(file), bytes))
        });
        let wrong = objects.filter_map(|(file, expected)| check_object(&stored, generation, &file, expected)).next();
        Ok(wrong.map_or_else(|| Ok(stored.values().sum()), Err))
    }

    /// Switches the video to the generation and ends the job, in one transaction under the lease.
    ///
    /// # Errors
    /// The database fails.
    pub async fn publish(&self, lease: &Lease, generation: GenerationId, made: &[Rendition], bytes: u64, poster: bool) -> Result<Held> {
        let VideoId(video) = lease.video;
        let transaction = begin_write(&self.db).await?;
        if hold(&transaction, lease, &over(JobState::Done, None)).await? == Held::Lost {
            return Ok(Held::Lost);
        }
        let row = videos::Entity::find_by_id(video).one(&transaction).await?.ok_or_else(|| Error::broken("a job without its video"))?;
        for rendition in made {
            let body = serde_json::to_string(rendition).map_err(|error| Error::broken(error.to_string()))?;
            let row = renditions::ActiveModel {
                generation_id: Set(generation.0),
                name: Set(rendition.name.clone()),
                video_id: Set(video),
                body: Set(body),
            };
            renditions::Entity::insert(row).exec_without_returning(&transaction).await?;
        }
        let output = StorageKey::published(generation, POSTER_FILE).map(|key| self.store.url(&key));
        let output = output.and_then(|url| url.strip_suffix(POSTER_FILE).map(str::to_owned));
        let mut changes =
            vec![(videos::Column::GenerationId, Expr::value(generation.0)), (videos::Column::S3OutputUrl, Expr::value(output))];
        changes.push((videos::Column::PublishedBytes, Expr::value(i64::try_from(bytes).unwrap_or(i64::MAX))));
        changes.extend(kept(&row, made)?);
        if poster {
            changes.push((videos::Column::PosterGenerationId, Expr::value(generation.0)));
        }
        // Whoever watches it as it grew goes on: the same addresses are a whole film from now on.
        growing::end(&transaction, lease.video).await?;
        if !advance(&transaction, lease.video, Stage::Ready, &changes).await? {
            return Err(Error::broken(format!("video {video} cannot become ready from stage {}", row.stage)));
        }
        for old in [row.generation_id, row.poster_generation_id].into_iter().flatten().filter(|old| *old != generation.0) {
            renditions::Entity::delete_many().filter(renditions::Column::GenerationId.eq(old)).exec(&transaction).await?;
            Removal::Published(GenerationId(old)).note(&transaction).await?;
        }
        failpoints::pass("job.publish.before_commit");
        transaction.commit().await?;
        failpoints::pass("job.publish.committed");
        Ok(Held::Yes)
    }
}

/// Whether the source is what viewers go on getting, and by which generation: the row may not know yet, of a video that is processed once more.
fn kept(row: &videos::Model, made: &[Rendition]) -> Result<Vec<(videos::Column, SimpleExpr)>> {
    let kept = made.iter().find_map(|rendition| rendition.generation);
    let mut changes = vec![(videos::Column::PlaysSource, Expr::value(kept.is_some()))];
    if let Some(packaged) = kept.filter(|kept| row.packaged_generation_id != Some(kept.0)) {
        let facts = PackagedFacts::of(made).map(|facts| serde_json::to_string(&facts)).transpose();
        let facts = facts.map_err(|error| Error::broken(error.to_string()))?;
        changes.push((videos::Column::PackagedGenerationId, Expr::value(packaged.0)));
        changes.push((videos::Column::PackagedFacts, Expr::value(facts)));
    }
    Ok(changes)
}

/// What is wrong with one object that a playlist is going to name, if anything is.
fn check_object(stored: &HashMap<String, u64>, generation: GenerationId, file: &str, expected: Option<u64>) -> Option<Unfit> {
    if StorageKey::published(generation, file).is_none() {
        return Some(Unfit(format!("{file} is no name for a published object")));
    }
    match (stored.get(file), expected) {
        (None, _) => Some(Unfit(format!("{file} is missing"))),
        (Some(0), _) => Some(Unfit(format!("{file} is empty"))),
        (Some(size), Some(expected)) if *size != expected => Some(Unfit(format!("{file} has {size} bytes, not {expected}"))),
        (Some(_), _) => None,
    }
}

/// What can be told without the store: an independent parser reads the playlists, codecs are what browsers play, lengths are the source's.
fn check_playlists(facts: &SourceFacts, made: &[Rendition]) -> std::result::Result<(), Unfit> {
    let unfit = |what: String| Err(Unfit(what));
    let count = |video: bool| made.iter().filter(|rendition| matches!(rendition.track, Track::Video { .. }) == video).count();
    if count(true) == 0 || count(false) > 1 || (count(false) == 1) != facts.audio.is_some() {
        return unfit(format!("{} pictures and {} sounds", count(true), count(false)));
    }
    let text = multivariant(made, |rendition| rendition.name.clone());
    match m3u8_rs::parse_master_playlist_res(text.as_bytes()) {
        Ok(parsed) if parsed.variants.len() == count(true) => {}
        Ok(parsed) => return unfit(format!("{} variants", parsed.variants.len())),
        Err(error) => return unfit(format!("multivariant playlist: {error}")),
    }
    for rendition in made {
        let name = &rendition.name;
        let picture = matches!(rendition.track, Track::Video { .. });
        if !(picture && rendition.codec.starts_with("avc1.") || !picture && rendition.codec == "mp4a.40.2") {
            return unfit(format!("{name} has the codec {}", rendition.codec));
        }
        match m3u8_rs::parse_media_playlist_res(rendition.playlist.render(str::to_owned).as_bytes()) {
            Ok(parsed) if !parsed.segments.is_empty() && parsed.end_list => {}
            Ok(_) => return unfit(format!("{name} has no segments")),
            Err(error) => return unfit(format!("{name}: {error}")),
        }
        if !lasts_as_long(facts, rendition) {
            let length = rendition.playlist.duration_us();
            return unfit(format!("{name} lasts {} ms, the source {} ms", length / 1_000, facts.duration_ms));
        }
    }
    Ok(())
}

/// Whether a rendition lasts as long as its source. Sound may be shorter than its picture, in the source as well; a picture may not.
pub fn lasts_as_long(facts: &SourceFacts, rendition: &Rendition) -> bool {
    let (length, source) = (rendition.playlist.duration_us(), facts.duration_ms * 1_000);
    let picture = matches!(rendition.track, Track::Video { .. });
    is_as_long(length, source) || (!picture && length < source)
}

/// Whether two lengths in microseconds are the same but for a frame group, or a small share where that is more.
pub fn is_as_long(length_us: u64, expected_us: u64) -> bool {
    let slack = LENGTH_SLACK_US.max((expected_us as f64 * LENGTH_SLACK) as u64);
    length_us.abs_diff(expected_us) <= slack
}
