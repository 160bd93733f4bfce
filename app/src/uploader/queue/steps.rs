//! What is to be done next, and when to look again.

use domain::upload::PARTS_IN_FLIGHT;

use super::{Item, Phase, Queue, Step, begin_of};

/// While the browser says that there is no network, it is not believed for longer than this.
pub(super) const PROBE_MS: f64 = 30_000.0;

impl Queue {
    /// What to do now, files in the order they were chosen; what is handed out counts as on its way.
    pub fn next_steps(&mut self, now_ms: f64) -> Vec<Step> {
        let probing = !self.online;
        if probing && !self.may_probe(now_ms) {
            return Vec::new();
        }
        let (busy, wish) = (self.in_flight(), self.pace.wish());
        let mut steps = Vec::new();
        let mut free = if probing { 1 } else { PARTS_IN_FLIGHT.saturating_sub(busy) };
        let mut parts = self.pace.width().saturating_sub(busy);
        for item in self.items.iter_mut().filter(|item| if probing { item.running() && !item.paused } else { item.due(now_ms) }) {
            if free > 0
                && let Some(step) = item.take_question(wish)
            {
                steps.push(step);
                (free, parts) = (free - 1, parts.saturating_sub(1));
            }
            while item.ready_for_parts() && free.min(parts) > 0 {
                let Some(number) = item.take_part(now_ms) else { break };
                steps.push(Step::Part(item.key, number));
                (free, parts) = (free - 1, parts - 1);
            }
            if let (true, true, Some(upload)) = (item.ready_for_parts(), item.all_arrived(), item.upload_id) {
                item.phase = Phase::Completing;
                steps.push(Step::Complete(item.key, upload));
            }
            if probing && !steps.is_empty() {
                break;
            }
        }
        steps
    }

    /// Requests of ours that are under way, but for the short ones at the end.
    fn in_flight(&self) -> usize {
        let asked = |item: &Item| usize::from(matches!(item.phase, Phase::Beginning | Phase::Looking));
        self.items.iter().map(|item| item.in_flight() + asked(item)).sum()
    }

    /// Browsers say that there is no network where there is one: now and then something is tried all the same.
    fn may_probe(&mut self, now_ms: f64) -> bool {
        let due = self.probe_at.is_some_and(|at| at <= now_ms);
        if due || self.probe_at.is_none() {
            self.probe_at = Some(now_ms + PROBE_MS);
        }
        due && self.in_flight() == 0
    }

    /// The next time at which something may be tried again, while the network is there.
    pub fn next_wake(&self, now_ms: f64) -> Option<f64> {
        if !self.online {
            return self.probe_at.filter(|at| *at > now_ms && self.running() > 0);
        }
        let waiting = self.items.iter().filter(|item| item.running() && !item.paused);
        waiting.filter_map(|item| item.resume_at).filter(|at| *at > now_ms).min_by(f64::total_cmp)
    }
}

impl Item {
    /// What is to be asked before parts can go, if anything is; it counts as asked.
    fn take_question(&mut self, wish: Option<u64>) -> Option<Step> {
        match (&self.phase, self.upload_id) {
            (Phase::Waiting, _) => {
                self.phase = Phase::Beginning;
                Some(Step::Begin(self.key, begin_of(self, wish)))
            }
            (Phase::Sending, Some(upload)) if self.to_look() => {
                self.phase = Phase::Looking;
                Some(Step::Look(self.key, upload))
            }
            _ => None,
        }
    }
}
