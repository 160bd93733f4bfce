//! How far an encode is, as told by ffmpeg's own `-progress` lines and read by whoever polls.

use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering},
};

use crate::ports::transcoder::Grown;

/// Lines that tell of work: as long as one of them changes, something happens.
const SIGNS: [&str; 5] = ["frame", "out_time_us", "total_size", "dup_frames", "drop_frames"];

/// Shared between the task that encodes and those who ask.
#[derive(Debug, Default)]
pub(super) struct Progress {
    percent: AtomicU8,
    poster: AtomicBool,
    /// What the lines said last.
    signs: Mutex<[String; SIGNS.len()]>,
    /// How often they said something new.
    changes: AtomicU64,
    /// What is finished and nobody was told of yet.
    grown: Mutex<Vec<Grown>>,
}

impl Progress {
    /// Takes a line of ffmpeg's, of a video this long. What is neither a time nor grows is passed over; 100 percent is said by
    /// the end alone.
    pub(super) fn read(&self, line: &str, duration_ms: u64) {
        self.note_sign(line);
        let Some(time_us) = line.strip_prefix("out_time_us=").and_then(|time| time.trim().parse::<u64>().ok()) else { return };
        let percent = u128::from(time_us) / 10 / u128::from(duration_ms.max(1));
        self.percent.fetch_max(percent.min(99) as u8, Ordering::Relaxed);
    }

    fn note_sign(&self, line: &str) {
        let Some((name, value)) = line.trim().split_once('=') else { return };
        let Some(place) = SIGNS.iter().position(|sign| *sign == name) else { return };
        let mut signs = self.signs.lock().unwrap_or_else(PoisonError::into_inner);
        if signs[place] != value {
            value.clone_into(&mut signs[place]);
            self.changes.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How often something new was said: what does not grow for long stands still.
    pub(super) fn changes(&self) -> u64 {
        self.changes.load(Ordering::Relaxed)
    }

    /// Notes that the poster is stored.
    pub(super) fn poster_is_stored(&self) {
        self.poster.store(true, Ordering::Release);
    }

    /// Notes what is finished and stored.
    pub(super) fn grow(&self, grown: Vec<Grown>) {
        self.grown.lock().unwrap_or_else(PoisonError::into_inner).extend(grown);
    }

    /// What was noted since this was asked last.
    pub(super) fn take_grown(&self) -> Vec<Grown> {
        std::mem::take(&mut self.grown.lock().unwrap_or_else(PoisonError::into_inner))
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
    fn saying_the_same_again_is_no_sign_of_progress() {
        let progress = Progress::default();
        let said = |lines: &[&str]| {
            lines.iter().for_each(|line| progress.read(line, 10_000));
            progress.changes()
        };
        assert_eq!(said(&["frame=12", "fps=25.0", "out_time_us=480000", "progress=continue"]), 2);
        assert_eq!(said(&["frame=12", "fps=24.1", "out_time_us=480000", "speed=0.9x", "progress=continue"]), 2);
        assert_eq!(said(&["frame=12", "drop_frames=1"]), 3);
    }

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
