//! The database: connection, entities and migrations. The same code serves SQLite and PostgreSQL; nothing here is in SQL of one of
//! them, but for the connection's own settings.

use std::{path::Path, time::Duration};

use sea_orm::{
    ConnectOptions, Database, DatabaseConnection, DatabaseTransaction, DbErr, SqliteTransactionMode, TransactionOptions, TransactionTrait,
    sqlx::sqlite::{SqliteJournalMode, SqliteSynchronous},
};
use sea_orm_migration::MigratorTrait;
use secrecy::{ExposeSecret, SecretString};

pub mod entity;
pub mod migration;

/// Opens the database at `url`, or the SQLite file in `data_dir` where `url` is empty, and brings its schema up to date.
///
/// SQLite runs in WAL mode with `synchronous=FULL`: a commit that was answered survives a power cut.
///
/// # Errors
/// The connection or a migration fails.
pub async fn open(url: &SecretString, data_dir: &Path, max_connections: u32) -> Result<DatabaseConnection, DbErr> {
    let connection = connect(url, data_dir, max_connections).await?;
    migration::Migrator::up(&connection, None).await?;
    Ok(connection)
}

/// Opens the database without touching its schema.
///
/// # Errors
/// The connection fails.
pub async fn connect(url: &SecretString, data_dir: &Path, max_connections: u32) -> Result<DatabaseConnection, DbErr> {
    let url = match url.expose_secret() {
        "" => format!("sqlite://{}?mode=rwc", data_dir.join("millrace.db").display()),
        url => url.to_owned(),
    };
    let mut options = ConnectOptions::new(url);
    options.max_connections(max_connections).acquire_timeout(Duration::from_secs(10)).sqlx_logging(false).map_sqlx_sqlite_opts(|sqlite| {
        sqlite
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(Duration::from_secs(10))
    });
    Database::connect(options).await
}

/// Begins a transaction that is going to write. On SQLite it takes the write lock at once, so that it can wait for it instead of failing
/// half-way.
///
/// # Errors
/// The database is gone, or busy for longer than its time-out.
pub async fn begin_write(db: &DatabaseConnection) -> Result<DatabaseTransaction, DbErr> {
    let options = TransactionOptions { sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate), ..TransactionOptions::default() };
    db.begin_with_options(options).await
}
