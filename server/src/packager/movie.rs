//! The movie box (`moov`, ISO/IEC 14496-12, 8.2): which tracks are used, and what it says of them. A track that is not used may be as
//! broken as it likes.

use bytes::Bytes;
use mp4_atom::{Elst, Matrix, Mdhd, Mvhd, Tkhd};

use super::{
    boxes::{Children, Fields, leaf},
    edits::Edit,
    fragments::Defaults,
    picture::Picture,
    refusal::{Refusal, Result},
    sound::Sound,
    tables::SampleTables,
};

/// What is used of a movie.
#[derive(Debug)]
pub(super) struct Movie {
    /// The picture.
    pub(super) video: Described<Picture>,
    /// The sound, if there is some.
    pub(super) audio: Option<Described<Sound>>,
    /// Whether the samples are in fragments behind the movie box.
    pub(super) fragmented: bool,
}

/// A track, and what its samples are.
#[derive(Debug)]
pub(super) struct Described<M> {
    /// The track.
    pub(super) track: TrackBox,
    /// The description of its samples.
    pub(super) media: M,
}

/// A track, as the movie box has it.
#[derive(Debug)]
pub(super) struct TrackBox {
    /// The header: number, size, matrix.
    pub(super) header: Tkhd,
    /// Ticks per second, not 0.
    pub(super) timescale: u32,
    /// Three letters of ISO 639-2; `und` where the file says nothing sensible.
    pub(super) language: String,
    /// What is shown of it.
    pub(super) edit: Edit,
    /// Its samples; in a fragmented file none.
    pub(super) tables: SampleTables,
    /// What its fragments leave out, in a fragmented file.
    pub(super) defaults: Defaults,
}

impl Movie {
    /// Reads the content of a `moov` of a file of `file` bytes.
    pub(super) fn read(moov: &Bytes, file: u64) -> Result<Self> {
        let children = Children(moov);
        if children.find(b"cmov")?.is_some() {
            return Err(Refusal::CompressedMovie);
        }
        let header: Mvhd = leaf(children.need(b"mvhd")?)?;
        if header.timescale == 0 || turn(&header.matrix) != Some(0) {
            return Err(if header.timescale == 0 { Refusal::Damaged("the movie has no clock") } else { Refusal::Transformed });
        }
        let extends = children.find(b"mvex")?;
        let context = Context { moov, file, timescale: header.timescale, extends };
        let tracks = context.chosen()?;
        let video = context.track(tracks.video.ok_or(Refusal::NoPicture)?, Picture::read)?;
        let audio = tracks.audio.map(|track| context.track(track, Sound::read)).transpose()?;
        let fragmented = extends.is_some();
        let samples = video.track.tables.count > 0 || audio.as_ref().is_some_and(|audio| audio.track.tables.count > 0);
        if fragmented && samples {
            return Err(Refusal::Hybrid);
        }
        Ok(Self { video, audio, fragmented })
    }
}

/// How many quarters a matrix turns the picture clockwise; `None` where it does something else to it.
pub(super) fn turn(matrix: &Matrix) -> Option<u8> {
    const ONE: i32 = 1 << 16;
    if (matrix.u, matrix.v, matrix.w) != (0, 0, 1 << 30) {
        return None;
    }
    match (matrix.a, matrix.b, matrix.c, matrix.d) {
        (ONE, 0, 0, ONE) => Some(0),
        (0, ONE, b, 0) if b == -ONE => Some(1),
        (a, 0, 0, d) if a == -ONE && d == -ONE => Some(2),
        (0, b, ONE, 0) if b == -ONE => Some(3),
        _ => None,
    }
}

/// The contents of the tracks that are used.
#[derive(Debug, Default)]
struct Chosen<'a> {
    video: Option<&'a [u8]>,
    audio: Option<&'a [u8]>,
}

/// What reading a track takes.
#[derive(Debug)]
struct Context<'a> {
    moov: &'a Bytes,
    file: u64,
    timescale: u32,
    extends: Option<&'a [u8]>,
}

impl<'a> Context<'a> {
    /// The first picture and the first sound that are switched on; if none is, the first ones.
    fn chosen(&self) -> Result<Chosen<'a>> {
        let (mut on, mut off) = (Chosen::default(), Chosen::default());
        for child in Children(self.moov) {
            let (kind, track) = child?;
            if kind != *b"trak" {
                continue;
            }
            let media = Children(track).need(b"mdia")?;
            let mut handler = Fields(Children(media).need(b"hdlr")?);
            handler.take(8)?;
            let handler = handler.take(4)?;
            let (_, flags) = Fields(Children(track).need(b"tkhd")?).version_and_flags()?;
            let chosen = if flags & 1 == 1 { &mut on } else { &mut off };
            match handler {
                b"vide" => _ = chosen.video.get_or_insert(track),
                b"soun" => _ = chosen.audio.get_or_insert(track),
                _ => {}
            }
        }
        Ok(Chosen { video: on.video.or(off.video), audio: on.audio.or(off.audio) })
    }

    fn track<M>(&self, track: &[u8], describe: fn([u8; 4], &[u8]) -> Result<M>) -> Result<Described<M>> {
        let children = Children(track);
        let media = Children(children.need(b"mdia")?);
        let header: Tkhd = leaf(children.need(b"tkhd")?)?;
        let media_header: Mdhd = leaf(media.need(b"mdhd")?)?;
        let timescale = media_header.timescale;
        if timescale == 0 {
            return Err(Refusal::Damaged("a track has no clock"));
        }
        let information = Children(media.need(b"minf")?);
        let stbl = information.need(b"stbl")?;
        let tables = SampleTables::read(self.moov, stbl, self.file)?;
        let defaults = Defaults::find(self.extends, header.track_id)?;
        let number = self.extends.map_or_else(|| tables.description(), |_| defaults.description);
        let (kind, entry) = sample_entry(Children(stbl).need(b"stsd")?, number)?;
        let media = describe(kind, entry)?;
        check_reference(&information, entry)?;
        let list = children.find(b"edts")?.map(|edits| Children(edits).find(b"elst")).transpose()?.flatten();
        let list = list.map(leaf::<Elst>).transpose()?.unwrap_or_default();
        let edit = Edit::read(&list, timescale, self.timescale)?;
        let language = language(&media_header);
        Ok(Described { track: TrackBox { header, timescale, language, edit, tables, defaults }, media })
    }
}

/// The sample entry with a number, from 1, in the content of an `stsd`.
fn sample_entry(stsd: &[u8], number: u32) -> Result<([u8; 4], &[u8])> {
    let mut fields = Fields(stsd);
    fields.version_and_flags()?;
    fields.u32()?;
    let index = number.checked_sub(1).ok_or(Refusal::Damaged("samples have no description"))?;
    Children(fields.0).nth(index as usize).ok_or(Refusal::Damaged("samples have no description"))?
}

/// Refuses samples that are in another file (`dref`, ISO/IEC 14496-12, 8.7.2): nothing here opens a file by a name that a file gives.
fn check_reference(information: &Children<'_>, entry: &[u8]) -> Result<()> {
    let mut fields = Fields(entry);
    fields.take(6)?;
    let index = usize::from(fields.u16()?);
    let references = Children(information.need(b"dinf")?).need(b"dref")?;
    let mut list = Fields(references);
    list.take(8)?;
    let reference = index.checked_sub(1).and_then(|index| Children(list.0).nth(index)).transpose()?;
    let (_, content) = reference.ok_or(Refusal::Damaged("samples refer to no file"))?;
    let (_, flags) = Fields(content).version_and_flags()?;
    if flags & 1 == 0 { Err(Refusal::ForeignData) } else { Ok(()) }
}

/// The language, where it is three letters: other codes (QuickTime's, or none at all) would read as signs that no playlist may have.
fn language(header: &Mdhd) -> String {
    let letters = &header.language;
    let plain = letters.len() == 3 && letters.bytes().all(|letter| letter.is_ascii_lowercase());
    if plain { letters.clone() } else { "und".into() }
}
