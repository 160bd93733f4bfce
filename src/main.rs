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
    services::{accounts::Accounts, api_keys::ApiKeys, invites::Invites},
};
use tokio::sync::watch;
use tracing_subscriber::EnvFilter;

mod compose;
mod doctor;
mod health;
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
    /// Asks whether the server on this machine answers: for health checks of containers.
    Health,
    /// Prints all settings with their defaults and comments.
    Config,
    /// Accounts.
    #[command(subcommand)]
    User(UserCommand),
    /// API keys.
    #[command(subcommand)]
    Key(KeyCommand),
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
    let filter = EnvFilter::try_new(&settings.log).map_err(|error| format!("the setting `log` is not a log filter: {error}"))?;
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(std::io::stderr().is_terminal()).init();
    match command {
        Command::Serve => serve::serve(settings, shutdown_signal()).await?,
        Command::Worker => {
            check_shared(&settings)?;
            let shutdown = shutdown_signal();
            let product = compose::compose(settings, shutdown.clone()).await?;
            tracing::info!(slots = product.worker.slots, "worker started");
            product.worker.run(shutdown).await;
        }
        Command::Migrate => {
            compose::open_database(&settings).await?;
            tracing::info!("the database is up to date");
        }
        Command::Doctor { upload } => return Ok(doctor::doctor(&settings, upload).await?),
        Command::Health => health::ask(settings.bind).await?,
        Command::Config => {}
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
        Command::Key(KeyCommand::Add { email, name, scope }) => {
            let database = compose::open_database(&settings).await?;
            let account = Accounts::new(database.clone(), settings.registration).by_email(&email).await.map_err(Problem::from)?;
            let key = ApiKeys::new(database).create_as_operator(&account, &name, scope).await.map_err(Problem::from)?;
            writeln!(std::io::stdout(), "{}", key.secret)?;
        }
    }
    Ok(ExitCode::SUCCESS)
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
