//! Times, and the table they end up in.

use std::{
    io::Write as _,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::{Outcome, machine};

/// Times of one thing, in milliseconds, and what this process's threads worked meanwhile: that is the same on a busy machine. On SQLite it is
/// all the work there is; PostgreSQL's own is not in it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Times {
    waited: Vec<f64>,
    worked: Vec<f64>,
}

/// Nanoseconds that this process's threads have worked. Linux only; elsewhere it is nothing.
fn worked() -> u64 {
    let threads = std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let of =
        |thread: std::fs::DirEntry| std::fs::read_to_string(thread.path().join("schedstat")).ok()?.split(' ').next()?.parse::<u64>().ok();
    threads.filter_map(of).sum()
}

impl Times {
    pub(crate) fn add(&mut self, time: Duration) {
        self.waited.push(time.as_secs_f64() * 1_000.0);
    }

    /// Adds how long something takes.
    pub(crate) async fn of<T, E>(&mut self, work: impl Future<Output = Result<T, E>>) -> Result<T, E> {
        let (before, began) = (worked(), Instant::now());
        let done = work.await?;
        self.add(began.elapsed());
        self.worked.push(Duration::from_nanos(worked().saturating_sub(before)).as_secs_f64() * 1_000.0);
        Ok(done)
    }
}

/// The time that so many percent take at most.
fn percentile(times: &[f64], percent: usize) -> f64 {
    let mut sorted = times.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get((sorted.len() * percent / 100).min(sorted.len().saturating_sub(1))).copied().unwrap_or_default()
}

/// One row: ours and the plain way.
#[derive(Debug)]
struct Row {
    what: String,
    ours: Times,
    peer: &'static str,
    theirs: Times,
}

/// What was measured on one database.
#[derive(Debug)]
pub(crate) struct Report {
    database: &'static str,
    rows: Vec<Row>,
}

impl Report {
    pub(crate) const fn new(database: &'static str) -> Self {
        Self { database, rows: Vec::new() }
    }

    pub(crate) fn add(&mut self, what: impl Into<String>, ours: Times, peer: &'static str, theirs: Times) {
        self.rows.push(Row { what: what.into(), ours, peer, theirs });
    }

    /// Milliseconds; the ratio is of the medians, its spread that of the quartiles.
    pub(crate) fn print(&self) -> Outcome<()> {
        let mut out = std::io::stdout().lock();
        writeln!(out, "\n{} ({})", self.database, machine())?;
        writeln!(
            out,
            "{:<50} {:>8} {:>8} {:>8} {:>8}   {:<22} {:>9} {:>8}   {:>7}  spread",
            "milliseconds", "p50", "p99", "CPU p50", "p99", "beside", "p50", "CPU p50", "times"
        )?;
        for Row { what, ours, peer, theirs } in &self.rows {
            let (times, low, high) = ratio(ours, theirs);
            writeln!(
                out,
                "{what:<50} {:>8.3} {:>8.3} {:>8.3} {:>8.3}   {peer:<22} {:>9.3} {:>8.3}   {times:>7.2}  {low:.2}–{high:.2}",
                percentile(&ours.waited, 50),
                percentile(&ours.waited, 99),
                percentile(&ours.worked, 50),
                percentile(&ours.worked, 99),
                percentile(&theirs.waited, 50),
                percentile(&theirs.worked, 50),
            )?;
        }
        Ok(())
    }

    pub(crate) fn json(&self) -> Value {
        let each = self.rows.iter().map(|Row { what, ours, peer, theirs }| {
            let (times, low, high) = ratio(ours, theirs);
            let figures = |times: &Times| {
                json!({
                    "asked": times.waited.len(),
                    "p50Ms": percentile(&times.waited, 50), "p99Ms": percentile(&times.waited, 99),
                    "cpuP50Ms": percentile(&times.worked, 50), "cpuP99Ms": percentile(&times.worked, 99),
                })
            };
            json!({ "what": what, "ours": figures(ours), "peer": peer, "peers": figures(theirs), "ratio": times, "spread": [low, high] })
        });
        json!({ "database": self.database, "rows": each.collect::<Vec<_>>() })
    }
}

/// How many times as long the plain way takes, and the same of the quartiles.
fn ratio(ours: &Times, theirs: &Times) -> (f64, f64, f64) {
    let of = |own: usize, other: usize| percentile(&theirs.waited, other) / percentile(&ours.waited, own);
    (of(50, 50), of(75, 25), of(25, 75))
}
