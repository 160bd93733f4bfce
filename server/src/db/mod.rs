//! The database: connection, entities and migrations. The same code serves SQLite and PostgreSQL; nothing here is in SQL of one of
//! them, but for the connection's own settings, the lock around migrations, and the index of titles ([`title_search`]).
//!
//! What a transaction reads and then relies on it reads with `lock_exclusive`, which SQLite does without: there, one transaction writes at
//! a time. Rows are locked in one order: an upload, its video's jobs, the video.

use std::{path::Path, time::Duration};

use sea_orm::{
    ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr, SqliteTransactionMode,
    SqlxSqliteConnector, Statement, TransactionOptions, TransactionTrait,
    sqlx::{
        Connection,
        postgres::PgConnectOptions,
        sqlite::{SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
    },
};
use sea_orm_migration::MigratorTrait;
use secrecy::ExposeSecret;

use crate::config::DatabaseSettings;

pub mod entity;
pub mod migration;
pub mod outage;
pub mod passing;
pub mod title_search;

/// How long SQLite waits for another writer.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// How long to wait until SQLite is asked again where it does not wait itself.
const ASK_AGAIN: Duration = Duration::from_millis(20);
/// How long a server that does not answer yet is waited for at the start: it may be starting too, or have no connection to spare for a moment.
const OPEN_PATIENCE: Duration = Duration::from_secs(30);
/// How long to wait until it is asked again.
const OPEN_AGAIN: Duration = Duration::from_secs(1);
/// Connections that nobody needed for this long are closed.
const IDLE_TIMEOUT: Duration = Duration::from_secs(10 * 60);
/// Connections to PostgreSQL are opened anew after this long, so that they spread over what is behind an address.
const MAX_LIFETIME: Duration = Duration::from_secs(30 * 60);
/// A connection that rested this long is asked whether it still works before it is used: a server may have been restarted.
const ASK_AFTER: Duration = Duration::from_secs(1);
/// PostgreSQL ends a transaction that says nothing for this long: a process that was paused must not hold rows for ever.
const SILENT_TRANSACTION_MS: &str = "60000";
/// Those who migrate take turns on this number; it says "millrace" in ASCII.
const MIGRATION_LOCK: i64 = i64::from_be_bytes(*b"millrace");

/// Opens the database that the settings name, or the SQLite file in `data_dir` where they name none, and brings its schema up to date.
/// Several processes may do so at once. A server that does not answer just now is asked again for half a minute; what is wrong with a file is said at once.
///
/// # Errors
/// The connection or a migration fails.
pub async fn open(settings: &DatabaseSettings, data_dir: &Path) -> Result<DatabaseConnection, DbErr> {
    let is_server = settings.url.expose_secret().starts_with("postgres");
    let give_up = tokio::time::Instant::now() + OPEN_PATIENCE;
    loop {
        match open_once(settings, data_dir).await {
            Err(error) if is_server && outage::is_outage(&error) && tokio::time::Instant::now() < give_up => {
                tracing::warn!(%error, "the database does not answer yet; asking again");
                tokio::time::sleep(OPEN_AGAIN).await;
            }
            done => return done,
        }
    }
}

async fn open_once(settings: &DatabaseSettings, data_dir: &Path) -> Result<DatabaseConnection, DbErr> {
    let connection = connect(settings, data_dir).await?;
    migrate(&connection).await?;
    Ok(connection)
}

/// Opens the database without touching its schema.
///
/// # Errors
/// The connection fails.
pub async fn connect(settings: &DatabaseSettings, data_dir: &Path) -> Result<DatabaseConnection, DbErr> {
    let url = match settings.url.expose_secret() {
        "" => format!("sqlite://{}?mode=rwc", data_dir.join("millrace.db").display()),
        // The two spellings mean the same; the driver knows one.
        url => url.strip_prefix("postgresql://").map_or_else(|| url.to_owned(), |rest| format!("postgres://{rest}")),
    };
    let postgres = url.starts_with("postgres://");
    if postgres && let Err(error) = url.parse::<PgConnectOptions>() {
        // Said here, since SeaORM would repeat the URL, and with it the password.
        return Err(DbErr::Custom(format!(
            "this is no address of a database ({error}); in a password, letters such as @ and / are written as %40 and %2F"
        )));
    }
    let mut options = ConnectOptions::new(url);
    options
        .max_connections(settings.max_connections)
        .acquire_timeout(Duration::from_secs(settings.acquire_timeout_seconds))
        .sqlx_logging(false);
    if postgres {
        for_postgres(&mut options, settings);
    } else {
        for_sqlite(&mut options);
    }
    if postgres { Database::connect(options).await } else { connect_sqlite(options).await }
}

/// Several processes may make the file at once. Who turns it to WAL mode needs it alone, and SQLite asks nobody to wait for that: its busy
/// time-out does not hold there (<https://www.sqlite.org/c3ref/busy_handler.html>). So the wait is here.
async fn connect_sqlite(options: ConnectOptions) -> Result<DatabaseConnection, DbErr> {
    let give_up = tokio::time::Instant::now() + BUSY_TIMEOUT;
    loop {
        match Database::connect(options.clone()).await {
            Err(error) if outage::is_busy(&error) && tokio::time::Instant::now() < give_up => tokio::time::sleep(ASK_AGAIN).await,
            done => return done,
        }
    }
}

/// WAL mode with `synchronous=FULL`: a commit that was answered survives a power cut.
///
/// A full disk makes SQLite end a transaction by itself (<https://www.sqlite.org/lang_transaction.html>, "Response To Errors"). The driver then
/// still counts it as open, and what it calls a transaction on that connection from then on is a savepoint that nobody ever commits: what was
/// answered would be gone with the connection. So a connection that counts a transaction which nobody has is closed instead of used.
fn for_sqlite(options: &mut ConnectOptions) {
    options
        .map_sqlx_sqlite_opts(|sqlite| {
            sqlite.journal_mode(SqliteJournalMode::Wal).synchronous(SqliteSynchronous::Full).foreign_keys(true).busy_timeout(BUSY_TIMEOUT)
        })
        .map_sqlx_sqlite_pool_opts(|pool| {
            pool.test_before_acquire(true).before_acquire(|connection, _| {
                let sound = !connection.is_in_transaction();
                Box::pin(async move { Ok(sound) })
            })
        });
}

/// Another connection to the database behind `db`, for what a power cut may undo: on SQLite its commits do not wait for the disk
/// (`synchronous=NORMAL`). A commit that is lost so is one of the last, never an earlier one, and whoever commits on `db` afterwards takes it to
/// the disk as well. It is for writes of one statement. On PostgreSQL it is `db` itself.
pub fn unsynced(db: &DatabaseConnection) -> DatabaseConnection {
    if db.get_database_backend() != DbBackend::Sqlite {
        return db.clone();
    }
    let options = db.get_sqlite_connection_pool().connect_options().as_ref().clone().synchronous(SqliteSynchronous::Normal);
    // Kept open: the job that comes after a quiet hour is to start at once as well.
    let pool = SqlitePoolOptions::new().max_connections(1).idle_timeout(None).max_lifetime(None).connect_lazy_with(options);
    SqlxSqliteConnector::from_sqlx_sqlite_pool(pool)
}

/// TLS is the URL's business: `sslmode` and `sslrootcert` stand there.
fn for_postgres(options: &mut ConnectOptions, settings: &DatabaseSettings) {
    options
        .set_application_name("millrace")
        .idle_timeout(IDLE_TIMEOUT)
        .max_lifetime(MAX_LIFETIME)
        .test_before_acquire_if_idle_for(ASK_AFTER);
    if settings.statement_timeout_seconds > 0 {
        options
            .statement_timeout(Duration::from_secs(settings.statement_timeout_seconds))
            .map_sqlx_postgres_opts(|postgres| postgres.options([("idle_in_transaction_session_timeout", SILENT_TRANSACTION_MS)]));
    }
}

/// All pending migrations in one transaction, or none. Of several processes that start at once, one migrates and the others wait.
async fn migrate(connection: &DatabaseConnection) -> Result<(), DbErr> {
    let transaction = begin_write(connection).await?;
    if transaction.get_database_backend() == DbBackend::Postgres {
        // A change to a large table takes as long as it takes; and so does waiting for another process's.
        transaction.execute_unprepared("SET LOCAL statement_timeout = 0; SET LOCAL client_min_messages = warning").await?;
        let lock = Statement::from_sql_and_values(DbBackend::Postgres, "SELECT pg_advisory_xact_lock($1)", [MIGRATION_LOCK.into()]);
        transaction.execute_raw(lock).await?;
    }
    migration::Migrator::up(&transaction, None).await?;
    title_search::prepare(&transaction).await?;
    transaction.commit().await
}

/// Begins a transaction that is going to write. On SQLite it takes the write lock at once, so that it can wait for it instead of failing
/// half-way; on PostgreSQL it sees, statement by statement, what others have committed.
///
/// # Errors
/// The database is gone, or busy for longer than its time-out.
pub async fn begin_write(db: &DatabaseConnection) -> Result<DatabaseTransaction, DbErr> {
    let options = TransactionOptions { sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate), ..TransactionOptions::default() };
    db.begin_with_options(options).await
}
