//! Where a source's times begin and what its colours mean: the little an encode needs beside the facts, asked again because
//! milliseconds are too coarse to put pictures and sound together.

use std::{path::Path, time::Duration};

use domain::{
    failure::FailureCode,
    ladder::{AudioPlan, Ladder},
    source::SourceFacts,
};

use super::{engine::Engine, failure::source, graph::Colours};
use crate::ports::transcoder::TranscodeError;

/// Sound that ends this much before the picture is not copied: it has to be filled up with silence.
const SHORT_SOUND: Duration = Duration::from_millis(500);

/// More hidden sound than this is not an encoder's priming (2112 samples at most, and a packet): somebody has cut it off. Milliseconds.
const MOST_PRIMING_MS: u64 = 100;

/// What was found.
#[derive(Debug)]
pub(super) struct Origin {
    /// Time of the first frame, counted from where ffmpeg starts to count: the earliest stream's start.
    pub(super) video_start_seconds: f64,
    /// What the colours mean.
    pub(super) colours: Colours,
    sound_is_short: bool,
}

impl Origin {
    /// Asks.
    pub(super) async fn find(engine: &Engine, file: &Path, facts: &SourceFacts) -> Result<Self, TranscodeError> {
        let probed = engine.look(file, facts.container).await?;
        let stream = |index| probed.streams.iter().find(|stream| stream.index == index);
        let Some(video) = stream(facts.video.stream_index) else {
            return Err(source(FailureCode::Damaged, "the video stream is gone since the first look"));
        };
        let start = probed.format.start_seconds();
        let video_start_seconds = video.start_seconds().map_or(0.0, |seconds| (seconds - start).max(0.0));
        let sound = facts.audio.as_ref().and_then(|audio| stream(audio.stream_index)).and_then(|audio| audio.declared_duration());
        let sound_is_short = sound.is_some_and(|sound| sound + SHORT_SOUND < Duration::from_millis(facts.duration_ms));
        Ok(Self { video_start_seconds, colours: Colours::of(&facts.video, video), sound_is_short })
    }

    /// The ladder as it can really be made: sound that was to be copied is encoded where it stops early, and where some was cut off, perhaps for a
    /// reason: it would be copied as well.
    pub(super) fn adapt(&self, ladder: &Ladder, facts: &SourceFacts) -> Ladder {
        let mut ladder = ladder.clone();
        let was_cut = facts.audio.as_ref().is_some_and(|audio| audio.cut_off_ms > MOST_PRIMING_MS);
        if (self.sound_is_short || was_cut) && ladder.audio == Some(AudioPlan::Copy) {
            let channels = facts.audio.as_ref().map_or(2, |audio| audio.channels.clamp(1, 2));
            ladder.audio = Some(AudioPlan::Encode { bitrate: 128_000, channels });
        }
        ladder
    }
}
