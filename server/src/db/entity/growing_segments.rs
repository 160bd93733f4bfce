//! Finished segments of encodes that still run, where they are played meanwhile. Rows are added and never changed.

use sea_orm::{QueryOrder, entity::prelude::*};

/// A row.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "growing_segments")]
pub struct Model {
    /// The generation.
    #[sea_orm(primary_key, auto_increment = false)]
    pub generation_id: Uuid,
    /// The rendition's name.
    #[sea_orm(primary_key, auto_increment = false)]
    pub name: String,
    /// Place in its playlist, from 0.
    #[sea_orm(primary_key, auto_increment = false)]
    pub number: i64,
    /// File name below the rendition.
    pub file: String,
    /// Length in microseconds.
    pub duration_us: i64,
    /// Bytes in the file.
    pub bytes: i64,
}

/// No relations are navigated; joins are written where they are needed.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl Entity {
    /// The segments of one generation, each rendition's in their order.
    pub fn of(generation: Uuid) -> Select<Self> {
        Self::find().filter(Column::GenerationId.eq(generation)).order_by_asc(Column::Name).order_by_asc(Column::Number)
    }
}
