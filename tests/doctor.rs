//! `millrace doctor` as an operator sees it: on a machine of its own, and on the emulated AWS with the application's own rights.

use std::process::{Command, Output};

use tempfile::TempDir;

fn doctor(folder: &TempDir, arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_millrace"));
    command.current_dir(folder).env("MILLRACE_DATA_DIR", folder.path().join("data")).env("MILLRACE_LOG", "error");
    // Where nothing answers, so that no other server of this machine is taken for ours.
    command.env("MILLRACE_BIND", "127.0.0.1:9").args(["doctor"]).args(arguments).envs(variables.iter().copied());
    command.output().expect("it runs")
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The line about one thing.
fn line<'a>(report: &'a str, name: &str) -> &'a str {
    let found = report.lines().find(|line| line.get(5..).is_some_and(|rest| rest.starts_with(&format!("{name}:"))));
    found.unwrap_or_else(|| panic!("nothing on {name} in:\n{report}"))
}

#[test]
fn a_clip_goes_from_upload_to_playback_and_leaves_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let report = text(&doctor(&folder, &["--upload"], &[]));
    for name in ["upload", "processing", "playback", "removal"] {
        assert!(line(&report, name).starts_with("ok "), "{report}");
    }
    assert!(line(&report, "playback").contains("4 playlists and 7 files"), "{report}");
    let stored = |name: &str| std::fs::read_dir(folder.path().join("data/store").join(name)).into_iter().flatten().count();
    assert_eq!((stored("sources"), stored("published")), (0, 0), "{report}");
}

#[test]
#[ignore = "needs the AWS emulators: make test-aws"]
fn aws_doctor_is_content_with_what_terraform_makes() {
    let folder = tempfile::tempdir().expect("a folder");
    let report = text(&doctor(&folder, &[], &origin_of_the_emulators()));
    for name in [
        "AWS credentials",
        "queue",
        "dead-letter queue",
        "messages",
        "CORS of the input bucket",
        "clock",
        "input bucket",
        "input bucket's privacy",
        "output bucket",
        "output bucket's privacy",
        "MediaConvert's role",
        "MediaConvert's queue",
        "MediaConvert's jobs",
        "MediaConvert's probe",
        "signing key",
        "distribution",
        "key group",
        "playlists' origin",
        "delivery",
        "deletion",
    ] {
        assert!(line(&report, name).starts_with("ok "), "{report}");
    }
}

#[test]
#[ignore = "needs the AWS emulators: make test-aws"]
fn aws_doctor_names_each_thing_that_is_wrong() {
    let folder = tempfile::tempdir().expect("a folder");
    let key = concat!(env!("CARGO_MANIFEST_DIR"), "/server/tests/cloudfront/ec.pem");
    for (variable, value, name, mention) in [
        ("MILLRACE_PUBLIC_URL", "https://elsewhere.example", "CORS of the input bucket", "https://elsewhere.example"),
        ("MILLRACE_S3_INPUT_BUCKET", "not-ours", "input bucket", "not-ours"),
        ("MILLRACE_S3_OUTPUT_BUCKET", "not-ours", "output bucket", "not-ours"),
        ("MILLRACE_SQS_QUEUE_URL", "http://127.0.0.1:9/1/none", "queue", "GetQueueAttributes"),
        ("MILLRACE_MEDIACONVERT_QUEUE_ARN", "arn:aws:mediaconvert:eu-west-1:123456789012:queues/none", "MediaConvert's role", "eu-west-1"),
        ("MILLRACE_CLOUDFRONT_PRIVATE_KEY_FILE", key, "key group", "private key"),
        ("MILLRACE_CLOUDFRONT_PRIVATE_KEY_FILE", key, "delivery", "403"),
        ("MILLRACE_CLOUDFRONT_KEY_ID", "KNOBODYKNOWS", "key group", "KNOBODYKNOWS"),
        ("MILLRACE_CLOUDFRONT_DISTRIBUTION_ID", "ENOBODYKNOWS", "distribution", "GetDistribution"),
        ("MILLRACE_CLOUDFRONT_ORIGIN_SECRET", "another", "playlists' origin", "another secret"),
        ("AWS_SECRET_ACCESS_KEY", "wrong", "input bucket", "SignatureDoesNotMatch"),
    ] {
        let variables: Vec<_> = origin_of_the_emulators().into_iter().chain([(variable, value)]).collect();
        let output = doctor(&folder, &[], &variables);
        let report = text(&output);
        let found = line(&report, name);
        assert!(found.contains(mention), "{variable}={value}: {report}");
        // Where the rights to look end, it can only say so.
        let may_be_a_note = variable == "MILLRACE_CLOUDFRONT_DISTRIBUTION_ID";
        assert!(found.starts_with("FAIL") && !output.status.success() || may_be_a_note, "{variable}={value}: {report}");
    }
}

/// The address that the emulators' bucket takes uploads from.
fn origin_of_the_emulators() -> Vec<(&'static str, &'static str)> {
    vec![("MILLRACE_PUBLIC_URL", "http://127.0.0.1:3000")]
}
