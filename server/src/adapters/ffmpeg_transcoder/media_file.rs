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

/// The shortest distance between two frames, as a rate. Only asked where frames have no common distance.
pub(super) async fn largest_frame_rate(folder: &Path, playlist: &MediaPlaylist) -> Result<Option<FrameRate>, TranscodeError> {
    let init = read(&folder.join(&playlist.init)).await?;
    let Some(timescale) = find::<Moov>(&init).and_then(|moov| moov.trak.first().map(|track| track.mdia.mdhd.timescale)) else {
        return Ok(None);
    };
    let mut shortest: Option<u32> = None;
    for segment in &playlist.segments {
        let bytes = read(&folder.join(&segment.file)).await?;
        let Some(moof) = find::<Moof>(&bytes) else { continue };
        for track in &moof.traf {
            let usual = track.tfhd.default_sample_duration;
            for run in &track.trun {
                let durations = match &run.samples {
                    TrunSamples::Explicit(samples) => samples.iter().filter_map(|sample| sample.duration.or(usual)).min(),
                    TrunSamples::Inherited { .. } => usual,
                };
                shortest = durations.into_iter().chain(shortest).filter(|duration| *duration > 0).min();
            }
        }
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
