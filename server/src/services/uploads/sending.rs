//! The rows of uploads that are being sent: each piece of a file needs what the one before was told a moment ago.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use domain::ids::{UploadId, UserId};

use super::Uploads;
use crate::{db::entity::uploads, error::Result};

/// How long a row is good for. What else happens to an upload elsewhere is noticed within this; its bytes and their places are the store's to know.
const MOMENT: Duration = Duration::from_secs(1);
/// Rows at once; more than uploads that come fast enough to gain by it.
const ROWS: usize = 256;

/// The rows. Clones are the same ones.
#[derive(Debug, Clone, Default)]
pub(super) struct Sending(Arc<Mutex<Rows>>);

#[derive(Debug, Default)]
struct Rows {
    known: HashMap<UploadId, Known>,
    /// Uploads that this process has completed.
    completions: u64,
}

#[derive(Debug)]
struct Known {
    row: uploads::Model,
    until: Instant,
    seen: Seen,
}

/// What this process had done to uploads when a row was about to be read. What was read before it did more may be of an upload that is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Seen {
    deletions: u64,
    completions: u64,
}

impl Sending {
    fn seen(&self, deletions: u64) -> Seen {
        Seen { deletions, completions: self.rows().completions }
    }

    fn get(&self, user: UserId, upload: UploadId, seen: Seen, now: Instant) -> Option<uploads::Model> {
        let rows = self.rows();
        let good = |known: &&Known| known.row.user_id == user.0 && known.seen == seen && now < known.until;
        rows.known.get(&upload).filter(good).map(|known| known.row.clone())
    }

    fn put(&self, row: uploads::Model, seen: Seen, asked: Instant) {
        let known = &mut self.rows().known;
        if known.len() >= ROWS {
            known.retain(|_, known| asked < known.until);
        }
        if known.len() < ROWS {
            known.insert(UploadId(row.id), Known { row, until: asked + MOMENT, seen });
        }
    }

    /// An upload is complete: its row is not to be used any more, and neither is one of it that somebody is reading.
    pub(super) fn completed(&self, upload: UploadId) {
        let mut rows = self.rows();
        rows.completions += 1;
        rows.known.remove(&upload);
    }

    fn rows(&self) -> MutexGuard<'_, Rows> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Uploads {
    /// The row of an upload that a piece is for, as it was a moment ago at most. What this process deletes and completes it knows of at once.
    pub(super) async fn row_for_piece(&self, user: UserId, upload: UploadId) -> Result<uploads::Model> {
        let (seen, asked) = (self.sending.seen(self.changes.deletions()), Instant::now());
        if let Some(row) = self.sending.get(user, upload, seen, asked) {
            return Ok(row);
        }
        let row = self.row(user, upload).await?;
        if !row.complete {
            self.sending.put(row.clone(), seen, asked);
        }
        Ok(row)
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn row(user: UserId) -> uploads::Model {
        uploads::Model {
            id: Uuid::now_v7(),
            user_id: user.0,
            video_id: Uuid::now_v7(),
            multipart_id: "m".into(),
            size_bytes: 10,
            part_size: 5,
            complete: false,
            updated_at_ms: 0,
            fingerprint: None,
            trace_parent: None,
        }
    }

    #[test]
    fn a_row_is_good_for_a_moment_for_its_owner_until_something_is_completed_or_deleted() {
        let (sending, user, asked) = (Sending::default(), UserId(Uuid::now_v7()), Instant::now());
        let row = row(user);
        let upload = UploadId(row.id);
        let seen = sending.seen(7);
        sending.put(row.clone(), seen, asked);
        assert_eq!(sending.get(user, upload, seen, asked + MOMENT / 2), Some(row.clone()));
        assert_eq!(sending.get(user, upload, seen, asked + MOMENT), None);
        assert_eq!(sending.get(user, upload, sending.seen(8), asked), None);
        assert_eq!(sending.get(UserId(Uuid::now_v7()), upload, seen, asked), None);
        sending.completed(upload);
        assert_eq!(sending.get(user, upload, seen, asked), None);
        // Whoever read it before that and comes late.
        sending.put(row, seen, asked);
        assert_eq!(sending.get(user, upload, sending.seen(7), asked), None);
    }

    #[test]
    fn there_are_so_many_at_most() {
        let (sending, user, asked) = (Sending::default(), UserId(Uuid::now_v7()), Instant::now());
        let put = |at: Instant| {
            let row = row(user);
            sending.put(row.clone(), sending.seen(0), at);
            sending.get(user, UploadId(row.id), sending.seen(0), at).is_some()
        };
        assert!((0..ROWS).all(|_| put(asked)));
        assert!(!put(asked), "no room");
        assert!(put(asked + MOMENT), "the old ones have gone");
        assert_eq!(sending.rows().known.len(), 1);
    }
}
