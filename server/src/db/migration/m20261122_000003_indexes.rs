//! An index for each list and queue query that had none of its own, or not a whole one.

use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub(super) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_index(drop("videos_by_change", "videos")).await?;
        for index in indexes() {
            manager.create_index(index).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for (name, table) in [
            ("videos_by_change", "videos"),
            ("videos_by_visibility", "videos"),
            ("videos_with_source", "videos"),
            ("jobs_by_silence", "jobs"),
            ("sessions_by_user", "sessions"),
        ] {
            manager.drop_index(drop(name, table)).await?;
        }
        manager.create_index(index("videos_by_change", "videos", &["updated_at_ms"])).await
    }
}

fn drop(name: &'static str, table: &'static str) -> IndexDropStatement {
    Index::drop().name(name).table(table).to_owned()
}

fn index(name: &'static str, table: &'static str, columns: &[&'static str]) -> IndexCreateStatement {
    let mut index = Index::create().name(name).table(table).to_owned();
    for column in columns {
        index.col(*column);
    }
    index
}

fn indexes() -> Vec<IndexCreateStatement> {
    vec![
        // Pages of changes that were written in the same millisecond follow each other by id.
        index("videos_by_change", "videos", &["updated_at_ms", "id"]),
        // Holds all that is asked for, so that most rows, which are large, need not be read.
        index("videos_by_visibility", "videos", &["visibility", "generation_id", "poster_generation_id"]),
        // Videos whose source is gone already are not in it.
        index("videos_with_source", "videos", &["stage", "updated_at_ms"]).and_where(Expr::col("s3_input_url").is_not_null()).to_owned(),
        index("jobs_by_silence", "jobs", &["state", "lease_expires_at_ms"]),
        index("sessions_by_user", "sessions", &["user_id"]),
    ]
}
