//! `millrace doctor`: looks at what Millrace needs on this machine and says what to do about each finding.

use std::{io::Write, path::Path, process::ExitCode};

use server::{
    adapters::{check::Check, ffmpeg_transcoder::doctor::self_test},
    config::Settings,
    db,
};

use crate::{
    compose::{ffmpeg_settings, make_data_dir},
    site,
};

/// Checks everything and prints the findings; the exit code says whether all is well.
///
/// # Errors
/// Standard output is closed.
pub(crate) async fn doctor(settings: &Settings, _upload: bool) -> std::io::Result<ExitCode> {
    // Made as the first start would, for this user alone; what is wrong with it shows below.
    let _ = make_data_dir(settings);
    let mut checks = vec![folder("data folder", &settings.data_dir, "data_dir"), scratch(settings)];
    checks.push(database(settings).await);
    checks.push(pages(settings));
    checks.extend(self_test(&ffmpeg_settings(settings)).await);
    let mut out = std::io::stdout().lock();
    for check in &checks {
        writeln!(out, "{} {}: {}", if check.ok { "ok  " } else { "FAIL" }, check.name, check.detail)?;
        if let Some(advice) = &check.advice {
            writeln!(out, "     → {advice}")?;
        }
    }
    let failed = checks.iter().filter(|check| !check.ok).count();
    match failed {
        0 => writeln!(out, "\nAll is well. Start with `millrace`.")?,
        failed => writeln!(out, "\n{failed} of {} checks failed.", checks.len())?,
    }
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Logs what is wrong with processing here, so that nobody learns it from the first failed video.
pub(crate) async fn warn_at_start(settings: &Settings) {
    for check in self_test(&ffmpeg_settings(settings)).await.iter().filter(|check| !check.ok) {
        tracing::warn!(advice = check.advice.as_deref().unwrap_or_default(), "{}: {}", check.name, check.detail);
    }
}

fn finding(name: &'static str, result: Result<String, String>, advice: impl FnOnce() -> String) -> Check {
    match result {
        Ok(detail) => Check { name, ok: true, detail, advice: None },
        Err(detail) => Check { name, ok: false, detail, advice: Some(advice()) },
    }
}

/// Makes the folder and writes a file there.
fn folder(name: &'static str, path: &Path, setting: &str) -> Check {
    let probe = path.join(format!(".doctor-{}", std::process::id()));
    let written = std::fs::create_dir_all(path).and_then(|()| std::fs::write(&probe, b"ok")).and_then(|()| std::fs::remove_file(&probe));
    let shown = path.canonicalize().unwrap_or_else(|_| path.to_path_buf()).display().to_string();
    finding(name, written.map(|()| shown.clone()).map_err(|error| format!("{shown}: {error}")), || {
        format!("Give the user that runs Millrace the right to write there, or set `{setting}` to another folder.")
    })
}

/// The scratch folder, and whether finished files can be moved to the store instead of copied.
fn scratch(settings: &Settings) -> Check {
    use std::os::unix::fs::MetadataExt;
    let mut check = folder("scratch folder", &settings.transcode.scratch_dir, "transcode.scratch_dir");
    let device = |path: &Path| std::fs::metadata(path).map(|metadata| metadata.dev()).ok();
    if check.ok && device(&settings.transcode.scratch_dir) != device(&settings.data_dir) {
        check.advice =
            Some("It lies on another disk than the data folder, so finished files are copied, not moved. One disk is faster.".into());
    }
    check
}

async fn database(settings: &Settings) -> Check {
    let opened = db::connect(&settings.database, &settings.data_dir).await;
    let pinged = match opened {
        Ok(connection) => connection.ping().await,
        Err(error) => Err(error),
    };
    finding("database", pinged.map(|()| "answers".to_owned()).map_err(|error| error.to_string()), || {
        "Look at the setting `database.url` and at the rights on the data folder.".to_owned()
    })
}

fn pages(settings: &Settings) -> Check {
    let found = site::find(settings.bind).map(|site| site.root.display().to_string());
    finding("site folder", found, || "Run `make build`, or put the folder `site` beside the binary.".to_owned())
}
