//! Millrace: one binary, its roles as subcommands. The composition root.

use std::{
    io::{IsTerminal, Write},
    path::PathBuf,
    process::ExitCode,
};

use clap::{Parser, Subcommand};
use domain::{account::Scope, error::Problem};
use server::{
    config::{DEFAULTS, QueueKind, Settings, StoreKind},
    services::{accounts::Accounts, alerts, api_keys::ApiKeys, invites::Invites},
    telemetry,
};
use tokio::sync::watch;

mod audit;
mod backup;
mod compose;
mod doctor;
mod health;
mod job_command;
mod serve;
mod signing_key;
mod site;
mod watch_pages;

/// A video streaming platform in one binary.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// Settings file; `millrace config` prints all settings with their defaults.
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Pages, API and worker in one process (the default).
    Serve,
    /// The worker alone.
    Worker,
    /// Brings the database's schema up to date.
    Migrate,
    /// Checks everything that Millrace is set to use and says what to do about each finding.
    Doctor {
        /// Also pushes a tiny clip through the whole path, plays it back, and removes it.
        #[arg(long)]
        upload: bool,
    },
    /// Holds rows and store against each other: every row has its objects, every object its row, and what is done plays.
    Audit(audit::AuditArguments),
    /// Copies everything that must survive into a folder, while the server runs (SQLite and files).
    Backup(backup::BackupArguments),
    /// Fills an empty data folder from a backup.
    Restore(backup::RestoreArguments),
    /// Asks whether the server on this machine answers: for health checks of containers.
    Health,
    /// Prints all settings with their defaults and comments.
    Config,
    /// What the operator is told.
    #[command(subcommand)]
    Alert(AlertCommand),
    /// Accounts.
    #[command(subcommand)]
    User(UserCommand),
    /// API keys.
    #[command(subcommand)]
    Key(KeyCommand),
    /// Jobs: what waits, what runs, what was given up.
    #[command(subcommand)]
    Job(job_command::JobCommand),
}

#[derive(Debug, Subcommand)]
enum AlertCommand {
    /// Sends a message that nothing is wrong by every way that the settings name, and says how that went.
    Test,
}

#[derive(Debug, Subcommand)]
enum UserCommand {
    /// Adds an account; its password comes from standard input or a prompt.
    Add {
        /// E-mail address to sign in with.
        email: String,
    },
    /// Makes an invitation and prints its link once, alone on standard output.
    Invite {
        /// Whom it is for.
        #[arg(long)]
        name: String,
    },
    /// Sets a new password, from standard input or a prompt, and ends the account's sessions.
    Password {
        /// E-mail address of the account.
        email: String,
    },
}

#[derive(Debug, Subcommand)]
enum KeyCommand {
    /// Makes an API key and prints it once, alone on standard output.
    Add {
        /// E-mail address of the account it belongs to.
        email: String,
        /// What to call it.
        #[arg(long)]
        name: String,
        /// What it may do: read (states and stream addresses), upload (and upload), manage (everything).
        #[arg(long, default_value = "manage", value_parser = parse_scope)]
        scope: Scope,
    },
}

fn parse_scope(text: &str) -> Result<Scope, String> {
    Scope::parse(text).ok_or_else(|| "one of read, upload, manage".to_owned())
}

/// What ends the program badly, as a sentence.
type Failure = Box<dyn std::error::Error>;

fn main() -> ExitCode {
    // The sandbox starts this program in front of ffmpeg: then it has one thread and nothing open.
    if let Some(code) = compose::sandbox_role() {
        return code;
    }
    #[cfg(feature = "failpoints")]
    let _points = server::failpoints::set_up();
    match run(Arguments::parse()) {
        Ok(code) => code,
        Err(failure) => {
            // The log may be filtered; this sentence must be seen.
            let _ = writeln!(std::io::stderr(), "millrace: {failure}");
            ExitCode::FAILURE
        }
    }
}

#[tokio::main]
async fn run(arguments: Arguments) -> Result<ExitCode, Failure> {
    let command = arguments.command.unwrap_or(Command::Serve);
    if matches!(command, Command::Config) {
        std::io::stdout().write_all(DEFAULTS.as_bytes())?;
        return Ok(ExitCode::SUCCESS);
    }
    let settings = Settings::load(arguments.config.as_deref())?;
    telemetry::logs::begin(&settings.log, settings.log_format)?;
    match command {
        Command::Serve => {
            let traces = compose::traces(&settings, "serve")?;
            serve::serve(settings, shutdown_signal()).await?;
            finish(traces).await;
        }
        Command::Worker => {
            check_shared(&settings)?;
            work(settings, shutdown_signal()).await?;
        }
        Command::Migrate => {
            compose::open_database(&settings).await?;
            tracing::info!("the database is up to date");
        }
        Command::Doctor { upload } => return Ok(doctor::doctor(&settings, upload).await?),
        Command::Audit(arguments) => return audit::audit(&settings, arguments).await,
        Command::Backup(arguments) => return backup::backup(&settings, &arguments).await,
        Command::Restore(arguments) => backup::restore(&settings, &arguments).await?,
        Command::Health => health::ask(settings.bind).await?,
        Command::Config => {}
        Command::Alert(AlertCommand::Test) => return test_alerts(&settings).await,
        Command::User(UserCommand::Add { email }) => {
            let password = read_password()?;
            let accounts = Accounts::new(compose::open_database(&settings).await?, settings.registration);
            let account = accounts.add(&email, &password).await.map_err(Problem::from)?;
            writeln!(std::io::stderr(), "Added {}.", account.email)?;
        }
        Command::User(UserCommand::Invite { name }) => {
            let database = compose::open_database(&settings).await?;
            let invites = Invites::new(database, settings.registration, settings.public_url.clone());
            let new = invites.create_as_operator(&name).await.map_err(Problem::from)?;
            writeln!(std::io::stdout(), "{}", new.link)?;
        }
        Command::User(UserCommand::Password { email }) => {
            let password = read_password()?;
            let accounts = Accounts::new(compose::open_database(&settings).await?, settings.registration);
            let account = accounts.set_password(&email, &password).await.map_err(Problem::from)?;
            writeln!(std::io::stderr(), "Changed the password of {}.", account.email)?;
        }
        Command::Job(command) => {
            let product = compose::compose(settings, shutdown_signal()).await?;
            job_command::run(command, &product.state.backlogs).await?;
        }
        Command::Key(KeyCommand::Add { email, name, scope }) => {
            let database = compose::open_database(&settings).await?;
            let account = Accounts::new(database.clone(), settings.registration).by_email(&email).await.map_err(Problem::from)?;
            let key = ApiKeys::new(database).create_as_operator(&account, &name, scope).await.map_err(Problem::from)?;
            writeln!(std::io::stdout(), "{}", key.secret)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Works on videos until `shutdown` turns true.
async fn work(mut settings: Settings, shutdown: watch::Receiver<bool>) -> Result<(), Failure> {
    let traces = compose::traces(&settings, "worker")?;
    // Whether this process can work is whether it can process videos.
    settings.transcode.in_serve = true;
    let product = compose::compose(settings, shutdown.clone()).await?;
    let watching = serve::spawn_operators(&product.state, shutdown.clone()).await?;
    tracing::info!(slots = product.worker.slots, "worker started");
    product.worker.run(shutdown).await;
    watching.abort();
    finish(traces).await;
    Ok(())
}

async fn test_alerts(settings: &Settings) -> Result<ExitCode, Failure> {
    let channels = compose::alert_channels(settings)?;
    if channels.is_empty() {
        return Err("nobody would be told: set `alerts.smtp_url` or `alerts.webhook_url`".into());
    }
    let mut code = ExitCode::SUCCESS;
    for (channel, went) in alerts::try_out(&channels, &settings.public_url).await {
        match went {
            Ok(()) => writeln!(std::io::stdout(), "{channel}: sent")?,
            Err(error) => {
                writeln!(std::io::stdout(), "{channel}: not sent: {error}")?;
                code = ExitCode::FAILURE;
            }
        }
    }
    Ok(code)
}

async fn finish(traces: Option<compose::Traces>) {
    if let Some(traces) = traces {
        traces.finish().await;
    }
}

/// A worker on another machine needs more than a queue that reaches it.
fn check_shared(settings: &Settings) -> Result<(), Failure> {
    if settings.ports.queue == QueueKind::Sqs && settings.database.is_sqlite() {
        return Err(
            "with `ports.queue` = sqs a worker needs a database that it shares with `millrace serve`: set `database.url` to PostgreSQL"
                .into(),
        );
    }
    if settings.ports.queue == QueueKind::Sqs && settings.ports.store == StoreKind::Files {
        return Err("with `ports.queue` = sqs a worker needs a store that it shares with `millrace serve`: set `ports.store` to s3".into());
    }
    Ok(())
}

fn read_password() -> Result<String, Failure> {
    if std::io::stdin().is_terminal() {
        let password = rpassword::prompt_password("Password: ")?;
        if rpassword::prompt_password("The same again: ")? != password {
            return Err("the two passwords differ".into());
        }
        return Ok(password);
    }
    let mut line = String::new();
    std::io::stdin().read_line(&mut line)?;
    Ok(line.trim_end_matches(['\n', '\r']).to_owned())
}

/// Turns true at SIGTERM or Ctrl-C.
fn shutdown_signal() -> watch::Receiver<bool> {
    let (sender, receiver) = watch::channel(false);
    tokio::spawn(async move {
        let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()).expect("SIGTERM can be listened for");
        tokio::select! {
            _ = terminate.recv() => {}
            _ = tokio::signal::ctrl_c() => {}
        }
        tracing::info!("shutting down");
        // Kept alive until the end, so that nobody sees the channel close before it turns true.
        sender.send_replace(true);
        std::future::pending::<()>().await;
    });
    receiver
}
