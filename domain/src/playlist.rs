//! HLS playlists (RFC 8216 and its second edition), written by us for every engine: ffmpeg leaves CODECS out in places,
//! and every media URI needs a signed query. Only here is a rendition called a variant, as the standard does.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use crate::{ids::GenerationId, source::FrameRate};

/// One media segment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Segment {
    /// File name below the rendition.
    pub file: String,
    /// Length in microseconds.
    pub duration_us: u64,
    /// Bytes in the file.
    pub bytes: u64,
}

/// The segments of one rendition, in order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MediaPlaylist {
    /// File name of the init segment below the rendition.
    pub init: String,
    /// Media segments, in order.
    pub segments: Vec<Segment>,
}

impl MediaPlaylist {
    /// The finished playlist. `uri` turns a file name into what is written: a signed URL, on the way to a player.
    pub fn render(&self, uri: impl Fn(&str) -> String) -> String {
        let mut text = self.render_segments("VOD", self.target_duration(), &self.segments, uri);
        text.push_str("#EXT-X-ENDLIST\n");
        text
    }

    /// The playlist while only the first `there` segments can be fetched and more will follow. Its target duration is that of all of them, for it
    /// must not change (RFC 8216, 6.2.1), and players begin with the film and not where a broadcast would be. Once all are there it is complete.
    pub fn render_growing(&self, there: usize, uri: impl Fn(&str) -> String) -> String {
        let segments = self.segments.get(..there).unwrap_or(&self.segments);
        let mut text = self.render_segments("EVENT", self.target_duration(), segments, uri);
        if segments.len() == self.segments.len() {
            text.push_str("#EXT-X-ENDLIST\n");
        }
        text
    }

    /// The playlist of something that is still being made: these segments are finished, and nobody knows yet how long the others will be. None is
    /// going to be longer than `target_seconds`, which so can stand there from the beginning.
    pub fn render_begun(&self, target_seconds: u64, uri: impl Fn(&str) -> String) -> String {
        self.render_segments("EVENT", target_seconds, &self.segments, uri)
    }

    fn render_segments(&self, kind: &str, target_seconds: u64, segments: &[Segment], uri: impl Fn(&str) -> String) -> String {
        let mut text = String::with_capacity(256 + segments.len() * 200);
        text.push_str("#EXTM3U\n#EXT-X-VERSION:7\n");
        let _ = writeln!(text, "#EXT-X-TARGETDURATION:{target_seconds}");
        let _ = writeln!(text, "#EXT-X-MEDIA-SEQUENCE:0\n#EXT-X-PLAYLIST-TYPE:{kind}\n#EXT-X-INDEPENDENT-SEGMENTS");
        if kind == "EVENT" {
            text.push_str("#EXT-X-START:TIME-OFFSET=0\n");
        }
        let _ = writeln!(text, "#EXT-X-MAP:URI=\"{}\"", uri(&self.init));
        for segment in segments {
            let _ = writeln!(text, "#EXTINF:{:.6},\n{}", segment.duration_us as f64 / 1e6, uri(&segment.file));
        }
        text
    }

    /// Seconds that no segment's rounded length exceeds (RFC 8216, 4.3.3.1).
    fn target_duration(&self) -> u64 {
        self.segments.iter().map(|segment| (segment.duration_us + 500_000) / 1_000_000).max().unwrap_or(1).max(1)
    }

    /// Length in microseconds.
    pub fn duration_us(&self) -> u64 {
        self.segments.iter().map(|segment| segment.duration_us).sum()
    }

    /// Bytes of all media segments.
    pub fn bytes(&self) -> u64 {
        self.segments.iter().map(|segment| segment.bytes).sum()
    }

    /// Largest bit rate of a contiguous run of segments between 0.5 and 1.5 target durations long, in bits per second,
    /// rounded up: the standard's peak segment bit rate (draft-pantos-hls-rfc8216bis, 4.4.6.2).
    pub fn peak_bandwidth(&self) -> u64 {
        let target_us = self.target_duration() * 1_000_000;
        let mut peak = 0;
        for first in 0..self.segments.len() {
            let (mut bytes, mut duration_us) = (0, 0);
            for segment in &self.segments[first..] {
                bytes += segment.bytes;
                duration_us += segment.duration_us;
                if duration_us > target_us * 3 / 2 {
                    break;
                }
                if duration_us >= target_us / 2 {
                    peak = peak.max(bits_per_second(bytes, duration_us));
                }
            }
        }
        // A playlist shorter than half a target duration has no such run; its mean is its peak.
        peak.max(self.average_bandwidth())
    }

    /// Mean bit rate in bits per second, rounded up.
    pub fn average_bandwidth(&self) -> u64 {
        bits_per_second(self.bytes(), self.duration_us())
    }
}

fn bits_per_second(bytes: u64, duration_us: u64) -> u64 {
    let bits = u128::from(bytes) * 8 * 1_000_000;
    u64::try_from(bits.div_ceil(u128::from(duration_us.max(1)))).unwrap_or(u64::MAX)
}

/// What a published rendition is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Track {
    /// A picture without sound.
    Video {
        /// Width in samples.
        width: u32,
        /// Height in samples.
        height: u32,
        /// Largest number of frames per second.
        frame_rate: FrameRate,
    },
    /// Sound.
    Audio {
        /// Number of channels.
        channels: u32,
    },
}

/// A published rendition: a rung once encoded, or the sound.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rendition {
    /// Name and path part: `1080p`, `audio`.
    pub name: String,
    /// Picture or sound.
    pub track: Track,
    /// RFC 6381 codec string, such as `avc1.64001f` or `mp4a.40.2`, read from the init segment.
    pub codec: String,
    /// Whether the source's own samples were kept.
    pub copied: bool,
    /// Whether its files stand directly below the generation instead of in a folder of its name: an engine that names files itself.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub flat: bool,
    /// The generation that its files belong to, where that is not the one that it is published in: the source's own samples, cut on request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<GenerationId>,
    /// The segments.
    pub playlist: MediaPlaylist,
}

impl Rendition {
    /// Path of one of its files below the generation.
    pub fn path(&self, file: &str) -> String {
        if self.flat { file.to_owned() } else { format!("{}/{file}", self.name) }
    }
}

/// The multivariant playlist of these renditions; `uri` gives the URI of a rendition's media playlist. Every
/// video rendition is a variant, smallest first; the sound, if any, is one group that all of them share.
pub fn multivariant(renditions: &[Rendition], uri: impl Fn(&Rendition) -> String) -> String {
    let mut text = String::from("#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-INDEPENDENT-SEGMENTS\n");
    let audio = renditions.iter().find(|rendition| matches!(rendition.track, Track::Audio { .. }));
    if let Some((rendition, Track::Audio { channels })) = audio.map(|rendition| (rendition, &rendition.track)) {
        let _ = writeln!(
            text,
            "#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"audio\",NAME=\"Original\",DEFAULT=YES,AUTOSELECT=YES,CHANNELS=\"{channels}\",URI=\"{}\"",
            uri(rendition)
        );
    }
    let mut variants: Vec<&Rendition> = renditions.iter().filter(|rendition| matches!(rendition.track, Track::Video { .. })).collect();
    variants.sort_by_key(|rendition| rendition.playlist.peak_bandwidth());
    for variant in variants {
        let Track::Video { width, height, frame_rate } = variant.track else { continue };
        let (mut bandwidth, mut average) = (variant.playlist.peak_bandwidth(), variant.playlist.average_bandwidth());
        let mut codecs = variant.codec.clone();
        if let Some(audio) = audio {
            bandwidth += audio.playlist.peak_bandwidth();
            average += audio.playlist.average_bandwidth();
            let _ = write!(codecs, ",{}", audio.codec);
        }
        let _ = write!(
            text,
            "#EXT-X-STREAM-INF:BANDWIDTH={bandwidth},AVERAGE-BANDWIDTH={average},CODECS=\"{codecs}\",RESOLUTION={width}x{height},FRAME-RATE={:.3}",
            frame_rate.per_second()
        );
        if audio.is_some() {
            text.push_str(",AUDIO=\"audio\"");
        }
        let _ = writeln!(text, "\n{}", uri(variant));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn playlist(sizes: &[(u64, u64)]) -> MediaPlaylist {
        let segments = sizes.iter().enumerate().map(|(index, (duration_us, bytes))| Segment {
            file: format!("{index:05}.m4s"),
            duration_us: *duration_us,
            bytes: *bytes,
        });
        MediaPlaylist { init: "init.mp4".into(), segments: segments.collect() }
    }

    fn rendition(name: &str, track: Track, codec: &str, sizes: &[(u64, u64)]) -> Rendition {
        Rendition { name: name.into(), track, codec: codec.into(), copied: false, flat: false, generation: None, playlist: playlist(sizes) }
    }

    fn ladder() -> Vec<Rendition> {
        let frame_rate = FrameRate { numerator: 30_000, denominator: 1001 };
        vec![
            rendition(
                "720p",
                Track::Video { width: 1280, height: 720, frame_rate },
                "avc1.64001f",
                &[(4_004_000, 2_000_000), (1_000_000, 100_000)],
            ),
            rendition(
                "360p",
                Track::Video { width: 640, height: 360, frame_rate },
                "avc1.64001e",
                &[(4_004_000, 400_000), (1_000_000, 50_000)],
            ),
            rendition("audio", Track::Audio { channels: 2 }, "mp4a.40.2", &[(4_010_667, 64_000), (1_000_000, 16_000)]),
        ]
    }

    #[test]
    fn an_independent_parser_reads_the_multivariant_playlist() {
        let text = multivariant(&ladder(), |rendition| format!("g/{}.m3u8", rendition.name));
        let parsed = m3u8_rs::parse_master_playlist_res(text.as_bytes()).expect("a valid playlist");
        assert_eq!(parsed.variants.len(), 2);
        let first = &parsed.variants[0];
        assert_eq!(first.uri, "g/360p.m3u8");
        assert_eq!(first.codecs.as_deref(), Some("avc1.64001e,mp4a.40.2"));
        assert_eq!(first.audio.as_deref(), Some("audio"));
        assert_eq!(first.resolution.map(|size| (size.width, size.height)), Some((640, 360)));
        assert_eq!(first.frame_rate, Some(29.97));
        assert!(parsed.variants[1].bandwidth > first.bandwidth);
        assert_eq!(parsed.alternatives[0].uri.as_deref(), Some("g/audio.m3u8"));
    }

    #[test]
    fn a_silent_video_has_no_audio_group() {
        let text = multivariant(&ladder()[..2], |rendition| rendition.name.clone());
        assert!(!text.contains("AUDIO") && !text.contains("mp4a"), "{text}");
    }

    #[test]
    fn an_independent_parser_reads_the_media_playlist() {
        let text = ladder()[0].playlist.render(|file| format!("https://cdn.example/{file}?e=1&s=2"));
        let parsed = m3u8_rs::parse_media_playlist_res(text.as_bytes()).expect("a valid playlist");
        assert_eq!(parsed.target_duration, 4);
        assert!(parsed.end_list);
        assert_eq!(parsed.segments.len(), 2);
        assert_eq!(parsed.segments[0].uri, "https://cdn.example/00000.m4s?e=1&s=2");
        assert!(parsed.segments.iter().all(|segment| segment.duration.round() <= 4.0));
    }

    #[test]
    fn a_growing_playlist_keeps_its_target_and_ends_when_all_is_there() {
        let playlist = playlist(&[(4_000_000, 1), (9_600_000, 1), (2_000_000, 1)]);
        let texts: Vec<_> = (0..=4).map(|there| playlist.render_growing(there, str::to_owned)).collect();
        for (there, text) in texts.iter().enumerate() {
            let parsed = m3u8_rs::parse_media_playlist_res(text.as_bytes()).expect("a valid playlist");
            assert_eq!((parsed.target_duration, parsed.segments.len()), (10, there.min(3)));
            assert_eq!(parsed.playlist_type, Some(m3u8_rs::MediaPlaylistType::Event));
            assert_eq!(parsed.end_list, there >= 3);
            assert!(text.contains("#EXT-X-START:TIME-OFFSET=0\n"));
        }
        // What was there stays as it is: a player reads on where it was.
        assert!(texts[2].starts_with(&texts[1]) && texts[3].starts_with(&texts[2]));
    }

    #[test]
    fn what_is_being_made_has_a_target_of_its_own_and_no_end() {
        let text = playlist(&[(4_000_000, 1)]).render_begun(6, str::to_owned);
        let parsed = m3u8_rs::parse_media_playlist_res(text.as_bytes()).expect("a valid playlist");
        assert_eq!((parsed.target_duration, parsed.segments.len(), parsed.end_list), (6, 1, false));
        assert_eq!(parsed.playlist_type, Some(m3u8_rs::MediaPlaylistType::Event));
        assert!(text.contains("#EXT-X-START:TIME-OFFSET=0\n"));
        let longer = playlist(&[(4_000_000, 1), (2_000_000, 1)]).render_begun(6, str::to_owned);
        assert!(longer.starts_with(&text), "what was there stays as it is");
    }

    #[test]
    fn a_short_tail_is_no_peak_but_a_short_video_has_one() {
        // The half-second tail runs at 8 Mbit/s; alone it is too short to count, and with its neighbour it is diluted.
        let long = playlist(&[(4_000_000, 500_000), (4_000_000, 500_000), (500_000, 500_000)]);
        assert_eq!(long.peak_bandwidth(), 1_777_778);
        assert_eq!(long.average_bandwidth(), 1_411_765);
        assert_eq!(playlist(&[(400_000, 50_000)]).peak_bandwidth(), 1_000_000);
    }
}
