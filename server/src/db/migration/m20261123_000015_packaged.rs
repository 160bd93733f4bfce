//! What plays straight from a source's own samples: the generation whose files are cut from it on request, and what players need to know of it
//! before anybody has probed the source.

use sea_orm_migration::{prelude::*, schema::*};

#[derive(DeriveMigrationName)]
pub(super) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // SQLite takes one column at a time.
        for column in [uuid_null("packaged_generation_id"), text_null("packaged_facts")] {
            manager.alter_table(Table::alter().table("videos").add_column(column).to_owned()).await?;
        }
        index(manager, &["visibility", "generation_id", "poster_generation_id", "packaged_generation_id"]).await?;
        let by_packaged = Index::create().name("videos_by_packaged").table("videos").col("packaged_generation_id").to_owned();
        manager.create_index(by_packaged).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_index(Index::drop().name("videos_by_packaged").table("videos").to_owned()).await?;
        index(manager, &["visibility", "generation_id", "poster_generation_id"]).await?;
        for column in ["packaged_facts", "packaged_generation_id"] {
            manager.alter_table(Table::alter().table("videos").drop_column(column).to_owned()).await?;
        }
        Ok(())
    }
}

/// Makes anew the index that answers by itself which generations belong to private videos.
async fn index(manager: &SchemaManager<'_>, columns: &[&'static str]) -> Result<(), DbErr> {
    manager.drop_index(Index::drop().name("videos_by_visibility").table("videos").to_owned()).await?;
    let mut index = Index::create().name("videos_by_visibility").table("videos").to_owned();
    for column in columns {
        index.col(*column);
    }
    manager.create_index(index).await
}
