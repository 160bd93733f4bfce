//! A database for one test: a SQLite file, or a database on the PostgreSQL that `TEST_POSTGRES_URL` names (scripts/with-postgres.sh),
//! which goes with the test.

use std::path::Path;

use sea_orm::{ConnectionTrait, Database, DatabaseConnection, DbBackend, DbErr, Statement};
use server::{config::DatabaseSettings, db};
use uuid::Uuid;

/// A database on the test's PostgreSQL, where there is one.
#[derive(Debug)]
pub(crate) struct OwnDatabase {
    server: Option<String>,
    name: String,
}

/// The PostgreSQL that tests run on, where there is one.
pub(crate) fn postgres() -> Option<String> {
    std::env::var("TEST_POSTGRES_URL").ok()
}

/// A URL of another database on the same server.
fn at(server: &str, name: &str) -> String {
    server.replacen("/postgres?", &format!("/{name}?"), 1)
}

async fn on_server(server: &str, sql: &str) -> Result<(), DbErr> {
    let admin = Database::connect(server).await?;
    admin.execute_unprepared(sql).await?;
    admin.close().await
}

impl OwnDatabase {
    pub(crate) async fn create() -> Self {
        let own = Self { server: postgres(), name: format!("test_{}", Uuid::new_v4().simple()) };
        if let Some(server) = &own.server {
            on_server(server, &format!("CREATE DATABASE {}", own.name)).await.expect("a database");
        }
        own
    }

    /// What the setting `database.url` is to say; nothing on SQLite.
    pub(crate) fn url(&self) -> String {
        self.server.as_ref().map(|server| at(server, &self.name)).unwrap_or_default()
    }

    pub(crate) fn settings(&self) -> DatabaseSettings {
        DatabaseSettings { url: self.url().into(), max_connections: 4, acquire_timeout_seconds: 10, statement_timeout_seconds: 30 }
    }

    /// The database as another process has it: with connections of its own.
    pub(crate) async fn open(&self, folder: &Path) -> DatabaseConnection {
        db::open(&self.settings(), folder).await.expect("a database")
    }
}

impl Drop for OwnDatabase {
    fn drop(&mut self) {
        let (Some(server), name) = (self.server.take(), std::mem::take(&mut self.name)) else { return };
        // Beside the test, which must not be waited for here: a connection that it is about to open would hold up the server, and the
        // server this thread. What is not dropped by the end goes with the server.
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            let _ = runtime.block_on(on_server(&server, &format!("DROP DATABASE {name} WITH (FORCE)")));
            std::io::Result::Ok(())
        });
    }
}

/// One column of the answer to a question in the database's own words.
pub(crate) async fn ask(db: &DatabaseConnection, sql: &str) -> Vec<String> {
    let rows = db.query_all_raw(Statement::from_string(db.get_database_backend(), sql)).await.expect("an answer");
    rows.iter().map(|row| row.try_get_by_index::<Option<String>>(0).expect("a text").unwrap_or_default()).collect()
}

/// All that is stored, in whatever form.
pub(crate) async fn everything(db: &DatabaseConnection, folder: &Path) -> Vec<u8> {
    if db.get_database_backend() == DbBackend::Sqlite {
        let files = ["millrace.db", "millrace.db-wal"].map(|name| std::fs::read(folder.join(name)).unwrap_or_default());
        return files.concat();
    }
    let mut all = Vec::new();
    for table in ask(db, "SELECT tablename::text FROM pg_tables WHERE schemaname = 'public'").await {
        all.extend(ask(db, &format!("SELECT string_agg(row::text, ' ') FROM \"{table}\" AS row")).await.concat().into_bytes());
    }
    all
}
