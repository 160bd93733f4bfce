//! What is finished of an encode plays before the rest is: written down as the engine tells of it, where the video has nothing better to show.

use std::sync::atomic::Ordering;

use sea_orm::EntityTrait;

use super::{Attempt, Stop, Transcodes};
use crate::{
    db::{begin_write, entity::videos},
    error::Error,
    ports::transcoder::Grown,
    services::{
        growing,
        jobs::{Held, hold},
        removals::Removal,
    },
};

/// What an engine has told of and is not written down yet.
#[derive(Debug, Default)]
pub(super) struct News {
    waiting: Vec<Grown>,
    /// Set where the video plays anyway.
    unwanted: bool,
}

impl News {
    /// Takes what was told.
    pub(super) fn hear(&mut self, grown: Vec<Grown>) {
        if !self.unwanted {
            self.waiting.extend(grown);
        }
    }

    /// What is to be written down, if there is something.
    pub(super) const fn waiting(&self) -> Option<&[Grown]> {
        if self.waiting.is_empty() { None } else { Some(self.waiting.as_slice()) }
    }

    /// It is written down, or, where it is not `wanted`, nobody needs it.
    pub(super) fn noted(&mut self, wanted: bool) {
        self.waiting.clear();
        self.unwanted = !wanted;
    }
}

impl Transcodes {
    /// Adds what is finished to what plays. Says no where the video was playable before: its source, or what was published.
    pub(super) async fn note_grown(&self, attempt: &Attempt<'_>, grown: &[Grown]) -> Result<bool, Stop> {
        let transaction = begin_write(&self.db).await?;
        if hold(&transaction, attempt.lease, &[]).await? == Held::Lost {
            return Err(Stop::Lost);
        }
        let video = videos::Entity::find_by_id(attempt.lease.video.0).one(&transaction).await?;
        let video = video.ok_or_else(|| Error::broken("a job without its video"))?;
        let shown = video.growing_generation_id == Some(attempt.generation.0);
        if !shown && video.is_playable() {
            return Ok(false);
        }
        growing::append(&transaction, attempt.lease.video, attempt.generation, grown).await?;
        if !shown {
            growing::begin(&transaction, attempt.lease.video, attempt.generation).await?;
        }
        // Also where no answer comes: it may have counted.
        attempt.shown.store(true, Ordering::Relaxed);
        transaction.commit().await?;
        if !shown {
            tracing::info!(video_id = %attempt.lease.video, "what is finished of the encode plays");
            self.tell(attempt);
        }
        Ok(true)
    }
}

impl Attempt<'_> {
    /// How what it stored goes: caches are told where viewers may have been given it.
    pub(super) fn removal(&self) -> Removal {
        if self.shown.load(Ordering::Relaxed) { Removal::Published(self.generation) } else { Removal::Generation(self.generation) }
    }
}
