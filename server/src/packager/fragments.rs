//! Fragments (`moof`, ISO/IEC 14496-12, 8.8), gathered into the same tables that a movie box would have: a run of samples becomes a chunk.
//! Everything behind this is the same for both kinds of file.
//!
//! The bound on memory: a sample takes 8 bytes here at most, and there are no more of them than bytes in the file, nor than 2²³; what else it
//! takes (16 bytes, where time and order differ from its neighbour's) the fragment had to spell out in 8.

use super::{
    boxes::{Children, Fields},
    refusal::{Refusal, Result},
    tables::{Chunks, MOST_SAMPLES, SampleTables, Sizes, Table},
};

/// What a track's fragments leave out (`trex`, 8.8.3).
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Defaults {
    /// Sample description, from 1.
    pub(super) description: u32,
    duration: u32,
    size: u32,
    flags: u32,
}

impl Defaults {
    /// Those of a track in the content of an `mvex`.
    pub(super) fn find(extends: Option<&[u8]>, track: u32) -> Result<Self> {
        let Some(extends) = extends else { return Ok(Self::default()) };
        for child in Children(extends) {
            let (kind, content) = child?;
            let mut fields = Fields(content);
            if kind == *b"trex" && fields.version_and_flags().is_ok() && fields.u32()? == track {
                let (description, duration) = (fields.u32()?, fields.u32()?);
                return Ok(Self { description, duration, size: fields.u32()?, flags: fields.u32()? });
            }
        }
        Err(Refusal::Damaged("a track of a fragmented file has no defaults"))
    }
}

/// The flag of a sample that decoding cannot begin at (8.8.3.1).
const NON_SYNC: u32 = 0x0001_0000;

/// The samples of one track, as its fragments come.
#[derive(Debug)]
pub(super) struct Gathering {
    track: u32,
    defaults: Defaults,
    file: u64,
    samples: u32,
    sizes: Vec<u8>,
    durations: Runs,
    compositions: Runs,
    syncs: Vec<u8>,
    all_sync: bool,
    runs: Vec<u8>,
    last_run: u32,
    chunks: Vec<u8>,
    /// When the next sample is decoded, if nothing else is said.
    decoded_at: u64,
    first_at: Option<u64>,
}

/// Counts and values, equal neighbours together.
#[derive(Debug, Default)]
struct Runs {
    entries: Vec<u8>,
    count: u32,
    value: u32,
}

impl Runs {
    fn push(&mut self, value: u32) {
        if self.count > 0 && self.value != value {
            self.flush();
        }
        self.value = value;
        self.count += 1;
    }

    fn flush(&mut self) {
        if self.count > 0 {
            self.entries.extend(self.count.to_be_bytes());
            self.entries.extend(self.value.to_be_bytes());
        }
        self.count = 0;
    }

    /// Makes the value that was pushed last longer.
    fn extend_last(&mut self, by: u64) -> Result<()> {
        let value = u32::try_from(u64::from(self.value) + by).map_err(|_| Refusal::Damaged("fragments are too far apart"))?;
        if self.count > 0 {
            self.count -= 1;
            self.flush();
            self.push(value);
        }
        Ok(())
    }
}

/// What holds for all samples of a track in one fragment (`tfhd`, 8.8.7).
#[derive(Debug, Clone, Copy)]
struct Header {
    track: u32,
    base: Option<u64>,
    base_is_moof: bool,
    description: Option<u32>,
    duration: Option<u32>,
    size: Option<u32>,
    flags: Option<u32>,
}

impl Header {
    fn read(content: &[u8]) -> Result<Self> {
        let mut fields = Fields(content);
        let (_, flags) = fields.version_and_flags()?;
        let track = fields.u32()?;
        let base = if flags & 1 != 0 { Some(fields.u64()?) } else { None };
        let mut optional = |flag: u32| if flags & flag != 0 { fields.u32().map(Some) } else { Ok(None) };
        Ok(Self {
            track,
            base,
            base_is_moof: flags & 0x02_0000 != 0,
            description: optional(2)?,
            duration: optional(8)?,
            size: optional(0x10)?,
            flags: optional(0x20)?,
        })
    }
}

/// Adds a fragment to the tracks that are used. `content` is that of the `moof` that begins at byte `at` of the file.
pub(super) fn add(tracks: &mut [Gathering], content: &[u8], at: u64) -> Result<()> {
    // Where the samples of a track begin that says nothing of it: behind those of the track before (8.8.7.1).
    let mut behind = at;
    for child in Children(content) {
        let (kind, traf) = child?;
        if kind != *b"traf" {
            continue;
        }
        let header = Header::read(Children(traf).need(b"tfhd")?)?;
        let base = header.base.unwrap_or(if header.base_is_moof { at } else { behind });
        match tracks.iter_mut().find(|track| track.track == header.track) {
            Some(track) => behind = track.add(traf, &header, base)?,
            // A track that is not used still moves the place of the next one, unless that says its own.
            None => behind = u64::MAX,
        }
    }
    Ok(())
}

impl Gathering {
    /// Gathers the samples of a track, of a file of `file` bytes.
    pub(super) fn new(track: u32, defaults: Defaults, file: u64) -> Self {
        Self {
            track,
            defaults,
            file,
            samples: 0,
            sizes: Vec::new(),
            durations: Runs::default(),
            compositions: Runs::default(),
            syncs: Vec::new(),
            all_sync: true,
            runs: Vec::new(),
            last_run: 0,
            chunks: Vec::new(),
            decoded_at: 0,
            first_at: None,
        }
    }

    /// Adds one `traf`; says where its samples end.
    fn add(&mut self, traf: &[u8], header: &Header, base: u64) -> Result<u64> {
        if header.description.is_some_and(|description| description != self.defaults.description) {
            return Err(Refusal::SeveralDescriptions);
        }
        if let Some(time) = Children(traf).find(b"tfdt")? {
            self.go_to(time)?;
        }
        let mut at = base;
        for child in Children(traf) {
            let (kind, content) = child?;
            if kind == *b"trun" {
                at = self.run(content, header, base, at)?;
            }
        }
        Ok(at)
    }

    /// Goes to the time that a fragment begins at (`tfdt`, 8.8.12). A gap is filled by the sample before it, as players do.
    fn go_to(&mut self, content: &[u8]) -> Result<()> {
        let mut fields = Fields(content);
        let (version, _) = fields.version_and_flags()?;
        let time = if version == 1 { fields.u64()? } else { u64::from(fields.u32()?) };
        if self.samples == 0 {
            if time >= 1 << 55 {
                return Err(Refusal::Damaged("a fragment lies beyond all time"));
            }
            self.first_at = Some(time);
        } else {
            let gap = time.checked_sub(self.decoded_at).ok_or(Refusal::Damaged("fragments overlap"))?;
            if gap > 0 {
                self.durations.extend_last(gap)?;
            }
        }
        self.decoded_at = time;
        Ok(())
    }

    /// Adds a run of samples (`trun`, 8.8.8), which become a chunk; says where they end.
    fn run(&mut self, content: &[u8], header: &Header, base: u64, follows: u64) -> Result<u64> {
        let mut fields = Fields(content);
        let (_, flags) = fields.version_and_flags()?;
        let count = fields.u32()?;
        let start = if flags & 1 != 0 { base.checked_add_signed(i64::from(fields.u32()?.cast_signed())) } else { Some(follows) };
        let start = start.filter(|start| *start <= self.file).ok_or(BEHIND)?;
        let mut first_flags = if flags & 4 != 0 { Some(fields.u32()?) } else { None };
        // Overlapping runs could claim the same bytes again and again.
        if u64::from(self.samples) + u64::from(count) > u64::from(MOST_SAMPLES).min(self.file) {
            return Err(Refusal::TooLarge("samples"));
        }
        let each = (flags >> 8 & 0xf).count_ones() as usize * 4;
        if fields.0.len() < each.saturating_mul(count as usize) {
            return Err(Refusal::Damaged("a run has fewer samples than it says"));
        }
        let (duration, size, default_flags) = (
            header.duration.unwrap_or(self.defaults.duration),
            header.size.unwrap_or(self.defaults.size),
            header.flags.unwrap_or(self.defaults.flags),
        );
        let mut end = start;
        for _ in 0..count {
            let mut field = |flag: u32, default: u32| if flags & flag != 0 { fields.u32() } else { Ok(default) };
            let (duration, size) = (field(0x100, duration)?, field(0x200, size)?);
            let (own_flags, composition) = (field(0x400, default_flags)?, field(0x800, 0)?);
            // Here and not later: a few bytes of run cannot claim more samples than the file has bytes.
            end = end.checked_add(u64::from(size)).filter(|end| *end <= self.file && size > 0).ok_or(BEHIND)?;
            self.sample(size, duration, composition, first_flags.take().unwrap_or(own_flags));
        }
        self.chunk(count, start);
        Ok(end)
    }

    fn sample(&mut self, size: u32, duration: u32, composition: u32, flags: u32) {
        self.samples += 1;
        self.sizes.extend(size.to_be_bytes());
        self.durations.push(duration);
        self.compositions.push(composition);
        if flags & NON_SYNC == 0 {
            self.syncs.extend(self.samples.to_be_bytes());
        } else {
            self.all_sync = false;
        }
        self.decoded_at = self.decoded_at.saturating_add(u64::from(duration));
    }

    fn chunk(&mut self, samples: u32, start: u64) {
        if samples == 0 {
            return;
        }
        self.chunks.extend(start.to_be_bytes());
        if samples != self.last_run {
            // The description of all samples is the first of our init segment.
            let number = (self.chunks.len() / 8) as u32;
            self.runs.extend([number, samples, 1].iter().flat_map(|word| word.to_be_bytes()));
            self.last_run = samples;
        }
    }

    /// The tables, and the time at which the first sample is decoded.
    pub(super) fn finish(mut self) -> Result<(SampleTables, u64)> {
        self.durations.flush();
        self.compositions.flush();
        let tables = SampleTables {
            count: self.samples,
            sizes: Sizes::Each(Table::of(self.sizes)),
            durations: Table::of(self.durations.entries),
            compositions: Some(Table::of(self.compositions.entries)),
            syncs: (!self.all_sync).then(|| Table::of(self.syncs)),
            runs: Table::of(self.runs),
            chunks: Chunks::Long(Table::of(self.chunks)),
            file: self.file,
        };
        tables.check()?;
        Ok((tables, self.first_at.unwrap_or(0)))
    }
}

const BEHIND: Refusal = Refusal::Damaged("a sample lies behind the end of the file");
