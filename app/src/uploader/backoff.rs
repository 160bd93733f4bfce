//! How long to wait before the next try: doubling from half a second to half a minute, with jitter so that many tabs that lost
//! the same server do not come back in the same moment. There is no last try.

/// The first wait, in milliseconds.
const FIRST_MS: f64 = 500.0;
/// The longest wait, in milliseconds.
const LONGEST_MS: f64 = 30_000.0;

/// Milliseconds to wait after the `failures`th failure in a row; `random` is in `0.0..1.0`. Between half of the step and all of it.
pub fn delay_ms(failures: u32, random: f64) -> f64 {
    let doublings = failures.saturating_sub(1).min(16);
    let step = (FIRST_MS * f64::from(1_u32 << doublings)).min(LONGEST_MS);
    (step * (0.5 + 0.5 * random.clamp(0.0, 1.0))).max(FIRST_MS)
}

/// Milliseconds to wait where something has to be cleared up first: minutes instead of seconds, at most ten.
pub fn long_delay_ms(failures: u32, random: f64) -> f64 {
    (delay_ms(failures, random) * 120.0).min(600_000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_half_a_minute() {
        let longest: Vec<f64> = (1..=9).map(|failures| delay_ms(failures, 1.0)).collect();
        assert_eq!(longest, [500.0, 1000.0, 2000.0, 4000.0, 8000.0, 16_000.0, 30_000.0, 30_000.0, 30_000.0]);
        assert_eq!(delay_ms(u32::MAX, 1.0), 30_000.0);
    }

    #[test]
    fn long_waits_are_minutes() {
        assert_eq!((long_delay_ms(1, 1.0), long_delay_ms(2, 0.5), long_delay_ms(30, 1.0)), (60_000.0, 90_000.0, 600_000.0));
    }

    #[test]
    fn jitter_stays_between_half_and_all_and_never_under_the_first_wait() {
        assert_eq!(delay_ms(1, 0.0), 500.0);
        assert_eq!(delay_ms(5, 0.0), 4000.0);
        assert_eq!(delay_ms(5, 0.5), 6000.0);
    }
}
