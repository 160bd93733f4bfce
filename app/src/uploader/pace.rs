//! How many parts go at once and how large those of the next file are, by how fast the line is.
//!
//! Large parts that go side by side are fast on a good line and a loss on a bad one: what was on its way when it broke goes again. So a slow
//! line has one part on its way, and parts that take some seconds each; a line that broke has one until it has proved itself again.

use domain::upload::{PART_SIZE_MIN, PARTS_IN_FLIGHT};

/// A part is to take this long on a line that carries nothing else.
const PART_SECONDS: f64 = 8.0;
/// No larger parts than this are asked for: each is in memory while it goes.
const WISH_MAX: u64 = 16 * 1024 * 1024;
/// One more goes at once where each would take less than this then: side by side helps where parts are so short that the pauses between them
/// count, and a line that breaks costs no more than this, or one part.
const ROOM_MS: f64 = 3_000.0;
/// A part that takes longer than this goes alone from now on.
const SLOW_MS: f64 = 20_000.0;
/// Less than this says nothing about a line.
const TELLING: u64 = 256 * 1024;

/// What is known of the line.
#[derive(Debug, Clone, PartialEq)]
pub struct Pace {
    width: usize,
    good: u8,
    /// Good parts in a row before one more goes at once.
    needed: u8,
    bytes_per_second: Option<f64>,
}

impl Default for Pace {
    fn default() -> Self {
        Self { width: 1, good: 0, needed: 2, bytes_per_second: None }
    }
}

impl Pace {
    /// The pace of a line that carried so many bytes a second when it was last used.
    pub fn remembered(bytes_per_second: f64) -> Self {
        let mut pace = Self::default();
        if bytes_per_second.is_finite() && bytes_per_second > 0.0 {
            pace.bytes_per_second = Some(bytes_per_second);
            let alone = pace.wish().unwrap_or(PART_SIZE_MIN) as f64 * 1000.0 / bytes_per_second;
            while pace.width < PARTS_IN_FLIGHT && has_room(alone, pace.width) {
                pace.width += 1;
            }
        }
        pace
    }

    /// Parts that may be on their way at once.
    pub const fn width(&self) -> usize {
        self.width
    }

    /// Bytes a second, once known.
    pub const fn bytes_per_second(&self) -> Option<f64> {
        self.bytes_per_second
    }

    /// Bytes that the parts of the next file should have, once that is known.
    pub fn wish(&self) -> Option<u64> {
        let bytes = (self.bytes_per_second? * PART_SECONDS) as u64;
        Some((bytes / PART_SIZE_MIN * PART_SIZE_MIN).clamp(PART_SIZE_MIN, WISH_MAX))
    }

    /// A part of `bytes` arrived after `took_ms`, one of `together` that were on their way.
    pub fn arrived(&mut self, bytes: u64, took_ms: f64, together: usize) {
        let took_ms = took_ms.max(1.0);
        let together = together.clamp(1, PARTS_IN_FLIGHT);
        if bytes >= TELLING {
            let speed = bytes as f64 * together as f64 * 1000.0 / took_ms;
            self.bytes_per_second = Some(self.bytes_per_second.map_or(speed, |before| 0.7 * before + 0.3 * speed));
        }
        if took_ms > SLOW_MS {
            self.width = 1;
            self.good = 0;
        } else if self.width < PARTS_IN_FLIGHT && has_room(took_ms / together as f64, self.width) {
            self.good += 1;
            if self.good >= self.needed {
                self.width += 1;
                self.good = 0;
            }
        }
    }

    /// The line broke. It will again.
    pub const fn broke(&mut self) {
        self.width = 1;
        self.good = 0;
        self.needed = 4;
    }
}

/// Whether one more than `width` parts, each of which takes so long alone, would be there in time.
fn has_room(alone_ms: f64, width: usize) -> bool {
    alone_ms * (width + 1) as f64 <= ROOM_MS
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1024 * 1024;

    fn steady(bytes_per_second: f64, part: u64, parts: usize) -> Pace {
        let mut pace = Pace::default();
        for _ in 0..parts {
            let together = pace.width();
            pace.arrived(part, part as f64 * together as f64 * 1000.0 / bytes_per_second, together);
        }
        pace
    }

    #[test]
    fn a_fast_line_gets_three_large_parts() {
        let pace = steady(20e6, 8 * MIB, 10);
        assert_eq!((pace.width(), pace.wish()), (3, Some(WISH_MAX)));
    }

    #[test]
    fn a_slow_line_has_one_part_on_its_way_and_smaller_ones_in_the_next_file() {
        let pace = steady(250e3, 8 * MIB, 10);
        assert_eq!((pace.width(), pace.wish()), (1, Some(MIB)));
        let pace = steady(1e6, 8 * MIB, 10);
        assert_eq!((pace.width(), pace.wish()), (1, Some(7 * MIB)));
    }

    #[test]
    fn the_width_does_not_swing_on_a_steady_line() {
        for speed in [100e3, 400e3, 1.2e6, 1.8e6, 2.5e6, 4e6, 30e6] {
            let settled = steady(speed, 8 * MIB, 20);
            assert_eq!(settled.width(), steady(speed, 8 * MIB, 40).width(), "{speed}");
        }
    }

    #[test]
    fn a_line_that_becomes_slow_or_breaks_has_one_part_on_its_way() {
        let mut pace = steady(20e6, 8 * MIB, 10);
        pace.arrived(8 * MIB, 25_000.0, 3);
        assert_eq!(pace.width(), 1);
        let mut pace = steady(20e6, 8 * MIB, 10);
        pace.broke();
        assert_eq!(pace.width(), 1);
        for _ in 0..3 {
            pace.arrived(8 * MIB, 400.0, 1);
        }
        assert_eq!(pace.width(), 1, "it has to prove itself for longer");
        pace.arrived(8 * MIB, 400.0, 1);
        assert_eq!(pace.width(), 2);
    }

    #[test]
    fn what_is_remembered_is_where_it_begins() {
        assert_eq!(Pace::remembered(20e6).width(), 3);
        assert_eq!((Pace::remembered(150e3).width(), Pace::remembered(150e3).wish()), (1, Some(MIB)));
        for nonsense in [f64::NAN, f64::INFINITY, 0.0, -5.0] {
            assert_eq!(Pace::remembered(nonsense), Pace::default());
        }
    }

    #[test]
    fn a_few_bytes_say_nothing_about_the_line() {
        let mut pace = Pace::default();
        pace.arrived(10, 300.0, 1);
        assert_eq!(pace.bytes_per_second(), None);
    }
}
