//! Bad files end as a clear answer, quickly.

use std::{path::PathBuf, time::Duration};

use domain::failure::FailureCode;
use server::{
    adapters::ffmpeg_transcoder::{Limits, SandboxMode},
    ports::transcoder::TranscodeError,
};

use super::bench::Bench;

const CLIP: &str = "-f lavfi -i testsrc2=s=320x180:r=25:d=4 -c:v libx264 -preset ultrafast -pix_fmt yuv420p";

fn cut(bench: &Bench, file: &PathBuf, share: f64) -> PathBuf {
    let bytes = std::fs::read(file).expect("a file");
    let path = bench.path(&format!("cut-{}", file.file_name().expect("a name").to_string_lossy()));
    std::fs::write(&path, &bytes[..(bytes.len() as f64 * share) as usize]).expect("a file");
    path
}

#[tokio::test]
async fn what_is_no_video_is_told_so() {
    let bench = Bench::new().await;
    let secret = bench.make(CLIP, "secret.ts");
    let playlist = format!("#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXTINF:4,\n{}\n#EXT-X-ENDLIST\n", secret.display());
    let list = format!("ffconcat version 1.0\nfile '{}'\n", secret.display());
    for text in ["", "x", &playlist, &list, "<?xml version=\"1.0\"?><MPD/>", "%PDF-1.4"] {
        let path = bench.path("clip.mp4");
        std::fs::write(&path, text).expect("a file");
        assert_eq!(bench.refusal(&path).await, FailureCode::NotAVideo, "{text}");
    }
}

#[tokio::test]
async fn a_truncated_file_is_told_so() {
    let bench = Bench::new().await;
    let files = [
        bench.make(&format!("{CLIP} -movflags +faststart"), "first.mp4"),
        bench.make(CLIP, "last.mp4"),
        bench.make(CLIP, "clip.mkv"),
        bench.make("-f lavfi -i testsrc2=s=320x180:r=25:d=4 -c:v mpeg4", "clip.avi"),
    ];
    for file in files {
        assert_eq!(bench.refusal(&cut(&bench, &file, 0.6)).await, FailureCode::Truncated, "{}", file.display());
    }
}

#[tokio::test]
async fn a_file_without_pictures_is_told_so() {
    let bench = Bench::new().await;
    let sound = bench.make("-f lavfi -i sine=d=2 -c:a aac", "sound.m4a");
    assert_eq!(bench.refusal(&sound).await, FailureCode::NoVideoStream);
    let cover = bench.make("-f lavfi -i testsrc2=s=64x64:d=1 -frames:v 1 -c:v mjpeg -pix_fmt yuvj420p", "cover.jpg");
    let with_cover = bench
        .make(&format!("-i {} -i {} -map 0 -map 1 -c copy -disposition:v:0 attached_pic", sound.display(), cover.display()), "cover.m4a");
    assert_eq!(bench.refusal(&with_cover).await, FailureCode::NoVideoStream);
}

#[tokio::test]
async fn unlisted_codecs_never_run() {
    let bench = Bench::new().await;
    let picture = bench.make("-f lavfi -i testsrc2=s=64x36:d=1 -c:v magicyuv", "magic.avi");
    assert_eq!(bench.refusal(&picture).await, FailureCode::UnsupportedCodec);
    let sound = bench.make("-f lavfi -i testsrc2=s=64x36:d=1 -f lavfi -i sine=d=1 -c:v mpeg4 -c:a wavpack", "sound.mkv");
    assert_eq!(bench.refusal(&sound).await, FailureCode::UnsupportedCodec);
}

#[tokio::test]
async fn bombs_are_refused_at_once() {
    let bench = Bench::new().await;
    let picture = "-f lavfi -i color=black:s=16000x16000:r=1:d=1 -frames:v 1";
    for (codec, name) in [("png", "bomb.mov"), ("mjpeg -pix_fmt yuvj420p", "bomb.avi")] {
        let file = bench.make(&format!("{picture} -c:v {codec}"), name);
        assert_eq!(bench.refusal(&file).await, FailureCode::PictureTooLarge, "{name}");
    }
}

#[tokio::test]
async fn a_video_that_is_too_long_is_told_so() {
    let limits = Limits { max_duration: Duration::from_secs(3), ..Limits::default() };
    let bench = Bench::with(SandboxMode::Auto, limits).await;
    assert_eq!(bench.refusal(&bench.make(CLIP, "long.mp4")).await, FailureCode::TooLong);
}

#[tokio::test]
async fn noise_inside_the_file_breaks_nothing() {
    let bench = Bench::new().await;
    let file =
        bench.make("-f lavfi -i testsrc2=s=320x180:r=25:d=2 -f lavfi -i sine=d=2 -c:v mpeg4 -c:a aac -movflags +faststart", "whole.mp4");
    let whole = std::fs::read(&file).expect("a file");
    let mut seed = 12_345_u64;
    for round in 0..6 {
        let mut bytes = whole.clone();
        for _ in 0..(4 << round) {
            // An ordinary linear congruential generator: the same damage in every run.
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let place = (seed >> 20) as usize % bytes.len();
            bytes[place] = (seed >> 56) as u8;
        }
        let path = bench.path("noise.mp4");
        std::fs::write(&path, bytes).expect("a file");
        // Either it plays or the file is to blame; the machinery never is.
        if let Err(TranscodeError::Engine(said)) = bench.transcode(&path).await {
            panic!("round {round}: {said}");
        }
    }
}

#[tokio::test]
async fn work_over_the_limit_is_ended() {
    // Half a second for an encode that takes many.
    let limits = Limits { encode_time_base: Duration::from_millis(500), encode_time_factor: 0, ..Limits::default() };
    let bench = Bench::with(SandboxMode::Auto, limits).await;
    let file = bench.make("-f lavfi -i testsrc2=s=1280x720:r=60:d=8 -c:v mpeg4 -q:v 2", "heavy.avi");
    match bench.transcode(&file).await {
        Err(TranscodeError::Source { code: FailureCode::LimitExceeded, .. }) => {}
        other => panic!("{other:?}"),
    }
    assert_eq!(bench.scratch_entries(), 0);

    let limits = Limits { memory_bytes: 150 * 1024 * 1024, ..Limits::default() };
    let bench = Bench::with(SandboxMode::Off, limits).await;
    match bench.transcode(&file).await {
        Err(TranscodeError::Source { code: FailureCode::LimitExceeded, .. }) => {}
        // Too little even for the program to start: then the machinery says so.
        Err(TranscodeError::Engine(_)) => {}
        other => panic!("{other:?}"),
    }
}
