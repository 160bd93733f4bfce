//! Who may play what, and with which URLs. Playlists are written here, with a signed, expiring query on every media URI; the bytes
//! themselves go past this, straight from the CDN.

use std::sync::Arc;

use domain::{
    error::{Code, Problem},
    grant::Grant,
    ids::{GenerationId, PlaybackId, UserId, VideoId},
    playlist::multivariant,
    video::{Playback, PlaybackState, Stage, Visibility},
};
use hmac::{Hmac, KeyInit, Mac};
use sea_orm::{ColumnTrait, DatabaseConnection, QueryFilter};
use secrecy::{ExposeSecret, SecretSlice};
use sha2::Sha256;

use crate::{
    clock::now_seconds,
    db::entity::videos,
    error::Result,
    ports::{
        cdn::{Audience, Cdn},
        transcoder::POSTER_FILE,
    },
    services::videos::{playback_id, published, source_facts, stable_expiry, stage, visibility},
};

/// The right to play, checked and signed.
#[derive(Debug, Clone)]
pub struct Playbacks {
    db: DatabaseConnection,
    cdn: Arc<dyn Cdn>,
    key: Arc<SecretSlice<u8>>,
    public_url: String,
    lifetime_seconds: u64,
}

/// What `GET /api/stream` answers.
#[derive(Debug, Clone)]
pub struct Stream {
    /// The video.
    pub video: VideoId,
    /// The multivariant playlist's URL; works in any player as it is.
    pub url: String,
    /// Second of the Unix epoch at which it stops.
    pub expires_at: u64,
    /// The embed page's URL.
    pub embed_url: String,
    /// The poster's signed URL, where there is one.
    pub poster_url: Option<String>,
}

impl Playbacks {
    /// Playback at `public_url` of what is in `db`, with grants signed by `key` that last `lifetime_seconds` beyond a video's length.
    pub fn new(db: DatabaseConnection, cdn: Arc<dyn Cdn>, key: SecretSlice<u8>, public_url: String, lifetime_seconds: u64) -> Self {
        Self { db, cdn, key: Arc::new(key), public_url, lifetime_seconds }
    }

    /// What the owner's player needs.
    ///
    /// # Errors
    /// The video is not there, or not the user's.
    pub async fn for_owner(&self, user: UserId, video: VideoId) -> Result<Playback> {
        let row = videos::Entity::of(user.0).filter(videos::Column::Id.eq(video.0)).one(&self.db).await?;
        self.playback(&row.ok_or_else(Problem::not_found)?)
    }

    /// What a visitor's player needs. `viewer` is who is signed in, if anybody is: the owner of a private video may watch it.
    ///
    /// # Errors
    /// The video is not there, or private and somebody else's; the two look the same.
    pub async fn for_viewer(&self, id: &PlaybackId, viewer: Option<UserId>) -> Result<Playback> {
        let row = self.by_playback_id(id).await?;
        if visibility(&row)? == Visibility::Private && viewer.map(|user| user.0) != Some(row.user_id) {
            return Err(Problem::not_found().into());
        }
        self.playback(&row)
    }

    /// Whether a visitor's page of this video may be indexed.
    ///
    /// # Errors
    /// The video is not there.
    pub async fn indexable(&self, id: &PlaybackId) -> Result<bool> {
        Ok(visibility(&self.by_playback_id(id).await?)? == Visibility::Public)
    }

    /// What a program needs to play a video of its user.
    ///
    /// # Errors
    /// The video is not there or not the user's, or nothing of it can be played yet.
    pub async fn stream(&self, user: UserId, video: VideoId) -> Result<Stream> {
        let playback = self.for_owner(user, video).await?;
        let (Some(url), Some(expires_at)) = (playback.url, playback.expires_at) else {
            let why = match playback.state {
                PlaybackState::Failed => "This video failed and has nothing to play; GET /api/status says why.",
                _ => "Nothing of this video can be played yet; GET /api/status says how far it is.",
            };
            return Err(Problem::new(Code::NotPlayable, why).into());
        };
        let embed_url = format!("{}/embed/{}", self.public_url, playback.playback_id);
        Ok(Stream { video, url, expires_at, embed_url, poster_url: playback.poster_url })
    }

    async fn by_playback_id(&self, id: &PlaybackId) -> Result<videos::Model> {
        let row = videos::Entity::by_playback_id(id.as_str()).one(&self.db).await?;
        Ok(row.ok_or_else(Problem::not_found)?)
    }

    fn playback(&self, row: &videos::Model) -> Result<Playback> {
        let facts = source_facts(row)?;
        let duration_ms = facts.as_ref().map_or(0, |facts| facts.duration_ms);
        let expires_at = self.expiry(duration_ms);
        let state = match (row.generation_id, stage(row)?) {
            (Some(_), _) => PlaybackState::Playable,
            (None, Stage::Failed) => PlaybackState::Failed,
            (None, _) => PlaybackState::Processing,
        };
        let audience = audience(visibility(row)?);
        let url = match state {
            PlaybackState::Playable => Some(self.cdn.sign_playlists(&self.grant(row, expires_at)?, expires_at).url("index.m3u8")),
            _ => None,
        };
        Ok(Playback {
            playback_id: playback_id(row)?,
            title: row.title.clone(),
            state,
            progress: u8::try_from(row.progress.clamp(0, 100)).unwrap_or(100),
            expires_at: url.as_ref().map(|_| expires_at),
            url,
            poster_url: row
                .poster_generation_id
                .map(|generation| self.cdn.sign(GenerationId(generation), audience, expires_at).url(POSTER_FILE)),
            size: facts.map_or((16, 9), |facts| (facts.video.display_width, facts.video.display_height)),
            duration_ms,
        })
    }

    /// Native players read a playlist once, so its URLs last the whole film and a margin.
    fn expiry(&self, duration_ms: u64) -> u64 {
        stable_expiry(now_seconds(), duration_ms / 1_000 + self.lifetime_seconds)
    }

    fn grant(&self, row: &videos::Model, expires_at: u64) -> Result<String> {
        let grant = Grant { playback_id: playback_id(row)?, visibility: visibility(row)?, expires_at };
        Ok(grant.token(&self.mac(&grant).finalize().into_bytes()))
    }

    fn mac(&self, grant: &Grant) -> Hmac<Sha256> {
        let mut mac = Hmac::<Sha256>::new_from_slice(self.key.expose_secret()).expect("HMAC takes keys of any length");
        mac.update(b"millrace grant v1\0");
        mac.update(&grant.claims());
        mac
    }

    /// The video and grant behind a token, if the signature is right, the time has not come, and the video is still as open as it was.
    async fn admit(&self, token: &str) -> Result<(videos::Model, Grant)> {
        let refused = || Problem::new(Code::GrantRefused, "This link has expired or was never valid. Open the video's page again.");
        let (grant, signature) = Grant::parse(token).map_err(|_| refused())?;
        // `verify_slice` compares in constant time.
        self.mac(&grant).verify_slice(&signature).map_err(|_| refused())?;
        if grant.expires_at < now_seconds() {
            return Err(refused().into());
        }
        let row = self.by_playback_id(&grant.playback_id).await?;
        if visibility(&row)? == Visibility::Private && grant.visibility != Visibility::Private {
            return Err(refused().into());
        }
        Ok((row, grant))
    }

    /// The multivariant playlist that a token opens. Media playlists are named relative to it, so the token stays in their path.
    ///
    /// # Errors
    /// The token opens nothing.
    pub async fn multivariant(&self, token: &str) -> Result<String> {
        let (row, grant) = self.admit(token).await?;
        let generation = GenerationId(row.generation_id.ok_or_else(Problem::not_found)?);
        let renditions = published(&self.db, generation).await?;
        let signed = self.cdn.sign_playlists(token, grant.expires_at);
        Ok(multivariant(&renditions, |name| signed.relative(&format!("{generation}/{name}.m3u8"))))
    }

    /// A media playlist that a token opens, with every URI signed until the token ends.
    ///
    /// # Errors
    /// The token opens nothing, or the video has no such rendition.
    pub async fn media_playlist(&self, token: &str, generation: GenerationId, name: &str) -> Result<String> {
        let (row, grant) = self.admit(token).await?;
        if row.generation_id != Some(generation.0) {
            return Err(Problem::not_found().into());
        }
        let renditions = published(&self.db, generation).await?;
        let rendition = renditions.iter().find(|rendition| rendition.name == name).ok_or_else(Problem::not_found)?;
        let signed = self.cdn.sign(generation, audience(grant.visibility), grant.expires_at);
        Ok(rendition.playlist.render(|file| signed.url(&rendition.path(file))))
    }
}

/// Nobody but the owner gets to a private video; what is signed for anybody else is meant to be passed on.
const fn audience(visibility: Visibility) -> Audience {
    match visibility {
        Visibility::Private => Audience::Owner,
        Visibility::Unlisted | Visibility::Public => Audience::Shared,
    }
}
