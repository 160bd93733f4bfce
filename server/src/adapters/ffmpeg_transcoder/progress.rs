//! How far an encode is, as told by ffmpeg's own `-progress` lines and read by whoever polls.

use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};

/// Shared between the task that encodes and those who ask.
#[derive(Debug, Default)]
pub(super) struct Progress {
    percent: AtomicU8,
    poster: AtomicBool,
}

impl Progress {
    /// Takes a line of ffmpeg's, of a video this long. What is neither a time nor grows is passed over; 100 percent is said by
    /// the end alone.
    pub(super) fn read(&self, line: &str, duration_ms: u64) {
        let Some(time_us) = line.strip_prefix("out_time_us=").and_then(|time| time.trim().parse::<u64>().ok()) else { return };
        let percent = u128::from(time_us) / 10 / u128::from(duration_ms.max(1));
        self.percent.fetch_max(percent.min(99) as u8, Ordering::Relaxed);
    }

    /// Notes that the poster is stored.
    pub(super) fn poster_is_stored(&self) {
        self.poster.store(true, Ordering::Release);
    }

    /// Percent, 0 to 99.
    pub(super) fn percent(&self) -> u8 {
        self.percent.load(Ordering::Relaxed)
    }

    /// Whether the poster is stored.
    pub(super) fn poster(&self) -> bool {
        self.poster.load(Ordering::Acquire)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percent_follows_the_lines_and_never_falls() {
        let progress = Progress::default();
        for line in ["frame=12", "out_time_us=N/A", "out_time_us=2500000", "out_time_us=1000000", "out_time_us=-5", "x"] {
            progress.read(line, 10_000);
        }
        assert_eq!(progress.percent(), 25);
        progress.read("out_time_us=99999999999", 10_000);
        assert_eq!(progress.percent(), 99);
    }
}
