//! Files on their way. A row stays when its file has arrived, as the record of where the source is.

use sea_orm::{QueryOrder, QuerySelect, entity::prelude::*};

/// A row.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "uploads")]
pub struct Model {
    /// The upload.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// Whose it is.
    pub user_id: Uuid,
    /// The video it becomes.
    #[sea_orm(unique)]
    pub video_id: Uuid,
    /// The name the store gave to the multipart upload; empty for a file that came in one request.
    pub multipart_id: String,
    /// Bytes in the file.
    pub size_bytes: i64,
    /// Bytes in each part but the last.
    pub part_size: i64,
    /// Whether all of it is in the store.
    pub complete: bool,
    /// Milliseconds of the Unix epoch of the last part.
    pub updated_at_ms: i64,
    /// What its sender knows the file by; opaque.
    pub fingerprint: Option<String>,
    /// The trace that follows the file until it plays, as W3C's `traceparent`.
    pub trace_parent: Option<String>,
}

/// No relations are navigated; joins are written where they are needed.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl Entity {
    /// The uploads of one account.
    pub fn of(user: Uuid) -> Select<Self> {
        Self::find().filter(Column::UserId.eq(user))
    }

    /// Those of an account's uploads that are not complete and were active after `after_ms`, the last active one first.
    pub fn unfinished_of(user: Uuid, after_ms: i64) -> Select<Self> {
        let unfinished = Self::of(user).filter(Column::Complete.eq(false)).filter(Column::UpdatedAtMs.gt(after_ms));
        unfinished.order_by_desc(Column::UpdatedAtMs).limit(50)
    }

    /// Some of the uploads that nobody went on with since `before_ms`, the oldest first.
    pub fn unfinished_since(before_ms: i64) -> Select<Self> {
        let unfinished = Self::find().filter(Column::Complete.eq(false)).filter(Column::UpdatedAtMs.lt(before_ms));
        unfinished.order_by_asc(Column::UpdatedAtMs).limit(100)
    }
}
