//! Invitations that nobody has used yet, by the hash of their secret. Using one deletes it.

use sea_orm::{Condition, DeleteMany, QueryOrder, QuerySelect, entity::prelude::*};

use super::users;

/// A row.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "invites")]
pub struct Model {
    /// The invitation.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// SHA-256 of the secret, in hexadecimal. The secret is random and long, so a fast hash does.
    #[sea_orm(unique)]
    pub secret_hash: String,
    /// Whom it is for, as the owner wrote it.
    pub name: String,
    /// Who made it; nobody where the command line did.
    pub created_by: Option<Uuid>,
    /// Milliseconds of the Unix epoch.
    pub created_at_ms: i64,
    /// Milliseconds of the Unix epoch.
    pub expires_at_ms: i64,
}

/// No relations are navigated; joins are written where they are needed.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl Entity {
    /// Those that can be used at `now_ms`, the one that lasts longest first.
    pub fn open(now_ms: i64) -> Select<Self> {
        Self::find().filter(Self::stands(now_ms)).order_by_desc(Column::ExpiresAtMs).limit(100)
    }

    /// The one with this secret, if it can be used at `now_ms`.
    pub fn with_secret(hash: &str, now_ms: i64) -> Select<Self> {
        Self::find().filter(Column::SecretHash.eq(hash)).filter(Self::stands(now_ms))
    }

    /// Not run out, and made by the operator or by somebody who still is an owner: who was one invites nobody any more.
    fn stands(now_ms: i64) -> Condition {
        let maker = Condition::any().add(Column::CreatedBy.is_null()).add(users::Entity::is_owner(Column::CreatedBy));
        Condition::all().add(Column::ExpiresAtMs.gt(now_ms)).add(maker)
    }

    /// Forgets those that had run out at `now_ms`.
    pub fn delete_expired(now_ms: i64) -> DeleteMany<Self> {
        Self::delete_many().filter(Column::ExpiresAtMs.lte(now_ms))
    }
}
