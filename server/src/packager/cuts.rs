//! Where a film is cut into segments: the picture at key frames near four seconds apart, the sound at the same times. One walk over the
//! tables decides that, checks each sample on the way, and leaves a checkpoint a segment.

use std::{collections::VecDeque, iter::Peekable, vec::IntoIter};

use super::{
    edits::Edit,
    refusal::{Refusal, Result},
    tables::{Checkpoint, Sample, SampleTables},
};

/// What a segment's length should be near to, in milliseconds.
const TARGET_MS: i64 = 4_000;

/// The same for the first one: the sooner it is there, the sooner the first frame is.
const FIRST_TARGET_MS: i64 = 1_000;

/// Longest distance between two key frames, in milliseconds; so is what comes before the first frame or packet. The ladder's limit.
const LONGEST_GROUP_MS: i64 = domain::ladder::LONGEST_GOP_MS as i64;

/// Longest film, in milliseconds. With two segments in more than four seconds it bounds how many there are.
const LONGEST_FILM_MS: i64 = 24 * 60 * 60 * 1_000;

/// Most bytes of one segment: four seconds at 250 Mbit/s, or a group of the longest kind at 100.
const MOST_BYTES: u64 = 128 << 20;

/// Most samples of one segment: ten seconds at 1,500 frames a second.
const MOST_SAMPLES: u32 = 1 << 14;

/// Ticks in a number of milliseconds.
fn ticks(milliseconds: i64, timescale: u32) -> i64 {
    milliseconds * i64::from(timescale) / 1_000
}

/// What the samples of a segment have in common, for the shortest way to write them down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Shape {
    /// The duration of all of them, where there is one.
    pub(super) duration: Option<u32>,
    /// The composition offset of all of them, where there is one.
    pub(super) composition: Option<i32>,
    /// How many are sync samples.
    pub(super) syncs: u32,
}

/// One segment. Times are in the track's ticks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Span {
    /// Where its samples begin in the tables.
    pub(super) from: Checkpoint,
    /// Samples.
    pub(super) samples: u32,
    /// When it begins in the film.
    pub(super) start: i64,
    /// Bytes of its samples.
    pub(super) bytes: u64,
    /// What its samples have in common.
    pub(super) shape: Shape,
}

impl Span {
    /// A segment that begins with `sample`, which is in front of `from`, at `start` in the film.
    fn begin(from: Checkpoint, sample: &Sample, start: i64) -> Self {
        let shape = Shape { duration: Some(sample.duration), composition: Some(sample.composition), syncs: u32::from(sample.sync) };
        Self { from, samples: 1, start, bytes: u64::from(sample.size), shape }
    }

    fn add(&mut self, sample: &Sample) {
        let one = Self::begin(self.from, sample, self.start);
        self.append(&one);
    }

    fn append(&mut self, next: &Self) {
        self.samples += next.samples;
        self.bytes += next.bytes;
        self.shape.syncs += next.shape.syncs;
        self.shape.duration = self.shape.duration.filter(|duration| Some(*duration) == next.shape.duration);
        self.shape.composition = self.shape.composition.filter(|composition| Some(*composition) == next.shape.composition);
    }
}

/// The segments of a track.
#[derive(Debug)]
pub(super) struct Cuts {
    /// At least one, in order, none empty.
    pub(super) spans: Vec<Span>,
    /// When the film ends.
    pub(super) end: i64,
    /// The first sample that is sent.
    pub(super) first: Sample,
    /// Samples sent.
    pub(super) samples: u64,
    /// Least composition offset of them.
    pub(super) least_composition: i32,
}

impl Cuts {
    /// When the first sample is shown, or would be: less than 0 where an edit list hides it.
    pub(super) fn begins(&self) -> i64 {
        self.spans.first().map_or(0, |span| span.start)
    }

    fn check(self) -> Result<Self> {
        let too_large = |span: &Span| span.bytes > MOST_BYTES || span.samples > MOST_SAMPLES;
        if self.spans.iter().any(too_large) { Err(Refusal::SegmentTooLarge) } else { Ok(self) }
    }
}

/// A group of pictures, from its key frame to the next one.
#[derive(Debug)]
struct Group {
    span: Span,
    /// The latest moment at which a picture of it begins to be shown, and at which one ends.
    latest: i64,
    end: i64,
}

impl Group {
    fn begin(from: Checkpoint, sample: &Sample, shown_at: i64) -> Self {
        Self { span: Span::begin(from, sample, shown_at), latest: shown_at, end: shown_at + i64::from(sample.duration) }
    }

    fn add(&mut self, sample: &Sample, shown_at: i64) -> Result<()> {
        // Stored behind its key frame and shown before it.
        if shown_at < self.span.start {
            return Err(Refusal::OpenGroup);
        }
        self.span.add(sample);
        self.latest = self.latest.max(shown_at);
        self.end = self.end.max(shown_at + i64::from(sample.duration));
        Ok(())
    }
}

/// Puts groups together to segments.
#[derive(Debug)]
struct Cutter {
    timescale: u32,
    spans: Vec<Span>,
    open: Option<Span>,
}

impl Cutter {
    /// Takes a group that ends at `end`. The segment before it ends in front of it, where that comes nearer to the target than ending it behind.
    fn take(&mut self, group: &Span, end: i64) -> Result<()> {
        if end - group.start > ticks(LONGEST_GROUP_MS, self.timescale) {
            return Err(Refusal::KeyFramesTooFar);
        }
        let target = ticks(if self.spans.is_empty() { FIRST_TARGET_MS } else { TARGET_MS }, self.timescale);
        match &mut self.open {
            Some(open) if (group.start - open.start - target).abs() > (end - open.start - target).abs() => open.append(group),
            open => self.spans.extend(open.replace(*group)),
        }
        Ok(())
    }
}

/// Cuts the picture. What an edit list hides must be whole groups in front, and frames behind all others.
pub(super) fn cut_picture(tables: &SampleTables, edit: Edit, timescale: u32) -> Result<Cuts> {
    let cutter = Cutter { timescale, spans: Vec::new(), open: None };
    let mut picture =
        PictureCut { cutter, edit, group: None, first: None, samples: 0, least_composition: i32::MAX, over: false, last_duration: 1 };
    let mut walk = tables.walk(Checkpoint::default());
    loop {
        let here = walk.checkpoint();
        let Some(sample) = walk.next_sample()? else { break };
        picture.take(here, &sample)?;
    }
    picture.finish()
}

/// The picture, cut so far.
#[derive(Debug)]
struct PictureCut {
    cutter: Cutter,
    edit: Edit,
    group: Option<Group>,
    first: Option<Sample>,
    samples: u64,
    least_composition: i32,
    /// Whether a frame behind the end has come.
    over: bool,
    last_duration: u32,
}

impl PictureCut {
    /// Takes the next sample; `here` is the place in front of it.
    fn take(&mut self, here: Checkpoint, sample: &Sample) -> Result<()> {
        let shown_at = sample.shown_at();
        if self.edit.is_over(shown_at) {
            self.over = true;
            return Ok(());
        }
        let shown_at = shown_at + self.edit.shift();
        if shown_at > ticks(LONGEST_FILM_MS, self.cutter.timescale) {
            return Err(Refusal::TooLong);
        }
        // The last frame may last for no time; all others have to make room for the next one.
        if std::mem::replace(&mut self.last_duration, sample.duration) == 0 {
            return Err(Refusal::FrameTimes);
        }
        match &mut self.group {
            None if shown_at < self.edit.pause => return Ok(()),
            None if !sample.sync => return Err(Refusal::TrimInsideGroup),
            // A frame that was cut off, and that others need.
            _ if self.over => return Err(Refusal::TrimInsideGroup),
            None => self.group = Some(Group::begin(here, sample, shown_at)),
            Some(group) if sample.sync => {
                // All of it is shown before the next one, or a player that begins there would miss some of it.
                if group.latest >= shown_at {
                    return Err(Refusal::OpenGroup);
                }
                self.cutter.take(&group.span, shown_at)?;
                *group = Group::begin(here, sample, shown_at);
            }
            Some(group) => group.add(sample, shown_at)?,
        }
        self.first.get_or_insert(*sample);
        self.samples += 1;
        self.least_composition = self.least_composition.min(sample.composition);
        Ok(())
    }

    fn finish(mut self) -> Result<Cuts> {
        let (Some(last), Some(first)) = (self.group, self.first) else { return Err(Refusal::NoPicture) };
        self.cutter.take(&last.span, last.end)?;
        let mut spans = self.cutter.spans;
        spans.extend(self.cutter.open);
        let cuts = Cuts { spans, end: last.end, first, samples: self.samples, least_composition: self.least_composition };
        if cuts.begins() > ticks(LONGEST_GROUP_MS, self.cutter.timescale) {
            return Err(Refusal::StartsLate);
        }
        cuts.check()
    }
}

/// Cuts the sound where the picture is cut: at `bounds`, in the sound's ticks and in order, of which the last one is the picture's end.
/// `warm_up` packets in front of the first one that is heard are sent, for it is decoded with them. `None` where nothing of it is heard.
pub(super) fn cut_sound(tables: &SampleTables, edit: Edit, timescale: u32, warm_up: usize, bounds: Vec<i64>) -> Result<Option<Cuts>> {
    let bounds = with_tail(bounds, tables, edit, timescale)?;
    let mut sound = SoundCut {
        edit,
        timescale,
        warm_up,
        bounds: bounds.into_iter().peekable(),
        hidden: VecDeque::new(),
        spans: Vec::new(),
        sent: None,
    };
    let mut walk = tables.walk(Checkpoint::default());
    loop {
        let here = walk.checkpoint();
        let Some(packet) = walk.next_sample()? else { break };
        if edit.is_over(packet.shown_at()) {
            break;
        }
        sound.take(here, &packet)?;
    }
    let Some((first, end)) = sound.sent else { return Ok(None) };
    let samples = sound.spans.iter().map(|span| u64::from(span.samples)).sum();
    Cuts { spans: sound.spans, end, first, samples, least_composition: 0 }.check().map(Some)
}

/// Sound that goes on for long after the picture's end is cut at distances of its own; a short rest stays with what is before it.
fn with_tail(mut bounds: Vec<i64>, tables: &SampleTables, edit: Edit, timescale: u32) -> Result<Vec<i64>> {
    let length = |[count, duration]: [u32; 2]| u64::from(count) * u64::from(duration);
    let total = tables.durations().map(length).fold(0_u64, u64::saturating_add);
    let total = i64::try_from(total).unwrap_or(i64::MAX).min(edit.end.unwrap_or(i64::MAX));
    let end = total.saturating_add(edit.shift());
    if end > ticks(LONGEST_FILM_MS, timescale) {
        return Err(Refusal::TooLong);
    }
    let step = ticks(TARGET_MS, timescale).max(1);
    let mut bound = bounds.pop().unwrap_or(0);
    while bound + step / 2 < end {
        bounds.push(bound);
        bound += step;
    }
    Ok(bounds)
}

/// The sound, cut so far.
#[derive(Debug)]
struct SoundCut {
    edit: Edit,
    timescale: u32,
    bounds: Peekable<IntoIter<i64>>,
    /// How many packets that are not heard are sent, and the last ones so far.
    warm_up: usize,
    hidden: VecDeque<(Checkpoint, Sample)>,
    spans: Vec<Span>,
    /// The first packet that is sent, and when the last one ends.
    sent: Option<(Sample, i64)>,
}

impl SoundCut {
    fn take(&mut self, here: Checkpoint, packet: &Sample) -> Result<()> {
        // Half a second is more than ten packets of the slowest kind: something is missing.
        if packet.composition != 0 || !packet.sync || i64::from(packet.duration) > ticks(500, self.timescale) {
            return Err(Refusal::SoundTimes);
        }
        if self.sent.is_none() && packet.shown_at() + i64::from(packet.duration) <= self.edit.start {
            if self.hidden.len() >= self.warm_up {
                self.hidden.pop_front();
            }
            self.hidden.push_back((here, *packet));
            return Ok(());
        }
        if self.sent.is_none() {
            self.begin(packet.shown_at() + self.edit.shift())?;
        }
        self.send(here, packet);
        Ok(())
    }

    /// Sends what the first packet that is heard needs before it, which the init segment's edit list hides. After a pause it could not, so
    /// then only an encoder's own silence is sent, at the beginning of the track.
    fn begin(&mut self, heard_at: i64) -> Result<()> {
        if heard_at > ticks(LONGEST_GROUP_MS, self.timescale) {
            return Err(Refusal::StartsLate);
        }
        let from_the_beginning = self.hidden.front().is_some_and(|(_, packet)| packet.decoded_at == 0);
        let hidden = std::mem::take(&mut self.hidden);
        if self.edit.pause == 0 || from_the_beginning {
            for (here, packet) in &hidden {
                self.send(*here, packet);
            }
        }
        Ok(())
    }

    fn send(&mut self, here: Checkpoint, packet: &Sample) {
        let at = packet.shown_at() + self.edit.shift();
        let mut is_new = self.spans.is_empty();
        while self.bounds.next_if(|bound| *bound <= at).is_some() {
            is_new = true;
        }
        match self.spans.last_mut() {
            Some(open) if !is_new => open.add(packet),
            _ => self.spans.push(Span::begin(here, packet, at)),
        }
        let first = self.sent.map_or(*packet, |(first, _)| first);
        self.sent = Some((first, at + i64::from(packet.duration)));
    }
}
