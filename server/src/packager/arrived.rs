//! Which bytes of a source have arrived, while it is being uploaded: parts come in any order.

use std::ops::Range;

/// Ranges of bytes, in order, none touching another.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Arrived(Vec<Range<u64>>);

impl Arrived {
    /// Notes that a range has arrived. What has arrived stays so.
    pub fn insert(&mut self, range: Range<u64>) {
        if range.is_empty() {
            return;
        }
        let first = self.0.partition_point(|known| known.end < range.start);
        let behind = self.0.partition_point(|known| known.start <= range.end);
        let known = &self.0[first..behind];
        let start = known.first().map_or(range.start, |known| known.start.min(range.start));
        let end = known.last().map_or(range.end, |known| known.end.max(range.end));
        self.0.splice(first..behind, std::iter::once(start..end));
    }

    /// Whether all of a range has arrived. An empty one always has.
    #[must_use]
    pub fn covers(&self, range: &Range<u64>) -> bool {
        let next = self.0.partition_point(|known| known.end < range.end);
        range.is_empty() || self.0.get(next).is_some_and(|known| known.start <= range.start)
    }
}

impl FromIterator<Range<u64>> for Arrived {
    fn from_iter<I: IntoIterator<Item = Range<u64>>>(ranges: I) -> Self {
        let mut arrived = Self::default();
        ranges.into_iter().for_each(|range| arrived.insert(range));
        arrived
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn neighbours_become_one() {
        let arrived: Arrived = [20..30, 0..10, 10..20, 40..50, 5..5].into_iter().collect();
        assert_eq!(arrived, Arrived(vec![0..30, 40..50]));
        assert!(arrived.covers(&(3..30)) && arrived.covers(&(40..50)) && arrived.covers(&(35..35)));
        assert!(!arrived.covers(&(29..31)) && !arrived.covers(&(30..40)) && !arrived.covers(&(0..50)));
    }

    proptest! {
        #[test]
        fn it_is_the_set_of_its_bytes(ranges in proptest::collection::vec((0_u64..60, 0_u64..20), 0..12), asked in (0_u64..70, 1_u64..20)) {
            let ranges: Vec<_> = ranges.into_iter().map(|(start, length)| start..start + length).collect();
            let arrived: Arrived = ranges.iter().cloned().collect();
            let asked = asked.0..asked.0 + asked.1;
            let all = asked.clone().all(|byte| ranges.iter().any(|range| range.contains(&byte)));
            prop_assert_eq!(arrived.covers(&asked), all);
            prop_assert!(arrived.0.windows(2).all(|pair| pair[0].end < pair[1].start));
        }
    }
}
