//! The audit log. It names people and things by text, so that it can be read when they are gone.

use sea_orm::{DeleteMany, QueryOrder, entity::prelude::*};

/// A row.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "audit_log")]
pub struct Model {
    /// The entry.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// Milliseconds of the Unix epoch.
    pub at_ms: i64,
    /// Who did it, where that is known.
    pub actor_id: Option<Uuid>,
    /// Their address then.
    pub actor: String,
    /// A [`domain::audit::AuditKind`].
    pub kind: String,
    /// What it was done to.
    pub subject: String,
    /// Where the request came from.
    pub address: String,
    /// More about it: an object of texts, as JSON.
    pub detail: String,
}

/// No relations are navigated; joins are written where they are needed.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl Entity {
    /// What is older than `before`, the newest first.
    pub fn older_than(before: Uuid) -> Select<Self> {
        Self::find().filter(Column::Id.lt(before)).order_by_desc(Column::Id)
    }

    /// Forgets what was noted before `before_ms`.
    pub fn delete_before(before_ms: i64) -> DeleteMany<Self> {
        Self::delete_many().filter(Column::AtMs.lt(before_ms))
    }
}
