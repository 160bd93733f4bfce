//! Who has gone silent, by our own eyes: a lease is over when this process has seen for the length of a lease that nobody renewed it. No clock
//! of another machine is trusted, and neither is our own: it may be set forward by an hour while a worker does its work.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use domain::job::LEASE_MS;
use uuid::Uuid;

/// What counts of the time between two looks. Of a process that was stopped for an hour it is not known what happened meanwhile.
const LONGEST_BLINK: Duration = Duration::from_millis(LEASE_MS.unsigned_abs() / 2);

/// What a lease looks like from outside; each renewal changes it.
pub(super) type Look = (i64, i64);

/// What was seen of one lease.
#[derive(Debug, Clone, Copy)]
struct Sighting {
    look: Look,
    unchanged_for: Duration,
    last: Instant,
}

/// What was seen of all of them.
#[derive(Debug, Default)]
pub(super) struct Sightings(HashMap<Uuid, Sighting>);

impl Sightings {
    /// Notes how a job's lease looks at this moment; says whether it has looked so for the length of a lease.
    pub(super) fn is_silent(&mut self, job: Uuid, look: Look, now: Instant) -> bool {
        let seen = self.0.entry(job).or_insert(Sighting { look, unchanged_for: Duration::ZERO, last: now });
        if seen.look == look {
            seen.unchanged_for += now.saturating_duration_since(seen.last).min(LONGEST_BLINK);
        } else {
            (seen.look, seen.unchanged_for) = (look, Duration::ZERO);
        }
        seen.last = now;
        seen.unchanged_for >= Duration::from_millis(LEASE_MS.unsigned_abs())
    }

    /// Forgets all jobs that are not among those that run.
    pub(super) fn keep(&mut self, running: impl Fn(&Uuid) -> bool) {
        self.0.retain(|job, _| running(job));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STEP: Duration = Duration::from_secs(5);

    #[test]
    fn silence_is_measured_and_every_renewal_ends_it() {
        let (mut seen, job, mut now) = (Sightings::default(), Uuid::now_v7(), Instant::now());
        let mut look = |look, after: Duration| {
            now += after;
            seen.is_silent(job, look, now)
        };
        assert!(!look((1, 100), Duration::ZERO));
        assert!(!look((1, 100), STEP) && !look((1, 100), STEP) && !look((1, 100), STEP));
        assert!(look((1, 100), STEP), "a lease's length");
        assert!(!look((1, 200), STEP), "renewed");
        assert!(!look((2, 200), STEP), "somebody else's");
        // A renewal is any change: a clock that was set back makes it smaller.
        assert!(!look((2, 50), STEP));
    }

    #[test]
    fn who_was_stopped_has_seen_nothing() {
        let (mut seen, job, mut now) = (Sightings::default(), Uuid::now_v7(), Instant::now());
        assert!(!seen.is_silent(job, (1, 1), now));
        now += Duration::from_hours(1);
        assert!(!seen.is_silent(job, (1, 1), now));
        now += Duration::from_hours(1);
        assert!(seen.is_silent(job, (1, 1), now), "two looks, half a lease each");
    }

    #[test]
    fn what_no_longer_runs_is_forgotten() {
        let (mut seen, jobs) = (Sightings::default(), [Uuid::now_v7(), Uuid::now_v7()]);
        for job in jobs {
            seen.is_silent(job, (1, 1), Instant::now());
        }
        seen.keep(|job| *job == jobs[0]);
        assert_eq!(seen.0.len(), 1);
    }
}
