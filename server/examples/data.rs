//! Measures what the database is asked: pages of the library, searches by title, and how soon a job starts, each beside the plain way of
//! doing it, in turns. For `benches/data/run.sh`, which says what is printed.
//!
//! `data [--short] [--json FILE]` fills a SQLite file, and a database on the PostgreSQL that `TEST_POSTGRES_URL` names. `data --work` is a
//! worker of that PostgreSQL, in a process of its own.

use std::{error::Error, io::Write as _, process::ExitCode, time::Duration};

use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend};
use serde_json::{Value, json};
use server::{config::DatabaseSettings, db};
use uuid::Uuid;

use self::{
    figures::Report,
    seed::{Lot, insert, literal},
};

#[path = "data/figures.rs"]
mod figures;
#[path = "data/library.rs"]
mod library;
#[path = "../tests/it/database/seed.rs"]
mod seed;
#[path = "data/start.rs"]
mod start;

type Outcome<T> = Result<T, Box<dyn Error>>;

/// What a run is made of.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    /// Videos of the account that has most.
    big: u32,
    /// Accounts beside it, and videos of each.
    others: (u16, u32),
    /// Times that what is fast is asked, and what is slow.
    rounds: (usize, usize),
    /// Jobs that are started.
    jobs: usize,
}

const LONG: Plan = Plan { big: 1_000_000, others: (100, 10_000), rounds: (1_500, 5), jobs: 200 };
const SHORT: Plan = Plan { big: 100_000, others: (10, 2_000), rounds: (300, 5), jobs: 50 };

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "data: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Outcome<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let after = |name: &str| arguments.iter().position(|argument| argument == name).and_then(|at| arguments.get(at + 1)).cloned();
    if arguments.iter().any(|argument| argument == "--work") {
        return start::work(&url()?).await;
    }
    let plan = if arguments.iter().any(|argument| argument == "--short") { SHORT } else { LONG };
    let folder = tempfile::tempdir()?;
    let mut results = Vec::new();
    for (name, url) in [("SQLite", String::new()), ("PostgreSQL", url()?)] {
        let settings = settings(&url);
        let db = db::open(&settings, folder.path()).await?;
        let accounts = fill(&db, &plan).await?;
        let mut report = Report::new(name);
        library::measure(&db, &plan, &accounts, &mut report).await?;
        start::measure(&db, &url, &plan, accounts[0], &mut report).await?;
        report.print()?;
        results.push(report.json());
        db.close().await?;
    }
    if let Some(file) = after("--json") {
        let all = json!({ "area": "data", "plan": format!("{plan:?}"), "machine": machine(), "results": results });
        std::fs::write(file, serde_json::to_vec_pretty(&all)?)?;
    }
    Ok(())
}

fn url() -> Outcome<String> {
    std::env::var("TEST_POSTGRES_URL").map_err(|_| "start it by benches/data/run.sh, which starts a PostgreSQL".into())
}

pub(crate) fn settings(url: &str) -> DatabaseSettings {
    // Filling takes longer than any statement of the product may.
    DatabaseSettings { url: url.to_owned().into(), max_connections: 4, acquire_timeout_seconds: 10, statement_timeout_seconds: 0 }
}

/// Cores, kernel and load of this machine.
fn machine() -> Value {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default().trim().to_owned();
    let cores = std::thread::available_parallelism().map(std::num::NonZero::get).unwrap_or_default();
    json!({ "cores": cores, "kernel": read("/proc/sys/kernel/osrelease"), "loadAverage": read("/proc/loadavg") })
}

/// The accounts, the one with most videos first.
async fn fill(db: &DatabaseConnection, plan: &Plan) -> Outcome<Vec<Uuid>> {
    let backend = db.get_database_backend();
    // The one with most is in the middle: what came before it and after it is in its way, if anything is.
    let mut accounts = Vec::new();
    for number in 1..=plan.others.0 + 1 {
        let is_big = number == plan.others.0 / 2;
        let user = Uuid::now_v7();
        let id = literal(backend, user);
        let account = "INSERT INTO users (id, email, password_hash, created_at) VALUES";
        db.execute_unprepared(&format!("{account} ({id}, 'u{number}', '', '2026-11-22 00:00:00+00:00')")).await?;
        let videos = if is_big { plan.big } else { plan.others.1 };
        db.execute_unprepared(&insert(backend, Lot { user, number, videos })).await?;
        accounts.insert(if is_big { 0 } else { accounts.len() }, user);
    }
    if backend == DbBackend::Postgres {
        // What autovacuum does in time.
        db.execute_unprepared("VACUUM (ANALYZE)").await?;
    }
    // What was written is on its way to the disk; it is not what is measured.
    tokio::time::sleep(Duration::from_secs(2)).await;
    Ok(accounts)
}
