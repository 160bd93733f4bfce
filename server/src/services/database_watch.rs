//! Whether the database answers, asked every second on a connection of its own: a server that was stopped, or whose cable was cut, refuses
//! nothing, and whoever asks it something waits. So requests that need it are answered at once while it is away, and those that wait already are
//! let go of ([`crate::http::outage`]).
//!
//! A file has no such watch: SQLite answers who reads at any time, and who writes waits for as long as it says in [`crate::db`].

use std::time::Duration;

use sea_orm::{
    DatabaseConnection, DbBackend,
    sqlx::{self, ConnectOptions, Connection, PgConnection, postgres::PgConnectOptions},
};
use tokio::{sync::watch, time};

/// How often it is asked.
const ASK_EVERY: Duration = Duration::from_secs(1);
/// How long it has for an answer. Its operator may ask much of it at times: a slow answer is one.
const ANSWERS_WITHIN: Duration = Duration::from_secs(3);

/// Whether the database answers. Cheap to clone.
#[derive(Debug, Clone)]
pub struct DatabaseWatch {
    answers: watch::Sender<bool>,
}

impl Default for DatabaseWatch {
    fn default() -> Self {
        Self { answers: watch::Sender::new(true) }
    }
}

impl DatabaseWatch {
    /// Whether it answered when it was asked last.
    pub fn answers(&self) -> bool {
        *self.answers.borrow()
    }

    /// Resolves when it does not answer.
    pub async fn fails(&self) {
        // The value is not kept: it is a lock. The sender is ours, so it cannot go.
        let _ = self.answers.subscribe().wait_for(|answers| !answers).await;
    }

    /// Asks it again and again, until it is dropped.
    pub async fn follow(&self, db: &DatabaseConnection) {
        if db.get_database_backend() != DbBackend::Postgres {
            return std::future::pending().await;
        }
        let options = db.get_postgres_connection_pool().connect_options().as_ref().clone();
        let mut connection = None;
        loop {
            // What does not answer is dropped with its socket: the next question is on a new one.
            let asked = time::timeout(ANSWERS_WITHIN, ask(&options, connection.take())).await;
            let answers = match asked {
                Ok(Ok(kept)) => {
                    connection = Some(kept);
                    true
                }
                Ok(Err(_)) | Err(_) => false,
            };
            if self.answers.send_replace(answers) != answers {
                if answers {
                    tracing::info!("the database answers again");
                } else {
                    tracing::error!("the database does not answer; what needs it is refused until it does, what plays goes on");
                }
            }
            time::sleep(ASK_EVERY).await;
        }
    }
}

async fn ask(options: &PgConnectOptions, connection: Option<PgConnection>) -> Result<PgConnection, sqlx::Error> {
    let mut connection = match connection {
        Some(connection) => connection,
        None => options.connect().await?,
    };
    connection.ping().await?;
    Ok(connection)
}
