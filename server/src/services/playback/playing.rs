//! What of a video plays: what was published, else what is packaged from its source, else what is finished of its encode.

use domain::{ids::GenerationId, playlist::Rendition, video::Stage};

use crate::{
    db::entity::videos,
    error::Result,
    ports::cdn::{Audience, Cdn, SignedPrefix},
    services::{packages::PackagedFacts, videos::source_facts},
};

/// A generation that can be played.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Playing {
    /// Its files are objects.
    Published(GenerationId),
    /// Its files are made on request.
    Packaged(GenerationId),
    /// The same of a source that is still being uploaded: there are more of them by and by.
    Arriving(GenerationId),
    /// Its files are objects, and its encode still runs: there are more of them by and by.
    Growing(GenerationId),
}

impl Playing {
    /// What a video's viewers get: the ladder once it is there.
    pub(super) fn of(row: &videos::Model) -> Option<Self> {
        let published = row.generation_id.map(GenerationId).map(Self::Published);
        published.or_else(|| Self::packaged(row)).or_else(|| Self::growing(row))
    }

    /// All that somebody may be watching: who began before the ladder was there goes on with the source's own samples; what grew is what is
    /// published then.
    pub(super) fn all(row: &videos::Model) -> impl Iterator<Item = Self> {
        row.generation_id.map(GenerationId).map(Self::Published).into_iter().chain(Self::packaged(row)).chain(Self::growing(row))
    }

    fn growing(row: &videos::Model) -> Option<Self> {
        row.growing_generation_id.map(GenerationId).map(Self::Growing)
    }

    fn packaged(row: &videos::Model) -> Option<Self> {
        let way = if row.stage == Stage::Uploading.as_str() { Self::Arriving } else { Self::Packaged };
        row.packaged_generation_id.map(GenerationId).map(way)
    }

    /// The generation.
    pub(super) const fn generation(self) -> GenerationId {
        match self {
            Self::Published(generation) | Self::Packaged(generation) | Self::Arriving(generation) | Self::Growing(generation) => generation,
        }
    }

    /// Where the files of one of its renditions are: the source itself may be one of a published ladder.
    pub(super) fn way_to(self, rendition: &Rendition) -> Self {
        rendition.generation.map_or(self, Self::Packaged)
    }

    /// Signs its files.
    pub(super) fn sign(self, cdn: &dyn Cdn, audience: Audience, expires_at: u64) -> SignedPrefix {
        match self {
            Self::Published(generation) | Self::Growing(generation) => cdn.sign(generation, audience, expires_at),
            Self::Packaged(generation) | Self::Arriving(generation) => cdn.sign_packaged(generation, audience, expires_at),
        }
    }
}

/// What is known of the picture before it plays.
pub(super) struct Shown {
    /// Width and height.
    pub(super) size: (u32, u32),
    /// Length in milliseconds; 0 where it is not known yet.
    pub(super) duration_ms: u64,
}

impl Shown {
    /// By the probe, else by the source's own tables.
    pub(super) fn of(row: &videos::Model) -> Result<Self> {
        if let Some(facts) = source_facts(row)? {
            return Ok(Self { size: (facts.video.display_width, facts.video.display_height), duration_ms: facts.duration_ms });
        }
        let facts = PackagedFacts::in_row(row)?;
        Ok(facts.map_or(Self { size: (16, 9), duration_ms: 0 }, |facts| Self {
            size: (facts.width, facts.height),
            duration_ms: facts.duration_ms,
        }))
    }
}
