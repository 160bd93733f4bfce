//! `millrace doctor`: looks at everything that the settings choose, by using it, and says what to do about each finding.

use std::{
    io::{self, Write},
    path::Path,
    process::ExitCode,
};

use server::{
    adapters::{check::Check, ffmpeg_transcoder::doctor::self_test},
    config::{Settings, StoreKind, TranscoderKind},
};

use crate::{
    compose::{ffmpeg_settings, make_data_dir},
    site,
};

mod aws;
mod database;
mod public_url;
mod upload;

/// Longest finding in letters: some services answer with a page.
const LONGEST: usize = 600;
/// The test clip: three seconds of H.264 and AAC.
const CLIP: &[u8] = include_bytes!("doctor/clip.mp4");

/// Checks everything and prints the findings; the exit code says whether all is well. With `upload`, a clip goes through the whole path.
///
/// # Errors
/// Standard output is closed.
pub(crate) async fn doctor(settings: &Settings, upload: bool) -> io::Result<ExitCode> {
    // Made as the first start would, for this user alone; what is wrong with it shows below.
    let _ = make_data_dir(settings);
    let mut report = Report::default();
    report.say([folder("data folder", &settings.data_dir, "data_dir")])?;
    report.say(database::check(settings).await)?;
    if settings.ports.transcoder == TranscoderKind::Ffmpeg {
        report.say([scratch(settings)])?;
        report.say(self_test(&ffmpeg_settings(settings)).await)?;
    }
    report.say(aws::check(settings).await)?;
    report.say([public_url::check(settings).await])?;
    // Its own test needs no pages, and a machine that only works on videos has none.
    let ready = report.failed == 0;
    report.say([pages(settings)])?;
    if upload {
        if ready {
            report.say(upload::check(settings).await)?;
        } else {
            report.say([Check::bad("upload", "not tried", "Mend what failed above, then try again.")])?;
        }
    }
    report.end(upload)
}

/// Logs what is wrong with processing here, so that nobody learns it from the first failed video.
pub(crate) async fn warn_at_start(settings: &Settings) {
    if settings.ports.transcoder != TranscoderKind::Ffmpeg {
        return;
    }
    for check in self_test(&ffmpeg_settings(settings)).await.iter().filter(|check| check.advice.is_some()) {
        tracing::warn!(advice = check.advice.as_deref().unwrap_or_default(), "{}: {}", check.name, check.detail);
    }
}

/// What was found so far; each finding is printed as it comes.
#[derive(Debug, Default)]
struct Report {
    checks: usize,
    failed: usize,
}

impl Report {
    fn say(&mut self, checks: impl IntoIterator<Item = Check>) -> io::Result<()> {
        let mut out = io::stdout().lock();
        for check in checks {
            self.checks += 1;
            self.failed += usize::from(!check.ok);
            let detail: String = check.detail.chars().take(LONGEST).collect();
            writeln!(out, "{} {}: {detail}", if check.ok { "ok  " } else { "FAIL" }, check.name)?;
            if let Some(advice) = &check.advice {
                writeln!(out, "     → {advice}")?;
            }
        }
        out.flush()
    }

    fn end(&self, uploaded: bool) -> io::Result<ExitCode> {
        let mut out = io::stdout().lock();
        match (self.failed, uploaded) {
            (0, false) => {
                writeln!(out, "\nAll is well. `millrace doctor --upload` takes a tiny clip through the whole path; `millrace` starts.")?
            }
            (0, true) => writeln!(out, "\nAll is well, from upload to playback.")?,
            (failed, _) => writeln!(out, "\n{failed} of {} checks failed.", self.checks)?,
        }
        Ok(if self.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

/// Makes the folder and writes a file there.
fn folder(name: &'static str, path: &Path, setting: &str) -> Check {
    let probe = path.join(format!(".doctor-{}", std::process::id()));
    let written = std::fs::create_dir_all(path).and_then(|()| std::fs::write(&probe, b"ok")).and_then(|()| std::fs::remove_file(&probe));
    let shown = path.canonicalize().unwrap_or_else(|_| path.to_path_buf()).display().to_string();
    match written {
        Ok(()) => Check::good(name, shown),
        Err(error) => {
            let advice = format!("Give the user that runs Millrace the right to write there, or set `{setting}` to another folder.");
            Check::bad(name, format!("{shown}: {error}"), advice)
        }
    }
}

/// The scratch folder, and whether finished files can be moved to the store instead of copied.
fn scratch(settings: &Settings) -> Check {
    use std::os::unix::fs::MetadataExt;
    let mut check = folder("scratch folder", &settings.transcode.scratch_dir, "transcode.scratch_dir");
    let device = |path: &Path| std::fs::metadata(path).map(|metadata| metadata.dev()).ok();
    let moves = settings.ports.store == StoreKind::Files;
    if check.ok && moves && device(&settings.transcode.scratch_dir) != device(&settings.data_dir) {
        check.advice =
            Some("It lies on another disk than the data folder, so finished files are copied, not moved. One disk is faster.".into());
    }
    check
}

fn pages(settings: &Settings) -> Check {
    match site::find(settings.bind) {
        Ok(site) => Check::good("site folder", site.root.display().to_string()),
        Err(error) => Check::bad("site folder", error, "Run `make build`, or put the folder `site` beside the binary."),
    }
}
