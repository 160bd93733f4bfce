//! Videos whose largest picture is their source itself: it stays as long as they do.

use sea_orm_migration::{prelude::*, schema::*};

#[derive(DeriveMigrationName)]
pub(super) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let column = boolean("plays_source").default(false).to_owned();
        manager.alter_table(Table::alter().table("videos").add_column(column).to_owned()).await?;
        index(manager, &["stage", "plays_source", "updated_at_ms"]).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        index(manager, &["stage", "updated_at_ms"]).await?;
        manager.alter_table(Table::alter().table("videos").drop_column("plays_source").to_owned()).await
    }
}

/// Makes anew the index that finds sources whose time may be over.
async fn index(manager: &SchemaManager<'_>, columns: &[&'static str]) -> Result<(), DbErr> {
    manager.drop_index(Index::drop().name("videos_with_source").table("videos").to_owned()).await?;
    let mut index =
        Index::create().name("videos_with_source").table("videos").and_where(Expr::col("s3_input_url").is_not_null()).to_owned();
    for column in columns {
        index.col(*column);
    }
    manager.create_index(index).await
}
