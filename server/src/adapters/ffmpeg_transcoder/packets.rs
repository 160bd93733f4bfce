//! Reads a source once from end to end without decoding it: the packets' own times tell what headers may lie about. Line by
//! line, in constant memory, however long the file is.

use std::{ops::ControlFlow, path::Path, time::Duration};

use domain::{container::Container, failure::FailureCode};

use super::{
    child::{self, Lines},
    engine::Engine,
    failure::{self, source},
};
use crate::ports::transcoder::TranscodeError;

/// Most packets in a file: a day of 60 frames a second.
const MOST_PACKETS: u64 = 24 * 3600 * 60 * 2;

/// What the packets of one stream add up to.
#[derive(Debug, Default)]
pub(super) struct Timeline {
    frames: u64,
    bytes: u64,
    first_us: Option<i64>,
    last_us: Option<i64>,
    end_us: Option<i64>,
}

/// What the packets say.
#[derive(Debug, Default)]
pub(super) struct Scan {
    /// Pictures.
    pub(super) video: Timeline,
    /// Sound, where it was asked for.
    pub(super) audio: Option<Timeline>,
    /// Sound that an edit list hides, in microseconds.
    pub(super) hidden_sound_us: i64,
    /// Longest distance between two key frames; to the end where there is no second one.
    pub(super) longest_gop_us: i64,
    /// Whether a frame is shown before the key frame that it is stored behind, or the file starts in the middle of a group of
    /// pictures (a trim by edit list): either way it cannot be cut at its key frames.
    pub(super) open_gop: bool,
    /// Whether the demuxer noticed that the file stops early.
    pub(super) cut_off: bool,
    last_key_us: Option<i64>,
    hidden_before: bool,
    intervals: Intervals,
}

impl Timeline {
    fn add(&mut self, packet: &Packet) {
        self.frames += 1;
        self.bytes = self.bytes.saturating_add(packet.bytes);
        self.first_us = Some(self.first_us.map_or(packet.time_us, |first| first.min(packet.time_us)));
        self.last_us = Some(self.last_us.map_or(packet.time_us, |last| last.max(packet.time_us)));
        let end = packet.time_us.saturating_add(packet.duration_us);
        self.end_us = Some(self.end_us.map_or(end, |last| last.max(end)));
    }

    /// Gives the last frame a length where its container knows none: what the header leaves for it, if that is plausible, or
    /// the mean of the others.
    pub(super) fn settle_end(&mut self, declared: Option<Duration>) {
        let (Some(first), Some(last)) = (self.first_us, self.last_us) else { return };
        if self.end_us() > last {
            return;
        }
        let mean = if self.frames > 1 { (last - first) / i64::try_from(self.frames - 1).unwrap_or(i64::MAX) } else { 40_000 };
        let declared = declared.and_then(|declared| i64::try_from(declared.as_micros()).ok()).map(|length| first.saturating_add(length));
        self.end_us = declared.filter(|end| (last..=last + mean).contains(end)).or(Some(last + mean));
    }

    /// Time of the first frame.
    pub(super) fn start_us(&self) -> Option<i64> {
        self.first_us
    }

    /// Time at which the last frame ends.
    pub(super) fn end_us(&self) -> i64 {
        self.end_us.unwrap_or(0)
    }

    /// From the first frame to the end of the last.
    pub(super) fn length_us(&self) -> i64 {
        self.end_us().saturating_sub(self.first_us.unwrap_or(0))
    }

    /// The same, where there is at least one frame.
    pub(super) fn duration(&self) -> Option<Duration> {
        // A single frame of no stated length is still something to see.
        (self.frames > 0).then(|| Duration::from_micros(self.length_us().max(40_000).unsigned_abs()))
    }

    /// Number of frames.
    pub(super) fn frames(&self) -> u64 {
        self.frames
    }

    /// Mean bits per second.
    pub(super) fn bit_rate(&self) -> Option<u64> {
        let length = u128::from(self.length_us().max(1).unsigned_abs());
        u64::try_from(u128::from(self.bytes) * 8 * 1_000_000 / length).ok()
    }

    /// Mean frames per second.
    pub(super) fn frames_per_second(&self) -> f64 {
        self.frames as f64 * 1e6 / self.length_us().max(40_000) as f64
    }
}

impl Scan {
    /// Whether the distance between frames varies by more than rounding and a few dropped frames.
    pub(super) fn varies(&self) -> bool {
        self.intervals.vary(self.video.frames)
    }

    /// The distance between frames in milliseconds that a quarter of them do not exceed; nothing where there are none.
    pub(super) fn lively_interval_ms(&self) -> u64 {
        self.intervals.quantile(4).unwrap_or(0).unsigned_abs()
    }

    fn add_video(&mut self, packet: &Packet) {
        if packet.key {
            let gop = packet.time_us - self.last_key_us.unwrap_or(packet.time_us);
            self.longest_gop_us = self.longest_gop_us.max(gop);
            self.last_key_us = Some(packet.time_us);
        }
        if self.last_key_us.is_none_or(|key_us| packet.time_us < key_us) {
            self.open_gop = true;
        }
        // Hidden packets at the end do no harm; those in front of shown ones would be shown, were the samples kept.
        if packet.hidden {
            self.hidden_before = true;
            return;
        }
        self.open_gop |= self.hidden_before;
        self.video.add(packet);
        self.intervals.add(packet);
    }

    fn add_audio(&mut self, packet: &Packet) {
        if packet.hidden {
            self.hidden_sound_us = self.hidden_sound_us.saturating_add(packet.duration_us);
        } else if let Some(timeline) = &mut self.audio {
            timeline.add(packet);
        }
    }

    fn close(&mut self) {
        if let Some(key_us) = self.last_key_us {
            self.longest_gop_us = self.longest_gop_us.max(self.video.end_us().saturating_sub(key_us));
        }
    }
}

/// Distances between frames in storage order: a frame's own duration where the container has it, else between decoding times. Both
/// are free of the reordering of frames.
#[derive(Debug, Default)]
struct Intervals {
    last_decode_us: Option<i64>,
    /// Distances by length, in milliseconds. As many as make a picture of a stream; hostile ones end it.
    counts: std::collections::BTreeMap<i64, u64>,
}

impl Intervals {
    const MOST_KINDS: usize = 4096;

    fn add(&mut self, packet: &Packet) {
        let Some(decode_us) = packet.decode_us else { return };
        if let Some(last) = self.last_decode_us.replace(decode_us) {
            let milliseconds = decode_us.saturating_sub(last).saturating_add(500) / 1000;
            if self.counts.len() < Self::MOST_KINDS || self.counts.contains_key(&milliseconds) {
                *self.counts.entry(milliseconds).or_default() += 1;
            }
        }
    }

    /// The distance that one in so many does not exceed.
    fn quantile(&self, one_in: u64) -> Option<i64> {
        let total: u64 = self.counts.values().sum();
        let mut passed = 0;
        self.counts.iter().find_map(|(milliseconds, count)| {
            passed += count;
            (passed * one_in >= total).then_some(*milliseconds)
        })
    }

    /// More than one frame in twenty away from the usual distance by more than a quarter and two milliseconds: containers that
    /// count in milliseconds round by one, and a dropped frame now and then is no reason to touch the rest.
    fn vary(&self, frames: u64) -> bool {
        let total: u64 = self.counts.values().sum();
        let Some(median) = self.quantile(2) else { return false };
        let slack = (median / 4).max(2);
        let regular: u64 = self.counts.range(median - slack..=median + slack).map(|(_, count)| count).sum();
        (frames.saturating_sub(1).max(total) - regular) * 20 > total
    }
}

/// One packet as ffprobe prints it.
#[derive(Debug, PartialEq, Eq)]
struct Packet {
    stream: u32,
    time_us: i64,
    decode_us: Option<i64>,
    duration_us: i64,
    bytes: u64,
    key: bool,
    hidden: bool,
}

impl Packet {
    /// Reads `stream|pts|dts|duration|size|flags`, times in seconds or `N/A`.
    fn parse(line: &str) -> Option<Self> {
        let mut fields = line.split('|');
        let stream = fields.next()?.parse().ok()?;
        let (presented, decoded, duration) = (fields.next()?, fields.next()?, fields.next()?);
        let (bytes, flags) = (fields.next()?.parse().ok()?, fields.next()?);
        let (time_us, decode_us) = (microseconds(presented), microseconds(decoded));
        Some(Self {
            stream,
            time_us: time_us.or(decode_us)?,
            decode_us: decode_us.or(time_us),
            duration_us: microseconds(duration).unwrap_or(0).max(0),
            bytes,
            key: flags.starts_with('K'),
            hidden: flags.contains('D'),
        })
    }
}

fn microseconds(text: &str) -> Option<i64> {
    let seconds: f64 = text.parse().ok()?;
    // Beyond 30 years it is no time but noise, and sums of it would overflow.
    (seconds.abs() < 1e9).then(|| (seconds * 1e6).round() as i64)
}

/// Reads all packets of the chosen streams.
pub(super) async fn scan(
    engine: &Engine,
    file: &Path,
    container: Container,
    video: u32,
    audio: Option<u32>,
) -> Result<Scan, TranscodeError> {
    let wanted = ["-show_entries", "packet=stream_index,pts_time,dts_time,duration_time,size,flags", "-of", "compact=p=0:nk=1"];
    let size = tokio::fs::metadata(file).await.map_err(|error| failure::engine("the source cannot be read", error))?.len();
    let time = engine.limits.scan_time(size);
    let command = engine.ffprobe(file, container, time, &wanted);
    let mut scan = Scan { audio: audio.map(|_| Timeline::default()), ..Scan::default() };
    let (mut lines, mut packets) = (Lines::default(), 0_u64);
    let finished = child::run(command, "ffprobe", time, |bytes| {
        lines.feed(bytes, |line| {
            let Some(packet) = Packet::parse(line) else { return };
            packets += 1;
            if packet.stream == video {
                scan.add_video(&packet);
            } else if Some(packet.stream) == audio {
                scan.add_audio(&packet);
            }
        });
        if packets > MOST_PACKETS {
            return ControlFlow::Break(source(FailureCode::LimitExceeded, "too many packets"));
        }
        ControlFlow::Continue(())
    })
    .await?;
    if !finished.status.success() {
        return Err(failure::of_program("ffprobe", &finished));
    }
    scan.close();
    scan.cut_off = failure::tells_of_missing_end(&finished.stderr);
    Ok(scan)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scan_of(lines: &[&str]) -> Scan {
        let mut scan = Scan::default();
        for line in lines {
            scan.add_video(&Packet::parse(line).expect("a packet"));
        }
        scan.close();
        scan
    }

    #[test]
    fn packets_are_read_as_ffprobe_prints_them() {
        let packet = Packet::parse("1|-0.021333|N/A|0.021333|301|KD|").expect("a packet");
        let expected =
            Packet { stream: 1, time_us: -21_333, decode_us: Some(-21_333), duration_us: 21_333, bytes: 301, key: true, hidden: true };
        assert_eq!(packet, expected);
        for bad in ["", "x", "0|N/A|N/A|N/A|12|K_", "0|1e300|1e300|1|1|K_", "0|0|0"] {
            assert_eq!(Packet::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn groups_of_pictures_are_measured_and_told_apart() {
        // Closed: the reordered frame comes after its key frame in either order.
        let closed =
            ["0|0.0|-0.04|0.04|9|K_", "0|0.08|0.0|0.04|1|__", "0|0.04|0.04|0.04|1|__", "0|0.12|0.08|0.04|9|K_", "0|0.16|0.12|0.04|1|__"];
        let scan = scan_of(&closed);
        assert!(!scan.open_gop && !scan.varies());
        assert_eq!((scan.longest_gop_us, scan.video.length_us()), (120_000, 200_000));
        // Open: a frame stored behind the second key frame is shown before it.
        assert!(scan_of(&["0|0.0|-0.04|0.04|9|K_", "0|0.12|0.0|0.04|9|K_", "0|0.08|0.04|0.04|1|__"]).open_gop);
        assert!(scan_of(&["0|-0.04|-0.04|0.04|9|KD", "0|0.0|0.0|0.04|1|__"]).open_gop);
    }

    #[test]
    fn a_last_frame_of_unknown_length_gets_a_plausible_one() {
        let settled = |declared: Option<u64>| {
            let mut scan = scan_of(&["0|0.0|0.0|N/A|9|K_", "0|3.0|3.0|N/A|1|__", "0|6.0|6.0|N/A|1|__"]);
            scan.video.settle_end(declared.map(Duration::from_secs));
            scan.video.length_us()
        };
        assert_eq!([None, Some(7), Some(60)].map(settled), [9_000_000, 7_000_000, 9_000_000]);
        let mut known = scan_of(&["0|0.0|0.0|0.5|9|K_"]);
        known.video.settle_end(Some(Duration::from_secs(60)));
        assert_eq!(known.video.length_us(), 500_000);
    }

    #[test]
    fn rounding_and_a_dropped_frame_are_no_variable_rate() {
        let lines = |distances: &[u32]| {
            let mut time = 0;
            let mut lines = vec!["0|0.0|0.0|0.033|9|K_".to_owned()];
            for distance in distances {
                time += distance;
                let seconds = f64::from(time) / 1000.0;
                lines.push(format!("0|{seconds}|{seconds}|0.033|1|__"));
            }
            lines
        };
        let varies = |distances: &[u32]| scan_of(&lines(distances).iter().map(String::as_str).collect::<Vec<_>>()).varies();
        assert!(!varies(&[33, 34, 33, 33, 34, 33]));
        let mut dropped = vec![33; 60];
        dropped[30] = 66;
        assert!(!varies(&dropped));
        assert!(varies(&[33, 50, 17, 100, 33, 40]));
        assert!(!varies(&[]));
    }
}
