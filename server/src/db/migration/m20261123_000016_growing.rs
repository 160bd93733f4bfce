//! What plays from its running encode: the generation that grows, its renditions, and their finished segments, a row each.

use sea_orm_migration::{prelude::*, schema::*};

#[derive(DeriveMigrationName)]
pub(super) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let column = uuid_null("growing_generation_id");
        manager.alter_table(Table::alter().table("videos").add_column(column).to_owned()).await?;
        let columns = ["visibility", "generation_id", "poster_generation_id", "packaged_generation_id", "growing_generation_id"];
        index(manager, &columns).await?;
        manager.create_table(renditions()).await?;
        let by_video = Index::create().name("growing_renditions_by_video").table("growing_renditions").col("video_id").to_owned();
        manager.create_index(by_video).await?;
        manager.create_table(segments()).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in ["growing_segments", "growing_renditions"] {
            manager.drop_table(Table::drop().table(table).to_owned()).await?;
        }
        index(manager, &["visibility", "generation_id", "poster_generation_id", "packaged_generation_id"]).await?;
        manager.alter_table(Table::alter().table("videos").drop_column("growing_generation_id").to_owned()).await
    }
}

fn renditions() -> TableCreateStatement {
    let mut of_video =
        ForeignKey::create().from("growing_renditions", "video_id").to("videos", "id").on_delete(ForeignKeyAction::Cascade).to_owned();
    Table::create()
        .table("growing_renditions")
        .col(uuid("generation_id"))
        .col(string("name"))
        .col(uuid("video_id"))
        .col(text("body"))
        .col(big_integer("target_seconds"))
        .primary_key(Index::create().col("generation_id").col("name"))
        .foreign_key(&mut of_video)
        .to_owned()
}

fn segments() -> TableCreateStatement {
    let mut of_rendition = ForeignKey::create()
        .from_tbl("growing_segments")
        .from_col("generation_id")
        .from_col("name")
        .to_tbl("growing_renditions")
        .to_col("generation_id")
        .to_col("name")
        .on_delete(ForeignKeyAction::Cascade)
        .to_owned();
    Table::create()
        .table("growing_segments")
        .col(uuid("generation_id"))
        .col(string("name"))
        .col(big_integer("number"))
        .col(string("file"))
        .col(big_integer("duration_us"))
        .col(big_integer("bytes"))
        .primary_key(Index::create().col("generation_id").col("name").col("number"))
        .foreign_key(&mut of_rendition)
        .to_owned()
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
