//! What ffprobe answers, in its own words. Read leniently: every field may be missing.

use std::time::Duration;

use domain::source::FrameRate;
use serde::Deserialize;

/// The answer to one look.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Probed {
    /// Streams in the order of the file.
    #[serde(default)]
    pub(super) streams: Vec<Stream>,
    /// What holds for the file.
    #[serde(default)]
    pub(super) format: Format,
    /// What ffprobe said beside its answer.
    #[serde(skip)]
    pub(super) complaints: String,
}

/// What holds for the file.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Format {
    duration: Option<String>,
    start_time: Option<String>,
}

/// One stream.
#[derive(Debug, Deserialize)]
pub(super) struct Stream {
    pub(super) index: u32,
    #[serde(default)]
    pub(super) codec_type: String,
    #[serde(default)]
    pub(super) codec_name: String,
    pub(super) profile: Option<String>,
    pub(super) pix_fmt: Option<String>,
    #[serde(default)]
    pub(super) width: u32,
    #[serde(default)]
    pub(super) height: u32,
    pub(super) field_order: Option<String>,
    pub(super) color_transfer: Option<String>,
    pub(super) color_space: Option<String>,
    #[serde(default)]
    pub(super) channels: u32,
    #[serde(default)]
    pub(super) disposition: Disposition,
    color_range: Option<String>,
    sample_aspect_ratio: Option<String>,
    r_frame_rate: Option<String>,
    avg_frame_rate: Option<String>,
    duration: Option<String>,
    start_time: Option<String>,
    sample_rate: Option<String>,
    nb_frames: Option<String>,
    #[serde(default)]
    side_data_list: Vec<SideData>,
}

/// What the file says about a stream's use.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Disposition {
    pub(super) default: u8,
    attached_pic: u8,
    timed_thumbnails: u8,
    still_image: u8,
}

#[derive(Debug, Deserialize)]
struct SideData {
    rotation: Option<f64>,
}

impl Format {
    pub(super) fn duration(&self) -> Option<Duration> {
        duration(self.duration.as_deref())
    }

    /// First time in the file, in seconds. ffmpeg counts from there.
    pub(super) fn start_seconds(&self) -> f64 {
        seconds(self.start_time.as_deref()).unwrap_or(0.0)
    }
}

impl Stream {
    /// Whether it is a picture that does not move: cover art, thumbnails.
    pub(super) fn is_still(&self) -> bool {
        self.disposition.attached_pic == 1 || self.disposition.timed_thumbnails == 1 || self.disposition.still_image == 1
    }

    /// Length as the container says.
    pub(super) fn declared_duration(&self) -> Option<Duration> {
        duration(self.duration.as_deref())
    }

    /// Number of frames as the container says.
    pub(super) fn declared_frames(&self) -> Option<u64> {
        self.nb_frames.as_deref()?.parse().ok()
    }

    /// Time of the first frame or sample, in seconds.
    pub(super) fn start_seconds(&self) -> Option<f64> {
        seconds(self.start_time.as_deref())
    }

    /// Samples of sound per second.
    pub(super) fn sample_rate(&self) -> u32 {
        self.sample_rate.as_deref().and_then(|rate| rate.parse().ok()).unwrap_or(0)
    }

    /// Clockwise degrees to turn the picture by: 0, 90, 180 or 270. ffprobe counts the other way round.
    pub(super) fn rotation(&self) -> u16 {
        let counter_clockwise = self.side_data_list.iter().find_map(|side| side.rotation).unwrap_or(0.0);
        (((-counter_clockwise / 90.0).round() as i64).rem_euclid(4) * 90) as u16
    }

    /// Whether samples use 0 to 255. The `yuvj` formats say so by their name.
    pub(super) fn is_full_range(&self) -> bool {
        self.color_range.as_deref() == Some("pc") || self.pix_fmt.as_deref().is_some_and(|format| format.starts_with("yuvj"))
    }

    /// Width of a sample to its height, where the file says.
    pub(super) fn sample_aspect_ratio(&self) -> Option<(u32, u32)> {
        let (numerator, denominator) = self.sample_aspect_ratio.as_deref()?.split_once(':')?;
        let ratio = (numerator.parse().ok()?, denominator.parse().ok()?);
        (ratio.0 > 0 && ratio.1 > 0).then_some(ratio)
    }

    /// Frame rates that the file claims, the more trustworthy first.
    pub(super) fn declared_frame_rates(&self) -> Vec<FrameRate> {
        [&self.avg_frame_rate, &self.r_frame_rate].into_iter().filter_map(|text| fraction(text.as_deref()?)).collect()
    }
}

fn seconds(text: Option<&str>) -> Option<f64> {
    text?.parse().ok().filter(|seconds: &f64| seconds.is_finite())
}

fn duration(text: Option<&str>) -> Option<Duration> {
    seconds(text).filter(|seconds| *seconds > 0.0).and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
}

fn fraction(text: &str) -> Option<FrameRate> {
    let (numerator, denominator) = text.split_once('/')?;
    let rate = FrameRate { numerator: numerator.parse().ok()?, denominator: denominator.parse().ok()? };
    (rate.numerator > 0 && rate.denominator > 0).then_some(rate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_answers_are_read_as_far_as_they_go() {
        let stream: Stream = serde_json::from_str(
            r#"{"index":0,"codec_type":"video","avg_frame_rate":"0/0","r_frame_rate":"30000/1001","duration":"N/A",
                "sample_aspect_ratio":"0:1","side_data_list":[{"side_data_type":"x"},{"rotation":-90}]}"#,
        )
        .expect("a readable answer");
        assert_eq!(stream.declared_frame_rates(), [FrameRate { numerator: 30_000, denominator: 1001 }]);
        assert_eq!(stream.rotation(), 90);
        assert_eq!((stream.declared_duration(), stream.sample_aspect_ratio()), (None, None));
    }
}
