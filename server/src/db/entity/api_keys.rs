//! API keys, by the hash of their secret.

use sea_orm::entity::prelude::*;

/// A row.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "api_keys")]
pub struct Model {
    /// The key.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// Whose it is.
    pub user_id: Uuid,
    /// What its owner called it.
    pub name: String,
    /// First characters of the secret.
    pub prefix: String,
    /// SHA-256 of the secret, in hexadecimal. The secret is random and long, so a fast hash does.
    #[sea_orm(unique)]
    pub secret_hash: String,
    /// Milliseconds of the Unix epoch.
    pub created_at_ms: i64,
    /// Milliseconds of the Unix epoch, to the minute.
    pub last_used_at_ms: Option<i64>,
    /// A [`domain::account::Scope`].
    pub scope: String,
}

/// No relations are navigated; joins are written where they are needed.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl Entity {
    /// The keys of one account.
    pub fn of(user: Uuid) -> Select<Self> {
        Self::find().filter(Column::UserId.eq(user))
    }
}
