//! Init segments (CMAF, ISO/IEC 23000-19, 7.3.1): one track, described as in the source, with nothing of the source's own tables and metadata.

use bytes::Bytes;
use mp4_atom::{
    Codec, Dinf, Dref, DrefEntry, Edts, Elst, ElstEntry, Encode, Ftyp, Hdlr, Mdhd, Mdia, Minf, Moov, Mvex, Mvhd, Smhd, Stbl, Stco, Stsd,
    Tkhd, Trak, Trex, Url, Vmhd,
};

use super::{
    movie::TrackBox,
    refusal::{Refusal, Result},
};

/// Ticks per second of our movie boxes, in which nothing is measured.
const TIMESCALE: u32 = 1_000;

/// What an init segment is made of.
#[derive(Debug)]
pub(super) struct Init<'a> {
    /// The source's track.
    pub(super) track: &'a TrackBox,
    /// The sample entry.
    pub(super) entry: &'a Codec,
    /// Whether it is the picture.
    pub(super) is_video: bool,
    /// First moment of the segments' media that is shown, in the track's ticks.
    pub(super) media_start: u64,
}

impl Init<'_> {
    /// Writes it.
    pub(super) fn write(&self) -> Result<Bytes> {
        // `cmfc` allows offsets of 0 or more with an edit list. The other way, negative offsets and no list, is read by Chromium just as well,
        // but ffmpeg shows such a picture late by as much as frames are reordered.
        let ftyp =
            Ftyp { major_brand: b"iso6".into(), minor_version: 0, compatible_brands: vec![b"iso6".into(), b"cmfc".into(), b"mp41".into()] };
        let trex = Trex { track_id: 1, default_sample_description_index: 1, ..Trex::default() };
        let moov = Moov {
            mvhd: Mvhd { timescale: TIMESCALE, rate: 1.into(), volume: 1.into(), next_track_id: 2, ..Mvhd::default() },
            mvex: Some(Mvex { trex: vec![trex], ..Mvex::default() }),
            trak: vec![self.track()],
            ..Moov::default()
        };
        let mut out = Vec::with_capacity(1_024);
        ftyp.encode(&mut out)
            .and_then(|()| moov.encode(&mut out))
            .map_err(|_| Refusal::Damaged("a sample description cannot be written"))?;
        Ok(out.into())
    }

    fn track(&self) -> Trak {
        let header = &self.track.header;
        let tkhd = Tkhd {
            track_id: 1,
            enabled: true,
            in_movie: true,
            volume: u8::from(!self.is_video).into(),
            matrix: header.matrix.clone(),
            width: header.width,
            height: header.height,
            ..Tkhd::default()
        };
        // A duration of 0: to the end of all fragments.
        let edit = ElstEntry { segment_duration: 0, media_time: Some(self.media_start), media_rate: 1.into() };
        let edts = (self.media_start > 0).then(|| Edts { elst: Some(Elst { entries: vec![edit] }) });
        Trak { tkhd, edts, mdia: self.media(), ..Trak::default() }
    }

    fn media(&self) -> Mdia {
        let (handler, name) = if self.is_video { (b"vide", "video") } else { (b"soun", "audio") };
        let stbl = Stbl { stsd: Stsd { codecs: vec![self.entry.clone()] }, stco: Some(Stco::default()), ..Stbl::default() };
        Mdia {
            mdhd: Mdhd { timescale: self.track.timescale, language: self.track.language.clone(), ..Mdhd::default() },
            hdlr: Hdlr { handler: handler.into(), name: name.into() },
            minf: Minf {
                vmhd: self.is_video.then(Vmhd::default),
                smhd: (!self.is_video).then(Smhd::default),
                dinf: Dinf { dref: Dref { entries: vec![DrefEntry::Url(Url::default())] } },
                stbl,
                ..Minf::default()
            },
        }
    }
}
