//! The plan of an encode: the ladder, but for what viewers go on getting from the source itself.

use std::time::Duration;

use domain::{
    ladder::{self, Ladder},
    playlist::Rendition,
    source::SourceFacts,
    storage_key::StorageKey,
};
use tokio::time::timeout;

use super::{Attempt, Transcodes};

/// How long an encode waits to hear whether the source can stay; then it is copied. Tables are read in milliseconds from a disk, and in
/// seconds over a network.
const LOOKS_WITHIN: Duration = Duration::from_secs(60);

impl Transcodes {
    /// What is to be made, and what is there without being made.
    pub(super) async fn plan(&self, attempt: &Attempt<'_>, facts: &SourceFacts) -> (Ladder, Vec<Rendition>) {
        let ladder = ladder::plan(facts);
        if !ladder.copies_top() || !self.transcoder.keeps_sources() {
            return (ladder, Vec::new());
        }
        let StorageKey::Source { upload } = attempt.source else { return (ladder, Vec::new()) };
        let kept = timeout(LOOKS_WITHIN, self.viewers.packages.keepable(upload)).await.ok().flatten();
        match kept.and_then(|kept| kept.beside(&ladder, facts)) {
            Some(plan) => plan,
            None => (ladder, Vec::new()),
        }
    }
}
