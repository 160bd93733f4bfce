//! Named grants. A row stays when it is revoked: what was signed with it must be refused for as long as it could have been signed.

use sea_orm::entity::prelude::*;

/// A row.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "grants")]
pub struct Model {
    /// The grant.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// The video it opens.
    pub video_id: Uuid,
    /// Whose video it is.
    pub user_id: Uuid,
    /// What its owner called it.
    pub name: String,
    /// Milliseconds of the Unix epoch.
    pub created_at_ms: i64,
    /// Milliseconds of the Unix epoch; none where it lasts until it is revoked.
    pub expires_at_ms: Option<i64>,
    /// Milliseconds of the Unix epoch, once it is revoked.
    pub revoked_at_ms: Option<i64>,
    /// Milliseconds of the Unix epoch, to the minute.
    pub last_used_at_ms: Option<i64>,
    /// A [`domain::embed_hosts::EmbedHosts`].
    pub embed_hosts: Option<String>,
}

/// No relations are navigated; joins are written where they are needed.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl Model {
    /// Whether it opens anything at `now_ms`.
    pub fn stands(&self, now_ms: i64) -> bool {
        self.revoked_at_ms.is_none() && self.expires_at_ms.is_none_or(|end| end > now_ms)
    }
}

impl Entity {
    /// The grants of one video of one account.
    pub fn of(user: Uuid, video: Uuid) -> Select<Self> {
        Self::find().filter(Column::VideoId.eq(video)).filter(Column::UserId.eq(user))
    }
}
