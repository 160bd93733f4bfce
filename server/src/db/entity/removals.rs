//! Objects to delete: written in the transaction that lets go of them, worked off afterwards, so that a crash leaves nothing behind.

use sea_orm::entity::prelude::*;

/// A row.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "removals")]
pub struct Model {
    /// The entry.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// What kind of thing `target` is: `generation`, `source`, `multipart` or `encode`.
    pub kind: String,
    /// The generation or upload; for an encode, the generation it writes to.
    pub target: Uuid,
    /// The multipart upload or the encode, for those kinds.
    pub multipart_id: String,
    /// Milliseconds of the Unix epoch before which nothing is tried.
    pub run_after_ms: i64,
}

/// No relations are navigated; joins are written where they are needed.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
