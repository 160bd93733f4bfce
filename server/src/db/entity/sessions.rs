//! Sessions, by the hash of their id: a stolen table opens none of them.

use sea_orm::{DeleteMany, entity::prelude::*};

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
}

/// No relations are navigated; joins are written where they are needed.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl Entity {
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
