//! Renditions of encodes that still run, where they are played meanwhile.

use sea_orm::entity::prelude::*;

/// A row.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "growing_renditions")]
pub struct Model {
    /// The generation they belong to.
    #[sea_orm(primary_key, auto_increment = false)]
    pub generation_id: Uuid,
    /// Name: `720p`, `audio`.
    #[sea_orm(primary_key, auto_increment = false)]
    pub name: String,
    /// The video.
    pub video_id: Uuid,
    /// A [`domain::playlist::Rendition`] without segments, as JSON.
    pub body: String,
    /// Seconds that no segment exceeds.
    pub target_seconds: i64,
}

/// No relations are navigated; joins are written where they are needed.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl Entity {
    /// The renditions of one generation.
    pub fn of(generation: Uuid) -> Select<Self> {
        Self::find().filter(Column::GenerationId.eq(generation))
    }
}
