//! Roles, disabled accounts, what a session was opened with, scopes of keys, invitations and the audit log.

use sea_orm_migration::{prelude::*, schema::*};

#[derive(DeriveMigrationName)]
pub(super) struct Migration;

/// New columns, each with the table it is in. SQLite adds one a statement.
fn columns() -> Vec<(&'static str, ColumnDef)> {
    vec![
        ("users", string("role").default("member").to_owned()),
        ("users", big_integer_null("disabled_at_ms")),
        ("users", big_integer_null("leaving_at_ms")),
        ("users", big_integer("session_epoch").default(0).to_owned()),
        ("sessions", text("device").default("").to_owned()),
        ("sessions", text("address").default("").to_owned()),
        ("sessions", big_integer("since_ms").default(0).to_owned()),
        ("sessions", big_integer("last_seen_ms").default(0).to_owned()),
        ("sessions", big_integer("epoch").default(0).to_owned()),
        // Keys that were made before there were scopes could do everything.
        ("api_keys", string("scope").default("manage").to_owned()),
    ]
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for (table, column) in columns() {
            manager.alter_table(Table::alter().table(table).add_column(column).to_owned()).await?;
        }
        manager.create_table(invites()).await?;
        manager.create_table(audit_log()).await?;
        for index in indexes() {
            manager.create_index(index).await?;
        }
        // Ids are in the order of time: the first account is the owner's.
        let first = Query::select().column("id").from("users").order_by("id", Order::Asc).limit(1).to_owned();
        let owner = Query::update().table("users").value("role", "owner").and_where(Expr::col("id").in_subquery(first)).to_owned();
        manager.exec_stmt(owner).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table("audit_log").to_owned()).await?;
        manager.drop_table(Table::drop().table("invites").to_owned()).await?;
        for index in ["users_leaving", "users_by_role", "users_disabled"] {
            manager.drop_index(Index::drop().name(index).table("users").to_owned()).await?;
        }
        for (table, column) in columns() {
            manager.alter_table(Table::alter().table(table).drop_column(column.get_column_name()).to_owned()).await?;
        }
        Ok(())
    }
}

fn invites() -> TableCreateStatement {
    let maker = ForeignKey::create().from("invites", "created_by").to("users", "id").on_delete(ForeignKeyAction::Cascade).to_owned();
    Table::create()
        .table("invites")
        .col(uuid("id").primary_key())
        .col(string("secret_hash").unique_key())
        .col(text("name"))
        .col(uuid_null("created_by"))
        .col(big_integer("created_at_ms"))
        .col(big_integer("expires_at_ms"))
        .foreign_key(&mut maker.clone())
        .to_owned()
}

fn audit_log() -> TableCreateStatement {
    Table::create()
        .table("audit_log")
        .col(uuid("id").primary_key())
        .col(big_integer("at_ms"))
        .col(uuid_null("actor_id"))
        .col(text("actor"))
        .col(string("kind"))
        .col(text("subject"))
        .col(text("address"))
        .col(text("detail"))
        .to_owned()
}

fn indexes() -> Vec<IndexCreateStatement> {
    vec![
        Index::create().name("invites_by_expiry").table("invites").col("expires_at_ms").to_owned(),
        Index::create().name("audit_log_by_time").table("audit_log").col("at_ms").to_owned(),
        Index::create()
            .name("users_leaving")
            .table("users")
            .col("leaving_at_ms")
            .and_where(Expr::col("leaving_at_ms").is_not_null())
            .to_owned(),
        Index::create().name("users_by_role").table("users").col("role").to_owned(),
        Index::create()
            .name("users_disabled")
            .table("users")
            .col("disabled_at_ms")
            .and_where(Expr::col("disabled_at_ms").is_not_null())
            .to_owned(),
    ]
}
