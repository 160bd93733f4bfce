//! Sessions, by the hash of their id: a stolen table opens none of them.

use sea_orm::{Condition, DeleteMany, entity::prelude::*};

use super::users;

/// A row.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "sessions")]
pub struct Model {
    /// SHA-256 of the id in the cookie, in hexadecimal.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id_hash: String,
    /// Whose it is, once signed in.
    pub user_id: Option<Uuid>,
    /// What it holds, as JSON.
    pub data: String,
    /// Milliseconds of the Unix epoch.
    pub expires_at_ms: i64,
    /// Browser and system, in words.
    pub device: String,
    /// Where it signed in from.
    pub address: String,
    /// Milliseconds of the Unix epoch of the sign-in.
    pub since_ms: i64,
    /// Milliseconds of the Unix epoch of the last request, to the minute.
    pub last_seen_ms: i64,
    /// The account's `session_epoch` when it was opened.
    pub epoch: i64,
}

/// No relations are navigated; joins are written where they are needed.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl Entity {
    /// The sessions of one account.
    pub fn of(user: Uuid) -> Select<Self> {
        Self::find().filter(Column::UserId.eq(user))
    }

    /// The sessions of one account that still stand at `now_ms`.
    pub fn standing_of(user: Uuid, now_ms: i64) -> Select<Self> {
        Self::of(user).filter(Column::ExpiresAtMs.gt(now_ms)).filter(Self::lets_in())
    }

    /// A session that still stands at `now_ms`: not run out, and nobody's or that of somebody who may come in by it.
    pub fn standing(id_hash: &str, now_ms: i64) -> Select<Self> {
        let whose = Condition::any().add(Column::UserId.is_null()).add(Self::lets_in());
        Self::find_by_id(id_hash).filter(Column::ExpiresAtMs.gt(now_ms)).filter(whose)
    }

    fn lets_in() -> Expr {
        users::Entity::may_come_in_since(Column::UserId, Column::Epoch)
    }

    /// Ends the sessions whose time was over at `now_ms`.
    pub fn delete_expired(now_ms: i64) -> DeleteMany<Self> {
        Self::delete_many().filter(Column::ExpiresAtMs.lt(now_ms))
    }
}

/// What stands in the table for a session's id.
pub fn hash_id(id: &str) -> String {
    use sha2::{Digest, Sha256};
    Sha256::digest(id).iter().map(|byte| format!("{byte:02x}")).collect()
}
