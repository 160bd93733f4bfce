//! The binary as an operator uses it.

use std::{
    io::Write,
    process::{Command, Output, Stdio},
};

fn millrace(folder: &tempfile::TempDir) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_millrace"));
    command.current_dir(folder).env("MILLRACE_DATA_DIR", folder.path().join("data")).env("MILLRACE_LOG", "warn");
    command
}

fn with_input(command: &mut Command, input: &str) -> Output {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    child.stdin.take().expect("its input").write_all(input.as_bytes()).expect("it reads");
    child.wait_with_output().expect("it ends")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn a_wrong_setting_stops_the_start_with_a_sentence_that_names_it() {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, value, mention) in [
        ("MILLRACE_BIND", "somewhere", "`bind`"),
        ("MILLRACE_TRANSCODE_JOBS", "lots", "`transcode.jobs`"),
        ("MILLRACE_COLOUR", "teal", "`colour`"),
        ("MILLRACE_LOG", "info,=,", "`log`"),
        ("MILLRACE_DATA_DIR", "/proc/nowhere", "`data_dir`"),
    ] {
        let output = millrace(&folder).arg("migrate").env(name, value).output().expect("it runs");
        let error = text(&output.stderr);
        assert!(!output.status.success() && error.contains(mention), "{name}: {error}");
        assert_eq!(error.trim().lines().count(), 1, "{error}");
    }
    let output = millrace(&folder).args(["--config", "missing.toml", "migrate"]).output().expect("it runs");
    assert!(text(&output.stderr).contains("missing.toml"));
}

#[test]
fn an_operator_adds_a_user_and_a_key() {
    let folder = tempfile::tempdir().expect("a folder");
    let added = with_input(millrace(&folder).args(["user", "add", "Ada@Example.com"]), "a good password\n");
    assert!(added.status.success(), "{}", text(&added.stderr));
    assert!(added.stdout.is_empty());
    let again = with_input(millrace(&folder).args(["user", "add", "ada@example.com"]), "a good password\n");
    assert!(!again.status.success() && text(&again.stderr).contains("already"));
    let short = with_input(millrace(&folder).args(["user", "add", "bob@example.com"]), "short\n");
    assert!(!short.status.success() && text(&short.stderr).contains("at least 8"));

    let changed = with_input(millrace(&folder).args(["user", "password", "ada@example.com"]), "another password\n");
    assert!(changed.status.success(), "{}", text(&changed.stderr));
    let nobody = with_input(millrace(&folder).args(["user", "password", "eve@example.com"]), "another password\n");
    assert!(!nobody.status.success() && text(&nobody.stderr).contains("eve@example.com"));

    let key = millrace(&folder).args(["key", "add", "ada@example.com", "--name", "laptop"]).output().expect("it runs");
    let secret = text(&key.stdout);
    assert!(key.status.success() && secret.starts_with("mr_") && secret.ends_with('\n') && secret.lines().count() == 1, "{secret}");
    let wrong = millrace(&folder).args(["key", "add", "ada@example.com", "--name", "x", "--scope", "all"]).output().expect("it runs");
    assert!(!wrong.status.success() && text(&wrong.stderr).contains("read, upload, manage"), "{}", text(&wrong.stderr));
    let read = millrace(&folder).args(["key", "add", "ada@example.com", "--name", "x", "--scope", "read"]).output().expect("it runs");
    assert!(read.status.success(), "{}", text(&read.stderr));
    let invite = millrace(&folder).args(["user", "invite", "--name", "Bob"]).output().expect("it runs");
    let link = text(&invite.stdout);
    assert!(invite.status.success() && link.contains("/sign-up?invite=") && link.lines().count() == 1, "{link}");
    let closed =
        millrace(&folder).args(["user", "invite", "--name", "Bob"]).env("MILLRACE_REGISTRATION", "closed").output().expect("it runs");
    assert!(!closed.status.success() && text(&closed.stderr).contains("`registration`"), "{}", text(&closed.stderr));
    let nobody = millrace(&folder).args(["key", "add", "eve@example.com", "--name", "x"]).output().expect("it runs");
    assert!(!nobody.status.success() && text(&nobody.stderr).contains("eve@example.com"));
}

#[test]
fn what_is_private_is_readable_by_its_user_alone() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().expect("a folder");
    assert!(millrace(&folder).arg("migrate").status().expect("it runs").success());
    let mode = std::fs::metadata(folder.path().join("data")).expect("made").permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
}

#[test]
fn the_settings_print_as_a_file_that_can_be_used() {
    let folder = tempfile::tempdir().expect("a folder");
    let printed = millrace(&folder).arg("config").output().expect("it runs");
    std::fs::write(folder.path().join("millrace.toml"), &printed.stdout).expect("written");
    assert!(millrace(&folder).arg("migrate").status().expect("it runs").success());
}

#[test]
fn doctor_finds_what_is_missing_and_says_what_to_do() {
    let folder = tempfile::tempdir().expect("a folder");
    let output = millrace(&folder).arg("doctor").env("MILLRACE_TRANSCODE_FFMPEG", "no-such-ffmpeg").output().expect("it runs");
    let report = text(&output.stdout);
    assert!(!output.status.success());
    assert!(report.contains("ok   database") && report.contains("FAIL ffmpeg") && report.contains('→'), "{report}");
}

#[test]
fn the_binary_stands_in_front_of_ffmpeg_itself_and_keeps_a_hostile_program_in() {
    let folder = tempfile::tempdir().expect("a folder");
    let doctor = text(&millrace(&folder).arg("doctor").output().expect("it runs").stdout);
    let sandbox = doctor.lines().find(|line| line.contains(" sandbox: ")).expect("a finding about the sandbox");
    assert!(sandbox.starts_with("ok ") && sandbox.contains("12 of 12 escapes blocked"), "{doctor}");
    // Orders that it does not know start nothing.
    let refused = millrace(&folder).args(["sandbox-exec", "--network=yes", "--", "/bin/true"]).output().expect("it runs");
    assert_eq!(refused.status.code(), Some(126));
    assert!(text(&refused.stderr).starts_with("sandbox: "), "{}", text(&refused.stderr));
}
