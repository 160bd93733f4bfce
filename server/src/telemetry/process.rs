//! What this process takes of the machine, as the kernel says it (`/proc`). Elsewhere than on Linux there is nothing to say.

use std::{fs, path::Path};

/// Ticks of the clock in which the kernel counts processor time (`USER_HZ`, which is 100 wherever Rust runs on Linux).
const TICKS_A_SECOND: f64 = 100.0;

/// What it takes.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Taken {
    /// Bytes in memory.
    pub memory: u64,
    /// Seconds of processor time, its own and the kernel's for it.
    pub cpu_seconds: f64,
    /// Open files.
    pub files: u64,
    /// Threads.
    pub threads: u64,
}

impl Taken {
    /// By this process, now.
    pub fn now() -> Option<Self> {
        let status = fs::read_to_string("/proc/self/status").ok()?;
        let stat = fs::read_to_string("/proc/self/stat").ok()?;
        let files = fs::read_dir("/proc/self/fd").map_or(0, |folder| folder.count() as u64);
        Some(Self { files, ..read(&status, &stat)? })
    }
}

fn read(status: &str, stat: &str) -> Option<Taken> {
    let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)?.split_whitespace().next()?.parse::<u64>().ok());
    // The program's name stands in brackets and may hold anything.
    let times: Vec<f64> = stat.rsplit_once(')')?.1.split_whitespace().skip(11).take(2).filter_map(|ticks| ticks.parse().ok()).collect();
    let cpu_seconds = times.iter().sum::<f64>() / TICKS_A_SECOND;
    Some(Taken { memory: field("VmRSS:")? * 1024, cpu_seconds, files: 0, threads: field("Threads:")? })
}

/// Bytes of the disk that a folder is on: those that are free for us, and all.
pub fn disk(folder: &Path) -> Option<(u64, u64)> {
    let facts = rustix::fs::statvfs(folder).ok()?;
    Some((facts.f_bavail.saturating_mul(facts.f_frsize), facts.f_blocks.saturating_mul(facts.f_frsize)))
}

/// The machine's name.
pub fn machine() -> String {
    fs::read_to_string("/proc/sys/kernel/hostname").map(|name| name.trim().to_owned()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_words_are_read() {
        let status = "Name:\tx\nVmRSS:\t    2048 kB\nThreads:\t7\n";
        let stat = "12 (a) b) c) S 1 2 3 4 5 6 7 8 9 10 150 50 0 0 20";
        let taken = read(status, stat).expect("read");
        assert_eq!(taken, Taken { memory: 2_097_152, cpu_seconds: 2.0, files: 0, threads: 7 });
        assert!(Taken::now().is_some_and(|taken| taken.memory > 0 && taken.files > 0));
        assert!(disk(Path::new("/")).is_some_and(|(free, all)| free <= all && all > 0));
    }
}
