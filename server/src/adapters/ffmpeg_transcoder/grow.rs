//! What is finished of an encode that still runs: the playlists that ffmpeg writes as it goes are read every second, the segments that they name
//! go into the store at once, and whoever polls is told of them. So a video plays seconds after its encode began, and less is left to do after the
//! last frame.
//!
//! Its one rule: the program that writes here may have been taken over, and goes on writing. What is stored is a copy out of its reach, of a plain
//! file under the very name that is due next; and what it says at the end must be what it said before.

use std::{
    io,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use domain::{
    failure::FailureCode,
    ids::GenerationId,
    ladder::{AudioPlan, Ladder, Rung},
    playlist::{MediaPlaylist, Segment},
    source::{AudioFacts, FrameRate, SourceFacts},
};
use futures::future::join_all;
use tokio::{sync::Notify, task::spawn_blocking, time::timeout};

use super::{
    collect,
    command::{AUDIO, INIT, PLAYLIST, SEGMENT_SECONDS},
    failure::{engine, source},
    graph::keeps_long_frames,
    media_file,
    progress::Progress,
    storing::Storing,
};
use crate::{
    adapters::init_segment,
    ports::transcoder::{Grown, TranscodeError},
};

/// How often is looked what is new.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Longest distance between key frames that we make; see `EVERY_TWO_SECONDS` in `command.rs`.
const KEY_FRAMES_MS: u64 = 2_000;
/// Most bytes of an init segment: one of ours has some hundred.
pub(super) const LONGEST_INIT: u64 = 1024 * 1024;

/// Where things are.
struct Place<'a> {
    storing: &'a Storing,
    generation: GenerationId,
    /// Where ffmpeg writes.
    out: &'a Path,
    /// Where it does not reach.
    copies: PathBuf,
    target_seconds: u64,
}

/// What has been stored while an encode runs.
pub(super) struct Growth<'a> {
    place: Place<'a>,
    outputs: Vec<Output>,
    /// Whether it is all that viewers get: what stands beside a source that plays is no film of its own.
    whole: bool,
    /// Bytes that are gone from ffmpeg's folder into the store.
    bytes: Arc<AtomicU64>,
}

/// What has been stored of one rendition.
struct Output {
    plan: Plan,
    kept: Kept,
    codec: String,
    told: usize,
}

/// What becomes of it.
enum Plan {
    Picture(Rung, FrameRate),
    Sound(AudioPlan, AudioFacts),
}

/// The part of a playlist that is stored.
#[derive(Debug, Default)]
pub(super) struct Kept {
    /// All bytes of the init segment; none before it is there.
    pub(super) init: Vec<u8>,
    /// Segments, from the first one on.
    pub(super) segments: Vec<Segment>,
}

impl<'a> Growth<'a> {
    /// Nothing yet. Where nobody can say beforehand how long a segment may become, it stays so: frames that stand for minutes are not cut.
    pub(super) fn new(
        storing: &'a Storing,
        generation: GenerationId,
        out: &'a Path,
        copies: PathBuf,
        facts: &SourceFacts,
        ladder: &Ladder,
    ) -> Self {
        let unbounded = ladder.rungs.iter().any(|rung| keeps_long_frames(&rung.video, &facts.video));
        let distance_ms = if ladder.copies_top() { facts.video.longest_gop_ms } else { KEY_FRAMES_MS };
        let target_seconds = match &ladder.beside {
            // A segment is as long as the source's, or a frame more.
            Some(cuts) => cuts.longest_us(facts.duration_ms.saturating_mul(1_000)).div_ceil(1_000_000) + 1,
            None => u64::from(SEGMENT_SECONDS) + distance_ms.div_ceil(1_000),
        };
        let pictures = ladder.rungs.iter().map(|rung| Plan::Picture(rung.clone(), collect::planned_rate(rung, facts)));
        let sound = ladder.audio.clone().zip(facts.audio.clone()).map(|(plan, audio)| Plan::Sound(plan, audio));
        let plans = pictures.chain(sound).filter(|_| !unbounded);
        let outputs = plans.map(|plan| Output { plan, kept: Kept::default(), codec: String::new(), told: 0 }).collect();
        let place = Place { storing, generation, out, copies, target_seconds };
        Self { place, outputs, whole: ladder.beside.is_none(), bytes: Arc::default() }
    }

    /// Bytes that are gone from ffmpeg's folder into the store.
    pub(super) fn bytes(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.bytes)
    }

    /// What is stored of a rendition.
    pub(super) fn kept(&self, name: &str) -> Option<&Kept> {
        self.outputs.iter().find(|output| output.plan.name() == name).map(|output| &output.kept)
    }

    /// Stores and tells what is finished, until the encode is over. What cannot be stored now is left for the end, and plays then.
    pub(super) async fn follow(&mut self, progress: &Progress, over: &Notify) {
        while !self.outputs.is_empty() && timeout(LOOK_EVERY, over.notified()).await.is_err() {
            if let Err(error) = self.look().await {
                tracing::warn!(%error, "what more is finished of an encode plays when all of it is");
                return;
            }
            self.tell(progress);
        }
    }

    async fn look(&mut self) -> Result<(), TranscodeError> {
        let looks = self.outputs.iter_mut().map(|output| output.look(&self.place, &self.bytes));
        // Each comes to its end: what is half stored would be neither here nor there.
        join_all(looks).await.into_iter().collect()
    }

    /// A video can be begun once there is something of each rendition.
    fn tell(&mut self, progress: &Progress) {
        if self.whole && self.outputs.iter().all(|output| !output.kept.segments.is_empty()) {
            let target_seconds = self.place.target_seconds;
            progress.grow(self.outputs.iter_mut().filter_map(|output| output.news(target_seconds)).collect());
        }
    }
}

impl Plan {
    fn name(&self) -> &str {
        match self {
            Self::Picture(rung, _) => &rung.name,
            Self::Sound(..) => AUDIO,
        }
    }
}

impl Output {
    async fn look(&mut self, place: &Place<'_>, bytes: &AtomicU64) -> Result<(), TranscodeError> {
        let folder = place.out.join(self.plan.name());
        let text = match media_file::head(&folder.join(PLAYLIST), collect::LONGEST_PLAYLIST).await {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            text => text.map_err(|error| engine("a growing playlist cannot be read", error))?,
        };
        let playlist =
            m3u8_rs::parse_media_playlist_res(&text).map_err(|_| engine("a growing playlist cannot be read", self.plan.name()))?;
        if playlist.end_list {
            // The length of the last segment is not known by the playlist; the harvest goes on from here.
            return Ok(());
        }
        for (number, segment) in playlist.segments.iter().enumerate().skip(self.kept.segments.len()) {
            let file = format!("{number:05}.m4s");
            if segment.uri != file {
                return Err(source(FailureCode::Damaged, format!("{} goes on with another segment than {file}", self.plan.name())));
            }
            let duration_us = collect::duration_us(segment);
            if (duration_us + 500_000) / 1_000_000 > place.target_seconds {
                return Err(source(FailureCode::Damaged, format!("{file} of {} is longer than any was to be", self.plan.name())));
            }
            if self.kept.init.is_empty() {
                self.keep_init(place, &folder).await?;
            }
            let size = self.keep(place, &folder, &file).await?;
            bytes.fetch_add(size, Ordering::Relaxed);
            self.kept.segments.push(Segment { file, duration_us, bytes: size });
        }
        Ok(())
    }

    /// The program keeps its own: the harvest asks it for lengths, and compares.
    async fn keep_init(&mut self, place: &Place<'_>, folder: &Path) -> Result<(), TranscodeError> {
        let init = media_file::head(&folder.join(INIT), LONGEST_INIT).await;
        let init = init.map_err(|error| engine("an init segment cannot be read", error))?;
        self.codec = init_segment::codec(&init).map_err(|error| engine("an init segment cannot be read", error))?;
        let copy = place.copies.join(format!("{}-{INIT}", self.plan.name()));
        tokio::fs::write(&copy, &init).await.map_err(|error| engine("an init segment cannot be copied", error))?;
        self.put(place, INIT, &copy).await?;
        self.kept.init = init;
        Ok(())
    }

    /// Stores a copy of a segment and removes it from ffmpeg's folder, so that nothing takes its room twice. Gives its size.
    async fn keep(&self, place: &Place<'_>, folder: &Path, file: &str) -> Result<u64, TranscodeError> {
        let (from, copy) = (folder.join(file), place.copies.join(format!("{}-{file}", self.plan.name())));
        let (reads, writes) = (from.clone(), copy.clone());
        let copied = spawn_blocking(move || media_file::copy_whole(&reads, &writes)).await;
        let size = copied.map_err(io::Error::other).flatten().map_err(|error| engine("a segment cannot be copied", error))?;
        self.put(place, file, &copy).await?;
        // Where it stays, it goes with the folder.
        let _ = tokio::fs::remove_file(&from).await;
        Ok(size)
    }

    async fn put(&self, place: &Place<'_>, file: &str, copy: &Path) -> Result<(), TranscodeError> {
        place.storing.put(place.generation, &format!("{}/{file}", self.plan.name()), copy).await?;
        // A store on this disk has taken it.
        let _ = tokio::fs::remove_file(copy).await;
        Ok(())
    }

    /// What is new since the last time.
    fn news(&mut self, target_seconds: u64) -> Option<Grown> {
        let first = std::mem::replace(&mut self.told, self.kept.segments.len());
        let segments = self.kept.segments.get(first..).filter(|segments| !segments.is_empty())?.to_vec();
        let codec = self.codec.clone();
        let playlist = MediaPlaylist { init: INIT.to_owned(), segments };
        let rendition = match &self.plan {
            Plan::Picture(rung, frame_rate) => collect::picture(rung, *frame_rate, codec, playlist),
            Plan::Sound(plan, audio) => collect::sound(plan, audio, codec, playlist),
        };
        Some(Grown { rendition, first, target_seconds })
    }
}
