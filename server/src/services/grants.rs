//! Named grants: made by a video's owner for somebody, listed, revoked, and recognised in a link. A link's secret is the grant's id, signed;
//! whether it still opens anything is the row's to say.

use domain::{
    audit::AuditKind,
    embed_hosts::EmbedHosts,
    error::{Code, Problem},
    grant::{LinkSecret, NamedGrant},
    ids::{GrantId, PlaybackId, UserId, VideoId},
    upload::clean_title,
};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, DatabaseConnection, EntityTrait, IntoActiveModel, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect,
    Select, sea_query::Expr,
};
use uuid::Uuid;

use crate::{
    clock::now_ms,
    db::{
        begin_write,
        entity::{grants, videos},
        passing,
    },
    error::Result,
    services::{
        audit_log::{Act, Actor},
        private_media::PrivateMedia,
        videos::playback_id,
    },
    signing::SigningKeys,
};

/// Keeps these signatures apart from those over short-lived grants and media.
const LABEL: &str = "millrace link v1";
/// Grants of a video that stand at once.
pub const MAX_GRANTS: u64 = 200;
/// The last use is noted to the minute, so that a player that renews does not write each time.
const LAST_USE_STEP_MS: i64 = 60_000;
/// Ten years: longer is for ever, which can be said.
const LONGEST_SECONDS: u64 = 10 * 366 * 86_400;

/// Named grants.
#[derive(Debug, Clone)]
pub struct Grants {
    db: DatabaseConnection,
    keys: SigningKeys,
    private_media: PrivateMedia,
    public_url: String,
}

/// What an owner says of a new grant.
#[derive(Debug, Clone, Copy)]
pub struct NewGrant<'a> {
    /// For whom it is.
    pub name: &'a str,
    /// How long it is good for; until it is revoked where nothing is said.
    pub seconds: Option<u64>,
    /// Hosts whose pages may show it, with white space between them.
    pub embed_hosts: &'a str,
}

/// The grants of a video that are not revoked, newest first.
pub fn list_query(user: UserId, video: VideoId) -> Select<grants::Entity> {
    let standing = grants::Entity::of(user.0, video.0).filter(grants::Column::RevokedAtMs.is_null());
    standing.order_by_desc(grants::Column::Id).limit(MAX_GRANTS)
}

impl Grants {
    /// Grants in `db`, with links at `public_url` that `keys` sign. What is revoked is told to `private_media`.
    pub fn new(db: DatabaseConnection, keys: SigningKeys, private_media: PrivateMedia, public_url: String) -> Self {
        Self { db, keys, private_media, public_url }
    }

    /// Gives somebody the right to play a video.
    ///
    /// # Errors
    /// The video is not the user's, or what is said of the grant cannot be taken.
    pub async fn create(&self, actor: impl Into<Actor>, video: VideoId, new: NewGrant<'_>) -> Result<NamedGrant> {
        let actor = actor.into();
        let name = clean_title(new.name).ok_or_else(|| Problem::invalid("Say for whom it is, so that you know it again."))?;
        if new.seconds.is_some_and(|seconds| !(1..=LONGEST_SECONDS).contains(&seconds)) {
            return Err(Problem::invalid("Let it end within ten years, or leave the end out.").into());
        }
        let embed_hosts = EmbedHosts::parse(new.embed_hosts)?.to_stored();
        // Under the video's lock: of two who ask at once, the second counts what the first made.
        let transaction = begin_write(&self.db).await?;
        let row = videos::Entity::of(actor.user.0).filter(videos::Column::Id.eq(video.0)).lock_exclusive().one(&transaction).await?;
        let row = row.ok_or_else(Problem::not_found)?;
        let standing = grants::Entity::of(actor.user.0, video.0).filter(grants::Column::RevokedAtMs.is_null());
        if standing.count(&transaction).await? >= MAX_GRANTS {
            let full = format!("A video has at most {MAX_GRANTS} links of this kind. Revoke one first.");
            return Err(Problem::new(Code::Conflict, full).into());
        }
        let now = now_ms();
        let grant = grants::Model {
            id: Uuid::now_v7(),
            video_id: video.0,
            user_id: actor.user.0,
            name,
            created_at_ms: now,
            expires_at_ms: new.seconds.map(|seconds| now.saturating_add_unsigned(seconds * 1_000)),
            revoked_at_ms: None,
            last_used_at_ms: None,
            embed_hosts,
        };
        grants::Entity::insert(grant.clone().into_active_model().reset_all()).exec_without_returning(&transaction).await?;
        Act::of(actor, AuditKind::GrantMade).on_video(row.id).with("link", grant.id).note(&transaction).await?;
        transaction.commit().await?;
        Ok(self.shown(grant, &playback_id(&row)?))
    }

    /// The video's grants that are not revoked, newest first.
    ///
    /// # Errors
    /// The video is not the user's.
    pub async fn list(&self, user: UserId, video: VideoId) -> Result<Vec<NamedGrant>> {
        let row = self.video(user, video).await?;
        let playback_id = playback_id(&row)?;
        let rows = list_query(user, video).all(&self.db).await?;
        Ok(rows.into_iter().map(|grant| self.shown(grant, &playback_id)).collect())
    }

    /// Takes a grant back: here at once, in other processes within seconds. Doing it again changes nothing.
    ///
    /// # Errors
    /// The user's video has no such grant.
    pub async fn revoke(&self, actor: impl Into<Actor>, video: VideoId, grant: GrantId) -> Result<()> {
        let actor = actor.into();
        let row = self.video(actor.user, video).await?;
        let mine = || grants::Entity::of(actor.user.0, video.0).filter(grants::Column::Id.eq(grant.0));
        let transaction = begin_write(&self.db).await?;
        mine().one(&transaction).await?.ok_or_else(Problem::not_found)?;
        let revoked = grants::Entity::update_many()
            .col_expr(grants::Column::RevokedAtMs, Expr::value(now_ms()))
            .filter(grants::Column::Id.eq(grant.0))
            .filter(grants::Column::UserId.eq(actor.user.0))
            .filter(grants::Column::RevokedAtMs.is_null())
            .exec(&transaction)
            .await?;
        if revoked.rows_affected > 0 {
            Act::of(actor, AuditKind::GrantRevoked).on_video(row.id).with("link", grant.0).note(&transaction).await?;
        }
        transaction.commit().await?;
        self.private_media.revoke(grant);
        Ok(())
    }

    /// The grant in a link to `video`, if it stands. Its use is noted.
    ///
    /// # Errors
    /// The database fails.
    pub async fn recognise(&self, video: &videos::Model, secret: &str) -> Result<Option<grants::Model>> {
        let Ok((link, signature)) = LinkSecret::parse(secret) else { return Ok(None) };
        if !self.keys.verify(link.key_id, LABEL, &link.claims(), &signature, LinkSecret::SIGNATURE_BYTES) {
            return Ok(None);
        }
        let Some(grant) = self.standing(video, link.grant).await? else { return Ok(None) };
        let now = now_ms();
        if grant.last_used_at_ms.is_none_or(|last| now - last >= LAST_USE_STEP_MS) {
            let used = grants::Entity::update_many().col_expr(grants::Column::LastUsedAtMs, Expr::value(now));
            let (used, db) = (used.filter(grants::Column::Id.eq(grant.id)), self.db.clone());
            passing::note(async move { used.exec(&db).await }).await;
        }
        Ok(Some(grant))
    }

    /// A grant of `video`, if it stands.
    ///
    /// # Errors
    /// The database fails.
    pub async fn standing(&self, video: &videos::Model, grant: GrantId) -> Result<Option<grants::Model>> {
        let row = grants::Entity::of(video.user_id, video.id).filter(grants::Column::Id.eq(grant.0)).one(&self.db).await?;
        Ok(row.filter(|row| row.stands(now_ms())))
    }

    async fn video(&self, user: UserId, video: VideoId) -> Result<videos::Model> {
        let row = videos::Entity::of(user.0).filter(videos::Column::Id.eq(video.0)).one(&self.db).await?;
        Ok(row.ok_or_else(Problem::not_found)?)
    }

    fn shown(&self, row: grants::Model, playback_id: &PlaybackId) -> NamedGrant {
        let link = LinkSecret { grant: GrantId(row.id), key_id: self.keys.current_id() };
        let signature = self.keys.sign(LABEL, &link.claims());
        let secret = link.text(&signature[..LinkSecret::SIGNATURE_BYTES]);
        let url = |page: &str| format!("{}/{page}/{playback_id}?grant={secret}", self.public_url);
        NamedGrant {
            id: GrantId(row.id),
            name: row.name,
            created_at_ms: row.created_at_ms,
            expires_at_ms: row.expires_at_ms,
            last_used_at_ms: row.last_used_at_ms,
            embed_hosts: EmbedHosts::stored(row.embed_hosts.as_deref()).map(|hosts| hosts.texts()).unwrap_or_default(),
            watch_url: url("watch"),
            embed_url: url("embed"),
        }
    }
}
