//! Media segments (CMAF, ISO/IEC 23000-19, 7.3.3): the header that is written anew, and where in the source the samples behind it lie. No byte
//! of them is read here.

use std::ops::Range;

use bytes::Bytes;

use super::{
    cuts::{Shape, Span},
    lead::{Lead, Silence},
    refusal::Result,
    tables::{Sample, SampleTables},
};

/// Sample flags (ISO/IEC 14496-12, 8.8.3.1): depends on no other sample; depends on others and is no sync sample.
const SYNC: u32 = 0x0200_0000;
const NON_SYNC: u32 = 0x0101_0000;

/// `styp` with its brands: a media segment, as CMAF has it.
const STYP: &[u8; 24] = b"\0\0\0\x18stypmsdh\0\0\0\0msdhcmfs";

/// One media segment: a header, then bytes of the source.
#[derive(Debug, Clone)]
pub struct Segment {
    /// `styp`, `moof`, and the header of `mdat`; where sound begins late, packets of silence too.
    pub header: Bytes,
    /// What follows, in this order: ranges of the source, none empty.
    pub ranges: Vec<Range<u64>>,
    /// Bytes in all, header included.
    pub length: u64,
}

impl Segment {
    /// The reads that bring all ranges: neighbours with at most `gap` bytes between them are one read. Between the picture's samples lies the
    /// sound, so that reading over it costs less than a read each; over a network much less.
    pub fn reads(&self, gap: u64) -> Vec<Range<u64>> {
        let mut reads: Vec<Range<u64>> = Vec::new();
        for range in &self.ranges {
            match reads.last_mut() {
                Some(read) if range.start >= read.end && range.start - read.end <= gap => read.end = range.end,
                _ => reads.push(range.clone()),
            }
        }
        reads
    }

    /// The segment's bytes in pieces, out of what [`Segment::reads`] with the same `gap` brought, in that order. Nothing is copied. `None`
    /// where a read brought another number of bytes than was asked for.
    pub fn body(&self, gap: u64, answers: &[Bytes]) -> Option<Vec<Bytes>> {
        let reads = self.reads(gap);
        if reads.len() != answers.len() || reads.iter().zip(answers).any(|(read, answer)| read.end - read.start != answer.len() as u64) {
            return None;
        }
        let mut pieces = Vec::with_capacity(1 + self.ranges.len());
        pieces.push(self.header.clone());
        let mut open = reads.iter().zip(answers).peekable();
        for range in &self.ranges {
            // A range lies in the read that it began or was added to, and reads come in the order of their ranges.
            while open.next_if(|(read, _)| !(read.start <= range.start && range.end <= read.end)).is_some() {}
            let (read, answer) = open.peek()?;
            // Inside the answer's length, which fits.
            pieces.push(answer.slice((range.start - read.start) as usize..(range.end - read.start) as usize));
        }
        Some(pieces)
    }

    /// Where the first sample lies, or the beginning of it: enough to see whether it is an IDR picture.
    pub(super) fn beginning(&self) -> Range<u64> {
        self.ranges.first().map_or(0..0, |range| range.start..range.end.min(range.start + 4_096))
    }
}

/// How times and offsets go from the source's tables into segments. In the track's ticks.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Emission {
    /// Decode time in the segments less that in the tables.
    pub(super) decode_shift: i64,
    /// Composition offset in the segments less that in the tables; makes all of them 0 or more.
    pub(super) composition_shift: i64,
    /// What fills the time before the first sample of all.
    pub(super) lead: Lead,
}

impl Emission {
    /// What comes in front of segment `number`, from 0.
    fn lead(&self, number: u32) -> Lead {
        if number == 0 { self.lead } else { Lead::None }
    }
}

/// What is spelled out for each sample of a segment, and what is said once.
#[derive(Debug, Clone, Copy)]
struct Layout {
    /// Duration of all samples.
    duration: Option<u32>,
    /// Whether samples have composition offsets.
    compositions: bool,
    syncs: Syncs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Syncs {
    All,
    First,
    Some,
}

impl Layout {
    fn of(span: &Span, emission: Emission, number: u32) -> Self {
        let Shape { duration, composition, syncs } = span.shape;
        Self {
            duration: duration.filter(|_| emission.lead(number).ticks() == 0),
            compositions: composition.is_none_or(|composition| i64::from(composition) + emission.composition_shift != 0),
            syncs: match syncs {
                syncs if syncs == span.samples => Syncs::All,
                1 => Syncs::First,
                _ => Syncs::Some,
            },
        }
    }

    /// Bytes of one sample in `trun`.
    fn entry(self) -> u64 {
        4 * (1 + u64::from(self.duration.is_none()) + u64::from(self.compositions) + u64::from(self.syncs == Syncs::Some))
    }

    /// Bytes of `tfhd`, and of `trun` without its samples.
    fn fixed(self) -> (u64, u64) {
        (20 + 4 * u64::from(self.duration.is_some()), 20 + 4 * u64::from(self.syncs == Syncs::First))
    }

    /// Bytes of `trun` and of `moof`.
    fn lengths(self, samples: u32) -> (u64, u64) {
        let (tfhd, trun) = self.fixed();
        let trun = trun + u64::from(samples) * self.entry();
        // Headers of `moof` and `traf`, `mfhd`, and `tfdt` of version 1.
        (trun, 8 + 16 + 8 + tfhd + 20 + trun)
    }
}

/// Samples of a segment, and bytes of them.
fn content(span: &Span, emission: Emission, number: u32) -> (u32, u64) {
    let silence = emission.lead(number).silence();
    (span.samples + silence.map_or(0, |silence| silence.count), span.bytes + silence.map_or(0, Silence::bytes))
}

/// Bytes of segment `number`, from 0, which is `span`; header included.
pub(super) fn length(span: &Span, emission: Emission, number: u32) -> u64 {
    let (samples, bytes) = content(span, emission, number);
    let (_, moof) = Layout::of(span, emission, number).lengths(samples);
    STYP.len() as u64 + moof + 8 + bytes
}

/// Builds segment `number`, from 0, which is `span`.
pub(super) fn build(tables: &SampleTables, span: &Span, emission: Emission, number: u32) -> Result<Segment> {
    let (layout, lead) = (Layout::of(span, emission, number), emission.lead(number));
    let (samples, bytes) = content(span, emission, number);
    let (trun, moof) = layout.lengths(samples);
    let length = length(span, emission, number);
    let mut out = Vec::with_capacity((length - span.bytes) as usize);
    out.extend(STYP);
    let mut walk = tables.walk(span.from);
    let mut ranges: Vec<Range<u64>> = Vec::new();
    for index in 0..span.samples {
        let Some(mut sample) = walk.next_sample()? else { break };
        if index == 0 {
            // The shift makes all times 0 or more; see `Stream`.
            let time = (sample.decoded_at as i64 + emission.decode_shift - lead.ticks()).max(0);
            sample.duration = sample.duration.saturating_add(lead.hold());
            write_head(&mut out, layout, Head { number, samples, time: time as u64, moof, trun });
            if let Some(silence) = lead.silence() {
                write_silence(&mut out, layout, silence, sample);
            }
        }
        write_sample(&mut out, layout, &sample, emission);
        let end = sample.offset + u64::from(sample.size);
        match ranges.last_mut() {
            Some(range) if range.end == sample.offset => range.end = end,
            _ if sample.size == 0 => {}
            _ => ranges.push(sample.offset..end),
        }
    }
    put(&mut out, &[(bytes + 8) as u32]);
    out.extend(b"mdat");
    if let Some(silence) = lead.silence() {
        (0..silence.count).for_each(|_| out.extend(silence.packet));
    }
    Ok(Segment { header: out.into(), ranges, length })
}

/// What a segment's head says.
#[derive(Debug, Clone, Copy)]
struct Head {
    number: u32,
    samples: u32,
    /// Decode time of the first sample.
    time: u64,
    /// Bytes of `moof` and of `trun`. They fit: a segment has at most 2¹⁴ samples and 128 MiB.
    moof: u64,
    trun: u64,
}

/// `moof` up to the first sample of its `trun` (ISO/IEC 14496-12, 8.8.4 to 8.8.8 and 8.8.12).
fn write_head(out: &mut Vec<u8>, layout: Layout, head: Head) {
    put(out, &[head.moof as u32]);
    out.extend(b"moof");
    put(out, &[16]);
    out.extend(b"mfhd");
    put(out, &[0, head.number + 1, head.moof as u32 - 24]);
    out.extend(b"traf");
    let default = if layout.syncs == Syncs::All { SYNC } else { NON_SYNC };
    put(out, &[layout.fixed().0 as u32]);
    out.extend(b"tfhd");
    // Offsets count from this `moof`; flags are said here; a duration perhaps.
    put(out, &[0x02_0020 | if layout.duration.is_some() { 8 } else { 0 }, 1]);
    layout.duration.iter().for_each(|duration| put(out, &[*duration]));
    put(out, &[default, 20]);
    out.extend(b"tfdt");
    put(out, &[1 << 24, (head.time >> 32) as u32, head.time as u32, head.trun as u32]);
    out.extend(b"trun");
    let mut flags = 0x201;
    flags |= if layout.duration.is_none() { 0x100 } else { 0 };
    flags |= if layout.compositions { 0x800 } else { 0 };
    flags |= match layout.syncs {
        Syncs::All => 0,
        Syncs::First => 4,
        Syncs::Some => 0x400,
    };
    // The first sample's bytes come behind `moof` and the header of `mdat`.
    put(out, &[flags, head.samples, head.moof as u32 + 8]);
    if layout.syncs == Syncs::First {
        put(out, &[SYNC]);
    }
}

/// The packets in front of the first one, `like` which they are but for size and length.
fn write_silence(out: &mut Vec<u8>, layout: Layout, silence: Silence, like: Sample) {
    for index in 0..silence.count {
        let duration = silence.duration + if index == 0 { silence.rest } else { 0 };
        let packet = Sample { duration, size: silence.packet.len() as u32, ..like };
        // No sound has composition offsets.
        write_sample(out, layout, &packet, Emission::default());
    }
}

fn write_sample(out: &mut Vec<u8>, layout: Layout, sample: &Sample, emission: Emission) {
    if layout.duration.is_none() {
        put(out, &[sample.duration]);
    }
    put(out, &[sample.size]);
    if layout.syncs == Syncs::Some {
        put(out, &[if sample.sync { SYNC } else { NON_SYNC }]);
    }
    if layout.compositions {
        // 0 or more by its shift, and less than 2³².
        put(out, &[(i64::from(sample.composition) + emission.composition_shift) as u32]);
    }
}

fn put(out: &mut Vec<u8>, words: &[u32]) {
    for word in words {
        out.extend(word.to_be_bytes());
    }
}
