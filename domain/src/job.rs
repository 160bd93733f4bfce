//! A job: one piece of work that must happen once, whoever does it. The row is the truth; a queue's message is only a
//! wake-up. The right to run is a lease with a fencing number that every write of the worker carries.

use serde::{Deserialize, Serialize};

/// Where a job stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobState {
    /// Waiting for a worker (perhaps until a moment after a failed try).
    Queued,
    /// Somebody holds the lease.
    Running,
    /// Finished well.
    Done,
    /// Given up; the video says why.
    Failed,
    /// Given up, and another job has taken its place since.
    Replaced,
}

impl JobState {
    /// The state as stored.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Replaced => "replaced",
        }
    }
}

/// Tries before a job that fails for a passing reason is given up.
pub const MAX_ATTEMPTS: i32 = 5;

/// How long a lease lasts without a heartbeat, in milliseconds. A job whose worker was killed runs again after this and the time between two
/// looks at it; at once where the worker is known to be gone.
pub const LEASE_MS: i64 = 20_000;

/// How often a lease is renewed, in milliseconds: several heartbeats may get lost.
pub const HEARTBEAT_MS: i64 = LEASE_MS / 4;

/// No wait before another try is longer, in milliseconds.
pub const LONGEST_DELAY_MS: i64 = 300_000;

/// Wait before try number `attempt + 1`, in milliseconds: about 2, 8, 32, 128 s … at most five minutes. `random` (0 to 1) spreads those that
/// failed together over a quarter of it, so that they do not come back together.
pub fn retry_delay_ms(attempt: i32, random: f64) -> i64 {
    let exponent = u32::try_from(attempt.clamp(1, 6)).unwrap_or(1);
    spread((500 * 4_i64.pow(exponent)).min(LONGEST_DELAY_MS), random)
}

/// Takes up to a quarter off.
fn spread(delay_ms: i64, random: f64) -> i64 {
    delay_ms - (delay_ms as f64 * 0.25 * random.clamp(0.0, 1.0)) as i64
}

/// How long a job waits for something that does not answer, in milliseconds, before that counts as its failure.
pub const PATIENCE_MS: i64 = 24 * 3_600_000;

/// Wait before a try that something else is to blame for is made again, in milliseconds: a share of the job's age, so that a moment's fault
/// costs a moment and a day's fault few tries. `random` as in [`retry_delay_ms`].
pub fn passing_delay_ms(age_ms: i64, random: f64) -> i64 {
    spread((age_ms / 8).clamp(2_000, LONGEST_DELAY_MS), random)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_and_stay_bounded() {
        let retry = |attempt| retry_delay_ms(attempt, 0.0);
        assert_eq!([1, 2, 3, i32::MAX, -3].map(retry), [2_000, 8_000, 32_000, LONGEST_DELAY_MS, 2_000]);
        let passing = |age| passing_delay_ms(age, 0.0);
        assert_eq!([0, 80_000, PATIENCE_MS, -5].map(passing), [2_000, 10_000, LONGEST_DELAY_MS, 2_000]);
        assert_eq!([0.0, 0.5, 1.0, 7.0].map(|random| retry_delay_ms(1, random)), [2_000, 1_750, 1_500, 1_500]);
    }
}
