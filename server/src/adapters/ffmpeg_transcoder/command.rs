//! ffmpeg's arguments for an encode: one process, one decode, one graph, and for each rendition a folder of its own.

use std::{ffi::OsString, path::Path};

use domain::{
    ladder::{AudioPlan, Cuts, Ladder, VideoPlan},
    source::SourceFacts,
};

use super::{
    engine::Engine,
    graph::{self, SOUND_PAD, keeps_long_frames},
    origin::Origin,
    probe,
};

/// Name of the audio rendition.
pub(super) const AUDIO: &str = "audio";
/// Name of each rendition's playlist as ffmpeg writes it; it is read and thrown away.
pub(super) const PLAYLIST: &str = "index.m3u8";
/// Name of each rendition's init segment.
pub(super) const INIT: &str = "init.mp4";

/// Length of a segment in seconds; it ends at the first key frame from there.
pub(super) const SEGMENT_SECONDS: u32 = 4;
/// The same where each key frame is to begin a segment.
const NO_SECONDS: f64 = 0.001;

/// Rate below which nobody counts frames.
const MOST_USUAL_RATE: f64 = 60.0;

/// With more processors than these, whoever hands the pictures to all encoders would be what the others wait for, if it also looked ahead for them.
const FEW_THREADS: u32 = 4;

/// A key frame at the first frame at or behind every even second. Not "when the last is two seconds old": that would drift. Nor by
/// counting: after a gap it would force one key frame after the other to catch up.
const EVERY_TWO_SECONDS: &str = "expr:isnan(prev_forced_t)+gt(floor((t+0.001)/2),floor((prev_forced_t+0.001)/2))";

/// All arguments.
pub(super) fn arguments(engine: &Engine, file: &Path, facts: &SourceFacts, ladder: &Ladder, origin: &Origin) -> Vec<OsString> {
    let threads = engine.limits.threads;
    let mut arguments = Arguments::default();
    arguments.add("-hide_banner -nostdin -y -loglevel warning -nostats -progress pipe:1 -stats_period 0.5");
    arguments.add(&format!("-filter_complex_threads {threads} -threads {threads}"));
    arguments.0.extend(probe::input_options(facts.container, &engine.limits));
    // The first frame is time zero, on every track; beside a picture that viewers get from the source itself, as late in the film as it is there.
    let begins_seconds = ladder.beside.as_ref().map_or(0.0, |cuts| cuts.begins_us as f64 / 1e6);
    arguments.add(&format!("-itsoffset {:.6}", begins_seconds - origin.video_start_seconds));
    arguments.0.extend(["-i".into(), engine.input_name(file)]);

    let sound = match (&ladder.audio, &facts.audio) {
        (Some(AudioPlan::Encode { channels, .. }), Some(audio)) => graph::sound(audio, *channels, facts.duration_ms),
        _ => String::new(),
    };
    let parts = [graph::pictures(ladder, &facts.video, origin.colours), sound];
    let parts: Vec<&str> = parts.iter().map(String::as_str).filter(|part| !part.is_empty()).collect();
    if !parts.is_empty() {
        arguments.0.extend(["-filter_complex".into(), parts.join(";").into()]);
    }
    for number in 0..ladder.rungs.len() {
        arguments.picture(ladder, number, facts, threads);
    }
    if let (Some(plan), Some(audio)) = (&ladder.audio, &facts.audio) {
        match plan {
            AudioPlan::Copy => arguments.add(&format!("-map 0:{} -c:a copy", audio.stream_index)),
            AudioPlan::Encode { bitrate, channels } => {
                arguments.add(&format!("-map [{SOUND_PAD}] -c:a aac -profile:a aac_low -b:a {bitrate} -ac {channels} -ar 48000"));
            }
        }
        arguments.output(AUDIO, SEGMENT_SECONDS.into());
    }
    arguments.0
}

/// Where encoded rungs have their key frames: where viewers get the source in pieces, where the source has its own, or every two seconds.
fn key_frames(ladder: &Ladder) -> String {
    match &ladder.beside {
        Some(cuts) => times(cuts),
        None if ladder.copies_top() => "source".to_owned(),
        None => EVERY_TWO_SECONDS.to_owned(),
    }
}

/// The beginnings of segments, each a little early: the first frame from there is the one. Two milliseconds are less than any frame lasts.
fn times(cuts: &Cuts) -> String {
    let early = cuts.at_us.iter().map(|at_us| (at_us / 1_000).saturating_sub(2));
    std::iter::once(0).chain(early).map(|ms| format!("{}.{:03}", ms / 1_000, ms % 1_000)).collect::<Vec<_>>().join(",")
}

#[derive(Debug, Default)]
struct Arguments(Vec<OsString>);

impl Arguments {
    /// Adds words without spaces in them.
    fn add(&mut self, words: &str) {
        self.0.extend(words.split(' ').map(OsString::from));
    }

    fn picture(&mut self, ladder: &Ladder, number: usize, facts: &SourceFacts, threads: u32) {
        let rung = &ladder.rungs[number];
        match &rung.video {
            // What an edit list hides at the end would be copied as well.
            VideoPlan::Copy => {
                self.add(&format!("-map 0:{} -c:v copy -t {:.3}", facts.video.stream_index, facts.duration_ms as f64 / 1000.0 + 0.001));
            }
            VideoPlan::Encode { max_bitrate, frame_rate } => {
                self.add(&format!("-map [{}] -c:v libx264 -preset veryfast -profile:v high -pix_fmt yuv420p", graph::pad(number)));
                self.add(&format!("-crf 23 -maxrate {max_bitrate} -bufsize {}", max_bitrate * 2));
                // Key frames where they are forced and nowhere else, or the rungs would not be cut at the same frames.
                self.add("-sc_threshold 0 -g 100000 -forced-idr 1 -force_key_frames");
                self.0.push(key_frames(ladder).into());
                self.add(&format!("-threads {threads} -fps_mode passthrough"));
                let largest = ladder.rungs.iter().position(|rung| rung.video != VideoPlan::Copy);
                if threads <= FEW_THREADS && Some(number) != largest {
                    // As good for less: a thread that only looks ahead costs a small picture more than it gains (`make bench-transcode`). The
                    // largest one has most to look at.
                    self.add("-x264-params sync-lookahead=0");
                }
                if frame_rate.is_none() {
                    // The source's own times: rounded to the grid of a frame rate, some would fall together.
                    self.add("-enc_time_base -1");
                }
                if keeps_long_frames(&rung.video, &facts.video) {
                    // Without reordering, times of storage are times of showing, and a gap stays where it is.
                    self.add("-bf 0");
                }
            }
        }
        // No more than a source of its length and rate can have, whatever times its frames turn out to bear.
        let seconds = facts.duration_ms as f64 / 1000.0 + 10.0;
        let most_frames = seconds * facts.video.frame_rate.per_second().max(MOST_USUAL_RATE) * 2.0;
        self.add(&format!("-frames:v {most_frames:.0}"));
        // Each frame lasts until the next; the muxer would otherwise move the first frame of a segment to where it thinks that
        // the last one ended.
        let last = if keeps_long_frames(&rung.video, &facts.video) {
            // A picture that stands until the end of the source stands until the end here.
            let end = format!("{:.3}/TB", facts.duration_ms as f64 / 1000.0);
            format!("if(gt({end},PTS),{end}-PTS,DURATION)")
        } else {
            "DURATION".to_owned()
        };
        self.add("-bsf:v");
        self.0.push(format!("setts=pts=PTS:dts=DTS:duration='if(gt(NEXT_DTS,DTS),NEXT_DTS-DTS,{last})'").into());
        self.output(&rung.name, if ladder.beside.is_some() { NO_SECONDS } else { SEGMENT_SECONDS.into() });
    }

    /// One rendition: a folder with an init segment, segments and a playlist. Without `-avoid_negative_ts disabled` the muxer
    /// would delay pictures by the depth of their reordering and show the encoder's padding of the sound; with it, both are written into the
    /// init segment's edit list, which browsers honour.
    fn output(&mut self, name: &str, segment_seconds: f64) {
        self.add("-map_metadata -1 -map_metadata:s -1 -map_chapters -1 -avoid_negative_ts disabled -max_muxing_queue_size 4096");
        self.add(&format!("-f hls -hls_time {segment_seconds} -hls_playlist_type event -hls_segment_type fmp4"));
        // Whoever reads the playlist meanwhile finds it whole, and in it nothing that is not.
        self.add("-hls_flags temp_file -hls_segment_options movflags=+skip_sidx");
        self.add(&format!("-hls_fmp4_init_filename {INIT} -hls_segment_filename {name}/%05d.m4s {name}/{PLAYLIST}"));
    }
}
