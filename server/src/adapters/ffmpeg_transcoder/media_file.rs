//! Reads from our own fMP4 files what playlists have to say about them.

use std::path::Path;

use domain::{playlist::MediaPlaylist, source::FrameRate};
use mp4_atom::{Atom, Codec, Decode, Header, Moof, Moov, TrunSamples};

use super::failure::engine;
use crate::ports::transcoder::TranscodeError;

/// The RFC 6381 codec string of an init segment's one track.
pub(super) async fn codec(init: &Path) -> Result<String, TranscodeError> {
    let bytes = read(init).await?;
    let moov: Moov = find(&bytes).ok_or_else(|| engine("an init segment cannot be read", "no moov box"))?;
    let codecs = moov.trak.first().map(|track| track.mdia.minf.stbl.stsd.codecs.as_slice()).unwrap_or_default();
    match codecs.first() {
        Some(Codec::Avc1(entry)) => {
            let avcc = &entry.avcc;
            let (profile, constraints, level) = (avcc.avc_profile_indication, avcc.profile_compatibility, avcc.avc_level_indication);
            Ok(format!("avc1.{profile:02x}{constraints:02x}{level:02x}"))
        }
        Some(Codec::Mp4a(entry)) => {
            let config = &entry.esds.es_desc.dec_config;
            let object_type = config.dec_specific.as_ref().map_or(2, |specific| specific.profile);
            Ok(format!("mp4a.{:02x}.{object_type}", config.object_type_indication))
        }
        _ => Err(engine("an init segment cannot be read", "neither H.264 nor AAC")),
    }
}

/// What the samples of one segment say of themselves, in units of the track's timescale.
#[derive(Debug, Default)]
struct Samples {
    length: u64,
    shortest: Option<u32>,
}

impl Samples {
    async fn read(segment: &Path) -> Result<Self, TranscodeError> {
        let bytes = read(segment).await?;
        let moof: Moof = find(&bytes).ok_or_else(|| engine("a segment cannot be read", "no moof box"))?;
        let mut samples = Self::default();
        for track in &moof.traf {
            let usual = track.tfhd.default_sample_duration;
            for run in &track.trun {
                match &run.samples {
                    TrunSamples::Explicit(entries) => {
                        entries.iter().filter_map(|entry| entry.duration.or(usual)).for_each(|each| samples.add(each, 1));
                    }
                    TrunSamples::Inherited { count, .. } => samples.add(usual.unwrap_or(0), *count),
                }
            }
        }
        Ok(samples)
    }

    fn add(&mut self, duration: u32, count: u32) {
        self.length += u64::from(duration) * u64::from(count);
        self.shortest = self.shortest.into_iter().chain([duration]).filter(|each| *each > 0).min();
    }
}

async fn timescale(init: &Path) -> Result<u32, TranscodeError> {
    let bytes = read(init).await?;
    let moov: Moov = find(&bytes).ok_or_else(|| engine("an init segment cannot be read", "no moov box"))?;
    Ok(moov.trak.first().map_or(1, |track| track.mdia.mdhd.timescale).max(1))
}

/// Length of a segment in microseconds, by its samples.
pub(super) async fn duration_us(init: &Path, segment: &Path) -> Result<u64, TranscodeError> {
    let timescale = u64::from(timescale(init).await?);
    Ok((Samples::read(segment).await?.length.saturating_mul(1_000_000) + timescale / 2) / timescale)
}

/// The shortest distance between two frames, as a rate. Only asked where frames have no common distance.
pub(super) async fn largest_frame_rate(folder: &Path, playlist: &MediaPlaylist) -> Result<Option<FrameRate>, TranscodeError> {
    let timescale = timescale(&folder.join(&playlist.init)).await?;
    let mut shortest: Option<u32> = None;
    for segment in &playlist.segments {
        let samples = Samples::read(&folder.join(&segment.file)).await?;
        shortest = samples.shortest.into_iter().chain(shortest).min();
    }
    Ok(shortest.map(|duration| FrameRate { numerator: timescale, denominator: duration }))
}

async fn read(path: &Path) -> Result<Vec<u8>, TranscodeError> {
    tokio::fs::read(path).await.map_err(|error| engine("a media file cannot be read", error))
}

/// The first box of a kind at top level.
fn find<A: Atom>(mut bytes: &[u8]) -> Option<A> {
    while !bytes.is_empty() {
        let header = Header::decode(&mut bytes).ok()?;
        let (mut body, rest) = bytes.split_at_checked(header.size.unwrap_or(bytes.len()))?;
        if header.kind == A::KIND {
            return A::decode_body(&mut body).ok();
        }
        bytes = rest;
    }
    None
}
