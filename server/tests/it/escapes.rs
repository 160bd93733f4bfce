//! A fake ffmpeg that tries twelve ways out: behind each kind of walls all are blocked, and without walls all are real.

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use domain::{ids::UploadId, storage_key::StorageKey};
use landlock::{ABI, Access, AccessFs, CompatLevel, Compatible, Ruleset, RulesetAttr};
use server::{
    adapters::{
        ffmpeg_transcoder::{FfmpegSettings, FfmpegTranscoder, Limits, SandboxMode, doctor},
        fs_store::FsStore,
    },
    ports::transcoder::{TranscodeError, Transcoder},
};
use uuid::Uuid;

fn settings(sandbox: SandboxMode, scratch: &Path) -> FfmpegSettings {
    FfmpegSettings {
        ffmpeg: "ffmpeg".into(),
        ffprobe: "ffprobe".into(),
        scratch: scratch.into(),
        helper: env!("CARGO_BIN_EXE_sandbox-helper").into(),
        sandbox,
        limits: Limits { threads: 2, ..Limits::default() },
    }
}

/// What `doctor` says about the sandbox.
async fn finding(sandbox: SandboxMode) -> (bool, String) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let checks = doctor::self_test(&settings(sandbox, folder.path())).await;
    let check = checks.into_iter().find(|check| check.name == "sandbox").expect("a finding about the sandbox");
    assert_eq!(check.ok, check.advice.is_none(), "{check:?}");
    (check.ok, check.detail)
}

/// Whether this machine lets bubblewrap make namespaces, asked without a word of ours.
fn bubblewrap_is_allowed() -> bool {
    let mut command = std::process::Command::new("bwrap");
    let tried = command.args("--unshare-all --cap-drop ALL --ro-bind / / true".split(' ')).output();
    tried.is_ok_and(|output| output.status.success())
}

/// Whether this kernel has the Landlock that is asked for. Making rules restricts nobody.
fn landlock_is_there() -> bool {
    let rules = Ruleset::default().set_compatibility(CompatLevel::HardRequirement).handle_access(AccessFs::from_all(ABI::V3));
    rules.and_then(|rules| rules.create()).is_ok()
}

#[tokio::test]
async fn bubblewrap_blocks_all_twelve_where_the_machine_has_it() {
    let (ok, said) = finding(SandboxMode::Bubblewrap).await;
    eprintln!("{said}");
    assert_eq!(ok, bubblewrap_is_allowed(), "{said}");
    assert!(if ok { said.starts_with("bubblewrap: 12 of 12 escapes blocked") } else { said.contains("videos wait") }, "{said}");
}

#[tokio::test]
async fn landlock_blocks_all_twelve_where_the_machine_has_it() {
    let (ok, said) = finding(SandboxMode::Landlock).await;
    eprintln!("{said}");
    assert_eq!(ok, landlock_is_there(), "{said}");
    assert!(if ok { said.starts_with("landlock: 12 of 12 escapes blocked") } else { said.contains("videos wait") }, "{said}");
}

#[tokio::test]
async fn one_of_the_two_works_wherever_these_tests_run() {
    let (ok, said) = finding(SandboxMode::Auto).await;
    assert!(ok, "the tests need bubblewrap with unprivileged user namespaces, or a kernel with Landlock (6.2 or later): {said}");
}

#[tokio::test]
async fn a_program_that_is_replaced_is_tried_anew_and_one_that_cannot_do_it_is_refused() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let store = std::sync::Arc::new(FsStore::open(folder.path().join("store")).await.expect("a store"));
    let helper = folder.path().join("helper");
    let replace = |content: &[u8]| {
        let new = folder.path().join("new");
        fs::write(&new, content).expect("a file");
        fs::set_permissions(&new, fs::Permissions::from_mode(0o755)).expect("an executable file");
        fs::rename(&new, &helper).expect("it takes the other's place");
    };
    let good = fs::read(env!("CARGO_BIN_EXE_sandbox-helper")).expect("the helper");
    replace(&good);
    let settings = FfmpegSettings { helper: helper.clone(), ..settings(SandboxMode::Auto, &folder.path().join("scratch")) };
    let transcoder = FfmpegTranscoder::new(settings, store);
    assert_eq!(transcoder.refusal().await, None);
    replace(b"#!/bin/sh\nexit 1\n");
    let refusal = transcoder.refusal().await.expect("it refuses to work");
    assert!(refusal.contains("videos wait") && refusal.contains("Restart"), "{refusal}");
    replace(&good);
    assert_eq!(transcoder.refusal().await, None, "an update that understands the same orders stops nobody");
    fs::remove_file(&helper).expect("removed");
    assert!(transcoder.refusal().await.is_some());
}

#[tokio::test]
async fn without_walls_the_attempts_are_real() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let out = doctor::escapes(&settings(SandboxMode::Off, folder.path())).await.expect("the hostile program runs");
    // Whom a process may trace, and whose environment it may read, is for the machine to say as well.
    let free = ["another upload", "database", "TCP", "UDP", "a socket", "beside the output", "changing the input", "making processes"];
    for way in free.into_iter().chain(["outliving", "other programs"]) {
        assert!(out.iter().any(|found| found.contains(way)), "{way} is not among {out:#?}");
    }
    assert!(!finding(SandboxMode::Off).await.0);
}

#[tokio::test]
async fn where_no_sandbox_works_nothing_is_processed() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let store = std::sync::Arc::new(FsStore::open(folder.path().join("store")).await.expect("a store"));
    // A program that builds no walls: as where neither namespaces nor Landlock are allowed.
    let helper = folder.path().join("helper");
    fs::write(&helper, "#!/bin/sh\nexit 1\n").expect("a file");
    fs::set_permissions(&helper, fs::Permissions::from_mode(0o755)).expect("an executable file");
    let settings = FfmpegSettings { helper, ..settings(SandboxMode::Auto, &folder.path().join("scratch")) };
    let transcoder = FfmpegTranscoder::new(settings.clone(), store);
    let refusal = transcoder.refusal().await.expect("it refuses to work");
    assert!(refusal.contains("no video is processed here; videos wait") && refusal.contains("transcode.sandbox"), "{refusal}");
    let source = StorageKey::Source { upload: UploadId(Uuid::new_v4()) };
    assert!(matches!(transcoder.probe(&source).await, Err(TranscodeError::Engine(_))));
    let checks = doctor::self_test(&settings).await;
    assert!(checks.iter().any(|check| check.name == "sandbox" && !check.ok && check.advice.is_some()), "{checks:?}");
}
