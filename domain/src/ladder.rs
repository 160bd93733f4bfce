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
    /// Pictures, largest first; at least one, but for what `beside` makes unnecessary.
    pub rungs: Vec<Rung>,
    /// Sound, where the source has some.
    pub audio: Option<AudioPlan>,
    /// Set where viewers get the largest picture, and perhaps the sound, from the source itself: neither is in this plan then, and what is made
    /// fits to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub beside: Option<Cuts>,
}

/// How a picture is cut that viewers get from the source itself. Microseconds of the film.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cuts {
    /// When the first frame is shown.
    pub begins_us: u64,
    /// Where segments begin, but for the first one.
    pub at_us: Vec<u64>,
}

impl Cuts {
    /// The longest segment of a film of this length. Microseconds.
    #[must_use]
    pub fn longest_us(&self, end_us: u64) -> u64 {
        let ends = self.at_us.iter().copied().chain([end_us]);
        let begins = std::iter::once(0).chain(self.at_us.iter().copied());
        ends.zip(begins).map(|(end, begin)| end.saturating_sub(begin)).max().unwrap_or_default()
    }
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

    /// The same plan without its copied picture, and, where `sound` says so, without its copied sound: viewers get those from the source itself,
    /// whose picture is cut like this. `None` where the picture is not copied.
    #[must_use]
    pub fn beside(&self, cuts: Cuts, sound: bool) -> Option<Self> {
        let rungs = self.rungs.get(1..).filter(|_| self.copies_top())?.to_vec();
        let audio = self.audio.clone().filter(|plan| !(sound && *plan == AudioPlan::Copy));
        Some(Self { rungs, audio, beside: Some(cuts) })
    }

    /// Whether nothing is to be made.
    pub const fn is_empty(&self) -> bool {
        self.rungs.is_empty() && self.audio.is_none()
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
    Ladder { rungs: rungs(&facts.video, is_passthrough(facts)), audio, beside: None }
}

/// The same for an engine that keeps no samples as they are: nothing is copied, whatever it is worth.
pub fn encode_all(facts: &SourceFacts) -> Ladder {
    Ladder { rungs: rungs(&facts.video, false), audio: facts.audio.as_ref().map(encoded_audio), beside: None }
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
        // The last frame would have to be made longer, which moves those that are stored behind it and shown before it.
        && video.stands_ms == 0
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
            let usual = USUAL.into_iter().map(exact).find(|usual| usual.per_second() >= rate * 0.98).unwrap_or(exact(60));
            // Where frames come in bursts, the mean would drop some of each. Where they only come unevenly, the nearest rate is no other than the mean's.
            let lively = 1_000.0 / (video.lively_interval_ms as f64).max(1_000.0 / MOST_FRAMES_PER_SECOND);
            let far = |usual: &FrameRate| (usual.per_second() / lively).ln().abs();
            let of_bursts =
                USUAL.into_iter().filter(|whole| *whole <= 60).chain([60]).map(exact).min_by(|one, other| far(one).total_cmp(&far(other)));
            of_bursts.filter(|rate| video.lively_interval_ms > 0 && rate.per_second() > usual.per_second() * 1.05).unwrap_or(usual)
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
mod tests;
