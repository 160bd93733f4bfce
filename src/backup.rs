//! `millrace backup` and `millrace restore`: a copy of everything of the embedded set, and a data folder out of it.

use std::{
    io::{self, Write},
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
};

use clap::Args;
use domain::upload::bytes_in_words;
use server::{
    config::{Settings, StoreKind},
    services::backup::{self, Backup},
};

use crate::{Failure, compose};

#[derive(Debug, Args)]
pub(crate) struct BackupArguments {
    /// A folder outside the data folder, best on another disk: an empty one, or one with an earlier backup, which is brought up to date.
    folder: PathBuf,
    /// Makes no backup, but reads the one in the folder and holds every file against its checksum.
    #[arg(long)]
    verify: bool,
}

#[derive(Debug, Args)]
pub(crate) struct RestoreArguments {
    /// The folder of the backup.
    from: PathBuf,
}

/// Only files and SQLite are ours to copy.
fn check_embedded(settings: &Settings) -> Result<(), Failure> {
    if !settings.database.is_sqlite() {
        return Err(
            "the database is PostgreSQL: use pg_dump (or the snapshots of whoever runs it) for the database, and copy the store after it"
                .into(),
        );
    }
    if settings.ports.store != StoreKind::Files {
        return Err(
            "the videos are in S3: turn on the buckets' versioning, and copy the data folder's database with `sqlite3 .backup`".into()
        );
    }
    Ok(())
}

/// Makes a backup, or reads one.
///
/// # Errors
/// Something cannot be read or written, or the set is not the embedded one.
pub(crate) async fn backup(settings: &Settings, arguments: &BackupArguments) -> Result<ExitCode, Failure> {
    if arguments.verify {
        let summary = backup::verify(&arguments.folder).await?;
        writeln!(io::stderr(), "All {} files ({}) are what was written.", summary.files, bytes_in_words(summary.bytes))?;
        return Ok(ExitCode::SUCCESS);
    }
    check_embedded(settings)?;
    let db = compose::open_database(settings).await?;
    let (ports, _) = compose::choose_ports(settings, &db).await?;
    let summary = Backup { db, store: Arc::clone(&ports.store), data_dir: settings.data_dir.clone() }.make(&arguments.folder).await?;
    writeln!(
        io::stderr(),
        "Backup of {} files ({}), {} of them new, in {}.",
        summary.files,
        bytes_in_words(summary.bytes),
        summary.copied,
        arguments.folder.display()
    )?;
    if summary.missing.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    let first = summary.missing.first().map(String::as_str).unwrap_or_default();
    writeln!(
        io::stderr(),
        "{} things that rows name are not in the store, the first of them {first}. `millrace audit` says more.",
        summary.missing.len()
    )?;
    Ok(ExitCode::FAILURE)
}

/// Fills an empty data folder.
///
/// # Errors
/// It is not empty, or the backup is damaged.
pub(crate) async fn restore(settings: &Settings, arguments: &RestoreArguments) -> Result<(), Failure> {
    check_embedded(settings)?;
    let standard = settings.database.url_is_empty();
    if !standard {
        return Err("a backup is restored into the data folder: leave `database.url` empty".into());
    }
    compose::make_data_dir(settings)?;
    let data_dir: &Path = &settings.data_dir;
    let summary = backup::restore(&arguments.from, data_dir).await?;
    writeln!(
        io::stderr(),
        "Restored {} files ({}) into {}. `millrace audit` looks through them; `millrace` starts.",
        summary.files,
        bytes_in_words(summary.bytes),
        data_dir.display()
    )?;
    Ok(())
}
