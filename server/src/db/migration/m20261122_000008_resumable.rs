//! Unfinished uploads are listed for their owner, with what their file is known by.

use sea_orm_migration::{prelude::*, schema::*};

#[derive(DeriveMigrationName)]
pub(super) struct Migration;

const NAME: &str = "uploads_of_user";

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.alter_table(Table::alter().table("uploads").add_column(string_null("fingerprint")).to_owned()).await?;
        let mut index = Index::create().name(NAME).table("uploads").to_owned();
        for column in ["user_id", "complete", "updated_at_ms"] {
            index.col(column);
        }
        manager.create_index(index).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_index(Index::drop().name(NAME).table("uploads").to_owned()).await?;
        manager.alter_table(Table::alter().table("uploads").drop_column("fingerprint").to_owned()).await
    }
}
