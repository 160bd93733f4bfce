//! `millrace job`: what waits, what runs, what was given up, and giving that another try.

use std::io::Write;

use clap::Subcommand;
use domain::{
    backlog::{Backlog, FailedPage},
    error::Problem,
    ids::{JobId, VideoId},
};
use server::{
    clock::now_ms,
    services::backlog::{After, Backlogs},
};

/// What can be asked.
#[derive(Debug, Subcommand)]
pub(crate) enum JobCommand {
    /// Shows what waits, what runs and what was given up.
    List {
        /// Only what was given up, with what the last try ended with.
        #[arg(long)]
        failed: bool,
    },
    /// Gives what was given up another try.
    #[command(group = clap::ArgGroup::new("which").required(true).args(["job", "all"]))]
    Retry {
        /// The job, as `millrace job list` shows it.
        job: Option<JobId>,
        /// All that failed on our side; those whose file is to blame only one by one.
        #[arg(long)]
        all: bool,
    },
    /// Processes a video that is done once more, as by new settings. It plays on as it is until the new renditions are there.
    Encode {
        /// The video.
        video: VideoId,
    },
}

/// Does it and says what came of it.
///
/// # Errors
/// It cannot be done; the error says why.
pub(crate) async fn run(command: JobCommand, backlogs: &Backlogs) -> Result<(), Box<dyn std::error::Error>> {
    let mut out = std::io::stdout();
    match command {
        JobCommand::List { failed } => list(&mut out, backlogs, failed).await?,
        JobCommand::Retry { job: Some(job), .. } => {
            let job = backlogs.try_again_as_operator(job).await.map_err(Problem::from)?;
            writeln!(out, "It is in line again, as job {job}.")?;
        }
        JobCommand::Retry { .. } => {
            let done = backlogs.try_all_again_as_operator().await.map_err(Problem::from)?;
            writeln!(out, "{} in line again, {} left as they are.", done.queued, done.left)?;
        }
        JobCommand::Encode { video } => {
            let job = backlogs.encode_again_as_operator(video).await.map_err(Problem::from)?;
            writeln!(out, "It is in line, as job {job}.")?;
        }
    }
    Ok(())
}

async fn list(out: &mut impl Write, backlogs: &Backlogs, only_failed: bool) -> Result<(), Box<dyn std::error::Error>> {
    let mut after = After::default();
    let first = backlogs.look_as_operator(after).await.map_err(Problem::from)?;
    if !only_failed {
        standing(out, &first)?;
    }
    let mut page = first;
    loop {
        failures(out, "failed on our side", &page.ours)?;
        failures(out, "failed because of the file", &page.files)?;
        after = After { ours: page.ours.next, files: page.files.next };
        if after.ours.is_none() && after.files.is_none() {
            return Ok(());
        }
        let mut next = backlogs.look_as_operator(after).await.map_err(Problem::from)?;
        // A list that has ended begins anew where nothing says how far it was read.
        if after.ours.is_none() {
            next.ours = FailedPage::default();
        }
        if after.files.is_none() {
            next.files = FailedPage::default();
        }
        page = next;
    }
}

fn standing(out: &mut impl Write, backlog: &Backlog) -> std::io::Result<()> {
    let waits = backlog.oldest_since_ms.map(|since| format!(", the oldest for {} s", (now_ms() - since).max(0) / 1_000));
    writeln!(out, "{} waiting{}, {} running", backlog.waiting, waits.unwrap_or_default(), backlog.running.len())?;
    for job in &backlog.running {
        let since = job.since_ms.map_or(0, |since| (now_ms() - since).max(0) / 1_000);
        writeln!(out, "running  {}  video {}  {}  try {} for {since} s  by {}", job.id, job.video, job.owner, job.attempt, job.worker)?;
    }
    Ok(())
}

fn failures(out: &mut impl Write, group: &str, page: &FailedPage) -> std::io::Result<()> {
    for job in &page.jobs {
        let code = job.code.as_str();
        writeln!(out, "{group}  {}  video {}  {}  {code} after {} tries: {}", job.id, job.video, job.owner, job.attempts, job.detail)?;
    }
    Ok(())
}
