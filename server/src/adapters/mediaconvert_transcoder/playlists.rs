//! Reads the playlists that the service writes: which file is what. Nothing about names is assumed; what is not understood is an error that
//! says so, before anything is published.

use std::collections::HashMap;

use domain::{
    ids::GenerationId,
    ladder::{AudioPlan, Ladder, Rung, VideoPlan},
    playlist::{MediaPlaylist, Segment, Track},
    source::SourceFacts,
    storage_key::StorageKey,
};
use m3u8_rs::AlternativeMediaType;

use super::{failure::engine, picture::output_size};
use crate::ports::transcoder::TranscodeError;

/// What the sound's rendition is called.
pub(super) const AUDIO: &str = "audio";

/// A rendition whose media playlist is yet to be read.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Announced {
    /// What we call it.
    pub(super) name: String,
    /// What it is.
    pub(super) track: Track,
    /// Its media playlist below the generation.
    pub(super) playlist: String,
}

fn not_understood(file: &str, what: impl std::fmt::Display) -> TranscodeError {
    engine(&format!("MediaConvert's {file} is not understood"), what)
}

/// The renditions that a multivariant playlist names: one for each rung, and the sound where the ladder has some.
pub(super) fn multivariant(file: &str, text: &[u8], facts: &SourceFacts, ladder: &Ladder) -> Result<Vec<Announced>, TranscodeError> {
    let parsed = m3u8_rs::parse_master_playlist_res(text).map_err(|_| not_understood(file, "it is no multivariant playlist"))?;
    let mut pictures: Vec<(&str, (u64, u64))> = Vec::new();
    for variant in parsed.variants.iter().filter(|variant| !variant.is_i_frame) {
        let Some(size) = variant.resolution else { return Err(not_understood(file, "a variant without RESOLUTION")) };
        // One picture may stand there once for each group of sounds.
        if !pictures.iter().any(|(uri, _)| *uri == variant.uri) {
            pictures.push((&variant.uri, (size.width, size.height)));
        }
    }
    let mut announced = Vec::new();
    for rung in &ladder.rungs {
        let mut of_rung = pictures.iter().filter(|(_, size)| *size == made_size(rung));
        let (Some((uri, _)), None) = (of_rung.next(), of_rung.next()) else {
            return Err(not_understood(file, format_args!("not one {}x{} for the rung {}", rung.width, rung.height, rung.name)));
        };
        let (width, height) = output_size(rung);
        let frame_rate = match &rung.video {
            VideoPlan::Encode { frame_rate: Some(rate), .. } => *rate,
            _ => facts.video.frame_rate,
        };
        let track = Track::Video { width: width.unsigned_abs(), height: height.unsigned_abs(), frame_rate };
        announced.push(Announced { name: rung.name.clone(), track, playlist: (*uri).to_owned() });
    }
    if pictures.len() != ladder.rungs.len() {
        return Err(not_understood(file, format_args!("{} pictures for {} rungs", pictures.len(), ladder.rungs.len())));
    }
    let sounds: Vec<_> = parsed.alternatives.iter().filter(|media| media.media_type == AlternativeMediaType::Audio).collect();
    match (&ladder.audio, sounds.as_slice()) {
        (None, []) => {}
        (Some(plan), [sound]) => {
            let Some(uri) = &sound.uri else { return Err(not_understood(file, "sound without a playlist of its own")) };
            let channels = match plan {
                AudioPlan::Encode { channels, .. } => *channels,
                AudioPlan::Copy => 2,
            };
            announced.push(Announced { name: AUDIO.to_owned(), track: Track::Audio { channels }, playlist: uri.clone() });
        }
        (_, sounds) => return Err(not_understood(file, format_args!("{} sounds", sounds.len()))),
    }
    Ok(announced)
}

fn made_size(rung: &Rung) -> (u64, u64) {
    let (width, height) = output_size(rung);
    (u64::from(width.unsigned_abs()), u64::from(height.unsigned_abs()))
}

/// The segments that a media playlist names, with the sizes that the store tells.
pub(super) fn media(
    file: &str,
    text: &[u8],
    generation: GenerationId,
    stored: &HashMap<String, u64>,
) -> Result<MediaPlaylist, TranscodeError> {
    let parsed = m3u8_rs::parse_media_playlist_res(text).map_err(|_| not_understood(file, "it is no media playlist"))?;
    if !parsed.end_list {
        return Err(not_understood(file, "it has no end"));
    }
    let plain = |uri: &str| !uri.contains('/') && StorageKey::published(generation, uri).is_some();
    let mut init: Option<String> = None;
    let mut segments = Vec::with_capacity(parsed.segments.len());
    for segment in parsed.segments {
        if segment.byte_range.is_some() || segment.map.as_ref().is_some_and(|map| map.byte_range.is_some()) {
            return Err(not_understood(file, "pieces of one file by byte ranges"));
        }
        if segment.key.is_some() {
            return Err(not_understood(file, "encrypted segments"));
        }
        if let Some(map) = segment.map {
            let first = init.get_or_insert_with(|| map.uri.clone());
            if *first != map.uri {
                return Err(not_understood(file, "more than one init segment"));
            }
        }
        if !plain(&segment.uri) {
            return Err(not_understood(file, format_args!("a segment called {}", segment.uri)));
        }
        let Some(bytes) = stored.get(&segment.uri) else {
            return Err(engine("MediaConvert's output is not complete", format_args!("{} is missing", segment.uri)));
        };
        let duration_us = (f64::from(segment.duration) * 1e6).round().max(1.0) as u64;
        segments.push(Segment { file: segment.uri, duration_us, bytes: *bytes });
    }
    match init {
        Some(init) if plain(&init) => Ok(MediaPlaylist { init, segments }),
        Some(init) => Err(not_understood(file, format_args!("an init segment called {init}"))),
        None => Err(not_understood(file, "no init segment")),
    }
}
