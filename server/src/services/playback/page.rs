//! What the page around a player needs beside it.

use domain::{
    error::Problem,
    grant::Lifetime,
    ids::PlaybackId,
    playlist::Rendition,
    start::Start,
    video::{Playback, SignedMedia},
};

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
        let start = match (playing, playback.expires_at) {
            (Some(playing), Some(expires_at)) => {
                let signed = |rendition: &Rendition| {
                    let signed = playing.way_to(rendition).sign(&*self.delivery.cdn, right.audience, expires_at);
                    SignedMedia { base: signed.base, query: signed.query }
                };
                // Where they cannot be read now, the player says so; the page is there all the same.
                let renditions = self.renditions(playing).await.ok();
                renditions.and_then(|renditions| Start::of(&renditions, signed))
            }
            _ => None,
        };
        Ok((playback, start))
    }
}
