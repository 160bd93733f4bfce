//! The beginning of a video inside the page that shows it: init segments and the first bytes of the first segments, so that a first picture
//! needs no further way to the server and back. The page's script asks for the rest by range.

use std::time::Duration;

use base64::{Engine, engine::general_purpose::STANDARD};
use domain::{
    start::{Opening, Start, StartTrack},
    storage_key::StorageKey,
};
use futures::future::join_all;
use tokio::time::timeout;

use super::Delivery;
use crate::ports::cdn::generation_here;

/// How long a page waits for it. Past that it is not worth the wait.
const WITHIN: Duration = Duration::from_millis(50);
/// Most bytes of an init segment. Ours have less than half of that.
const LARGEST_INIT: u64 = 2 * 1024;
/// Most bytes of a segment's beginning, as many as bring up the small picture's first quarter of a second, and the sound's.
const PICTURE: u64 = 12 * 1024;
const SOUND: u64 = 3 * 1024;
/// A segment so many times as large begins with a picture that is larger than what a page should carry.
const LARGEST: u64 = 32;

impl Delivery {
    /// Puts the beginnings of the tracks into `start`, for all of them or none: small segments as a whole. Where the media come from elsewhere than from this origin, it stays as it is: fetching
    /// what a CDN has for the viewer anyway would hold up the page.
    pub async fn open(&self, start: &mut Start) {
        let openings = join_all(start.tracks.iter().map(|track| self.opening(track)));
        let Ok(openings) = timeout(WITHIN, openings).await else { return };
        if let Some(openings) = openings.into_iter().collect::<Option<Vec<Opening>>>() {
            for (track, opening) in start.tracks.iter_mut().zip(openings) {
                track.opening = Some(opening);
            }
        }
    }

    async fn opening(&self, track: &StartTrack) -> Option<Opening> {
        let generation = generation_here(&track.media.base)?;
        let object = async |file: &str| self.object(&StorageKey::published(generation, file)?).await.ok()?;
        let init = object(&track.init).await.filter(|init| init.size() <= LARGEST_INIT)?;
        let first = object(track.segments.first()?).await?;
        let most = if track.kind == "video" { PICTURE } else { SOUND };
        if first.size() > most * LARGEST {
            return None;
        }
        let rest_from = (first.size() > most).then_some(most);
        let beginning = first.bytes().slice(..usize::try_from(first.size().min(most)).ok()?);
        Some(Opening { rest_from, data: STANDARD.encode([init.bytes(), beginning].concat()) })
    }
}
