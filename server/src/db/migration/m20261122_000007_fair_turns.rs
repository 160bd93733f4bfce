//! Jobs know whose they are and have a turn, so that one account's many do not keep another's one waiting.

use sea_orm_migration::{prelude::*, schema::*};

#[derive(DeriveMigrationName)]
pub(super) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for column in [uuid_null("user_id"), big_integer("turn").default(0).to_owned()] {
            manager.alter_table(Table::alter().table("jobs").add_column(column).to_owned()).await?;
        }
        let same = Expr::col(("videos", "id")).equals(("jobs", "video_id"));
        let owner = Query::select().column(("videos", "user_id")).from("videos").and_where(same).to_owned();
        let known = Query::update().table("jobs").value("user_id", Expr::from(owner)).to_owned();
        manager.exec_stmt(known).await?;
        manager.drop_index(Index::drop().name("jobs_by_turn").table("jobs").to_owned()).await?;
        for (name, columns) in INDEXES {
            let mut index = Index::create().name(name).table("jobs").to_owned();
            for column in columns {
                index.col(*column);
            }
            manager.create_index(index).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for (name, _) in INDEXES {
            manager.drop_index(Index::drop().name(name).table("jobs").to_owned()).await?;
        }
        manager.create_index(Index::create().name("jobs_by_turn").table("jobs").col("state").col("run_after_ms").to_owned()).await?;
        for column in ["user_id", "turn"] {
            manager.alter_table(Table::alter().table("jobs").drop_column(column).to_owned()).await?;
        }
        Ok(())
    }
}

/// Names and columns: those that wait, in their order; those of one account that wait, for the place of the next one; those that were given up.
const INDEXES: [(&str, &[&str]); 3] =
    [("jobs_by_turn", &["state", "turn", "id"]), ("jobs_by_user", &["user_id", "state", "turn"]), ("jobs_by_state", &["state", "id"])];
