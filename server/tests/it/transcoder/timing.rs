//! Sound and picture in step, and frame times that become neither more nor fewer than they should.

use std::process::Command;

use super::{bench::Bench, outcome::Outcome};

/// A flash and a beep in the same moment, every second from 0.5 s on.
const FLASH: &str = "-f lavfi -i color=black:s=320x180:r=30:d=4,drawbox=c=white:t=fill:enable='between(mod(t,1),0.49,0.59)'";
const BEEP: &str = "-f lavfi -i aevalsrc='if(between(mod(t,1),0.49,0.59),sin(880*2*PI*t),0)':s=48000:d=4:c=stereo";

/// Decodes the multivariant playlist as a player would and returns the times of the first flash and the first beep.
fn flash_and_beep(outcome: &Outcome) -> (f64, f64) {
    let first_start = |filter: &str, option: &str, word: &str| {
        let output = Command::new("ffmpeg")
            .args(["-hide_banner", "-nostdin", "-i"])
            .arg(outcome.published.join("index.m3u8"))
            .args([option, filter, "-f", "null", "-"])
            .output()
            .expect("ffmpeg runs");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let times = said.split(word).skip(1).filter_map(|rest| rest.split_whitespace().next()?.parse::<f64>().ok());
        times.fold(f64::NAN, |first, time| if first.is_nan() { time } else { first })
    };
    // What ends is the black and the silence before the first flash and beep.
    let flash = first_start("blackdetect=d=0.1:pix_th=0.5", "-vf", "black_end:");
    let beep = first_start("silencedetect=n=-30dB:d=0.1", "-af", "silence_end:");
    (flash, beep)
}

#[tokio::test]
async fn flash_and_beep_stay_together() {
    let bench = Bench::new().await;
    let forms = [
        ("copied", "-c:v libx264 -preset ultrafast -bf 3 -pix_fmt yuv420p -c:a aac", "a.mp4"),
        ("copied from Matroska", "-c:v libx264 -preset ultrafast -bf 3 -pix_fmt yuv420p -c:a aac", "b.mkv"),
        ("encoded", "-c:v mpeg4 -bf 2 -c:a libmp3lame", "c.avi"),
        ("encoded from MOV", "-c:v libx264 -preset ultrafast -bf 3 -pix_fmt yuv444p -c:a pcm_s16le", "d.mov"),
        ("encoded from a transport stream", "-c:v libx264 -preset ultrafast -bf 3 -pix_fmt yuv420p -c:a mp2", "e.ts"),
    ];
    for (name, form, file) in forms {
        let outcome = bench.transcode(&bench.make(&format!("{FLASH} {BEEP} {form}"), file)).await.expect("it works");
        outcome.check();
        assert_eq!(outcome.ladder.copies_top(), name.starts_with("copied"), "{name}");
        let (flash, beep) = flash_and_beep(&outcome);
        assert!((flash - beep).abs() < 0.045, "{name}: flash at {flash}, beep at {beep}");
        assert!((flash - 0.5).abs() < 0.06, "{name}: flash at {flash}");
    }
}

#[tokio::test]
async fn late_and_early_sound_stays_where_it_was() {
    let bench = Bench::new().await;
    // The sound starts 0.3 s after, then 0.3 s before the picture; flash and beep still fall together in time.
    let video = bench.make(&format!("{FLASH} -c:v libx264 -preset ultrafast -bf 2 -pix_fmt yuv420p"), "v.mkv");
    let audio = bench.make(&format!("{BEEP} -c:a pcm_s16le"), "a.mkv");
    for (video_offset, audio_offset) in [("0", "0.3"), ("0.3", "0")] {
        let joined = bench.make(
            &format!(
                "-itsoffset {video_offset} -i {} -itsoffset {audio_offset} -i {} -c:v copy -c:a aac",
                video.display(),
                audio.display()
            ),
            "joined.mkv",
        );
        let outcome = bench.transcode(&joined).await.expect("it works");
        outcome.check();
        let (flash, beep) = flash_and_beep(&outcome);
        let moved = if audio_offset == "0" { -0.3 } else { 0.3 };
        // Beeps come every second: a beep cut off at the start shows up one second later.
        let apart = (beep - flash - moved).rem_euclid(1.0);
        assert!(apart.min(1.0 - apart) < 0.045, "offsets {video_offset} {audio_offset}: flash {flash}, beep {beep}");
    }
}

#[tokio::test]
async fn a_variable_frame_rate_becomes_constant() {
    let bench = Bench::new().await;
    // Every frame but each third and fourth: distances of one and three frames.
    let file = bench.make(
        "-f lavfi -i testsrc2=s=320x180:r=30:d=4 -vf select='lt(mod(n,4),2)' -fps_mode vfr -c:v libx264 -preset ultrafast -pix_fmt yuv420p",
        "variable.mkv",
    );
    let outcome = bench.transcode(&file).await.expect("it works");
    assert!(outcome.facts.video.variable_frame_rate, "{:?}", outcome.facts);
    outcome.check();
    assert_eq!(outcome.stream("180p")["avg_frame_rate"], "30/1", "by the mean, a half of the frames that follow close would be lost");
}

#[tokio::test]
async fn the_last_frame_stands_for_as_long_as_sound_goes_on() {
    let bench = Bench::new().await;
    let sources = [
        (
            "h264.mp4",
            "-f lavfi -i testsrc2=s=320x180:r=25:d=3 -f lavfi -i sine=d=8 -c:v libx264 -preset veryfast -pix_fmt yuv420p -c:a aac",
            Some(200),
        ),
        (
            "late.mkv",
            "-f lavfi -i testsrc2=s=320x180:r=25:d=3 -itsoffset 1.5 -f lavfi -i sine=d=3 -c:v libx264 -pix_fmt yuv420p -c:a aac",
            None,
        ),
        (
            "fast.mp4",
            "-f lavfi -i testsrc2=s=320x180:r=120:d=2 -f lavfi -i sine=d=4 -c:v libx264 -preset ultrafast -pix_fmt yuv420p -c:a aac",
            Some(240),
        ),
        // Frames of their own times: the last one lasts.
        (
            "slow.mp4",
            "-f lavfi -i testsrc2=s=320x180:r=2:d=4 -f lavfi -i sine=d=9 -c:v libx264 -preset ultrafast -pix_fmt yuv420p -c:a aac",
            Some(8),
        ),
        ("one.mp4", "-f lavfi -i testsrc2=s=320x180:r=25:d=0.04 -f lavfi -i sine=d=5 -c:v libx264 -pix_fmt yuv420p -c:a aac", Some(125)),
    ];
    for (name, arguments, frames) in sources {
        let outcome = bench.transcode(&bench.make(arguments, name)).await.unwrap_or_else(|error| panic!("{name}: {error}"));
        outcome.check();
        assert!(outcome.facts.video.stands_ms > 800 && !outcome.ladder.copies_top(), "{name}: {:?}", outcome.facts);
        let (picture, sound) = (outcome.rendition("180p").playlist.duration_us(), outcome.rendition("audio").playlist.duration_us());
        assert!(picture.abs_diff(sound) < 100_000, "{name}: a picture of {picture} and sound of {sound} µs");
        if let Some(frames) = frames {
            assert!(outcome.key_frames("180p").1.abs_diff(frames) <= 1, "{name}: {} frames", outcome.key_frames("180p").1);
        }
    }
}

#[tokio::test]
async fn a_picture_that_begins_late_is_no_picture_that_ends_early() {
    let bench = Bench::new().await;
    let arguments = "-itsoffset 4 -f lavfi -i testsrc2=s=320x180:r=25:d=3 -f lavfi -i sine=d=3 -c:v libx264 -preset ultrafast -pix_fmt yuv420p -c:a aac \
                     -fps_mode passthrough";
    for name in ["late.mkv", "late.mp4"] {
        let outcome = bench.transcode(&bench.make(arguments, name)).await.unwrap_or_else(|error| panic!("{name}: {error}"));
        outcome.check();
        assert_eq!((outcome.facts.duration_ms, outcome.key_frames("180p").1), (3_000, 75), "{name}");
    }
}

#[tokio::test]
async fn three_frames_in_two_hours_stay_three_frames() {
    let bench = Bench::new().await;
    let file = bench.make(
        "-f lavfi -i testsrc2=s=64x36:r=1:d=3 -vf settb=1/1000,setpts=N*3600/TB -fps_mode passthrough -enc_time_base 1/1000 -c:v libx264 \
         -preset ultrafast -pix_fmt yuv420p",
        "sparse.mp4",
    );
    let outcome = bench.transcode(&file).await.expect("it works");
    assert!(outcome.facts.duration_ms > 7_000_000, "{:?}", outcome.facts);
    let (_, frames) = outcome.key_frames("36p");
    assert_eq!(frames, 3);
}

#[tokio::test]
async fn a_slow_and_even_slide_show_keeps_its_length() {
    let bench = Bench::new().await;
    // Reordered frames of three seconds, the last of which is shorter.
    let file = bench.make(
        "-f lavfi -i testsrc2=s=64x36:r=1:d=4 -vf settb=1/1000,setpts=N*3/TB -fps_mode passthrough -enc_time_base 1/1000 -c:v libx264 \
         -pix_fmt yuv420p",
        "slow.mp4",
    );
    let outcome = bench.transcode(&file).await.expect("it works");
    outcome.check();
    assert_eq!(outcome.facts.duration_ms, 10_000);
    assert_eq!(outcome.key_frames("36p").1, 4);
}

#[tokio::test]
async fn a_slow_slide_show_with_bursts_keeps_its_own_times() {
    let bench = Bench::new().await;
    let file = bench.make(
        "-f lavfi -i testsrc2=s=320x180:r=30:d=8 -vf select='lt(mod(n,60),6)' -fps_mode vfr -c:v libx264 -preset ultrafast -pix_fmt yuv420p",
        "bursts.mkv",
    );
    let outcome = bench.transcode(&file).await.expect("it works");
    assert!(outcome.facts.video.variable_frame_rate && outcome.facts.video.frame_rate.per_second() < 10.0);
    assert_eq!(outcome.key_frames("180p").1, 24);
    let domain::playlist::Track::Video { frame_rate, .. } = outcome.rendition("180p").track else { panic!("a picture") };
    assert!((frame_rate.per_second() - 30.0).abs() < 2.0, "the largest rate is told: {frame_rate:?}");
}

#[tokio::test]
async fn a_very_fast_video_is_thinned_out() {
    let bench = Bench::new().await;
    let file = bench.make("-f lavfi -i testsrc2=s=64x36:r=120:d=2 -c:v libx264 -preset ultrafast -pix_fmt yuv420p", "fast.mp4");
    let outcome = bench.transcode(&file).await.expect("it works");
    outcome.check();
    assert_eq!(outcome.stream("36p")["avg_frame_rate"], "60/1");
}
