//! Edit lists (ISO/IEC 14496-12, 8.6.6): which part of a track's media is shown, and when. One piece, at its own speed, perhaps after a
//! pause, is what cameras and encoders write; anything else is refused.

use mp4_atom::Elst;

use super::refusal::{Refusal, Result};

/// Times beyond this many ticks are nonsense; below it, sums of a few of them cannot overflow.
const MOST_TICKS: u64 = 1 << 55;

/// What is shown of a track. In the track's ticks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Edit {
    /// How long nothing is shown before.
    pub(super) pause: i64,
    /// First moment of the media that is shown.
    pub(super) start: i64,
    /// First moment that is not, where the list says so.
    pub(super) end: Option<i64>,
}

impl Edit {
    /// Reads a list; `timescale` is the track's and `movie_timescale` the one that durations in edit lists are in, both in ticks per second.
    pub(super) fn read(list: &Elst, timescale: u32, movie_timescale: u32) -> Result<Self> {
        let mut edit = Self::default();
        let mut pieces = 0;
        for entry in &list.entries {
            let duration = rescale(entry.segment_duration, timescale, movie_timescale)?;
            let Some(start) = entry.media_time else {
                if pieces > 0 {
                    return Err(Refusal::SeveralEdits);
                }
                edit.pause = edit.pause.saturating_add(duration);
                continue;
            };
            pieces += 1;
            if pieces > 1 {
                return Err(Refusal::SeveralEdits);
            }
            if entry.media_rate.integer() != 1 || entry.media_rate.decimal() != 0 {
                return Err(Refusal::EditRate);
            }
            edit.start = in_bounds(start)?;
            // The movie's ticks are often the coarser ones, and writers round as they like: what begins within one tick of the end is shown.
            let slack = i64::from(timescale.div_ceil(movie_timescale.max(1)));
            edit.end = (entry.segment_duration > 0).then(|| edit.start + duration + slack);
        }
        if edit.pause > i64::from(timescale) * 86_400 {
            return Err(Refusal::StartsLate);
        }
        Ok(edit)
    }

    /// What to add to a time in the media for the time in the film.
    pub(super) fn shift(&self) -> i64 {
        self.pause - self.start
    }

    /// Whether a moment lies behind the end.
    pub(super) fn is_over(&self, media_time: i64) -> bool {
        self.end.is_some_and(|end| media_time >= end)
    }
}

fn rescale(ticks: u64, to: u32, from: u32) -> Result<i64> {
    let scaled = (u128::from(ticks) * u128::from(to) + u128::from(from) / 2) / u128::from(from.max(1));
    in_bounds(u64::try_from(scaled).unwrap_or(u64::MAX))
}

fn in_bounds(ticks: u64) -> Result<i64> {
    if ticks >= MOST_TICKS {
        return Err(Refusal::Damaged("an edit lies beyond all time"));
    }
    // Below 2⁵⁵.
    Ok(ticks as i64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use mp4_atom::ElstEntry;

    fn list(entries: &[(u64, Option<u64>, i16)]) -> Elst {
        let entry = |&(segment_duration, media_time, rate): &(u64, Option<u64>, i16)| ElstEntry {
            segment_duration,
            media_time,
            media_rate: rate.into(),
        };
        Elst { entries: entries.iter().map(entry).collect() }
    }

    #[test]
    fn a_pause_and_one_piece_are_understood() {
        let edit = Edit::read(&list(&[(500, None, 1), (2_000, Some(1_024), 1)]), 48_000, 1_000);
        assert_eq!(edit, Ok(Edit { pause: 24_000, start: 1_024, end: Some(1_024 + 96_000 + 48) }));
        assert_eq!(edit.map(|edit| edit.shift()), Ok(22_976));
        // As fragmented files say "to the end".
        assert_eq!(Edit::read(&list(&[(0, Some(80), 1)]), 1_000, 1_000), Ok(Edit { pause: 0, start: 80, end: None }));
        assert_eq!(Edit::read(&list(&[]), 1_000, 1_000), Ok(Edit::default()));
    }

    #[test]
    fn anything_else_is_refused() {
        let read = |entries: &[(u64, Option<u64>, i16)]| Edit::read(&list(entries), 1_000, 1_000);
        assert_eq!(read(&[(5, Some(0), 1), (5, Some(10), 1)]), Err(Refusal::SeveralEdits));
        assert_eq!(read(&[(5, Some(0), 1), (5, None, 1)]), Err(Refusal::SeveralEdits));
        assert_eq!(read(&[(5, Some(0), 2)]), Err(Refusal::EditRate));
        assert_eq!(read(&[(5, Some(0), 0)]), Err(Refusal::EditRate));
        assert!(read(&[(u64::MAX, Some(0), 1)]).is_err());
        assert!(read(&[(0, Some(u64::MAX), 1)]).is_err());
        assert!(read(&[(1 << 40, None, 1)]).is_err());
    }
}
