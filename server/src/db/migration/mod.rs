//! Schema changes, in order. A migration that has run on somebody's database is never edited.

use sea_orm_migration::prelude::*;

mod m20261122_000001_first;
mod m20261122_000002_elsewhere;
mod m20261122_000003_indexes;
mod m20261122_000004_grants;
mod m20261122_000005_accounts;
mod m20261122_000006_quota;
mod m20261122_000007_fair_turns;
mod m20261122_000008_resumable;
mod m20261122_000010_backlog;
mod m20261122_000011_storage;
mod m20261122_000012_operator;
mod m20261122_000013_growing_alerts;
mod m20261123_000014_title_search;
mod m20261123_000015_packaged;
mod m20261123_000016_growing;
mod m20261123_000017_kept_sources;

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
            Box::new(m20261122_000004_grants::Migration),
            Box::new(m20261122_000005_accounts::Migration),
            Box::new(m20261122_000006_quota::Migration),
            Box::new(m20261122_000007_fair_turns::Migration),
            Box::new(m20261122_000008_resumable::Migration),
            Box::new(m20261122_000010_backlog::Migration),
            Box::new(m20261122_000011_storage::Migration),
            Box::new(m20261122_000012_operator::Migration),
            Box::new(m20261122_000013_growing_alerts::Migration),
            Box::new(m20261123_000014_title_search::Migration),
            Box::new(m20261123_000015_packaged::Migration),
            Box::new(m20261123_000016_growing::Migration),
            Box::new(m20261123_000017_kept_sources::Migration),
        ]
    }
}
