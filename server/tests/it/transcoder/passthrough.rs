//! A compliant top rung is copied: its samples stay the source's own, and the encoded rungs are cut where it is.

use std::{path::Path, process::Command};

use super::bench::Bench;

/// A checksum of each packet's bytes, in order.
fn packet_hashes(file: &Path) -> Vec<String> {
    let output = Command::new("ffprobe")
        .args(["-v", "error", "-select_streams", "v:0", "-show_packets", "-show_data_hash", "md5", "-show_entries", "packet=data_hash"])
        .args(["-of", "csv=p=0"])
        .arg(file)
        .output()
        .expect("ffprobe runs");
    String::from_utf8_lossy(&output.stdout).lines().map(|line| line.trim_end_matches(',').to_owned()).collect()
}

#[tokio::test]
async fn a_real_clip_keeps_its_own_samples() {
    let bench = Bench::new().await;
    let clip = Bench::clip("car-detection.mp4");
    let outcome = bench.transcode(&clip).await.expect("it works");
    outcome.check();
    assert_eq!(outcome.names(), ["432p", "240p", "audio"]);
    let copied: Vec<bool> = outcome.renditions.iter().map(|rendition| rendition.copied).collect();
    assert_eq!(copied, [true, false, true]);
    assert_eq!(outcome.rendition("432p").codec, "avc1.428016");
    let hashes = packet_hashes(&clip);
    assert_eq!(hashes.len(), 377);
    assert_eq!(packet_hashes(&outcome.published.join("432p/index.m3u8")), hashes);
    let keys = outcome.key_frames("240p").0;
    assert_eq!(keys.len(), outcome.key_frames("432p").0.len(), "key frames are forced at the source's and nowhere else");
}

#[tokio::test]
async fn uneven_key_frames_and_reordering_stay_aligned() {
    let bench = Bench::new().await;
    for name in ["a.mp4", "a.mkv"] {
        let file = bench.make(
            "-f lavfi -i testsrc2=s=640x360:r=30000/1001:d=14 -f lavfi -i sine=d=14 -c:v libx264 -preset ultrafast -bf 3 -pix_fmt yuv420p \
             -g 400 -sc_threshold 0 -force_key_frames 0,1.3,4.7,5.1,10.2 -c:a aac",
            name,
        );
        let outcome = bench.transcode(&file).await.expect("it works");
        assert!(outcome.ladder.copies_top(), "{name}: {:?}", outcome.facts);
        outcome.check();
        let (top, low) = (outcome.key_frames("360p"), outcome.key_frames("240p"));
        assert_eq!(top.1, low.1, "{name}: both rungs have all frames");
        assert!(top.0.len() == 5 && top.0.iter().zip(&low.0).all(|(top, low)| (top - low).abs() < 0.002), "{name}: {top:?} {low:?}");
        assert_eq!(outcome.boundaries("360p").len(), 3, "{name}");
    }
}

#[tokio::test]
async fn a_clip_in_full_range_is_encoded_and_starts_at_zero() {
    let bench = Bench::new().await;
    let outcome = bench.transcode(&Bench::clip("book.mkv")).await.expect("it works");
    assert!(!outcome.ladder.copies_top() && !outcome.has_audio());
    assert_eq!(outcome.names(), ["480p", "360p", "240p"]);
    outcome.check();
    assert!(outcome.start_seconds("480p").abs() < 0.002);
}

#[tokio::test]
async fn what_cannot_be_cut_at_its_key_frames_is_encoded() {
    let bench = Bench::new().await;
    let open = bench.make(
        "-f lavfi -i testsrc2=s=320x180:r=25:d=4 -c:v libx264 -preset veryfast -bf 2 -pix_fmt yuv420p -g 25 -sc_threshold 0 \
         -x264-params open-gop=1",
        "open.mp4",
    );
    let facts = bench.probe(&open).await.expect("it is read");
    assert!(facts.video.open_gop && !domain::ladder::is_passthrough(&facts));

    let long = bench.make("-f lavfi -i testsrc2=s=64x36:r=25:d=12 -c:v libx264 -preset ultrafast -pix_fmt yuv420p -g 1000", "long.mp4");
    let facts = bench.probe(&long).await.expect("it is read");
    assert_eq!(facts.video.longest_gop_ms, 12_000);
    assert!(!domain::ladder::is_passthrough(&facts));

    // A trim by edit list: what comes before the first shown frame must not be shown.
    let whole = bench.make("-f lavfi -i testsrc2=s=64x36:r=25:d=4 -c:v libx264 -preset ultrafast -pix_fmt yuv420p -g 50", "whole.mp4");
    let trimmed = bench.make(&format!("-ss 1 -i {} -c copy", whole.display()), "trimmed.mp4");
    let outcome = bench.transcode(&trimmed).await.expect("it works");
    assert!(!outcome.ladder.copies_top());
    outcome.check();
    assert!(outcome.facts.duration_ms.abs_diff(3000) < 60, "{:?}", outcome.facts);
}

#[tokio::test]
async fn sound_that_was_cut_off_is_not_sent() {
    let bench = Bench::new().await;
    // A tone that ends before the cut, and silence.
    let tone = "-f lavfi -i aevalsrc=exprs=lt(t\\,0.6)*sin(2000*t):s=48000:d=4";
    let picture = "-f lavfi -i testsrc2=s=160x90:r=25:d=4 -c:v libx264 -preset ultrafast -pix_fmt yuv420p -g 50 -c:a aac";
    let (first, rest) = picture.split_once(" -c:v").expect("codecs");
    let whole = bench.make(&format!("{first} {tone} -c:v{rest}"), "whole.mp4");
    for (cut, name) in [("0.8", "short.mp4"), ("1.6", "long.mp4")] {
        let trimmed = bench.make(&format!("-ss {cut} -i {} -c copy", whole.display()), name);
        let outcome = bench.transcode(&trimmed).await.expect("it works");
        outcome.check();
        assert!(outcome.facts.audio.as_ref().is_some_and(|audio| audio.cut_off_ms > 100), "{:?}", outcome.facts);
        assert!(!outcome.rendition("audio").copied);
        let packets = outcome.probe("audio", "packet=pts_time,size");
        let packets = packets["packets"].as_array().expect("packets");
        let before = packets.iter().filter(|packet| packet["pts_time"].as_str().is_some_and(|time| time.starts_with('-'))).count();
        assert!(before <= 2, "{before} packets are sent that nobody hears: an encoder's priming is one");
        // Silence takes next to nothing.
        let bytes = packets.iter().filter_map(|packet| packet["size"].as_str()?.parse::<u64>().ok()).max();
        assert!(bytes.is_some_and(|bytes| bytes < 60), "{bytes:?}");
    }
    // An encoder's priming is no cut.
    assert!(bench.transcode(&whole).await.expect("it works").rendition("audio").copied);
}

#[tokio::test]
async fn what_was_cut_off_at_the_end_is_not_sent() {
    let bench = Bench::new().await;
    let whole = bench.make(
        "-f lavfi -i testsrc2=s=160x90:r=25:d=6 -f lavfi -i sine=d=6 -c:v libx264 -preset ultrafast -bf 2 -pix_fmt yuv420p -g 50 -c:a aac",
        "whole.mp4",
    );
    let mut bytes = std::fs::read(&whole).expect("the file");
    let lists: Vec<usize> = bytes.windows(4).enumerate().filter(|(_, four)| four == b"elst").map(|(at, _)| at).collect();
    for at in lists {
        // Version and flags, how many, and the first one's length in the movie's milliseconds.
        bytes[at + 12..at + 16].copy_from_slice(&4_400_u32.to_be_bytes());
    }
    let cut = bench.path("cut.mp4");
    std::fs::write(&cut, bytes).expect("written");
    let outcome = bench.transcode(&cut).await.expect("it works");
    outcome.check();
    assert!(outcome.ladder.copies_top(), "{:?}", outcome.facts);
    assert_eq!(outcome.facts.duration_ms, 4_400);
    let frames = outcome.key_frames("90p").1;
    // A few that are stored before the last ones that are shown, which may need them.
    assert!((110..=114).contains(&frames), "{frames} frames");
}

#[tokio::test]
async fn sound_that_ends_early_is_filled_with_silence() {
    let bench = Bench::new().await;
    let file = bench.make(
        "-f lavfi -i testsrc2=s=160x90:r=25:d=4 -f lavfi -i sine=d=1 -c:v libx264 -preset ultrafast -pix_fmt yuv420p -c:a aac",
        "short.mp4",
    );
    let outcome = bench.transcode(&file).await.expect("it works");
    outcome.check();
    assert!(outcome.ladder.copies_top() && !outcome.rendition("audio").copied);
    let length = outcome.rendition("audio").playlist.duration_us();
    assert!(length > 3_900_000, "{length}");
}
