//! The plan: which rungs are made of a source, and which of its own samples are good enough to be kept. Whether the top
//! rung is copied is decided by [`is_passthrough`] and nowhere else.
//!
//! The rules: never upscale, never re-encode a compliant top rung, keep the shape of the picture, and leave out rungs that
//! differ too little from their neighbour to be worth a viewer's switch.

use serde::{Deserialize, Serialize};

use crate::{
    container::Container,
    source::{AudioFacts, FrameRate, SourceFacts, VideoFacts},
};

/// What to make of a source.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Ladder {
    /// Pictures, largest first; at least one.
    pub rungs: Vec<Rung>,
    /// Sound, where the source has some.
    pub audio: Option<AudioPlan>,
}

/// One rung.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Rung {
    /// Name by the short side, such as `720p`.
    pub name: String,
    /// Width in square samples, even.
    pub width: u32,
    /// Height in square samples, even.
    pub height: u32,
    /// How it is made.
    pub video: VideoPlan,
}

/// How a rung's picture is made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "how", rename_all = "snake_case")]
pub enum VideoPlan {
    /// The source's own samples.
    Copy,
    /// Encoded anew, as 8-bit 4:2:0 H.264.
    Encode {
        /// Most bits per second over a buffer of two seconds; an easy picture takes fewer.
        max_bitrate: u64,
        /// Constant frame rate to convert to; `None` keeps the source's frames and their times.
        frame_rate: Option<FrameRate>,
    },
}

/// How the sound is made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "how", rename_all = "snake_case")]
pub enum AudioPlan {
    /// The source's own samples.
    Copy,
    /// Encoded anew, as AAC-LC at 48 kHz.
    Encode {
        /// Bits per second.
        bitrate: u64,
        /// Channels: 1 or 2. More are mixed down.
        channels: u32,
    },
}

impl Ladder {
    /// Whether the top rung keeps the source's own samples. Key frames of the other rungs then go where the source has its own.
    pub fn copies_top(&self) -> bool {
        self.rungs.first().is_some_and(|rung| rung.video == VideoPlan::Copy)
    }

    /// Whether any of the source's samples are kept.
    pub fn copies(&self) -> bool {
        self.copies_top() || self.audio == Some(AudioPlan::Copy)
    }
}

/// Short sides of the rungs below the top, with the most bits per second that 16:9 at 30 frames per second gets there.
const STEPS: [(u32, u64); 5] = [(1080, 5_000_000), (720, 2_800_000), (480, 1_400_000), (360, 800_000), (240, 400_000)];

/// Sides of the largest picture that is made or copied.
const LARGEST_SHORT_SIDE: u32 = 1080;
const LARGEST_LONG_SIDE: u32 = 1920;

/// A rung is left out where its short side is more than this share of the next larger one's.
const CLOSEST_STEP: f64 = 0.8;

/// Most frames per second that are made or copied, with room for 60 measured as 60.02.
const MOST_FRAMES_PER_SECOND: f64 = 60.5;

/// Fewest frames per second that are copied. Below, one frame more or less at the cut of a segment is a matter of seconds, and
/// encoding costs next to nothing.
const FEWEST_FRAMES_PER_SECOND: f64 = 5.0;

/// Longest distance between key frames that is copied. Segments can only be cut there. x264's habit of a key frame every 250
/// frames makes 10.4 s at 24 frames per second, and most screen recordings and exports keep to it: a lower limit would
/// re-encode the ordinary case for the sake of shorter segments. The classic HLS target of 10 s shows that players live with it.
pub const LONGEST_GOP_MS: u64 = 10_500;

/// A copied rung may have this many times the bits of one we would make, before it is a burden to those who watch it.
const COPY_BITRATE_FACTOR: f64 = 2.5;

/// Plans the rungs of a source.
pub fn plan(facts: &SourceFacts) -> Ladder {
    let audio = facts.audio.as_ref().map(|audio| audio_plan(facts.container, audio));
    Ladder { rungs: rungs(&facts.video, is_passthrough(facts)), audio }
}

/// The same for an engine that keeps no samples as they are: nothing is copied, whatever it is worth.
pub fn encode_all(facts: &SourceFacts) -> Ladder {
    Ladder { rungs: rungs(&facts.video, false), audio: facts.audio.as_ref().map(encoded_audio) }
}

fn rungs(video: &VideoFacts, copy_top: bool) -> Vec<Rung> {
    let display = (video.display_width.max(2), video.display_height.max(2));
    let frame_rate = frame_rate(video);
    let rate = frame_rate.unwrap_or(video.frame_rate).per_second();

    let rung = |(width, height): (u32, u32), copied: bool| Rung {
        name: format!("{}p", width.min(height)),
        width,
        height,
        video: if copied { VideoPlan::Copy } else { VideoPlan::Encode { max_bitrate: max_bitrate(width, height, rate), frame_rate } },
    };

    let top = fit(display, LARGEST_SHORT_SIDE);
    let mut rungs = vec![rung(top, copy_top)];
    let mut last_short_side = f64::from(top.0.min(top.1));
    for (short_side, _) in STEPS {
        if f64::from(short_side) <= last_short_side * CLOSEST_STEP {
            rungs.push(rung(fit(display, short_side), false));
            last_short_side = f64::from(short_side);
        }
    }
    rungs
}

/// Whether the source's picture goes to viewers as it is: every browser plays it, and it can be cut into segments.
pub fn is_passthrough(facts: &SourceFacts) -> bool {
    let video = &facts.video;
    let (short_side, long_side) = (video.coded_width.min(video.coded_height), video.coded_width.max(video.coded_height));
    let rate = video.frame_rate.per_second();
    let profile = matches!(video.profile.as_deref(), Some("Constrained Baseline" | "Baseline" | "Main" | "High"));
    let most_bits = max_bitrate(video.coded_width, video.coded_height, rate) as f64 * COPY_BITRATE_FACTOR;
    matches!(facts.container, Container::Mp4 | Container::Mov | Container::Matroska)
        && video.codec == "h264"
        && profile
        && video.pixel_format == "yuv420p"
        && !video.full_range
        && !video.interlaced
        && !video.high_dynamic_range()
        && video.square_samples
        && video.rotation == 0
        && video.coded_width.is_multiple_of(2)
        && video.coded_height.is_multiple_of(2)
        && (2..=LARGEST_SHORT_SIDE).contains(&short_side)
        && long_side <= LARGEST_LONG_SIDE
        && !video.variable_frame_rate
        && (FEWEST_FRAMES_PER_SECOND..=MOST_FRAMES_PER_SECOND).contains(&rate)
        && !video.open_gop
        && video.longest_gop_ms <= LONGEST_GOP_MS
        // An unknown bit rate is not a low one.
        && video.bit_rate.is_some_and(|bits| bits as f64 <= most_bits.max(1_500_000.0))
}

/// Whether the source's sound goes to viewers as it is.
fn audio_is_passthrough(container: Container, audio: &AudioFacts) -> bool {
    matches!(container, Container::Mp4 | Container::Mov | Container::Matroska)
        && audio.codec == "aac"
        && audio.profile.as_deref() == Some("LC")
        && matches!(audio.channels, 1 | 2)
        && matches!(audio.sample_rate, 32_000 | 44_100 | 48_000)
        // What comes before the first frame is hidden by an edit list; a late start could only be kept by one that browsers ignore.
        && (-100..=10).contains(&audio.offset_ms)
}

fn audio_plan(container: Container, audio: &AudioFacts) -> AudioPlan {
    if audio_is_passthrough(container, audio) {
        return AudioPlan::Copy;
    }
    encoded_audio(audio)
}

fn encoded_audio(audio: &AudioFacts) -> AudioPlan {
    let channels = audio.channels.clamp(1, 2);
    AudioPlan::Encode { bitrate: if channels == 1 { 96_000 } else { 128_000 }, channels }
}

/// The frame rate to convert to, where the source's own frames cannot stay as they are.
fn frame_rate(video: &VideoFacts) -> Option<FrameRate> {
    /// What cameras and screens are set to; large numbers are in 1001 seconds.
    const USUAL: [u32; 12] = [10, 12, 15, 20, 24_000, 24, 25, 30_000, 30, 48, 50, 60_000];
    let rate = video.frame_rate.per_second();
    let exact = |numerator| FrameRate { numerator, denominator: if numerator > 1000 { 1001 } else { 1 } };
    if video.variable_frame_rate {
        // A slide show keeps its few frames: filling the gaps would let a file of three frames become hours of work.
        return (rate >= 10.0).then(|| {
            let usual = USUAL.into_iter().map(exact).find(|usual| usual.per_second() >= rate * 0.98);
            usual.unwrap_or(exact(60))
        });
    }
    if rate <= MOST_FRAMES_PER_SECOND {
        return None;
    }
    // Every second, third … frame, so that motion stays even. A fraction too large to write is beyond any real rate.
    let keep_one_in = (rate / MOST_FRAMES_PER_SECOND).ceil() as u32;
    let denominator = video.frame_rate.denominator.checked_mul(keep_one_in);
    Some(denominator.map_or(exact(60), |denominator| FrameRate { numerator: video.frame_rate.numerator, denominator }))
}

/// The largest even size of the picture's shape with at most this short side, which neither upscales nor leaves 1920 samples.
fn fit((width, height): (u32, u32), short_side: u32) -> (u32, u32) {
    let short = f64::from(width.min(height));
    let long = f64::from(width.max(height));
    let scale = (f64::from(short_side) / short).min(f64::from(LARGEST_LONG_SIDE) / long).min(1.0);
    (even(width, scale), even(height, scale))
}

/// The even number nearest to `side * scale`, never more than `side`, at least 2.
fn even(side: u32, scale: f64) -> u32 {
    let nearest = (f64::from(side) * scale / 2.0).round() as u32 * 2;
    nearest.min(side - side % 2).max(2)
}

/// Most bits per second for a picture of this size: interpolated between the steps by the short side, then by how its area
/// and frame rate compare with 16:9 at 30 frames per second.
fn max_bitrate(width: u32, height: u32, frames_per_second: f64) -> u64 {
    let short_side = f64::from(width.min(height));
    let area = f64::from(width) * f64::from(height);
    let (smallest_side, smallest_bits) = STEPS[STEPS.len() - 1];
    let mut bits = smallest_bits as f64 * (short_side / f64::from(smallest_side)).min(1.0);
    for pair in STEPS.windows(2) {
        let ((upper, upper_bits), (lower, lower_bits)) = (pair[0], pair[1]);
        if short_side > f64::from(lower) {
            let share = ((short_side - f64::from(lower)) / f64::from(upper - lower)).min(1.0);
            bits = lower_bits as f64 + share * (upper_bits - lower_bits) as f64;
            break;
        }
    }
    let shape = (area / (short_side * short_side * 16.0 / 9.0)).clamp(0.5, 2.0);
    let motion = if frames_per_second > 32.0 { 1.5 } else { 1.0 };
    ((bits * shape * motion / 1000.0).round() as u64 * 1000).max(100_000)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn source(width: u32, height: u32) -> SourceFacts {
        SourceFacts {
            container: Container::Mp4,
            duration_ms: 10_000,
            video: VideoFacts {
                stream_index: 0,
                codec: "h264".into(),
                profile: Some("High".into()),
                pixel_format: "yuv420p".into(),
                coded_width: width,
                coded_height: height,
                display_width: width,
                display_height: height,
                square_samples: true,
                rotation: 0,
                frame_rate: FrameRate { numerator: 30, denominator: 1 },
                variable_frame_rate: false,
                full_range: false,
                interlaced: false,
                transfer: Some("bt709".into()),
                bit_rate: Some(1_000_000),
                longest_gop_ms: 2_000,
                open_gop: false,
            },
            audio: Some(AudioFacts {
                stream_index: 1,
                codec: "aac".into(),
                profile: Some("LC".into()),
                channels: 2,
                sample_rate: 48_000,
                offset_ms: 0,
            }),
        }
    }

    fn sizes(facts: &SourceFacts) -> Vec<(String, u32, u32)> {
        plan(facts).rungs.into_iter().map(|rung| (rung.name, rung.width, rung.height)).collect()
    }

    fn named(sizes: &[(&str, u32, u32)]) -> Vec<(String, u32, u32)> {
        sizes.iter().map(|(name, width, height)| ((*name).to_owned(), *width, *height)).collect()
    }

    #[test]
    fn usual_sizes_get_the_usual_rungs() {
        let full = [("1080p", 1920, 1080), ("720p", 1280, 720), ("480p", 854, 480), ("360p", 640, 360), ("240p", 426, 240)];
        assert_eq!(sizes(&source(1920, 1080)), named(&full));
        assert_eq!(sizes(&source(3840, 2160)), named(&full));
        assert_eq!(sizes(&source(768, 432)), named(&[("432p", 768, 432), ("240p", 426, 240)]));
        assert_eq!(sizes(&source(1080, 1920))[..2], named(&[("1080p", 1080, 1920), ("720p", 720, 1280)]));
        // Wider than 16:9: the long side is what limits it.
        assert_eq!(sizes(&source(2560, 1080))[..2], named(&[("810p", 1920, 810), ("480p", 1138, 480)]));
    }

    #[test]
    fn tiny_and_odd_pictures_get_one_even_rung() {
        assert_eq!(sizes(&source(17, 15)), named(&[("14p", 16, 14)]));
        assert_eq!(sizes(&source(1, 1)), named(&[("2p", 2, 2)]));
        assert_eq!(sizes(&source(321, 181)), named(&[("180p", 320, 180)]));
    }

    #[test]
    fn an_ordinary_upload_keeps_its_own_samples() {
        let ladder = plan(&source(1920, 1080));
        assert!(ladder.copies_top());
        assert!(ladder.rungs[1..].iter().all(|rung| matches!(rung.video, VideoPlan::Encode { frame_rate: None, .. })));
        assert_eq!(ladder.audio, Some(AudioPlan::Copy));
    }

    #[test]
    fn an_engine_that_cannot_copy_gets_the_same_rungs_to_encode() {
        let facts = source(1920, 1080);
        let (planned, encoded) = (plan(&facts), encode_all(&facts));
        assert!(planned.copies() && !encoded.copies());
        assert_eq!(planned.rungs[1..], encoded.rungs[1..]);
        assert_eq!(encoded.rungs[0].video, VideoPlan::Encode { max_bitrate: 5_000_000, frame_rate: None });
        assert_eq!(encoded.audio, Some(AudioPlan::Encode { bitrate: 128_000, channels: 2 }));
    }

    #[test]
    fn whatever_a_browser_may_refuse_is_encoded() {
        type Change = fn(&mut SourceFacts);
        let changes: [(&str, Change); 21] = [
            ("container", |facts| facts.container = Container::MpegTs),
            ("codec", |facts| facts.video.codec = "hevc".into()),
            ("profile", |facts| facts.video.profile = Some("High 10".into())),
            ("no profile", |facts| facts.video.profile = None),
            ("4:4:4", |facts| facts.video.pixel_format = "yuv444p".into()),
            ("full range format", |facts| facts.video.pixel_format = "yuvj420p".into()),
            ("full range", |facts| facts.video.full_range = true),
            ("interlaced", |facts| facts.video.interlaced = true),
            ("hdr", |facts| facts.video.transfer = Some("smpte2084".into())),
            ("samples", |facts| facts.video.square_samples = false),
            ("rotation", |facts| facts.video.rotation = 90),
            ("odd", |facts| facts.video.coded_width = 1919),
            ("large", |facts| facts.video.coded_height = 1200),
            ("wide", |facts| facts.video.coded_width = 2560),
            ("variable", |facts| facts.video.variable_frame_rate = true),
            ("fast", |facts| facts.video.frame_rate.numerator = 120),
            ("slow", |facts| facts.video.frame_rate.numerator = 1),
            ("open", |facts| facts.video.open_gop = true),
            ("long", |facts| facts.video.longest_gop_ms = 20_000),
            ("heavy", |facts| facts.video.bit_rate = Some(50_000_000)),
            ("unknown weight", |facts| facts.video.bit_rate = None),
        ];
        for (name, change) in changes {
            let mut facts = source(1920, 1080);
            change(&mut facts);
            assert!(!is_passthrough(&facts) && !plan(&facts).copies_top(), "{name}");
        }
    }

    #[test]
    fn sound_is_copied_only_where_every_browser_plays_it() {
        type Change = fn(&mut AudioFacts);
        let changes: [(Change, u32); 6] = [
            (|audio| audio.codec = "mp3".into(), 2),
            (|audio| audio.profile = Some("HE-AAC".into()), 2),
            (|audio| audio.channels = 6, 2),
            (|audio| (audio.channels, audio.codec) = (1, "opus".into()), 1),
            (|audio| audio.sample_rate = 96_000, 2),
            (|audio| audio.offset_ms = 500, 2),
        ];
        for (change, expected) in changes {
            let mut facts = source(640, 360);
            change(facts.audio.as_mut().expect("there is sound"));
            assert!(matches!(plan(&facts).audio, Some(AudioPlan::Encode { channels, .. }) if channels == expected), "{facts:?}");
        }
        let mut silent = source(640, 360);
        silent.audio = None;
        assert_eq!(plan(&silent).audio, None);
    }

    #[test]
    fn frame_rates_become_constant_and_stay_bounded() {
        let rate_of = |numerator, denominator, variable| {
            let mut facts = source(640, 360);
            facts.video.frame_rate = FrameRate { numerator, denominator };
            facts.video.variable_frame_rate = variable;
            frame_rate(&facts.video).map(FrameRate::per_second)
        };
        assert_eq!(rate_of(25, 1, false), None);
        assert_eq!(rate_of(60_000, 1001, false), None);
        assert_eq!(rate_of(120, 1, false), Some(60.0));
        assert_eq!(rate_of(100, 1, false), Some(50.0));
        assert_eq!(rate_of(144, 1, false), Some(48.0));
        assert_eq!(rate_of(287, 10, true), Some(30_000.0 / 1001.0));
        assert_eq!(rate_of(43, 1, true), Some(48.0));
        assert_eq!(rate_of(500, 1, true), Some(60.0));
        assert_eq!(rate_of(3, 7200, true), None);
    }

    proptest! {
        #[test]
        fn ladders_never_upscale_and_go_strictly_down(width in 1_u32..9000, height in 1_u32..9000, copyable: bool) {
            let mut facts = source(width, height);
            facts.video.interlaced = !copyable;
            let ladder = plan(&facts);
            prop_assert!(!ladder.rungs.is_empty());
            for rung in &ladder.rungs {
                prop_assert!(rung.width % 2 == 0 && rung.height % 2 == 0);
                prop_assert!(rung.width <= width.max(2) && rung.height <= height.max(2));
                prop_assert!(rung.width.min(rung.height) <= 1080 && rung.width.max(rung.height) <= 1920);
                // Rounding to even numbers moves a side by at most two.
                let ideal = f64::from(rung.height) * f64::from(width) / f64::from(height);
                let slack = 2.0 + 2.0 * f64::from(width) / f64::from(height);
                prop_assert!((f64::from(rung.width) - ideal).abs() <= slack, "{rung:?}");
            }
            for pair in ladder.rungs.windows(2) {
                prop_assert!(pair[1].width.min(pair[1].height) < pair[0].width.min(pair[0].height));
                prop_assert!(pair[1].video != VideoPlan::Copy);
            }
            if let VideoPlan::Copy = ladder.rungs[0].video {
                prop_assert_eq!((ladder.rungs[0].width, ladder.rungs[0].height), (width, height));
            }
        }
    }
}
