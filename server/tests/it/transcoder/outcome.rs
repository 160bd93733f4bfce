//! What came out, and the checks that hold for every encode.

use std::{path::PathBuf, process::Command};

use domain::{
    ladder::Ladder,
    playlist::{Rendition, Track, multivariant},
    source::SourceFacts,
};
use serde_json::Value;
use server::services::publishing::lasts_as_long;

#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) facts: SourceFacts,
    pub(super) ladder: Ladder,
    pub(super) renditions: Vec<Rendition>,
    pub(super) poster: bool,
    pub(super) published: PathBuf,
}

impl Outcome {
    /// Writes the playlists beside the segments, as a player would get them.
    pub(super) fn write_playlists(&self) {
        for rendition in &self.renditions {
            let text = rendition.playlist.render(str::to_owned);
            let parsed = m3u8_rs::parse_media_playlist_res(text.as_bytes()).expect("a valid media playlist");
            assert!(parsed.end_list && parsed.segments.len() == rendition.playlist.segments.len());
            std::fs::write(self.published.join(&rendition.name).join("index.m3u8"), text).expect("a playlist");
        }
        let text = multivariant(&self.renditions, |rendition| format!("{}/index.m3u8", rendition.name));
        m3u8_rs::parse_master_playlist_res(text.as_bytes()).expect("a valid multivariant playlist");
        std::fs::write(self.published.join("index.m3u8"), text).expect("a playlist");
    }

    pub(super) fn rendition(&self, name: &str) -> &Rendition {
        let found = self.renditions.iter().find(|rendition| rendition.name == name);
        found.unwrap_or_else(|| panic!("there is no {name} in {:?}", self.names()))
    }

    pub(super) fn names(&self) -> Vec<&str> {
        self.renditions.iter().map(|rendition| rendition.name.as_str()).collect()
    }

    pub(super) fn videos(&self) -> impl Iterator<Item = &Rendition> {
        self.renditions.iter().filter(|rendition| matches!(rendition.track, Track::Video { .. }))
    }

    pub(super) fn has_audio(&self) -> bool {
        self.renditions.iter().any(|rendition| rendition.name == "audio")
    }

    /// ffprobe's words about a rendition, read through its playlist.
    pub(super) fn probe(&self, name: &str, entries: &str) -> Value {
        let playlist = self.published.join(name).join("index.m3u8");
        let output = Command::new("ffprobe")
            .args(["-v", "error", "-of", "json", "-show_entries", entries])
            .arg(playlist)
            .output()
            .expect("ffprobe runs");
        assert!(output.status.success() && output.stderr.is_empty(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).expect("JSON")
    }

    pub(super) fn stream(&self, name: &str) -> Value {
        self.probe(name, "stream")["streams"][0].clone()
    }

    /// Time of the first frame or sample that is shown, in seconds: the encoder's padding of sound is hidden by the edit list.
    pub(super) fn start_seconds(&self, name: &str) -> f64 {
        let frames = self.probe(name, "frame=pts_time,best_effort_timestamp_time");
        let time = |frame: &Value| frame["pts_time"].as_str().or(frame["best_effort_timestamp_time"].as_str()).and_then(|t| t.parse().ok());
        frames["frames"].as_array().expect("frames").iter().filter_map(time).fold(f64::INFINITY, f64::min)
    }

    /// Times in seconds at which the key frames of a rendition stand, from its first frame on, and the number of all frames.
    pub(super) fn key_frames(&self, name: &str) -> (Vec<f64>, usize) {
        let packets = self.probe(name, "packet=pts_time,flags");
        let packets = packets["packets"].as_array().expect("packets").clone();
        let time = |packet: &Value| packet["pts_time"].as_str().and_then(|time| time.parse::<f64>().ok()).expect("a time");
        let start = packets.iter().map(time).fold(f64::INFINITY, f64::min);
        let is_key = |packet: &&Value| packet["flags"].as_str().is_some_and(|flags| flags.starts_with('K'));
        (packets.iter().filter(is_key).map(|packet| time(packet) - start).collect(), packets.len())
    }

    /// Times in seconds at which the segments of a rendition begin.
    pub(super) fn boundaries(&self, name: &str) -> Vec<f64> {
        let mut end_us = 0;
        let mut boundaries = Vec::new();
        for segment in &self.rendition(name).playlist.segments {
            boundaries.push(end_us as f64 / 1e6);
            end_us += segment.duration_us;
        }
        boundaries
    }

    /// What has to hold for every encode: what browsers play, whole, cut at key frames, in step.
    pub(super) fn check(&self) {
        for rendition in self.videos() {
            self.check_video(rendition);
        }
        if self.has_audio() {
            let audio = self.stream("audio");
            assert_eq!((audio["codec_name"].as_str(), audio["profile"].as_str()), (Some("aac"), Some("LC")), "{audio}");
            assert!(matches!(audio["channels"].as_u64(), Some(1 | 2)), "{audio}");
            assert_eq!(self.rendition("audio").codec, "mp4a.40.2");
            let first = self.videos().next().expect("a picture");
            let apart = (self.start_seconds("audio") - self.start_seconds(&first.name)).abs();
            assert!(apart < 0.03, "sound and picture start {apart} s apart");
        }
        let top = self.boundaries(&self.ladder.rungs[0].name);
        for rung in &self.ladder.rungs {
            let own = self.boundaries(&rung.name);
            assert_eq!(own.len(), top.len(), "{} has other segments than the top rung", rung.name);
            assert!(own.iter().zip(&top).all(|(own, top)| (own - top).abs() < 0.005), "{}: {own:?}, top: {top:?}", rung.name);
        }
        for rendition in &self.renditions {
            assert!(lasts_as_long(&self.facts, rendition), "{} lasts {} µs", rendition.name, rendition.playlist.duration_us());
        }
        assert!(self.poster);
    }

    fn check_video(&self, rendition: &Rendition) {
        let name = &rendition.name;
        let stream = self.stream(name);
        let Track::Video { width, height, .. } = rendition.track else { panic!("{name} is no picture") };
        assert_eq!(stream["codec_name"], "h264");
        assert_eq!(stream["pix_fmt"], "yuv420p", "{name}");
        assert_eq!((stream["width"].as_u64(), stream["height"].as_u64()), (Some(width.into()), Some(height.into())), "{name}");
        assert!(matches!(stream["sample_aspect_ratio"].as_str(), None | Some("1:1" | "0:1")), "{stream}");
        assert!(stream["side_data_list"].is_null(), "no rotation is left to the player: {stream}");
        if !rendition.copied {
            assert_eq!((stream["profile"].as_str(), stream["color_range"].as_str()), (Some("High"), Some("tv")), "{stream}");
            assert!(matches!(stream["color_space"].as_str(), Some("bt709" | "smpte170m")), "{stream}");
            assert!(rendition.codec.starts_with("avc1.6400"), "{}", rendition.codec);
        }
        let (keys, _) = self.key_frames(name);
        for boundary in self.boundaries(name) {
            assert!(keys.iter().any(|key| (key - boundary).abs() < 0.005), "{name}: no key frame at {boundary}: {keys:?}");
        }
        let length = rendition.playlist.duration_us() as f64 / 1e6;
        let wanted = self.facts.duration_ms as f64 / 1e3;
        assert!((length - wanted).abs() < 0.25, "{name} is {length} s long, the source {wanted} s");
    }
}
