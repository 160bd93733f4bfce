//! Finds and reads the tables of a source, one range after the other. It does no reading of its own: it says which bytes it wants next
//! ([`Opening::wants`]) and is given them ([`Opening::take`]), from a file, an object in S3, or an upload of which they have just arrived.
//!
//! Only `moov` and the `moof`s are read, and the first picture's first bytes. With `moov` in front that is two or three reads.

use std::{mem, ops::Range};

use bytes::Bytes;

use super::{
    boxes::{BoxHeader, LONGEST_HEADER},
    fragments::{self, Gathering},
    movie::{Movie, TrackBox},
    package::{Media, Package},
    refusal::{Refusal, Result},
};

/// Bytes of the first read: `ftyp` and, in small files, all of `moov`.
const FIRST_READ: u64 = 64 << 10;

/// Bytes of a read for the header of a box: a `moof` is often no longer.
const READ: u64 = 4 << 10;

/// What is left of a file is read whole up to this many bytes, while `moov` has not been found: it is likely to be just that.
const LAST_READ: u64 = 1 << 20;

/// What may be read for one source, in memory and in time.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Bytes of `moov`, and of all `moof`s together. Of a `moov` as much is kept in memory, of `moof`s at most four times as much or 8 bytes a
    /// sample; an hour of picture and sound has about 2 MB.
    pub table_bytes: u64,
    /// Reads. A fragmented file takes one a fragment: thousands are fine for a local file and too many over a network.
    pub reads: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self { table_bytes: 64 << 20, reads: 20_000 }
    }
}

/// A source that is being opened.
#[derive(Debug)]
pub struct Opening {
    size: u64,
    limits: Limits,
    /// Reads and bytes of fragments, so far.
    reads: u32,
    bytes: u64,
    step: Step,
    movie: Option<Box<Unfinished>>,
}

/// A movie box whose fragments are being read.
#[derive(Debug)]
struct Unfinished {
    movie: Movie,
    /// The picture's samples, then the sound's.
    tracks: Vec<Gathering>,
}

/// What is read next.
#[derive(Debug)]
enum Step {
    /// Boxes at top level, from this byte on.
    Boxes(Range<u64>),
    /// All of `moov`, or of a `moof` that begins at the byte given: their content.
    Movie(Range<u64>),
    Fragment(u64, Range<u64>),
    /// The first picture.
    Picture(Box<Package>, Range<u64>),
    /// Nothing: it is refused or done.
    Done,
}

impl Opening {
    /// Begins to open a source of `size` bytes.
    #[must_use]
    pub fn new(size: u64, limits: Limits) -> Self {
        Self { size, limits, reads: 0, bytes: 0, step: Step::Boxes(0..size.min(FIRST_READ)), movie: None }
    }

    /// The bytes that are needed next; empty where none are.
    #[must_use]
    pub fn wants(&self) -> Range<u64> {
        match &self.step {
            Step::Boxes(range) | Step::Movie(range) | Step::Fragment(_, range) | Step::Picture(_, range) => range.clone(),
            Step::Done => 0..0,
        }
    }

    /// Takes the bytes of the range that was wanted. The package, once it is complete.
    ///
    /// # Errors
    /// The source is not to be packaged. Asking again does not help.
    pub fn take(&mut self, bytes: &Bytes) -> Result<Option<Package>> {
        let range = self.wants();
        if bytes.len() as u64 != range.end - range.start {
            return Err(Refusal::Damaged("the file is shorter than it was"));
        }
        self.reads += 1;
        if self.reads > self.limits.reads {
            return Err(Refusal::TooLarge("boxes"));
        }
        match mem::replace(&mut self.step, Step::Done) {
            Step::Boxes(range) => self.boxes(&range, bytes)?,
            Step::Movie(range) => {
                self.movie(bytes)?;
                self.go_on(range.end)?;
            }
            Step::Fragment(at, range) => {
                self.fragment(bytes, at)?;
                self.go_on(range.end)?;
            }
            Step::Picture(package, _) => {
                package.check_beginning(bytes)?;
                return Ok(Some(*package));
            }
            Step::Done => {}
        }
        Ok(None)
    }

    /// Goes through the boxes that begin in a range, to the first that has to be read whole and is not there yet.
    fn boxes(&mut self, range: &Range<u64>, bytes: &Bytes) -> Result<()> {
        let mut at = range.start;
        while self.has_box(at) {
            let visible = bytes.get((at - range.start) as usize..).unwrap_or_default();
            if (visible.len() as u64) < LONGEST_HEADER.min(self.size - at) {
                break;
            }
            let header = BoxHeader::read(visible, self.size - at)?;
            let content = header.content(at);
            let (is_movie, is_fragment) = (header.kind == *b"moov" && self.movie.is_none(), header.kind == *b"moof");
            if is_movie || is_fragment {
                self.count(&content)?;
                let known = visible.get(header.length as usize..header.size as usize).map(|content| bytes.slice_ref(content));
                match known {
                    Some(known) if is_movie => self.movie(&known)?,
                    Some(known) => self.fragment(&known, at)?,
                    None => {
                        self.step = if is_movie { Step::Movie(content) } else { Step::Fragment(at, content) };
                        return Ok(());
                    }
                }
            }
            at = content.end;
        }
        self.go_on(at)
    }

    /// Whether a box may begin at a byte. Fewer bytes than a header has are padding.
    fn has_box(&self, at: u64) -> bool {
        at + 8 <= self.size && !matches!(self.step, Step::Picture(..))
    }

    fn count(&mut self, content: &Range<u64>) -> Result<()> {
        self.bytes += content.end - content.start;
        if self.bytes > self.limits.table_bytes { Err(Refusal::TooLarge("bytes")) } else { Ok(()) }
    }

    /// Looks at the box that begins at a byte, or comes to the end of the file, unless all is known.
    fn go_on(&mut self, at: u64) -> Result<()> {
        if self.has_box(at) {
            let is_short = self.movie.is_none() && self.size - at <= LAST_READ;
            self.step = Step::Boxes(at..if is_short { self.size } else { self.size.min(at + READ) });
            return Ok(());
        }
        if matches!(self.step, Step::Picture(..)) { Ok(()) } else { self.end() }
    }

    /// Takes the content of `moov`.
    fn movie(&mut self, content: &Bytes) -> Result<()> {
        let movie = Movie::read(content, self.size)?;
        if !movie.fragmented {
            return self.package(movie, content.len());
        }
        let gathering = |track: &TrackBox| Gathering::new(track.header.track_id, track.defaults, self.size);
        let tracks = std::iter::once(&movie.video.track).chain(movie.audio.as_ref().map(|audio| &audio.track)).map(gathering).collect();
        self.movie = Some(Box::new(Unfinished { movie, tracks }));
        self.bytes = 0;
        Ok(())
    }

    /// Takes the content of the `moof` that begins at a byte.
    fn fragment(&mut self, content: &Bytes, at: u64) -> Result<()> {
        let unfinished = self.movie.as_mut().ok_or(Refusal::Damaged("a fragment comes before the movie box"))?;
        fragments::add(&mut unfinished.tracks, content, at)
    }

    /// The end of the file.
    fn end(&mut self) -> Result<()> {
        let Some(unfinished) = self.movie.take() else { return Err(Refusal::NoMovie) };
        let Unfinished { mut movie, tracks } = *unfinished;
        let mut tracks = tracks.into_iter();
        let mut tables = 0;
        for track in std::iter::once(&mut movie.video.track).chain(movie.audio.as_mut().map(|audio| &mut audio.track)) {
            let Some(gathered) = tracks.next() else { break };
            let first_at;
            (track.tables, first_at) = gathered.finish()?;
            // Walks begin at 0, and edit lists count from before the first fragment. Below 2⁵⁵.
            track.edit.start -= first_at as i64;
            track.edit.end = track.edit.end.map(|end| end - first_at as i64);
            tables += track.tables.bytes();
        }
        self.package(movie, tables)
    }

    /// The tables are complete; whether the first picture is what they say is still to be seen.
    fn package(&mut self, movie: Movie, tables: usize) -> Result<()> {
        let package = Package::new(movie, tables)?;
        let first = package.segment(Media::Video, 0)?.ok_or(Refusal::NoPicture)?;
        self.step = Step::Picture(Box::new(package), first.beginning());
        Ok(())
    }
}
