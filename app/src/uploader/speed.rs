//! How fast bytes go, smoothed over the last seconds, and the time left that follows from it.

use std::collections::VecDeque;

/// Samples older than this no longer count.
const WINDOW_MS: f64 = 15_000.0;
/// Nothing is said before this much has been seen: the first numbers are always wrong.
const SETTLE_MS: f64 = 1_500.0;
/// One sample is kept for this long at least; the browser reports progress far more often.
const STEP_MS: f64 = 250.0;

/// Bytes over time.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Speed {
    samples: VecDeque<(f64, u64)>,
}

impl Speed {
    /// Notes that `bytes` had gone in all at `now_ms`. A lower number than before (a part is sent again) begins anew.
    pub fn record(&mut self, now_ms: f64, bytes: u64) {
        if self.samples.back().is_some_and(|(_, last)| bytes < *last) {
            self.samples.clear();
        }
        let recent = self.samples.len() > 1 && self.samples.back().is_some_and(|(at, _)| now_ms - at < STEP_MS);
        if recent {
            // Replace the newest, so that the last step always says the latest.
            let at = self.samples.pop_back().map_or(now_ms, |(at, _)| at);
            self.samples.push_back((at, bytes));
        } else {
            self.samples.push_back((now_ms, bytes));
        }
        while self.samples.len() > 2 && self.samples.front().is_some_and(|(at, _)| now_ms - at > WINDOW_MS) {
            self.samples.pop_front();
        }
    }

    /// Forgets what it saw: after a pause, old samples say nothing.
    pub fn reset(&mut self) {
        self.samples.clear();
    }

    /// Bytes per second, once there is enough to say.
    pub fn per_second(&self) -> Option<f64> {
        let (first_at, first) = self.samples.front()?;
        let (last_at, last) = self.samples.back()?;
        let elapsed = last_at - first_at;
        (elapsed >= SETTLE_MS && last > first).then(|| (last - first) as f64 * 1000.0 / elapsed)
    }

    /// Seconds until `remaining` bytes have gone, at this speed.
    pub fn seconds_left(&self, remaining: u64) -> Option<f64> {
        self.per_second().map(|speed| remaining as f64 / speed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_nothing_at_first_and_the_mean_later() {
        let mut speed = Speed::default();
        speed.record(0.0, 0);
        speed.record(1000.0, 1_000_000);
        assert_eq!(speed.per_second(), None);
        speed.record(2000.0, 2_000_000);
        assert_eq!(speed.per_second(), Some(1_000_000.0));
        assert_eq!(speed.seconds_left(5_000_000), Some(5.0));
    }

    #[test]
    fn forgets_what_is_long_ago() {
        let mut speed = Speed::default();
        for second in 0..60_u32 {
            let bytes = if second < 40 { 0 } else { u64::from(second - 40) * 1000 };
            speed.record(f64::from(second) * 1000.0, bytes);
        }
        assert_eq!(speed.per_second(), Some(1000.0));
    }

    #[test]
    fn many_reports_in_one_step_do_not_grow_it() {
        let mut speed = Speed::default();
        for ms in 0..2000_u32 {
            speed.record(f64::from(ms), u64::from(ms));
        }
        assert!(speed.samples.len() < 12, "{}", speed.samples.len());
    }

    #[test]
    fn bytes_that_go_again_begin_anew() {
        let mut speed = Speed::default();
        speed.record(0.0, 0);
        speed.record(5000.0, 5000);
        speed.record(6000.0, 100);
        assert_eq!(speed.per_second(), None);
    }
}
