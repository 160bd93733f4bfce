//! What a probe finds out about a source: the bytes as uploaded. Plain facts; what to make of them is
//! [`crate::ladder`]'s business.

use serde::{Deserialize, Serialize};

use crate::container::Container;

/// All that is known of a source.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SourceFacts {
    /// The container, by its first bytes.
    pub container: Container,
    /// Length in milliseconds: until picture and sound have ended.
    pub duration_ms: u64,
    /// The one video stream that is used.
    pub video: VideoFacts,
    /// The one audio stream that is used; `None` for a silent video.
    pub audio: Option<AudioFacts>,
}

/// The picture.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct VideoFacts {
    /// Stream number in the container.
    pub stream_index: u32,
    /// ffmpeg's short name, such as `h264`.
    pub codec: String,
    /// Profile as ffmpeg names it, such as `High`.
    pub profile: Option<String>,
    /// ffmpeg's pixel format name, such as `yuv420p`.
    pub pixel_format: String,
    /// Coded width in samples.
    pub coded_width: u32,
    /// Coded height in samples.
    pub coded_height: u32,
    /// Width as shown: after sample aspect ratio and rotation.
    pub display_width: u32,
    /// Height as shown: after sample aspect ratio and rotation.
    pub display_height: u32,
    /// Whether samples are square.
    pub square_samples: bool,
    /// Clockwise degrees the player has to turn the picture: 0, 90, 180 or 270.
    pub rotation: u16,
    /// Mean frames per second.
    pub frame_rate: FrameRate,
    /// Whether the distance between frames varies by more than rounding.
    pub variable_frame_rate: bool,
    /// Whether samples use the full 0–255 range.
    pub full_range: bool,
    /// Whether frames are made of two fields.
    pub interlaced: bool,
    /// Transfer function as ffmpeg names it, such as `bt709` or `smpte2084`.
    pub transfer: Option<String>,
    /// Bits per second of this stream, where the container says so or the packets were counted.
    pub bit_rate: Option<u64>,
    /// Longest distance between two key frames, in milliseconds.
    pub longest_gop_ms: u64,
    /// Whether some frame is shown before the key frame it was stored behind.
    pub open_gop: bool,
    /// How long the last frame stands for sound that goes on after it, in milliseconds; nothing where both end about together.
    #[serde(default)]
    pub stands_ms: u64,
    /// How far apart frames are where much moves, in milliseconds: a quarter of them are no farther from the next. Nothing where nobody counted.
    #[serde(default)]
    pub lively_interval_ms: u64,
}

/// The sound.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AudioFacts {
    /// Stream number in the container.
    pub stream_index: u32,
    /// ffmpeg's short name, such as `aac`.
    pub codec: String,
    /// Profile as ffmpeg names it, such as `LC`.
    pub profile: Option<String>,
    /// Number of channels.
    pub channels: u32,
    /// Samples per second.
    pub sample_rate: u32,
    /// First sample's time relative to the first frame's, in milliseconds.
    pub offset_ms: i64,
    /// Sound that is in the file and not to be heard, before and behind what is, in milliseconds: an encoder's priming, or what somebody cut off.
    #[serde(default)]
    pub cut_off_ms: u64,
}

/// Frames per second as a fraction, so that 30000/1001 stays exact.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct FrameRate {
    /// Frames …
    pub numerator: u32,
    /// … in this many seconds. Never zero.
    pub denominator: u32,
}

impl FrameRate {
    /// Frames per second as a number.
    pub fn per_second(self) -> f64 {
        f64::from(self.numerator) / f64::from(self.denominator.max(1))
    }
}

impl VideoFacts {
    /// The shorter side as shown: the number people call a picture by (1080p).
    pub fn short_side(&self) -> u32 {
        self.display_width.min(self.display_height)
    }

    /// Whether the picture has a high dynamic range (PQ or HLG).
    pub fn high_dynamic_range(&self) -> bool {
        matches!(self.transfer.as_deref(), Some("smpte2084" | "arib-std-b67"))
    }
}
