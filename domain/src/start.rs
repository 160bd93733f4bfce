//! What a page needs to show a first frame before any player is there: where the first segments of the smallest rung and of the sound are.
//! It says nothing that the playlists behind the same page would not say.

use serde::{Deserialize, Serialize};

use crate::{
    playlist::{Rendition, Track},
    video::SignedMedia,
};

/// How far into the video the page knows its segments: the player has to be there by then. Microseconds.
const AHEAD_US: u64 = 40_000_000;

/// The beginning of a video.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Start {
    /// Length of the whole video in milliseconds.
    pub duration_ms: u64,
    /// The picture, and the sound where there is one.
    pub tracks: Vec<StartTrack>,
}

/// The beginning of one track.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StartTrack {
    /// `video` or `audio`: its container's media type is this and `/mp4`.
    pub kind: String,
    /// RFC 6381 codec string.
    pub codec: String,
    /// What goes around the files' names: picture and sound need not be of one generation.
    pub media: SignedMedia,
    /// Path of the init segment below the media's address.
    pub init: String,
    /// Paths of the first media segments, in order.
    pub segments: Vec<String>,
    /// What the page brings along of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub opening: Option<Opening>,
}

/// The init segment, and the first segment or its first bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Opening {
    /// The first byte of the first segment that it does not have; none where it has all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rest_from: Option<u64>,
    /// Both, one behind the other, in Base64 (RFC 4648, section 4).
    pub data: String,
}

impl Start {
    /// The beginning of what consists of these renditions; `media` says where the files of each are. `None` where there is no segment between the first and the last:
    /// whoever plays on has to have something to go on with.
    pub fn of(renditions: &[Rendition], media: impl Fn(&Rendition) -> SignedMedia) -> Option<Self> {
        let pictures = renditions.iter().filter(|rendition| matches!(rendition.track, Track::Video { .. }));
        let picture = pictures.min_by_key(|rendition| rendition.playlist.peak_bandwidth())?;
        let sound = renditions.iter().find(|rendition| matches!(rendition.track, Track::Audio { .. }));
        let tracks = [("video", Some(picture)), ("audio", sound)];
        let tracks = tracks.into_iter().filter_map(|(kind, rendition)| Some(StartTrack::of(kind, rendition?, &media)));
        let tracks: Vec<StartTrack> = tracks.collect();
        let begins = tracks.iter().all(|track| !track.segments.is_empty());
        begins.then(|| Self { duration_ms: picture.playlist.duration_us() / 1_000, tracks })
    }
}

impl StartTrack {
    fn of(kind: &str, rendition: &Rendition, media: impl Fn(&Rendition) -> SignedMedia) -> Self {
        let playlist = &rendition.playlist;
        let mut begins_us = 0;
        let first = playlist.segments.iter().take_while(|segment| {
            let known = begins_us < AHEAD_US;
            begins_us += segment.duration_us;
            known
        });
        let segments = first.take(playlist.segments.len().saturating_sub(1)).map(|segment| rendition.path(&segment.file)).collect();
        let (kind, codec, init) = (kind.to_owned(), rendition.codec.clone(), rendition.path(&playlist.init));
        Self { kind, codec, media: media(rendition), init, segments, opening: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        playlist::{MediaPlaylist, Segment},
        source::FrameRate,
    };

    fn rendition(name: &str, count: u64, bytes: u64) -> Rendition {
        let frame_rate = FrameRate { numerator: 25, denominator: 1 };
        let track = if name == "audio" { Track::Audio { channels: 2 } } else { Track::Video { width: 640, height: 360, frame_rate } };
        let segment = |number| Segment { file: format!("{number}.m4s"), duration_us: 4_000_000, bytes };
        let playlist = MediaPlaylist { init: "init.mp4".to_owned(), segments: (0..count).map(segment).collect() };
        Rendition {
            name: name.to_owned(),
            track,
            codec: format!("codec of {name}"),
            copied: false,
            flat: false,
            generation: None,
            playlist,
        }
    }

    fn start(renditions: &[Rendition]) -> Option<Start> {
        let folder = |rendition: &Rendition| if rendition.generation.is_some() { "kept" } else { "g" };
        Start::of(renditions, |rendition| SignedMedia { base: format!("/media/{}/", folder(rendition)), query: "e=1".to_owned() })
    }

    #[test]
    fn it_begins_with_the_smallest_picture_and_the_sound() {
        let start = start(&[rendition("720p", 100, 900), rendition("360p", 100, 300), rendition("audio", 100, 50)]).expect("it starts");
        let names: Vec<_> = start.tracks.iter().map(|track| (track.kind.as_str(), track.init.as_str(), track.segments.len())).collect();
        assert_eq!(names, [("video", "360p/init.mp4", 10), ("audio", "audio/init.mp4", 10)]);
        assert_eq!((start.tracks[0].segments[1].as_str(), start.tracks[0].codec.as_str()), ("360p/1.m4s", "codec of 360p"));
        assert_eq!(start.duration_ms, 400_000);
    }

    #[test]
    fn picture_and_sound_are_where_each_of_them_is() {
        let mut sound = rendition("audio", 100, 50);
        sound.generation = Some(crate::ids::GenerationId(uuid::Uuid::nil()));
        let start = start(&[rendition("360p", 100, 300), sound]).expect("it starts");
        let bases: Vec<_> = start.tracks.iter().map(|track| track.media.base.as_str()).collect();
        assert_eq!(bases, ["/media/g/", "/media/kept/"]);
    }

    #[test]
    fn the_last_segment_is_left_to_the_player() {
        let short = start(&[rendition("1080p", 2, 900)]).expect("it starts");
        assert_eq!(short.tracks[0].segments, ["1080p/0.m4s"]);
        assert_eq!(start(&[rendition("1080p", 1, 900)]), None);
        assert_eq!(start(&[rendition("1080p", 2, 900), rendition("audio", 1, 50)]), None);
        assert_eq!(start(&[rendition("audio", 9, 50)]), None, "there is nothing to see");
    }
}
