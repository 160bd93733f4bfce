//! Which parts of one file are still to send, on their way, and there.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
};

use domain::upload::PartPlan;

/// A part on its way.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Flight {
    since_ms: f64,
    gone: u64,
}

/// The parts of one file.
#[derive(Debug, Clone, PartialEq)]
pub struct Parts {
    plan: PartPlan,
    pending: BTreeSet<u32>,
    /// Those of them that go before all others, in this order.
    first: Vec<u32>,
    in_flight: BTreeMap<u32, Flight>,
    arrived: BTreeSet<u32>,
}

impl Parts {
    /// All parts of the plan but those that have `received` already.
    pub fn new(plan: PartPlan, received: &[u32]) -> Self {
        let arrived: BTreeSet<u32> = received.iter().copied().filter(|number| plan.part_range(*number).is_some()).collect();
        let pending = (1..=plan.part_count()).filter(|number| !arrived.contains(number)).collect();
        Self { plan, pending, first: Vec::new(), in_flight: BTreeMap::new(), arrived }
    }

    /// What begins the file goes first, then what holds these bytes of it, then the rest.
    pub fn send_first(&mut self, bytes: &Range<u64>) {
        let touches = |number: &u32| self.range(*number).is_some_and(|(start, length)| start < bytes.end && bytes.start < start + length);
        let others = self.pending.iter().copied().filter(|number| *number > 1 && touches(number));
        self.first = std::iter::once(1).chain(others).collect();
    }

    /// The server says what it has, whatever we believed. What is on its way stays so.
    pub fn match_with(&mut self, received: &[u32]) {
        let fresh = Self::new(self.plan, received);
        self.arrived = fresh.arrived;
        self.pending = fresh.pending;
        self.pending.retain(|number| !self.in_flight.contains_key(number));
    }

    /// How the file is cut.
    pub const fn plan(&self) -> PartPlan {
        self.plan
    }

    /// First byte and length of a part.
    pub fn range(&self, number: u32) -> Option<(u64, u64)> {
        self.plan.part_range(number)
    }

    /// Takes the next part to send.
    pub fn take_next(&mut self, now_ms: f64) -> Option<u32> {
        let preferred = self.first.iter().copied().find(|number| self.pending.contains(number));
        let number = preferred.or_else(|| self.pending.first().copied())?;
        self.pending.remove(&number);
        self.in_flight.insert(number, Flight { since_ms: now_ms, gone: 0 });
        Some(number)
    }

    /// Notes how many bytes of a part on its way have gone.
    pub fn progress(&mut self, number: u32, bytes: u64) {
        if let (Some(flight), Some((_, length))) = (self.in_flight.get_mut(&number), self.plan.part_range(number)) {
            flight.gone = bytes.min(length);
        }
    }

    /// A part arrived. Its length and how long it was on its way, where it was.
    pub fn arrive(&mut self, number: u32, now_ms: f64) -> Option<(u64, f64)> {
        let flight = self.in_flight.remove(&number);
        self.pending.remove(&number);
        let (_, length) = self.plan.part_range(number)?;
        self.arrived.insert(number);
        flight.map(|flight| (length, now_ms - flight.since_ms))
    }

    /// A part did not arrive: it is to be sent again.
    pub fn put_back(&mut self, number: u32) {
        if self.in_flight.remove(&number).is_some() {
            self.pending.insert(number);
        }
    }

    /// The server says that these are missing, whatever we believed.
    pub fn mark_missing(&mut self, numbers: &[u32]) {
        for number in numbers.iter().copied().filter(|number| self.plan.part_range(*number).is_some()) {
            self.arrived.remove(&number);
            if !self.in_flight.contains_key(&number) {
                self.pending.insert(number);
            }
        }
    }

    /// Bytes that arrived or are on their way.
    pub fn bytes_gone(&self) -> u64 {
        let arrived: u64 = self.arrived.iter().filter_map(|number| self.plan.part_range(*number)).map(|(_, length)| length).sum();
        arrived + self.in_flight.values().map(|flight| flight.gone).sum::<u64>()
    }

    /// Number of parts on their way.
    pub fn in_flight(&self) -> usize {
        self.in_flight.len()
    }

    /// Whether every part arrived.
    pub fn all_arrived(&self) -> bool {
        self.pending.is_empty() && self.in_flight.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use domain::upload::PART_SIZE;

    use super::*;

    fn four() -> Parts {
        Parts::new(PartPlan::for_size(PART_SIZE * 3 + 10), &[])
    }

    #[test]
    fn the_beginning_and_the_tables_go_first() {
        let mut parts = four();
        parts.send_first(&(PART_SIZE * 3 - 5..PART_SIZE * 3 + 10));
        let order: Vec<_> = std::iter::from_fn(|| parts.take_next(0.0)).collect();
        assert_eq!(order, [1, 3, 4, 2]);
        parts.put_back(2);
        parts.put_back(4);
        assert_eq!(parts.take_next(0.0), Some(4), "also when it is lost");
    }

    #[test]
    fn parts_go_in_order_and_a_lost_one_goes_again_first() {
        let mut parts = four();
        assert_eq!((parts.take_next(0.0), parts.take_next(0.0)), (Some(1), Some(2)));
        parts.put_back(1);
        assert_eq!(
            (parts.take_next(0.0), parts.take_next(0.0), parts.take_next(0.0), parts.take_next(0.0)),
            (Some(1), Some(3), Some(4), None)
        );
        assert_eq!(parts.in_flight(), 4);
    }

    #[test]
    fn bytes_count_what_arrived_and_what_is_on_its_way() {
        let mut parts = four();
        parts.take_next(0.0);
        parts.take_next(0.0);
        parts.arrive(1, 0.0);
        parts.progress(2, 5);
        parts.progress(3, 1000);
        assert_eq!(parts.bytes_gone(), PART_SIZE + 5);
        parts.progress(2, u64::MAX);
        assert_eq!(parts.bytes_gone(), PART_SIZE * 2);
        parts.put_back(2);
        assert_eq!(parts.bytes_gone(), PART_SIZE);
    }

    #[test]
    fn what_the_server_has_is_not_sent_and_what_it_lost_is() {
        let mut parts = Parts::new(PartPlan::for_size(PART_SIZE * 3 + 10), &[1, 2, 99]);
        assert_eq!(parts.bytes_gone(), PART_SIZE * 2);
        while let Some(number) = parts.take_next(0.0) {
            parts.arrive(number, 0.0);
        }
        assert!(parts.all_arrived());
        assert_eq!(parts.bytes_gone(), PART_SIZE * 3 + 10);
        parts.mark_missing(&[2, 77]);
        assert!(!parts.all_arrived());
        assert_eq!(parts.take_next(0.0), Some(2));
    }

    #[test]
    fn what_arrived_though_its_answer_was_lost_is_not_sent_again() {
        let mut parts = four();
        for _ in 0..3 {
            parts.take_next(0.0);
        }
        parts.arrive(1, 0.0);
        parts.put_back(2);
        // The second arrived; of the first, whose answer we had, the server knows nothing any more; the third is still on its way.
        parts.match_with(&[2]);
        assert_eq!((parts.take_next(0.0), parts.take_next(0.0), parts.take_next(0.0)), (Some(1), Some(4), None));
        assert_eq!(parts.arrive(3, 1500.0), Some((PART_SIZE, 1500.0)));
    }
}
