//! Sample tables (ISO/IEC 14496-12, 8.6 and 8.7), left as they stand in the file and walked from checkpoints. Nothing is expanded: a film of
//! an hour has a quarter of a million samples, of which a segment needs a hundred or two.
//!
//! The one rule: whoever gets a [`Sample`] may read its bytes, for they lie inside the file.

use bytes::Bytes;

use super::{
    boxes::{Children, Fields},
    refusal::{Refusal, Result},
};

/// Samples of one track at most: a day of 60 frames or of 94 packets of sound per second.
pub(super) const MOST_SAMPLES: u32 = 1 << 23;

/// A table of entries of `WORDS` big-endian 32-bit words.
#[derive(Debug, Clone, Default)]
pub(super) struct Table<const WORDS: usize>(Bytes);

impl<const WORDS: usize> Table<WORDS> {
    const STRIDE: usize = WORDS * 4;

    /// A table of words that were written here.
    pub(super) fn of(bytes: Vec<u8>) -> Self {
        Self(bytes.into())
    }

    /// The table of a box's content, `fields` standing at its count of entries; the bytes stay those of `movie`.
    fn read(movie: &Bytes, mut fields: Fields<'_>) -> Result<Self> {
        let count = fields.u32()? as usize;
        let length = count.checked_mul(Self::STRIDE).ok_or(Refusal::Damaged("a table is longer than its box"))?;
        Ok(Self(movie.slice_ref(fields.take(length)?)))
    }

    /// The table of a child of `stbl`, if it is there.
    fn find(movie: &Bytes, stbl: &[u8], kind: &[u8; 4]) -> Result<Option<Self>> {
        let Some(content) = Children(stbl).find(kind)? else { return Ok(None) };
        let mut fields = Fields(content);
        fields.version_and_flags()?;
        Self::read(movie, fields).map(Some)
    }

    pub(super) fn len(&self) -> usize {
        self.0.len() / Self::STRIDE
    }

    pub(super) fn bytes(&self) -> usize {
        self.0.len()
    }

    #[inline]
    fn get(&self, index: u32) -> Option<[u32; WORDS]> {
        let at = (index as usize).checked_mul(Self::STRIDE)?;
        let entry = self.0.get(at..at + Self::STRIDE)?;
        let mut words = [0; WORDS];
        for (word, bytes) in words.iter_mut().zip(entry.as_chunks::<4>().0) {
            *word = u32::from_be_bytes(*bytes);
        }
        Some(words)
    }

    fn entries(&self) -> impl Iterator<Item = [u32; WORDS]> + '_ {
        (0..).map_while(|index| self.get(index))
    }
}

/// Sizes of samples (`stsz`), in bytes.
#[derive(Debug, Clone)]
pub(super) enum Sizes {
    /// All the same.
    Same(u32),
    /// Each its own.
    Each(Table<1>),
}

/// Where chunks begin in the file.
#[derive(Debug, Clone)]
pub(super) enum Chunks {
    /// `stco`.
    Short(Table<1>),
    /// `co64`.
    Long(Table<2>),
}

impl Chunks {
    #[inline]
    fn get(&self, index: u32) -> Option<u64> {
        match self {
            Self::Short(table) => table.get(index).map(|[offset]| u64::from(offset)),
            Self::Long(table) => table.get(index).map(|[high, low]| u64::from(high) << 32 | u64::from(low)),
        }
    }
}

/// One sample of a track. Times are in the track's ticks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sample {
    /// First byte in the file.
    pub(super) offset: u64,
    /// Bytes.
    pub(super) size: u32,
    /// When it is decoded, from the first sample's.
    pub(super) decoded_at: u64,
    /// How long it lasts.
    pub(super) duration: u32,
    /// How much later than decoded it is shown; may be negative.
    pub(super) composition: i32,
    /// Whether decoding can begin here, as the file says.
    pub(super) sync: bool,
}

impl Sample {
    /// When it is shown, before any edit list. Cannot overflow: at most 2²³ samples of less than 2³² ticks come before.
    pub(super) fn shown_at(&self) -> i64 {
        self.decoded_at as i64 + i64::from(self.composition)
    }
}

/// The sample tables of one track.
#[derive(Debug, Clone)]
pub(super) struct SampleTables {
    /// Samples.
    pub(super) count: u32,
    /// `stsz`.
    pub(super) sizes: Sizes,
    /// `stts`: count, duration.
    pub(super) durations: Table<2>,
    /// `ctts`: count, offset. Absent where all offsets are 0.
    pub(super) compositions: Option<Table<2>>,
    /// `stss`: numbers of sync samples, from 1. Absent where all are.
    pub(super) syncs: Option<Table<1>>,
    /// `stsc`: first chunk (from 1), samples in each, description.
    pub(super) runs: Table<3>,
    /// `stco` or `co64`.
    pub(super) chunks: Chunks,
    /// Bytes in the file.
    pub(super) file: u64,
}

impl SampleTables {
    /// The tables in the content of an `stbl`, for a file of `file` bytes. `movie` is what `stbl` is a part of.
    pub(super) fn read(movie: &Bytes, stbl: &[u8], file: u64) -> Result<Self> {
        let (count, sizes) = sizes(movie, stbl)?;
        let chunks = match Table::find(movie, stbl, b"stco")? {
            Some(table) => Chunks::Short(table),
            None => Chunks::Long(Table::find(movie, stbl, b"co64")?.ok_or(Refusal::Damaged("there are no chunk offsets"))?),
        };
        let tables = Self {
            count,
            sizes,
            durations: Table::find(movie, stbl, b"stts")?.ok_or(Refusal::Damaged("there are no sample times"))?,
            compositions: Table::find(movie, stbl, b"ctts")?,
            syncs: Table::find(movie, stbl, b"stss")?,
            runs: Table::find(movie, stbl, b"stsc")?.ok_or(Refusal::Damaged("samples have no chunks"))?,
            chunks,
            file,
        };
        tables.check()?;
        Ok(tables)
    }

    /// What can be said before the first walk. A sample has a byte at least, so a few bytes of table cannot claim billions of them.
    pub(super) fn check(&self) -> Result<()> {
        if u64::from(self.count) > self.file {
            return Err(Refusal::Damaged("there are more samples than bytes"));
        }
        if self.count > MOST_SAMPLES {
            return Err(Refusal::TooLarge("samples"));
        }
        let description = self.description();
        if self.runs.entries().any(|[_, _, other]| other != description) {
            return Err(Refusal::SeveralDescriptions);
        }
        Ok(())
    }

    /// Number of the sample description in use, from 1.
    pub(super) fn description(&self) -> u32 {
        self.runs.get(0).map_or(1, |[_, _, description]| description)
    }

    /// How many samples last for how long, as written: count and ticks.
    pub(super) fn durations(&self) -> impl Iterator<Item = [u32; 2]> + '_ {
        self.durations.entries()
    }

    /// Bytes that the tables take.
    pub(super) fn bytes(&self) -> usize {
        let sizes = match &self.sizes {
            Sizes::Same(_) => 0,
            Sizes::Each(table) => table.bytes(),
        };
        let chunks = match &self.chunks {
            Chunks::Short(table) => table.bytes(),
            Chunks::Long(table) => table.bytes(),
        };
        let optional = self.compositions.as_ref().map_or(0, Table::bytes) + self.syncs.as_ref().map_or(0, Table::bytes);
        sizes + chunks + optional + self.durations.bytes() + self.runs.bytes()
    }

    /// A walk that goes on at a checkpoint; the default one is the first sample.
    pub(super) fn walk(&self, from: Checkpoint) -> Walk<'_> {
        Walk { tables: self, at: from }
    }
}

fn sizes(movie: &Bytes, stbl: &[u8]) -> Result<(u32, Sizes)> {
    // `stz2`, with sizes of 4 to 16 bits, is legal and hardly ever written: such a file is encoded.
    let content = Children(stbl).find(b"stsz")?.ok_or(Refusal::Damaged("there are no sample sizes"))?;
    let mut fields = Fields(content);
    fields.version_and_flags()?;
    let same = fields.u32()?;
    if same != 0 {
        return Ok((fields.u32()?, Sizes::Same(same)));
    }
    let table = Table::read(movie, fields)?;
    let count = u32::try_from(table.len()).map_err(|_| Refusal::TooLarge("samples"))?;
    Ok((count, Sizes::Each(table)))
}

/// A place in the tables: all that a walk knows in front of a sample.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Checkpoint {
    /// Index of the sample, from 0.
    pub(super) sample: u32,
    decoded_at: u64,
    duration: u32,
    durations_left: u32,
    duration_run: u32,
    composition: i32,
    compositions_left: u32,
    composition_run: u32,
    /// First byte of the sample, where it is not the first of its chunk.
    offset: u64,
    per_chunk: u32,
    chunk_left: u32,
    chunk: u32,
    chunk_run: u32,
    /// Number (from 1) of the next sync sample, once looked up, and its place in the table.
    sync: u32,
    sync_entry: u32,
}

/// A walk over samples, in the order in which they are decoded.
#[derive(Debug, Clone)]
pub(super) struct Walk<'a> {
    tables: &'a SampleTables,
    at: Checkpoint,
}

impl Walk<'_> {
    /// Where the walk stands: in front of the sample that comes next.
    pub(super) fn checkpoint(&self) -> Checkpoint {
        self.at
    }

    /// The next sample; `None` behind the last one.
    #[inline]
    pub(super) fn next_sample(&mut self) -> Result<Option<Sample>> {
        if self.at.sample >= self.tables.count {
            return Ok(None);
        }
        self.step_duration()?;
        self.step_composition()?;
        self.step_chunk()?;
        let size = match &self.tables.sizes {
            Sizes::Same(size) => *size,
            Sizes::Each(table) => table.get(self.at.sample).ok_or(SHORT)?[0],
        };
        let end = self.at.offset.checked_add(u64::from(size)).filter(|end| *end <= self.tables.file);
        let end = end.ok_or(Refusal::Damaged("a sample lies behind the end of the file"))?;
        let at = &mut self.at;
        at.sample += 1;
        let sync = Self::is_sync(self.tables, at);
        let sample =
            Sample { offset: at.offset, size, decoded_at: at.decoded_at, duration: at.duration, composition: at.composition, sync };
        at.offset = end;
        at.decoded_at += u64::from(at.duration);
        at.durations_left -= 1;
        at.compositions_left = at.compositions_left.saturating_sub(1);
        at.chunk_left -= 1;
        Ok(Some(sample))
    }

    fn step_duration(&mut self) -> Result<()> {
        while self.at.durations_left == 0 {
            let [count, duration] = self.tables.durations.get(self.at.duration_run).ok_or(SHORT)?;
            (self.at.durations_left, self.at.duration) = (count, duration);
            self.at.duration_run += 1;
        }
        Ok(())
    }

    fn step_composition(&mut self) -> Result<()> {
        let Some(table) = &self.tables.compositions else { return Ok(()) };
        while self.at.compositions_left == 0 {
            let [count, offset] = table.get(self.at.composition_run).ok_or(SHORT)?;
            // Some writers put negative offsets into a box of version 0, which has unsigned ones: nobody means 2³¹ ticks.
            (self.at.compositions_left, self.at.composition) = (count, offset.cast_signed());
            self.at.composition_run += 1;
        }
        Ok(())
    }

    fn step_chunk(&mut self) -> Result<()> {
        while self.at.chunk_left == 0 {
            let number = self.at.chunk.saturating_add(1);
            if let Some([first, samples, _]) = self.tables.runs.get(self.at.chunk_run) {
                if first < number {
                    return Err(Refusal::Damaged("chunks are out of order"));
                }
                if first == number {
                    self.at.per_chunk = samples;
                    self.at.chunk_run += 1;
                }
            }
            self.at.offset = self.tables.chunks.get(self.at.chunk).ok_or(SHORT)?;
            self.at.chunk_left = self.at.per_chunk;
            self.at.chunk = number;
        }
        Ok(())
    }

    /// Whether the sample with the number `at.sample`, from 1, is in the table of sync samples.
    #[inline]
    fn is_sync(tables: &SampleTables, at: &mut Checkpoint) -> bool {
        let Some(table) = &tables.syncs else { return true };
        while at.sync < at.sample {
            let Some([number]) = table.get(at.sync_entry) else { return false };
            at.sync = number;
            at.sync_entry += 1;
        }
        at.sync == at.sample
    }
}

/// Tables that speak of fewer samples than there are.
const SHORT: Refusal = Refusal::Damaged("the tables disagree on how many samples there are");
