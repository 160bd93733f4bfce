//! Who may play what, and with which URLs. Playlists are written here, with a signed, expiring query on every media URI; the bytes
//! themselves go past this, straight from the CDN.

use std::{sync::Arc, time::Duration};

use domain::{
    error::{Code, Problem},
    grant::{Grant, Lifetime},
    ids::{GenerationId, PlaybackId, UserId, VideoId},
    playlist::{Rendition, multivariant},
    video::{Playback, PlaybackState, SignedMedia, Stage, Visibility},
};
use sea_orm::{ColumnTrait, DatabaseConnection, QueryFilter};
use tokio::time::timeout;

mod growing;
mod memory;
mod page;
mod playing;

use self::{
    memory::Memory,
    playing::{Playing, Shown},
};
use crate::{
    clock::now_seconds,
    db::entity::{grants, users, videos},
    error::Result,
    ports::{
        cdn::{Audience, Cdn},
        transcoder::POSTER_FILE,
    },
    services::{
        database_watch::DatabaseWatch,
        grants::Grants,
        packages::{Packages, There},
        private_media::PrivateMedia,
        videos::{playback_id, published, stable_expiry, stage, visibility},
    },
    signing::{SIGNATURE_BYTES, SigningKeys},
};

/// Keeps these signatures apart from those that the same keys make over links and media.
const LABEL: &str = "millrace grant v2";

/// How long the database has to say whether a right stands: where it is known to have stood a while ago, and where it is not.
const PROMPTLY: Duration = Duration::from_secs(1);
const PATIENTLY: Duration = Duration::from_secs(5);

/// How often a player that plays a source asks whether its ladder is there.
const LADDER_LOOKED_FOR_SECONDS: u64 = 20;

/// The right to play, checked and signed.
#[derive(Debug, Clone)]
pub struct Playbacks {
    db: DatabaseConnection,
    delivery: Delivery,
    keys: SigningKeys,
    grants: Grants,
    public_url: String,
    lifetimes: Lifetimes,
    sight: Sight,
    memory: Memory,
}

/// Where the bytes come from.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// Who delivers them.
    pub cdn: Arc<dyn Cdn>,
    /// What is cut from sources on request.
    pub packages: Packages,
}

/// What this process sees of the others, and whether it sees anything.
#[derive(Debug, Clone)]
pub struct Sight {
    /// Whether the database answers.
    pub database: DatabaseWatch,
    /// What has ended.
    pub private_media: PrivateMedia,
}

/// How long what is signed lasts, in seconds.
#[derive(Debug, Clone, Copy)]
pub struct Lifetimes {
    /// For players that ask again.
    pub renewed: u64,
    /// For all others, beyond the video's own length.
    pub margin: u64,
}

/// Who wants to watch, and by what right.
#[derive(Debug, Clone, Copy, Default)]
pub struct Visitor<'a> {
    /// Who is signed in, if anybody is: the owner of a private video may watch it.
    pub user: Option<UserId>,
    /// The secret of a named grant's link, if they came by one.
    pub grant: Option<&'a str>,
}

/// The right that a playback is given by.
#[derive(Debug, Clone, Copy)]
struct Right {
    audience: Audience,
    /// Second of the Unix epoch at which it ends, where it does.
    ends_at: Option<u64>,
}

impl Right {
    fn named(grant: &grants::Model) -> Self {
        let ends_at = grant.expires_at_ms.map(|end| u64::try_from(end / 1_000).unwrap_or_default());
        Self { audience: Audience::Named(grant.id.into()), ends_at }
    }
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
    /// Playback at `public_url` of what is in `db`, with grants that `keys` sign and that last as `lifetimes` say.
    pub fn new(
        db: DatabaseConnection,
        delivery: Delivery,
        keys: SigningKeys,
        grants: Grants,
        public_url: String,
        lifetimes: Lifetimes,
        sight: Sight,
    ) -> Self {
        Self { db, delivery, keys, grants, public_url, lifetimes, sight, memory: Memory::default() }
    }

    /// What the owner's player needs.
    ///
    /// # Errors
    /// The video is not there, or not the user's.
    pub async fn for_owner(&self, user: UserId, video: VideoId, lifetime: Lifetime) -> Result<Playback> {
        // Not as everybody with the link: it goes on playing when they make it private.
        self.playback(&self.own(user, video).await?, Right { audience: Audience::Owner, ends_at: None }, lifetime)
    }

    async fn own(&self, user: UserId, video: VideoId) -> Result<videos::Model> {
        let row = videos::Entity::of(user.0).filter(videos::Column::Id.eq(video.0)).one(&self.db).await?;
        Ok(row.ok_or_else(Problem::not_found)?)
    }

    /// What a visitor's player needs.
    ///
    /// # Errors
    /// The video is not there, or private and the visitor has no right to it; the two look the same.
    pub async fn for_viewer(&self, id: &PlaybackId, visitor: Visitor<'_>, lifetime: Lifetime) -> Result<Playback> {
        let row = self.by_playback_id(id).await?;
        let right = self.right(&row, visitor).await?.ok_or_else(Problem::not_found)?;
        self.playback(&row, right, lifetime)
    }

    /// The owner's right comes first, then that of a named grant, so that what ends with the grant does, then everybody's.
    async fn right(&self, row: &videos::Model, visitor: Visitor<'_>) -> Result<Option<Right>> {
        let private = visibility(row)? == Visibility::Private;
        if private && visitor.user.map(|user| user.0) == Some(row.user_id) {
            return Ok(Some(Right { audience: Audience::Owner, ends_at: None }));
        }
        let grant = match visitor.grant {
            Some(secret) => self.grants.recognise(row, secret).await?,
            None => None,
        };
        let everybodys = (!private).then_some(Right { audience: Audience::Link, ends_at: None });
        Ok(grant.as_ref().map(Right::named).or(everybodys))
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
        let row = self.own(user, video).await?;
        // Programs hand it on: what was given for the link ends when the video becomes private.
        let audience = if visibility(&row)? == Visibility::Private { Audience::Owner } else { Audience::Link };
        let playback = self.playback(&row, Right { audience, ends_at: None }, Lifetime::Film)?;
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
        // Nothing of a disabled account plays.
        let open = videos::Entity::by_playback_id(id.as_str()).filter(users::Entity::may_come_in(videos::Column::UserId));
        let row = open.one(&self.db).await?;
        Ok(row.ok_or_else(Problem::not_found)?)
    }

    fn playback(&self, row: &videos::Model, right: Right, lifetime: Lifetime) -> Result<Playback> {
        let Shown { size, duration_ms } = Shown::of(row)?;
        let film = self.expiry(duration_ms, right, Lifetime::Film);
        let expires_at = self.expiry(duration_ms, right, lifetime);
        let state = match (Playing::of(row), stage(row)?) {
            (Some(_), _) => PlaybackState::Playable,
            (None, Stage::Failed) => PlaybackState::Failed,
            (None, _) => PlaybackState::Processing,
        };
        let url = match state {
            PlaybackState::Playable => {
                Some(self.delivery.cdn.sign_playlists(&self.grant(row, right, expires_at)?, expires_at).url("index.m3u8"))
            }
            _ => None,
        };
        let renewed = lifetime == Lifetime::Renewed && url.is_some();
        let media = |playing: Playing| {
            let signed = playing.sign(&*self.delivery.cdn, right.audience, expires_at);
            SignedMedia { base: signed.base, query: signed.query }
        };
        Ok(Playback {
            playback_id: playback_id(row)?,
            title: row.title.clone(),
            state,
            arriving: matches!(Playing::of(row), Some(Playing::Arriving(_))),
            growing: matches!(Playing::of(row), Some(Playing::Growing(_))),
            progress: u8::try_from(row.progress.clamp(0, 100)).unwrap_or(100),
            expires_at: url.as_ref().map(|_| expires_at),
            url,
            poster_url: row
                .poster_generation_id
                .map(|generation| self.delivery.cdn.sign_file(GenerationId(generation), right.audience, POSTER_FILE, film)),
            size,
            duration_ms,
            media: Playing::all(row).filter(|_| renewed).map(media).collect(),
            renew_in_seconds: renewed.then(|| {
                // Early enough for a few more tries. Whoever watches a source hears soon that there is more to choose from.
                let in_time = (expires_at.saturating_sub(now_seconds()) * 2 / 3).max(1);
                if row.generation_id.is_some() { in_time } else { in_time.min(LADDER_LOOKED_FOR_SECONDS) }
            }),
        })
    }

    /// Native players read a playlist once, so its URLs last the whole film and a margin. Scripts ask again: theirs last between half
    /// their lifetime and all of it, and are the same for half of it, so that browsers can cache. Nothing outlasts the right.
    fn expiry(&self, duration_ms: u64, right: Right, lifetime: Lifetime) -> u64 {
        let now = now_seconds();
        let expires_at = match lifetime {
            Lifetime::Film => stable_expiry(now, duration_ms / 1_000 + self.lifetimes.margin),
            Lifetime::Renewed => {
                let step = (self.lifetimes.renewed / 2).max(1);
                (now / step + 2) * step
            }
        };
        right.ends_at.map_or(expires_at, |end| end.min(expires_at))
    }

    fn grant(&self, row: &videos::Model, right: Right, expires_at: u64) -> Result<String> {
        let grant = Grant {
            playback_id: playback_id(row)?,
            visibility: visibility(row)?,
            expires_at,
            key_id: self.keys.current_id(),
            audience: right.audience,
        };
        Ok(grant.token(&self.keys.sign(LABEL, &grant.claims())))
    }

    /// What plays and the grant behind a token, if the signature is right, the time has not come, and the right that it was given
    /// by stands. While the database does not answer, what it said a while ago counts, unless that right is known to have ended.
    async fn admit(&self, token: &str) -> Result<(Playing, Grant)> {
        let grant = self.check(token)?;
        let right = (grant.playback_id.clone(), grant.audience);
        let known = self.memory.admitted(&right);
        let patience = if known.is_some() { PROMPTLY } else { PATIENTLY };
        let asked = if self.sight.database.answers() { timeout(patience, self.stands(&grant)).await.ok() } else { None };
        let outage = match asked {
            Some(Ok(playing)) => {
                self.memory.admit(right, playing);
                return Ok((playing, grant));
            }
            Some(Err(error)) if !error.is_outage() => {
                self.memory.forget(&right);
                return Err(error);
            }
            Some(Err(error)) => error,
            None => Problem::unavailable().into(),
        };
        let opens = |playing: &Playing| {
            self.sight.private_media.is_current() && self.sight.private_media.opens(playing.generation(), grant.audience)
        };
        known.filter(opens).map(|playing| (playing, grant)).ok_or(outage)
    }

    /// The grant in a token, if the signature is right and the time has not come.
    fn check(&self, token: &str) -> Result<Grant> {
        let (grant, signature) = Grant::parse(token).map_err(|_| refused())?;
        let signed = self.keys.verify(grant.key_id, LABEL, &grant.claims(), &signature, SIGNATURE_BYTES);
        if signed && grant.expires_at >= now_seconds() { Ok(grant) } else { Err(refused().into()) }
    }

    /// What a grant opens, if the right that it was given by stands.
    async fn stands(&self, grant: &Grant) -> Result<Playing> {
        let row = self.by_playback_id(&grant.playback_id).await?;
        let stands = match grant.audience {
            Audience::Owner => true,
            Audience::Link => visibility(&row)? != Visibility::Private && grant.visibility != Visibility::Private,
            Audience::Named(named) => self.grants.standing(&row, named).await?.is_some(),
        };
        if !stands {
            return Err(refused().into());
        }
        Ok(Playing::of(&row).ok_or_else(Problem::not_found)?)
    }

    /// The renditions of a generation. They never change, so they are read once.
    async fn renditions(&self, playing: Playing) -> Result<Arc<Vec<Rendition>>> {
        let generation = match playing {
            Playing::Published(generation) => generation,
            Playing::Packaged(generation) | Playing::Arriving(generation) => return self.delivery.packages.renditions(generation).await,
            Playing::Growing(generation) => return self.grown(generation).await,
        };
        if let Some(renditions) = self.memory.renditions(generation) {
            return Ok(renditions);
        }
        let read = timeout(PATIENTLY, published(&self.db, generation)).await;
        let renditions = Arc::new(read.unwrap_or_else(|_| Err(Problem::unavailable().into()))?);
        self.memory.keep(generation, &renditions);
        Ok(renditions)
    }

    /// The multivariant playlist that a token opens. Media playlists are named relative to it, so the token stays in their path.
    ///
    /// # Errors
    /// The token opens nothing.
    pub async fn multivariant(&self, token: &str) -> Result<String> {
        let (playing, grant) = self.admit(token).await?;
        let renditions = self.renditions(playing).await?;
        let signed = self.delivery.cdn.sign_playlists(token, grant.expires_at);
        let uri = |rendition: &Rendition| format!("{}/{}.m3u8", playing.way_to(rendition).generation(), rendition.name);
        Ok(multivariant(&renditions, |rendition| signed.relative(&uri(rendition))))
    }

    /// A media playlist that a token opens, with every URI signed until the token ends.
    ///
    /// # Errors
    /// The token opens nothing, or the video has no such rendition.
    pub async fn media_playlist(&self, token: &str, generation: GenerationId, name: &str) -> Result<String> {
        let (playing, grant) = self.admit(token).await?;
        if let Playing::Growing(growing) = playing
            && growing == generation
            && let Some(text) =
                self.growing_playlist(generation, name, &playing.sign(&*self.delivery.cdn, grant.audience, grant.expires_at)).await?
        {
            return Ok(text);
        }
        let renditions = self.renditions(playing).await?;
        let named = |rendition: &&Rendition| rendition.name == name && playing.way_to(rendition).generation() == generation;
        let rendition = renditions.iter().find(named).ok_or_else(Problem::not_found)?;
        let signed = playing.way_to(rendition).sign(&*self.delivery.cdn, grant.audience, grant.expires_at);
        let url = |file: &str| signed.url(&rendition.path(file));
        if let Playing::Arriving(generation) = playing
            && let There::First(there) = self.delivery.packages.there(generation, name).await?
        {
            return Ok(rendition.playlist.render_growing(there, url));
        }
        Ok(rendition.playlist.render(url))
    }
}

fn refused() -> Problem {
    Problem::new(Code::GrantRefused, "This link has expired or was never valid. Open the video's page again.")
}
