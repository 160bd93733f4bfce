//! The database: does it answer, is it one that Millrace runs on, is its schema up to date, and does its clock agree with ours?

use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, DbErr, Statement};
use sea_orm_migration::MigratorTrait;
use server::{
    adapters::check::Check,
    clock::now_ms,
    config::Settings,
    db::{self, migration::Migrator},
};

const NAME: &str = "database";
/// Oldest PostgreSQL that the migrations are written for.
const OLDEST_POSTGRES: i32 = 130_000;
/// Leases are given by one machine's clock and taken away by another's.
const MOST_SKEW_MS: i64 = 5_000;

/// Looks at the database that the settings name.
pub(super) async fn check(settings: &Settings) -> Vec<Check> {
    let advice = "Look at the setting `database.url`, whether the server runs and takes connections from here, and at the rights on the data folder.";
    let connection = match db::connect(&settings.database, &settings.data_dir).await {
        Ok(connection) => connection,
        Err(error) => return vec![Check::bad(NAME, error.to_string(), advice)],
    };
    let found = match connection.get_database_backend() {
        DbBackend::Postgres => postgres(&connection).await,
        _ => sqlite(&connection).await,
    };
    match found {
        Ok(mut checks) => {
            checks.push(schema(&connection).await);
            checks
        }
        Err(error) => vec![Check::bad(NAME, error.to_string(), advice)],
    }
}

async fn sqlite(connection: &DatabaseConnection) -> Result<Vec<Check>, DbErr> {
    let question = Statement::from_string(DbBackend::Sqlite, "SELECT sqlite_version() AS version");
    let row = connection.query_one_raw(question).await?.ok_or_else(|| DbErr::RecordNotFound("no version".into()))?;
    let version: String = row.try_get("", "version")?;
    Ok(vec![Check::good(NAME, format!("answers (SQLite {version})"))])
}

async fn postgres(connection: &DatabaseConnection) -> Result<Vec<Check>, DbErr> {
    let question = "SELECT current_setting('server_version_num')::int AS number, current_setting('server_version') AS version, \
                    (extract(epoch FROM clock_timestamp()) * 1000)::bigint AS now_ms, \
                    coalesce((SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()), false) AS encrypted, \
                    coalesce(host(inet_server_addr()) IN ('127.0.0.1', '::1'), true) AS local, \
                    has_schema_privilege(current_schema(), 'CREATE') AS may_create";
    let before = now_ms();
    let row = connection.query_one_raw(Statement::from_string(DbBackend::Postgres, question)).await?;
    let row = row.ok_or_else(|| DbErr::RecordNotFound("no version".into()))?;
    let (number, version): (i32, String) = (row.try_get("", "number")?, row.try_get("", "version")?);
    if number < OLDEST_POSTGRES {
        return Ok(vec![Check::bad(NAME, format!("PostgreSQL {version}"), "Use PostgreSQL 13 or later.")]);
    }
    let mut checks = vec![match (row.try_get("", "encrypted")?, row.try_get("", "local")?) {
        (true, _) => Check::good(NAME, format!("answers (PostgreSQL {version}, over TLS)")),
        (false, true) => Check::good(NAME, format!("answers (PostgreSQL {version}, on this machine)")),
        (false, false) => {
            let advice = "Add ?sslmode=verify-full to `database.url` where others share the network between.";
            Check::note(NAME, format!("answers (PostgreSQL {version}, not encrypted on the way)"), advice)
        }
    }];
    if row.try_get::<Option<bool>>("", "may_create")? != Some(true) {
        let advice = "Give the database to this user (ALTER DATABASE ... OWNER TO ...), or the right: GRANT CREATE ON SCHEMA public TO ...";
        checks.push(Check::bad("database rights", "this user may make no tables", advice));
    }
    // In the middle of the question's way there and back, more or less.
    let skew = (before + now_ms()) / 2 - row.try_get::<i64>("", "now_ms")?;
    if skew.abs() > MOST_SKEW_MS {
        let detail = format!("this machine and the database's are {} s apart", skew.abs() / 1_000);
        checks.push(Check::bad("database clock", detail, "Let both follow a time server (timedatectl set-ntp true)."));
    }
    Ok(checks)
}

async fn schema(connection: &DatabaseConnection) -> Check {
    let name = "schema";
    match Migrator::get_pending_migrations_read_only(connection).await {
        Ok(pending) if pending.is_empty() => Check::good(name, "is up to date"),
        Ok(pending) => {
            let detail = format!("{} migrations are to be run", pending.len());
            Check::note(name, detail, "`millrace migrate` runs them, and so does every start.")
        }
        // There is no table of them yet.
        Err(DbErr::Exec(_) | DbErr::Query(_)) => {
            Check::note(name, "is empty", "`millrace migrate` makes the tables, and so does every start.")
        }
        Err(error) => Check::bad(name, error.to_string(), "A newer version of Millrace may have used this database: use that one."),
    }
}
