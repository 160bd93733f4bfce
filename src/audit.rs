//! `millrace audit`: holds rows and store against each other and says what to do about each finding.

use std::{
    io::{self, IsTerminal, Write},
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use clap::Args;
use domain::{
    ids::VideoId,
    store_audit::{AuditReport, Finding},
    upload::bytes_in_words,
};
use server::{
    config::Settings,
    services::store_audit::{AuditOptions, StoreAudit},
};

use crate::{Failure, compose};

/// So many videos, or files that were read, between two words about how far it is.
const TELL_EVERY: u64 = 50;
const HOUR_MS: i64 = 3_600_000;

#[derive(Debug, Args)]
pub(crate) struct AuditArguments {
    /// Removes what no row names and is older than the grace time.
    #[arg(long)]
    repair: bool,
    /// Also reads every source and every picture of every video that is done: slow where there are many.
    #[arg(long)]
    deep: bool,
    /// Prints the result as JSON.
    #[arg(long)]
    json: bool,
    /// Leaves what no row names alone for so many hours after it was last written, instead of what the settings say. 0 only while no server
    /// and no worker runs: what they are about to name would count as nobody's.
    #[arg(long, value_name = "HOURS", value_parser = clap::value_parser!(i64).range(0..=100_000))]
    grace_hours: Option<i64>,
    /// Goes on behind this video: the last one that an earlier run looked at.
    #[arg(long, value_name = "VIDEO")]
    after: Option<VideoId>,
}

/// Looks, and prints what was found; the exit code is 0 where nothing is left to be done.
///
/// # Errors
/// The database or the store cannot be used, or standard output is closed.
pub(crate) async fn audit(settings: &Settings, arguments: AuditArguments) -> Result<ExitCode, Failure> {
    let database = compose::open_database(settings).await?;
    let (ports, _) = compose::choose_ports(settings, &database).await?;
    let audit = StoreAudit::new(database, Arc::clone(&ports.store), ports.transcoder, settings.storage.orphan_grace_hours);
    let options = AuditOptions {
        deep: arguments.deep,
        repair: arguments.repair,
        grace_ms: arguments.grace_hours.map_or(audit.grace_ms(), |hours| hours * HOUR_MS),
        after: arguments.after,
    };
    let (told, aloud) = (AtomicU64::new(0), io::stderr().is_terminal());
    let listener = |report: &AuditReport| {
        let done = (report.checked.videos + report.checked.probed) / TELL_EVERY;
        if told.swap(done, Ordering::Relaxed) != done && aloud {
            let last = report.checked.last_video.map(|video| video.to_string()).unwrap_or_default();
            // Nobody is worse off who does not read it.
            let _ = writeln!(io::stderr(), "{} videos, {} files read, up to {last}", report.checked.videos, report.checked.probed);
        }
    };
    let report = audit.run(options, &listener).await?;
    if arguments.json {
        writeln!(io::stdout(), "{}", serde_json::to_string(&report)?)?;
    } else {
        print(&report)?;
    }
    Ok(if report.clean() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn print(report: &AuditReport) -> io::Result<()> {
    let mut out = io::stdout().lock();
    for finding in &report.findings {
        tell(&mut out, finding)?;
    }
    let checked = &report.checked;
    writeln!(
        out,
        "Looked at {} videos, {} objects of {} and {} unfinished uploads; {} files were read.",
        checked.videos,
        checked.objects,
        bytes_in_words(checked.bytes),
        checked.unfinished,
        checked.probed
    )?;
    let left = report.findings.iter().filter(|finding| !finding.repaired).count() as u64 + report.left_out;
    match (report.findings.is_empty(), left) {
        (true, _) => writeln!(out, "Rows and store agree."),
        (false, 0) => writeln!(out, "All that was found has been put right."),
        (false, left) => writeln!(out, "{left} findings are left to you."),
    }
}

fn tell(out: &mut impl Write, finding: &Finding) -> io::Result<()> {
    let mark = if finding.repaired { "mended" } else { "found " };
    let video = finding.video.map(|video| format!("video {video}: ")).unwrap_or_default();
    let key = if finding.key.is_empty() { String::new() } else { format!(" ({})", finding.key) };
    writeln!(out, "{mark} {video}{}{key}", finding.detail)?;
    if finding.repaired { Ok(()) } else { writeln!(out, "       → {}", finding.kind.advice()) }
}
