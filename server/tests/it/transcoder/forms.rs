//! Every form a source may have ends as what every browser plays.

use domain::{ladder::VideoPlan, playlist::Track};

use super::bench::Bench;

const PICTURE: &str = "-f lavfi -i testsrc2=s=320x180:r=25:d=2";
const SOUND: &str = "-f lavfi -i sine=frequency=440:d=2";
const H264: &str = "-c:v libx264 -preset ultrafast -pix_fmt yuv420p";

#[tokio::test]
async fn a_silent_video_has_pictures_only() {
    let bench = Bench::new().await;
    let outcome = bench.transcode(&bench.make(&format!("{PICTURE} {H264}"), "a.mp4")).await.expect("it works");
    outcome.check();
    assert!(!outcome.has_audio());
}

#[tokio::test]
async fn foreign_sound_becomes_aac() {
    let bench = Bench::new().await;
    for (codec, channels, name) in [("libmp3lame", 2, "a.mp4"), ("ac3", 6, "b.mkv"), ("pcm_s16le", 1, "c.mov")] {
        let file = bench.make(&format!("{PICTURE} {SOUND} {H264} -c:a {codec} -ac {channels}"), name);
        let outcome = bench.transcode(&file).await.expect("it works");
        outcome.check();
        let audio = outcome.rendition("audio");
        assert_eq!((&audio.track, audio.copied), (&Track::Audio { channels: channels.min(2) }, false), "{codec}");
    }
}

#[tokio::test]
async fn foreign_samples_become_eight_bit_four_two_zero() {
    let bench = Bench::new().await;
    let forms = [
        "-c:v libx264 -preset ultrafast -pix_fmt yuv444p",
        "-c:v libx264 -preset ultrafast -pix_fmt yuv420p10le",
        "-c:v libx264 -preset ultrafast -pix_fmt yuvj420p",
        "-c:v libx264rgb -preset ultrafast",
        "-vf setfield=tff -c:v libx264 -preset ultrafast -pix_fmt yuv422p -flags +ildct+ilme",
    ];
    for form in forms {
        let outcome = bench.transcode(&bench.make(&format!("{PICTURE} {form}"), "a.mkv")).await.expect("it works");
        assert!(!outcome.ladder.copies_top(), "{form}");
        assert_eq!(outcome.facts.video.interlaced, form.contains("ilme"), "{form}");
        outcome.check();
    }
}

#[tokio::test]
async fn full_range_is_converted_and_not_only_relabelled() {
    let bench = Bench::new().await;
    // Black and white halves: 0 and 255 in full range must arrive as 16 and 235.
    let file = bench.make(
        "-f lavfi -i color=white:s=320x180:r=25:d=1,drawbox=w=160:h=180:c=black:t=fill,scale=out_range=full,format=yuvj420p \
         -c:v libx264 -preset ultrafast -qp 1 -color_range pc",
        "a.mp4",
    );
    let outcome = bench.transcode(&file).await.expect("it works");
    assert!(outcome.facts.video.full_range);
    outcome.check();
    let raw = std::process::Command::new("ffmpeg")
        .args(["-v", "error", "-i"])
        .arg(outcome.published.join("180p/index.m3u8"))
        .args(["-frames:v", "1", "-f", "rawvideo", "-pix_fmt", "yuv420p", "-"])
        .output()
        .expect("ffmpeg runs")
        .stdout;
    let (black, white) = (raw[320 * 90 + 40], raw[320 * 90 + 280]);
    assert!(black.abs_diff(16) <= 2 && white.abs_diff(235) <= 2, "black is {black}, white is {white}");
}

#[tokio::test]
async fn high_dynamic_range_is_mapped_down() {
    let bench = Bench::new().await;
    let tags = "-pix_fmt yuv420p10le -color_primaries bt2020 -colorspace bt2020nc -color_range tv";
    for transfer in ["smpte2084", "arib-std-b67", "bt2020-10"] {
        let file = bench.make(&format!("{PICTURE} -c:v libx264 -preset ultrafast {tags} -color_trc {transfer}"), "a.mkv");
        let outcome = bench.transcode(&file).await.expect("it works");
        assert_eq!(outcome.facts.video.high_dynamic_range(), transfer != "bt2020-10");
        outcome.check();
        assert_eq!(outcome.stream("180p")["color_transfer"], "bt709", "{transfer}");
    }
}

#[tokio::test]
async fn every_container_is_read() {
    let bench = Bench::new().await;
    let forms = [
        ("-c:v libvpx -deadline realtime -cpu-used 8 -b:v 500k -c:a libopus -ac 2", "a.webm"),
        ("-c:v libvpx-vp9 -deadline realtime -cpu-used 8 -b:v 500k -c:a libvorbis", "b.webm"),
        ("-c:v mpeg4 -c:a mp3", "c.avi"),
        ("-c:v prores_ks -profile:v 0 -c:a pcm_s24le", "d.mov"),
        ("-c:v mpeg2video -c:a mp2", "e.ts"),
        ("-c:v libx264 -preset ultrafast -pix_fmt yuv420p -c:a aac", "f.flv"),
        ("-c:v libtheora -c:a libvorbis", "g.ogv"),
    ];
    for (form, name) in forms {
        let file = bench.make(&format!("{PICTURE} {SOUND} {form}"), name);
        let outcome = bench.transcode(&file).await.unwrap_or_else(|error| panic!("{name}: {error}"));
        outcome.check();
        assert!(outcome.has_audio() && !outcome.ladder.copies_top(), "{name}");
    }
}

/// The same file with a quarter turn in its track header, as phones write it. ffmpeg's own options for that differ by version.
fn turned(file: &std::path::Path) -> std::path::PathBuf {
    let mut bytes = std::fs::read(file).expect("a file");
    let header = bytes.windows(4).position(|kind| kind == b"tkhd").expect("a track header");
    // The matrix stands 44 bytes behind the kind, in a header of version 0: (0 1 / -1 0) in 16.16 fixed point.
    let (one, minus_one) = (0x1_0000_u32.to_be_bytes(), (-0x1_0000_i32).to_be_bytes());
    let matrix = [[0; 4], one, [0; 4], minus_one, [0; 4]].concat();
    bytes[header + 44..header + 64].copy_from_slice(&matrix);
    let path = file.with_file_name("turned.mp4");
    std::fs::write(&path, bytes).expect("a file");
    path
}

#[tokio::test]
async fn pictures_keep_their_shape() {
    let bench = Bench::new().await;
    let upright = bench.make(&format!("{PICTURE} {H264}"), "plain.mp4");
    let cases = [
        (turned(&upright), (180, 320)),
        (bench.make("-f lavfi -i testsrc2=s=321x181:r=25:d=1 -c:v libx264 -preset ultrafast -pix_fmt yuv444p", "odd.mp4"), (320, 180)),
        (bench.make(&format!("-f lavfi -i testsrc2=s=240x180:r=25:d=1,setsar=4/3 {H264}"), "wide.mp4"), (320, 180)),
        (bench.make("-f lavfi -i testsrc2=s=180x320:r=25:d=1 -c:v mpeg4", "portrait.mov"), (180, 320)),
        (bench.make("-f lavfi -i testsrc2=s=17x15:r=25:d=1 -c:v ffv1", "tiny.mkv"), (16, 14)),
    ];
    for (file, (width, height)) in cases {
        let outcome = bench.transcode(&file).await.unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        outcome.check();
        let top = &outcome.ladder.rungs[0];
        assert_eq!((top.width, top.height), (width, height), "{}", file.display());
        assert_ne!(top.video, VideoPlan::Copy, "{}", file.display());
    }
}

#[tokio::test]
async fn the_poster_is_not_black() {
    let bench = Bench::new().await;
    // Black but for the second half.
    let file = bench.make(&format!("-f lavfi -i testsrc2=s=320x180:r=25:d=4,drawbox=c=black:t=fill:enable='lt(t,1.9)' {H264}"), "late.mp4");
    let outcome = bench.transcode(&file).await.expect("it works");
    let raw = std::process::Command::new("ffmpeg")
        .args(["-v", "error", "-i"])
        .arg(outcome.published.join("poster.jpg"))
        .args(["-f", "rawvideo", "-pix_fmt", "gray", "-"])
        .output()
        .expect("ffmpeg runs")
        .stdout;
    assert_eq!(raw.len(), 320 * 180);
    let mean = raw.iter().map(|value| u64::from(*value)).sum::<u64>() / raw.len() as u64;
    assert!(mean > 60, "the poster's mean is {mean}");
}

#[tokio::test]
async fn a_picture_that_changes_its_size_in_the_middle_stays_whole() {
    let bench = Bench::new().await;
    let parts = [("320x180", "a.ts"), ("192x108", "b.ts")]
        .map(|(size, name)| bench.make(&format!("-f lavfi -i testsrc2=s={size}:r=25:d=2 -c:v mpeg2video -g 10"), name));
    let both: Vec<u8> = parts.iter().flat_map(|part| std::fs::read(part).expect("a part")).collect();
    std::fs::write(bench.path("raw.ts"), both).expect("a file");
    let file = bench.make(&format!("-i concat:{}|{} -c copy", parts[0].display(), parts[1].display()), "joined.ts");
    let outcome = bench.transcode(&file).await.expect("it works");
    outcome.check();
    assert_eq!(outcome.names(), ["180p"]);
}
