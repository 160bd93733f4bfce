//! The first schema: accounts, sessions, keys, videos, uploads, jobs, renditions, removals.

use sea_orm_migration::{prelude::*, schema::*};

#[derive(DeriveMigrationName)]
pub(super) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in [users(), sessions(), api_keys(), videos(), uploads(), jobs(), renditions(), removals()] {
            manager.create_table(table).await?;
        }
        for index in indexes() {
            manager.create_index(index).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for name in ["removals", "renditions", "jobs", "uploads", "videos", "api_keys", "sessions", "users"] {
            manager.drop_table(Table::drop().table(Alias::new(name)).to_owned()).await?;
        }
        Ok(())
    }
}

fn users() -> TableCreateStatement {
    Table::create()
        .table("users")
        .col(uuid("id").primary_key())
        .col(string("email").unique_key())
        .col(string("password_hash"))
        .col(timestamp_with_time_zone("created_at"))
        .to_owned()
}

fn sessions() -> TableCreateStatement {
    Table::create()
        .table("sessions")
        .col(string("id_hash").primary_key())
        .col(uuid_null("user_id"))
        .col(text("data"))
        .col(big_integer("expires_at_ms"))
        .foreign_key(&mut owner("sessions"))
        .to_owned()
}

fn api_keys() -> TableCreateStatement {
    Table::create()
        .table("api_keys")
        .col(uuid("id").primary_key())
        .col(uuid("user_id"))
        .col(string("name"))
        .col(string("prefix"))
        .col(string("secret_hash").unique_key())
        .col(big_integer("created_at_ms"))
        .col(big_integer_null("last_used_at_ms"))
        .foreign_key(&mut owner("api_keys"))
        .to_owned()
}

fn videos() -> TableCreateStatement {
    Table::create()
        .table("videos")
        .col(uuid("id").primary_key())
        .col(uuid("user_id"))
        .col(string("status"))
        .col(text_null("s3_input_url"))
        .col(text_null("s3_output_url"))
        .col(timestamp_with_time_zone("created_at"))
        .col(string("playback_id").unique_key())
        .col(text("title"))
        .col(text("title_folded"))
        .col(string("visibility"))
        .col(string("stage"))
        .col(integer("progress"))
        .col(string_null("failure_code"))
        .col(text("file_name"))
        .col(big_integer("size_bytes"))
        .col(text_null("source_facts"))
        .col(uuid_null("generation_id"))
        .col(uuid_null("poster_generation_id"))
        .col(big_integer("updated_at_ms"))
        .foreign_key(&mut owner("videos"))
        .to_owned()
}

fn uploads() -> TableCreateStatement {
    Table::create()
        .table("uploads")
        .col(uuid("id").primary_key())
        .col(uuid("user_id"))
        .col(uuid("video_id").unique_key())
        .col(text("multipart_id"))
        .col(big_integer("size_bytes"))
        .col(big_integer("part_size"))
        .col(boolean("complete"))
        .col(big_integer("updated_at_ms"))
        .foreign_key(&mut of_video("uploads"))
        .to_owned()
}

fn jobs() -> TableCreateStatement {
    Table::create()
        .table("jobs")
        .col(uuid("id").primary_key())
        .col(uuid("video_id"))
        .col(string("state"))
        .col(integer("attempt"))
        .col(big_integer("run_after_ms"))
        .col(string_null("lease_owner"))
        .col(big_integer("lease_expires_at_ms"))
        .col(big_integer("fence"))
        .col(uuid_null("generation_id"))
        .col(text_null("last_error"))
        .col(big_integer("created_at_ms"))
        .foreign_key(&mut of_video("jobs"))
        .to_owned()
}

fn renditions() -> TableCreateStatement {
    Table::create()
        .table("renditions")
        .col(uuid("generation_id"))
        .col(string("name"))
        .col(uuid("video_id"))
        .col(text("body"))
        .primary_key(Index::create().col("generation_id").col("name"))
        .foreign_key(&mut of_video("renditions"))
        .to_owned()
}

fn removals() -> TableCreateStatement {
    Table::create()
        .table("removals")
        .col(uuid("id").primary_key())
        .col(string("kind"))
        .col(uuid("target"))
        .col(text("multipart_id"))
        .col(big_integer("run_after_ms"))
        .to_owned()
}

fn owner(table: &'static str) -> ForeignKeyCreateStatement {
    ForeignKey::create().from(table, "user_id").to("users", "id").on_delete(ForeignKeyAction::Cascade).to_owned()
}

fn of_video(table: &'static str) -> ForeignKeyCreateStatement {
    ForeignKey::create().from(table, "video_id").to("videos", "id").on_delete(ForeignKeyAction::Cascade).to_owned()
}

/// One index for each list and queue query: the library's keyset pages, the changes since, the next job, a job by its video.
fn indexes() -> Vec<IndexCreateStatement> {
    let index = |name: &'static str, table: &'static str, columns: &[&'static str]| {
        let mut index = Index::create().name(name).table(table).to_owned();
        for column in columns {
            index.col(*column);
        }
        index
    };
    vec![
        index("videos_by_owner", "videos", &["user_id", "id"]),
        index("videos_by_change", "videos", &["updated_at_ms"]),
        index("jobs_by_turn", "jobs", &["state", "run_after_ms"]),
        index("jobs_by_video", "jobs", &["video_id"]),
        index("renditions_by_video", "renditions", &["video_id"]),
        index("uploads_unfinished", "uploads", &["complete", "updated_at_ms"]),
        index("api_keys_by_owner", "api_keys", &["user_id", "id"]),
        index("sessions_by_expiry", "sessions", &["expires_at_ms"]),
        index("removals_by_turn", "removals", &["run_after_ms"]),
    ]
}
