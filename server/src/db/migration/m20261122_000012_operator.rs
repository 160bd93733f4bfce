//! What the operator is told: alerts, and the messages about them; and the trace that each video's upload began.

use sea_orm_migration::{prelude::*, schema::*};

#[derive(DeriveMigrationName)]
pub(super) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.alter_table(Table::alter().table("uploads").add_column(string_null("trace_parent")).to_owned()).await?;
        manager.create_table(alerts()).await?;
        manager.create_table(notices()).await?;
        for index in indexes() {
            manager.create_index(index).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in ["alert_notices", "alerts"] {
            manager.drop_table(Table::drop().table(table).to_owned()).await?;
        }
        manager.alter_table(Table::alter().table("uploads").drop_column("trace_parent").to_owned()).await
    }
}

fn alerts() -> TableCreateStatement {
    Table::create()
        .table("alerts")
        .col(uuid("id").primary_key())
        .col(string("kind"))
        .col(string("subject"))
        .col(boolean("is_open"))
        .col(text("detail"))
        .col(big_integer("opened_at_ms"))
        .col(big_integer("told_at_ms"))
        .col(big_integer("seen_at_ms"))
        .col(big_integer_null("resolved_at_ms"))
        .to_owned()
}

fn notices() -> TableCreateStatement {
    Table::create()
        .table("alert_notices")
        .col(uuid("id").primary_key())
        .col(string("channel"))
        .col(string("event"))
        .col(text("message"))
        .col(string("state"))
        .col(integer("attempt"))
        .col(big_integer("due_at_ms"))
        .col(big_integer("created_at_ms"))
        .col(text_null("last_error"))
        .to_owned()
}

fn indexes() -> Vec<IndexCreateStatement> {
    vec![
        Index::create().name("alerts_by_what").table("alerts").col("kind").col("subject").unique().to_owned(),
        Index::create().name("alerts_open").table("alerts").col("is_open").col("opened_at_ms").to_owned(),
        Index::create().name("alert_notices_due").table("alert_notices").col("state").col("due_at_ms").to_owned(),
    ]
}
