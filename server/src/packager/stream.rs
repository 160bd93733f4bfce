//! A track as it is served: its init segment, its segments, and how long each is.

use bytes::Bytes;
use domain::playlist::{self, MediaPlaylist};
use mp4_atom::Codec;

use super::{
    cuts::{Cuts, Span, cut_picture, cut_sound},
    init::Init,
    lead::Lead,
    movie::TrackBox,
    refusal::{Refusal, Result},
    segment::{self, Emission, Segment},
    sound::Sound,
    tables::SampleTables,
};

/// File name of an init segment.
pub const INIT_FILE: &str = "init.mp4";

/// A track as it is served.
#[derive(Debug)]
pub(super) struct Stream {
    tables: SampleTables,
    timescale: u32,
    spans: Vec<Span>,
    /// When the last one ends, in ticks.
    end: i64,
    samples: u64,
    emission: Emission,
    init: Bytes,
}

impl Stream {
    /// The picture.
    pub(super) fn picture(track: TrackBox, entry: &Codec) -> Result<Self> {
        let cuts = cut_picture(&track.tables, track.edit, track.timescale)?;
        let first = i64::from(cuts.first.composition);
        let composition_shift = i64::from(-cuts.least_composition.min(0));
        let lead = Lead::of_picture(cuts.begins())?;
        // The first sample's decode time is the time at which it is shown; the edit list takes its offset away again, and everybody else's.
        let emission = Emission { decode_shift: track.edit.shift() + first, composition_shift, lead };
        Self::new(track, entry, true, cuts, emission, first + composition_shift)
    }

    /// The sound, cut where `picture` is; `None` where nothing of it is heard.
    pub(super) fn sound(track: TrackBox, sound: &Sound, picture: &Self) -> Result<Option<Self>> {
        let bounds = picture.spans.iter().skip(1).map(|span| span.start).chain([picture.end]);
        let bounds = bounds.map(|bound| rescale(bound, track.timescale, picture.timescale)).collect();
        let Some(cuts) = cut_sound(&track.tables, track.edit, track.timescale, sound.warm_up(), bounds)? else { return Ok(None) };
        // What is sent only to be heard with what follows lies before 0: decode times begin there, and the edit list hides it.
        let hidden = -cuts.begins().min(0);
        let lead = Lead::of_sound(cuts.begins(), track.timescale, usual_duration(&track.tables), sound.silence)?;
        let emission = Emission { decode_shift: track.edit.shift() + hidden, composition_shift: 0, lead };
        Self::new(track, &sound.entry, false, cuts, emission, hidden).map(Some)
    }

    fn new(track: TrackBox, entry: &Codec, is_video: bool, cuts: Cuts, emission: Emission, media_start: i64) -> Result<Self> {
        let media_start = u64::try_from(media_start).map_err(|_| Refusal::FrameTimes)?;
        let init = Init { track: &track, entry, is_video, media_start }.write()?;
        let Cuts { spans, end, samples, .. } = cuts;
        Ok(Self { tables: track.tables, timescale: track.timescale, spans, end, samples, emission, init })
    }

    /// When its first sample is shown, in microseconds of the film; `None` where that is before it begins.
    pub(super) fn begins_us(&self) -> Option<u64> {
        let begins = self.spans.first().map_or(0, |span| span.start);
        u64::try_from(rescale(begins, 1_000_000, self.timescale)).ok()
    }

    /// When its last sample ends, in microseconds of the film.
    pub(super) fn end_us(&self) -> i64 {
        rescale(self.end, 1_000_000, self.timescale)
    }

    /// The init segment.
    pub(super) fn init(&self) -> &Bytes {
        &self.init
    }

    /// How many segments there are.
    pub(super) fn len(&self) -> usize {
        self.spans.len()
    }

    /// A segment by its number, from 0; `None` behind the last one.
    pub(super) fn segment(&self, number: usize) -> Result<Option<Segment>> {
        let Some(span) = self.spans.get(number) else { return Ok(None) };
        // There are less than 2¹⁶ segments in a day.
        segment::build(&self.tables, span, self.emission, number as u32).map(Some)
    }

    /// Bytes of the tables and of what was made of them.
    pub(super) fn bytes(&self) -> usize {
        self.spans.len() * size_of::<Span>() + self.init.len()
    }

    /// All segments, with lengths that add up: each boundary is rounded, not each length.
    pub(super) fn playlist(&self) -> MediaPlaylist {
        // The first segment begins with the film, whatever comes before its first sample.
        let starts = self.spans.iter().skip(1).map(|span| span.start).chain([self.end]);
        let mut last_us = 0;
        let segments = self.spans.iter().zip(starts).enumerate().map(|(number, (span, end))| {
            let end_us = u64::try_from(rescale(end, 1_000_000, self.timescale)).unwrap_or(0).max(last_us);
            let duration_us = end_us - std::mem::replace(&mut last_us, end_us);
            playlist::Segment { file: segment_file(number), duration_us, bytes: segment::length(span, self.emission, number as u32) }
        });
        MediaPlaylist { init: INIT_FILE.into(), segments: segments.collect() }
    }

    /// Frames per second, as a fraction: by the duration that nearly all samples have, else the mean.
    pub(super) fn frame_rate(&self) -> (u32, u32) {
        let candidate = usual_duration(&self.tables);
        let of_it = self.tables.durations().filter(|[_, duration]| *duration == candidate);
        let share = of_it.map(|[count, _]| u64::from(count)).sum::<u64>();
        if candidate > 0 && share.saturating_mul(10) >= u64::from(self.tables.count) * 9 {
            return reduced(u64::from(self.timescale), u64::from(candidate));
        }
        let length = u64::try_from(self.end).unwrap_or(1).max(1);
        reduced(self.samples.saturating_mul(u64::from(self.timescale)), length)
    }
}

/// The duration that more than half of the samples have, if there is one: the candidate of a majority vote.
fn usual_duration(tables: &SampleTables) -> u32 {
    let (mut candidate, mut votes) = (0, 0_i64);
    for [count, duration] in tables.durations() {
        let count = i64::from(count);
        (candidate, votes) = match () {
            () if duration == candidate => (candidate, votes + count),
            () if votes >= count => (candidate, votes - count),
            () => (duration, count - votes),
        };
    }
    candidate
}

/// File name of a segment by its number, from 0.
#[must_use]
pub fn segment_file(number: usize) -> String {
    format!("{number:05}.m4s")
}

/// The number in a segment's file name, where it is one.
#[must_use]
pub fn segment_number(file: &str) -> Option<usize> {
    let number = file.strip_suffix(".m4s")?.parse().ok()?;
    // Numbers have other spellings that are never written.
    (segment_file(number) == file).then_some(number)
}

/// Ticks of one clock in those of another, rounded.
fn rescale(ticks: i64, to: u32, from: u32) -> i64 {
    let (to, from) = (i128::from(to), i128::from(from.max(1)));
    i64::try_from((i128::from(ticks) * to + from / 2).div_euclid(from)).unwrap_or(i64::MAX)
}

/// A fraction in lowest terms, of which both fit; precision is lost where they do not.
fn reduced(mut numerator: u64, mut denominator: u64) -> (u32, u32) {
    let (mut a, mut b) = (numerator.max(1), denominator.max(1));
    while b > 0 {
        (a, b) = (b, a % b);
    }
    (numerator, denominator) = (numerator / a, denominator / a);
    while numerator.max(denominator) > u64::from(u32::MAX) {
        (numerator, denominator) = (numerator / 2, denominator / 2);
    }
    (numerator as u32, (denominator as u32).max(1))
}
