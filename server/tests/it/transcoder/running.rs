//! The port's own promises: start returns at once, poll tells, cancel frees, and the programs are confined.

use std::time::Duration;

use domain::{ladder, storage_key::StorageKey};
use server::{
    adapters::ffmpeg_transcoder::{FfmpegSettings, Limits, SandboxMode, doctor},
    ports::{
        blob_store::BlobStore,
        transcoder::{POSTER_FILE, TranscodeError, TranscodeId, TranscodeState, Transcoder},
    },
};

use super::bench::Bench;

const LONG: &str = "-f lavfi -i testsrc2=s=1280x720:r=30:d=20 -c:v mpeg4 -q:v 4";

#[tokio::test]
async fn progress_grows_and_the_poster_comes_first() {
    let bench = Bench::new().await;
    let key = bench.upload(&bench.make(LONG, "long.avi")).await;
    let facts = bench.transcoder.probe(&key).await.expect("it is read");
    let (id, generation) = bench.start(key, &facts, &ladder::plan(&facts)).await;
    let first = bench.transcoder.poll(&id).await.expect("it works");
    assert!(matches!(first, TranscodeState::Running { .. }), "starting waits for no end: {first:?}");

    let mut seen = Vec::new();
    let mut poster_before_end = false;
    let renditions = loop {
        match bench.transcoder.poll(&id).await.expect("it works") {
            TranscodeState::Done { renditions, poster } => {
                assert!(poster);
                break renditions;
            }
            TranscodeState::Running { percent, poster, .. } => {
                if poster && !poster_before_end {
                    poster_before_end = true;
                    let key = StorageKey::published(generation, POSTER_FILE).expect("a key");
                    assert!(bench.store.size(&key).await.expect("it is stored") > 1000);
                }
                seen.push(percent);
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    };
    assert!(poster_before_end && seen.is_sorted() && seen.last().is_some_and(|last| *last <= 99), "{seen:?}");
    assert!(seen.iter().filter(|percent| (1..99).contains(*percent)).count() >= 2, "{seen:?}");
    assert_eq!(renditions.len(), 4);
    // Told once, forgotten then.
    assert!(matches!(bench.transcoder.poll(&id).await, Err(TranscodeError::Engine(_))));
}

#[tokio::test]
async fn cancel_stops_the_process_and_leaves_no_scratch() {
    let bench = Bench::new().await;
    let key = bench.upload(&bench.make(LONG, "long.avi")).await;
    let facts = bench.transcoder.probe(&key).await.expect("it is read");
    let (id, _) = bench.start(key, &facts, &ladder::plan(&facts)).await;
    until_under_way(&bench, &id).await;
    bench.transcoder.cancel(&id).await.expect("canceled");
    assert!(matches!(bench.transcoder.poll(&id).await, Err(TranscodeError::Engine(_))));
    assert_eq!(bench.scratch_entries(), 0);
    assert_eq!(processes_with(&bench.path("scratch").to_string_lossy()), 0);
    // Nothing there is no error.
    bench.transcoder.cancel(&id).await.expect("canceled");
    bench.transcoder.cancel(&TranscodeId("never".into())).await.expect("nothing to cancel");
}

/// Waits until an encode has come some way.
async fn until_under_way(bench: &Bench, id: &TranscodeId) {
    loop {
        match bench.transcoder.poll(id).await.expect("it works") {
            TranscodeState::Running { percent: 0, .. } => tokio::time::sleep(Duration::from_millis(20)).await,
            TranscodeState::Running { .. } => return,
            TranscodeState::Done { .. } => panic!("it ended too soon"),
        }
    }
}

/// Sends a signal to every ffmpeg that works below this folder.
fn signal(path: &str, signal: &str) {
    let mut sent = 0;
    for folder in std::fs::read_dir("/proc").expect("a list of processes").flatten() {
        let line = std::fs::read(folder.path().join("cmdline")).unwrap_or_default();
        if String::from_utf8_lossy(&line).contains(path) {
            let pid = folder.file_name();
            sent += i32::from(std::process::Command::new("kill").arg(signal).arg(pid).status().is_ok_and(|status| status.success()));
        }
    }
    assert!(sent > 0, "nothing works there");
}

#[tokio::test]
async fn an_ffmpeg_that_hangs_or_is_killed_is_not_its_files_fault() {
    // Only what hangs is waited for; and a machine that is busy with other things makes nothing new for a while, too.
    for (how, said, seconds) in [("-STOP", "nothing new", 15), ("-KILL", "ended with", 180)] {
        let bench = Bench::with(SandboxMode::Auto, Limits { stall_time: Duration::from_secs(seconds), ..Limits::default() }).await;
        let key = bench.upload(&bench.make(LONG, "long.avi")).await;
        let facts = bench.transcoder.probe(&key).await.expect("it is read");
        let (id, _) = bench.start(key.clone(), &facts, &ladder::plan(&facts)).await;
        until_under_way(&bench, &id).await;
        signal(&bench.path("scratch").to_string_lossy(), how);
        match bench.finish(&id).await {
            Err(TranscodeError::Engine(why)) => assert!(why.contains(said), "{how}: {why}"),
            other => panic!("{how}: {other:?}"),
        }
        assert_eq!(bench.scratch_entries(), 0);
        assert_eq!(processes_with(&bench.path("scratch").to_string_lossy()), 0);
    }
}

/// Processes whose command line names this path, once those on their way out had a moment.
fn processes_with(path: &str) -> usize {
    let count = || {
        let folders = std::fs::read_dir("/proc").expect("a list of processes").flatten();
        let lines = folders.filter_map(|folder| std::fs::read(folder.path().join("cmdline")).ok());
        lines.filter(|line| String::from_utf8_lossy(line).contains(path)).count()
    };
    for _ in 0..1_500 {
        if count() == 0 {
            return 0;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    count()
}

#[tokio::test]
async fn it_works_without_bubblewrap_as_well() {
    let bench = Bench::with(SandboxMode::Off, Limits::default()).await;
    let file = bench.make("-f lavfi -i testsrc2=s=320x180:r=25:d=1 -c:v mpeg4", "a.avi");
    bench.transcode(&file).await.expect("it works").check();
}

#[tokio::test]
async fn the_doctor_finds_everything_or_says_what_to_do() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut settings = FfmpegSettings {
        ffmpeg: "ffmpeg".into(),
        ffprobe: "ffprobe".into(),
        scratch: folder.path().into(),
        helper: env!("CARGO_BIN_EXE_sandbox-helper").into(),
        sandbox: SandboxMode::Auto,
        limits: Limits::default(),
    };
    let checks = doctor::self_test(&settings).await;
    assert_eq!(checks.iter().map(|check| check.name).collect::<Vec<_>>(), ["ffmpeg", "encoders", "filters", "sandbox"]);
    assert!(checks[..3].iter().all(|check| check.ok && check.advice.is_none()), "{checks:?}");
    assert!(checks[3].ok == checks[3].advice.is_none(), "{checks:?}");

    settings.ffmpeg = "no-such-ffmpeg".into();
    let checks = doctor::self_test(&settings).await;
    assert!(checks.iter().any(|check| !check.ok && check.advice.is_some()), "{checks:?}");
}
