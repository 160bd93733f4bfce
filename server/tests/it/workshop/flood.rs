//! Messages as a bad day delivers them: each several times, in another order, late, and about jobs that nobody needs to hear of any more.

use std::collections::HashMap;

use domain::{ids::JobId, job::JobState};
use futures::StreamExt;
use rand::seq::SliceRandom;
use server::ports::job_queue::WakeUp;

use super::Workshop;

/// Jobs made at once: so few that workers run out of rows and listen.
const HANDFUL: usize = 50;

/// What is sent.
pub(crate) struct Flood<'a> {
    /// New jobs.
    pub(crate) jobs: usize,
    /// Messages about each.
    pub(crate) copies: usize,
    /// What is sent as often with each handful, though there is nothing to do.
    pub(crate) stale: &'a [WakeUp],
}

impl Flood<'_> {
    /// Makes the jobs and sends it all, shuffled; every second message comes a handful after its job. Gives the jobs, and the number of messages.
    pub(crate) async fn send(&self, shop: &Workshop, send: impl AsyncFn(WakeUp)) -> (Vec<WakeUp>, usize) {
        let (mut jobs, mut messages, mut late) = (Vec::new(), 0, Vec::new());
        while jobs.len() < self.jobs || !late.is_empty() {
            let count = HANDFUL.min(self.jobs - jobs.len());
            let fresh: Vec<WakeUp> = futures::stream::iter(0..count).map(|_| shop.video()).buffer_unordered(4).collect().await;
            let mut due: Vec<WakeUp> = std::mem::take(&mut late);
            for job in fresh.iter().chain(self.stale.iter().filter(|_| count > 0)) {
                (0..self.copies).for_each(|_| if rand::random() { due.push(*job) } else { late.push(*job) });
            }
            jobs.extend(fresh);
            due.shuffle(&mut rand::rng());
            messages += due.len();
            futures::stream::iter(due).for_each_concurrent(8, async |job| send(job).await).await;
        }
        (jobs, messages)
    }
}

/// Each of these jobs ran to its end, and nobody began one that somebody had.
pub(crate) async fn assert_done_once_each(shop: &Workshop, jobs: &[WakeUp]) {
    let mut starts: HashMap<JobId, usize> = HashMap::new();
    for (_, job, _) in &shop.engine.seen().started {
        *starts.entry(*job).or_default() += 1;
    }
    for job in jobs {
        let row = shop.row(*job).await;
        let found = (row.state.as_str(), row.attempt, row.fence, starts.get(&job.job).copied().unwrap_or_default());
        assert_eq!(found, (JobState::Done.as_str(), 1, 1, 1), "{}: state, tries, leases, encodes", job.job);
    }
}
