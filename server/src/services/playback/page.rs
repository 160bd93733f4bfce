//! What the page around a player needs beside it.

use domain::{error::Problem, grant::Lifetime, ids::PlaybackId, start::Start, video::Playback};

use super::{Playbacks, Visitor, playing::Playing};
use crate::error::Result;

impl Playbacks {
    /// What a visitor's page needs: as for a player, and where its first frame is, in addresses that the same right has signed.
    ///
    /// # Errors
    /// The video is not there, or private and the visitor has no right to it; the two look the same.
    pub async fn for_page(&self, id: &PlaybackId, visitor: Visitor<'_>) -> Result<(Playback, Option<Start>)> {
        let row = self.by_playback_id(id).await?;
        let right = self.right(&row, visitor).await?.ok_or_else(Problem::not_found)?;
        let playback = self.playback(&row, right, Lifetime::Renewed)?;
        // One that is still being uploaded has no first frame that is known to be there; and what grows is hls.js's alone, which has to read its
        // playlists again and again.
        let playing = Playing::of(&row).filter(|playing| !matches!(playing, Playing::Arriving(_) | Playing::Growing(_)));
        let start = match (playing, playback.media.first()) {
            // Where they cannot be read now, the player says so; the page is there all the same.
            (Some(playing), Some(media)) => {
                let renditions = self.renditions(playing).await.ok();
                renditions.and_then(|renditions| Start::of(&renditions, media.clone()))
            }
            _ => None,
        };
        Ok((playback, start))
    }
}
