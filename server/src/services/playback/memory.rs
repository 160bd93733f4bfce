//! What playlists were made of, for when the database does not answer: a video that somebody has begun to watch goes on, also when its player
//! asks for another rendition or starts over.
//!
//! Only what was admitted by the database a while ago is admitted from here, by the same right; a right that this process knows to have ended
//! ([`crate::services::private_media`]) opens nothing, whatever stands here.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use domain::{
    grant::Audience,
    ids::{GenerationId, PlaybackId},
    playlist::Rendition,
};

use super::Playing;

/// How long an admission is remembered. Players renew theirs several times in it.
const KEPT_FOR: Duration = Duration::from_secs(20 * 60);
/// Admissions remembered at most.
const ADMISSIONS: usize = 20_000;
/// Segments remembered at most, over all renditions: some twenty megabytes. A film of three hours has about 16,000.
const SEGMENTS: usize = 200_000;

/// By what right a video is played.
pub(super) type Right = (PlaybackId, Audience);

/// The memory. Clones remember together.
#[derive(Debug, Clone, Default)]
pub(super) struct Memory(Arc<Mutex<Remembered>>);

#[derive(Debug, Default)]
struct Remembered {
    admitted: HashMap<Right, (Playing, Instant)>,
    renditions: HashMap<GenerationId, (Arc<Vec<Rendition>>, Instant)>,
}

impl Memory {
    /// Notes what a right opened just now.
    pub(super) fn admit(&self, right: Right, playing: Playing) {
        let now = Instant::now();
        let mut remembered = self.remembered();
        if remembered.admitted.len() >= ADMISSIONS && !remembered.admitted.contains_key(&right) {
            remembered.admitted.retain(|_, (_, at)| now.duration_since(*at) < KEPT_FOR / 2);
            if remembered.admitted.len() >= ADMISSIONS {
                return;
            }
        }
        remembered.admitted.insert(right, (playing, now));
    }

    /// Forgets what a right opened: it opens nothing any more.
    pub(super) fn forget(&self, right: &Right) {
        self.remembered().admitted.remove(right);
    }

    /// What a right opened a while ago.
    pub(super) fn admitted(&self, right: &Right) -> Option<Playing> {
        let remembered = self.remembered();
        remembered.admitted.get(right).filter(|(_, at)| at.elapsed() < KEPT_FOR).map(|(playing, _)| *playing)
    }

    /// Notes the renditions of a generation, which never change.
    pub(super) fn keep(&self, generation: GenerationId, renditions: &Arc<Vec<Rendition>>) {
        if segments(renditions) > SEGMENTS {
            return;
        }
        let mut remembered = self.remembered();
        remembered.renditions.insert(generation, (Arc::clone(renditions), Instant::now()));
        while remembered.renditions.values().map(|(renditions, _)| segments(renditions)).sum::<usize>() > SEGMENTS {
            let oldest = remembered.renditions.iter().min_by_key(|(_, (_, used))| *used).map(|(generation, _)| *generation);
            let Some(oldest) = oldest else { return };
            remembered.renditions.remove(&oldest);
        }
    }

    /// The renditions of a generation, where they are remembered.
    pub(super) fn renditions(&self, generation: GenerationId) -> Option<Arc<Vec<Rendition>>> {
        let mut remembered = self.remembered();
        let (renditions, used) = remembered.renditions.get_mut(&generation)?;
        *used = Instant::now();
        Some(Arc::clone(renditions))
    }

    fn remembered(&self) -> MutexGuard<'_, Remembered> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn segments(renditions: &[Rendition]) -> usize {
    // One at least, so that many of nothing count as well.
    renditions.iter().map(|rendition| rendition.playlist.segments.len() + 1).sum::<usize>() + 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    #[test]
    fn what_was_admitted_is_known_by_its_right_alone() {
        let memory = Memory::default();
        let id: PlaybackId = "abcdefghjkmnpqrs".parse().expect("a valid id");
        let playing = Playing::Published(GenerationId(Uuid::from_u128(1)));
        memory.admit((id.clone(), Audience::Link), playing);
        assert_eq!(memory.admitted(&(id.clone(), Audience::Link)), Some(playing));
        assert_eq!(memory.admitted(&(id.clone(), Audience::Owner)), None);
        memory.forget(&(id.clone(), Audience::Link));
        assert_eq!(memory.admitted(&(id, Audience::Link)), None);
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let memory = Memory::default();
        let nothing = Arc::new(Vec::new());
        for number in 0..300_000_u128 {
            memory.0.lock().expect("open").renditions.insert(GenerationId(Uuid::from_u128(number)), (Arc::clone(&nothing), Instant::now()));
            if number == SEGMENTS as u128 + 10 {
                memory.keep(GenerationId(Uuid::from_u128(number)), &nothing);
                break;
            }
        }
        assert_eq!(memory.0.lock().expect("open").renditions.len(), SEGMENTS);
        assert!(memory.renditions(GenerationId(Uuid::from_u128(0))).is_none(), "the one that was used longest ago goes first");
    }
}
