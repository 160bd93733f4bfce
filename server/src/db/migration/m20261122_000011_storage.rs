//! What the store holds is known to the rows: bytes of what is published, whose an object is, what was found when it was looked through, and who
//! needs that nothing is removed for a while.

use sea_orm_migration::{prelude::*, schema::*};

#[derive(DeriveMigrationName)]
pub(super) struct Migration;

/// Names, tables and columns: by whom an object of the store is named.
const INDEXES: [(&str, &str, &str); 4] = [
    ("videos_by_generation", "videos", "generation_id"),
    ("videos_by_poster", "videos", "poster_generation_id"),
    ("jobs_by_generation", "jobs", "generation_id"),
    ("removals_by_target", "removals", "target"),
];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.alter_table(Table::alter().table("videos").add_column(big_integer_null("published_bytes")).to_owned()).await?;
        let audits =
            Table::create().table("store_audits").col(uuid("id").primary_key()).col(big_integer("at_ms")).col(text("report")).to_owned();
        manager.create_table(audits).await?;
        let holds = Table::create().table("holds").col(uuid("id").primary_key()).col(big_integer("until_ms")).to_owned();
        manager.create_table(holds).await?;
        for (name, table, column) in INDEXES {
            manager.create_index(Index::create().name(name).table(table).col(column).to_owned()).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for (name, table, _) in INDEXES {
            manager.drop_index(Index::drop().name(name).table(table).to_owned()).await?;
        }
        for table in ["holds", "store_audits"] {
            manager.drop_table(Table::drop().table(table).to_owned()).await?;
        }
        manager.alter_table(Table::alter().table("videos").drop_column("published_bytes").to_owned()).await
    }
}
