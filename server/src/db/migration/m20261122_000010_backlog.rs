//! Jobs know when their try began and ended and why they were given up, so that whoever runs a server can read it; and a job that was given up
//! and tried again since is told from one that still waits for somebody.

use sea_orm_migration::{prelude::*, schema::*};

#[derive(DeriveMigrationName)]
pub(super) struct Migration;

const CODES: &str = "jobs_by_code";

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for column in [big_integer_null("began_at_ms"), big_integer_null("ended_at_ms"), string_null("failure_code")] {
            manager.alter_table(Table::alter().table("jobs").add_column(column).to_owned()).await?;
        }
        // Of the failed jobs of a video the last one counts, and that only while the video has failed.
        let newer = Query::select()
            .expr(Expr::val(1))
            .from_as("jobs", "newer")
            .and_where(Expr::col(("newer", "video_id")).equals(("jobs", "video_id")))
            .and_where(Expr::col(("newer", "id")).gt(Expr::col(("jobs", "id"))))
            .to_owned();
        let failed = || Expr::col(("jobs", "state")).eq("failed");
        let replaced =
            Query::update().table("jobs").value("state", "replaced").and_where(failed()).and_where(Expr::exists(newer)).to_owned();
        manager.exec_stmt(replaced).await?;
        let same = Expr::col(("videos", "id")).equals(("jobs", "video_id"));
        let code = Query::select().column(("videos", "failure_code")).from("videos").and_where(same).to_owned();
        let known = Query::update().table("jobs").value("failure_code", Expr::from(code)).and_where(failed()).to_owned();
        manager.exec_stmt(known).await?;
        let index = Index::create().name(CODES).table("jobs").col("state").col("failure_code").col("id").to_owned();
        manager.create_index(index).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_index(Index::drop().name(CODES).table("jobs").to_owned()).await?;
        for column in ["began_at_ms", "ended_at_ms", "failure_code"] {
            manager.alter_table(Table::alter().table("jobs").drop_column(column).to_owned()).await?;
        }
        Ok(())
    }
}
