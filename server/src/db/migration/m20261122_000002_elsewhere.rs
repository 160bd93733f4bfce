//! What encodes on other machines and several processes need: the encode a job waits for, what was heard of it, and rows to take turns on.

use sea_orm_migration::{prelude::*, schema::*};

#[derive(DeriveMigrationName)]
pub(super) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // SQLite adds one column a statement.
        for column in [string_null("encode_id"), text_null("encode_report")] {
            manager.alter_table(Table::alter().table("jobs").add_column(column).to_owned()).await?;
        }
        manager.create_table(Table::create().table("turns").col(string("name").primary_key()).to_owned()).await?;
        let first_owner = Query::insert().into_table("turns").columns(["name"]).values_panic(["first_owner".into()]).to_owned();
        manager.exec_stmt(first_owner).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table("turns").to_owned()).await?;
        for column in ["encode_id", "encode_report"] {
            manager.alter_table(Table::alter().table("jobs").drop_column(column).to_owned()).await?;
        }
        Ok(())
    }
}
