//! What a process that died leaves: folders, and programs that did not hear of its death. They go, and nobody else's do.

use std::{
    os::unix::process::ExitStatusExt,
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use server::ports::transcoder::Transcoder;

use super::bench::Bench;

/// What works until somebody ends it.
const WORKS: &str = "while :; do echo more >> ticks; sleep 0.02; done";

/// A program in a session of its own, at work in this folder.
fn at_work_in(folder: &Path) -> Child {
    std::fs::create_dir_all(folder).expect("a folder");
    let child = Command::new("setsid").args(["sh", "-c", WORKS]).current_dir(folder).stdin(Stdio::null()).spawn().expect("it starts");
    until_it_works(folder);
    child
}

fn until_it_works(folder: &Path) {
    while !folder.join("ticks").exists() {
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[tokio::test]
async fn what_still_works_in_a_folder_whose_owner_is_gone_is_ended_with_it() {
    let bench = Bench::new().await;
    let scratch = bench.path("scratch");
    let (dead, living) = (scratch.join("transcode-dead"), scratch.join("transcode-living"));
    let mut left_behind = at_work_in(&dead.join("out/720p"));
    std::fs::File::create(dead.join("lock")).expect("a lock that nobody holds");
    let mut neighbours =
        [at_work_in(&living.join("out")), at_work_in(&scratch.join("something-else")), at_work_in(&bench.path("elsewhere"))];
    let held = std::fs::File::create(living.join("lock")).expect("a lock");
    held.lock().expect("held");

    assert_eq!(bench.transcoder.leftovers(false).await.expect("looked").len(), 1);
    assert_eq!(left_behind.try_wait().expect("asked"), None, "looking ends nothing");
    assert_eq!(bench.transcoder.leftovers(true).await.expect("cleared").len(), 1);
    assert_eq!(left_behind.wait().expect("it ended").signal(), Some(9));
    assert!(!dead.exists() && living.exists());
    for neighbour in &mut neighbours {
        assert_eq!(neighbour.try_wait().expect("asked"), None, "it is none of ours");
        neighbour.kill().expect("ended");
        neighbour.wait().expect("gone");
    }
}

/// Inside namespaces a folder is called something else, and processes have other numbers.
#[tokio::test]
async fn what_bubblewrap_left_behind_is_found_as_well() {
    let outside = ["--unshare-all", "--new-session", "--ro-bind", "/", "/"];
    if !Command::new("bwrap").args(outside).arg("true").status().is_ok_and(|status| status.success()) {
        return;
    }
    let bench = Bench::new().await;
    let dead = bench.path("scratch/transcode-dead");
    let out = dead.join("out");
    std::fs::create_dir_all(&out).expect("a folder");
    let mut command = Command::new("bwrap");
    command.args(outside).arg("--bind").arg(&out).args(["/mnt", "--chdir", "/mnt", "--", "sh", "-c", WORKS]);
    let mut bubblewrap = command.stdin(Stdio::null()).spawn().expect("it starts");
    until_it_works(&out);
    // Its outer process dies and takes nobody with it.
    bubblewrap.kill().expect("killed");
    bubblewrap.wait().expect("gone");
    let length = || std::fs::metadata(out.join("ticks")).expect("it is there").len();
    let before = length();
    while length() == before {
        std::thread::sleep(Duration::from_millis(5));
    }

    assert_eq!(bench.transcoder.leftovers(true).await.expect("cleared").len(), 1);
    // Whoever still worked there would hold a folder that is gone: what is looked for is its program.
    assert!(!dead.exists());
    for entry in std::fs::read_dir("/proc").expect("processes").flatten() {
        let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let at = std::fs::read_link(entry.path().join("cwd")).unwrap_or_default();
        let still = String::from_utf8_lossy(&line).contains(WORKS) && at.to_string_lossy().contains("(deleted)");
        assert!(!still, "{}", entry.path().display());
    }
}

/// A death between bubblewrap's start and its asking to die with its parent is heard of here.
#[test]
fn a_program_whose_starter_is_gone_already_does_not_begin() {
    let folder = tempfile::tempdir().expect("a folder");
    let touch = ["/usr/bin/touch", "/bin/touch"].into_iter().find(|path| Path::new(path).exists()).expect("a program");
    for listens in [true, false] {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        let mut reader = Some(reader);
        if !listens {
            reader.take();
        }
        let mark = folder.path().join(format!("{listens}"));
        let mut command = Command::new(env!("CARGO_BIN_EXE_sandbox-helper"));
        let limits = ["--walls=off", "--memory=4000000000", "--cpu=10", "--file=1000000"];
        command.arg("sandbox-exec").args(limits).args(["--", touch]).arg(&mark).stdin(Stdio::null()).stdout(writer);
        let ended = command.output().expect("it ran");
        let said = String::from_utf8_lossy(&ended.stderr);
        assert_eq!((ended.status.success(), mark.exists()), (listens, listens), "{said}");
        assert!(listens || said.contains("whoever started it is gone"), "{said}");
        drop(reader);
    }
}
