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
}

impl JobState {
    /// The state as stored.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Done => "done",
            Self::Failed => "failed",
        }
    }
}

/// Tries before a job that fails for a passing reason is given up.
pub const MAX_ATTEMPTS: i32 = 5;

/// How long a lease lasts without a heartbeat, in milliseconds. A killed worker's job runs again after at most this.
pub const LEASE_MS: i64 = 30_000;

/// Wait before try number `attempt + 1`, in milliseconds: 2, 8, 32, 128 s … at most five minutes.
pub fn retry_delay_ms(attempt: i32) -> i64 {
    let exponent = u32::try_from(attempt.clamp(1, 6)).unwrap_or(1);
    (500 * 4_i64.pow(exponent)).min(300_000)
}

/// How long a job waits for something that does not answer, in milliseconds, before that counts as its failure.
pub const PATIENCE_MS: i64 = 24 * 3_600_000;

/// Wait before a try that something else is to blame for is made again, in milliseconds: a share of the job's age, so that a moment's fault
/// costs a moment and a day's fault few tries.
pub fn passing_delay_ms(age_ms: i64) -> i64 {
    (age_ms / 8).clamp(2_000, 300_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_and_stay_bounded() {
        assert_eq!([1, 2, 3].map(retry_delay_ms), [2_000, 8_000, 32_000]);
        assert_eq!(retry_delay_ms(i32::MAX), 300_000);
        assert_eq!(retry_delay_ms(-3), 2_000);
        assert_eq!([0, 80_000, PATIENCE_MS, -5].map(passing_delay_ms), [2_000, 10_000, 300_000, 2_000]);
    }
}
