//! Rows to take turns on, where what is to be guarded has no row of its own yet.

use sea_orm::{QuerySelect, entity::prelude::*};

/// A row.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "turns")]
pub struct Model {
    /// What is taken turns at.
    #[sea_orm(primary_key, auto_increment = false)]
    pub name: String,
}

/// No relations are navigated; joins are written where they are needed.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl Entity {
    /// The turn of those who make an account, held until the end of the transaction: of two first visitors, one becomes the owner.
    pub fn first_owner() -> Select<Self> {
        Self::find_by_id("first_owner").lock_exclusive()
    }
}
