//! Named grants, and which sites may show an account's or a video's embeds.

use sea_orm_migration::{prelude::*, schema::*};

#[derive(DeriveMigrationName)]
pub(super) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.create_table(grants()).await?;
        for index in indexes() {
            manager.create_index(index).await?;
        }
        for table in ["users", "videos"] {
            manager.alter_table(Table::alter().table(table).add_column(text_null("embed_hosts")).to_owned()).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in ["users", "videos"] {
            manager.alter_table(Table::alter().table(table).drop_column("embed_hosts").to_owned()).await?;
        }
        manager.drop_table(Table::drop().table("grants").to_owned()).await
    }
}

fn grants() -> TableCreateStatement {
    let goes_with = |column: &'static str, table: &'static str| {
        ForeignKey::create().from("grants", column).to(table, "id").on_delete(ForeignKeyAction::Cascade).to_owned()
    };
    Table::create()
        .table("grants")
        .col(uuid("id").primary_key())
        .col(uuid("video_id"))
        .col(uuid("user_id"))
        .col(string("name"))
        .col(big_integer("created_at_ms"))
        .col(big_integer_null("expires_at_ms"))
        .col(big_integer_null("revoked_at_ms"))
        .col(big_integer_null("last_used_at_ms"))
        .col(text_null("embed_hosts"))
        .foreign_key(&mut goes_with("video_id", "videos"))
        .foreign_key(&mut goes_with("user_id", "users"))
        .to_owned()
}

fn indexes() -> Vec<IndexCreateStatement> {
    vec![
        Index::create().name("grants_by_video").table("grants").col("video_id").col("id").to_owned(),
        Index::create().name("grants_by_owner").table("grants").col("user_id").to_owned(),
        // Holds all that is asked for.
        Index::create().name("grants_by_revocation").table("grants").col("revoked_at_ms").col("id").to_owned(),
    ]
}
