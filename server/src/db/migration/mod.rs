//! Schema changes, in order. A migration that has run on somebody's database is never edited.

use sea_orm_migration::prelude::*;

mod m20261122_000001_first;
mod m20261122_000002_elsewhere;
mod m20261122_000003_indexes;

/// Runs the migrations.
#[derive(Debug)]
pub struct Migrator;

#[async_trait::async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(m20261122_000001_first::Migration),
            Box::new(m20261122_000002_elsewhere::Migration),
            Box::new(m20261122_000003_indexes::Migration),
        ]
    }
}
