//! Wake-ups among processes, by PostgreSQL's NOTIFY and LISTEN. A notice that is lost (nobody listened, the connection broke) costs the
//! moment until somebody looks at the rows.

use std::{convert::Infallible, sync::Arc, time::Duration};

use domain::ids::{JobId, VideoId};
use sea_orm::{
    ConnectionTrait, DatabaseConnection, DbBackend, Statement,
    sqlx::{
        self, PgPool,
        postgres::{PgListener, PgPoolOptions},
    },
};
use serde::{Deserialize, Serialize};
use tokio::{task::JoinHandle, time::timeout};
use uuid::Uuid;

use super::inbox::Inbox;
use crate::ports::job_queue::{QueueError, WakeUp};

const CHANNEL: &str = "millrace_jobs";
/// Waits after the connection broke: doubled from the first to the last while it does not come back.
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LAST_WAIT: Duration = Duration::from_secs(30);

/// After so long without a notice the connection is asked whether it still is one: a cut cable is as silent as a quiet night.
const SILENCE: Duration = Duration::from_secs(30);
/// How long it has for the answer.
const ANSWERS_WITHIN: Duration = Duration::from_secs(10);

/// What travels.
#[derive(Debug, Serialize, Deserialize)]
struct Notice {
    job: JobId,
    video: VideoId,
    /// Who sent it: the database gives a notice to its sender as well.
    sender: Uuid,
}

/// Sends notices, and listens until it is dropped.
#[derive(Debug)]
pub(super) struct Notices {
    db: DatabaseConnection,
    sender: Uuid,
    listening: JoinHandle<()>,
}

impl Notices {
    /// Listens in `db`, a PostgreSQL, and puts what is heard into `inbox`.
    pub(super) fn open(db: &DatabaseConnection, inbox: Arc<Inbox>) -> Self {
        // A pool of one that never takes its connection back: whoever listens does so for good, and must not take one from the others.
        let options = db.get_postgres_connection_pool().connect_options().as_ref().clone();
        let pool = PgPoolOptions::new().max_connections(1).idle_timeout(None).max_lifetime(None).connect_lazy_with(options);
        let sender = Uuid::new_v4();
        let listening = tokio::spawn(listen(pool, sender, inbox));
        Self { db: db.clone(), sender, listening }
    }

    /// Tells all who listen.
    pub(super) async fn send(&self, wake_up: WakeUp) -> Result<(), QueueError> {
        let notice = Notice { job: wake_up.job, video: wake_up.video, sender: self.sender };
        let text = serde_json::to_string(&notice).map_err(|error| QueueError(Box::new(error)))?;
        let notify = Statement::from_sql_and_values(DbBackend::Postgres, "SELECT pg_notify($1, $2)", [CHANNEL.into(), text.into()]);
        self.db.execute_raw(notify).await.map_err(|error| QueueError(Box::new(error)))?;
        Ok(())
    }
}

impl Drop for Notices {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

/// Listens for ever, over broken connections.
async fn listen(pool: PgPool, me: Uuid, inbox: Arc<Inbox>) {
    let mut wait = FIRST_WAIT;
    loop {
        let Err(error) = hear(&pool, me, &inbox, &mut wait).await;
        tracing::warn!(%error, wait_ms = wait.as_millis(), "cannot hear of other processes' jobs; looking for them until this works again");
        tokio::time::sleep(wait).await;
        wait = (wait * 2).min(LAST_WAIT);
    }
}

async fn hear(pool: &PgPool, me: Uuid, inbox: &Inbox, wait: &mut Duration) -> Result<Infallible, sqlx::Error> {
    let mut listener = PgListener::connect_with(pool).await?;
    listener.listen(CHANNEL).await?;
    *wait = FIRST_WAIT;
    loop {
        // A connection that broke is opened anew in here, or fails; what was said in between is in the rows.
        let Ok(notification) = timeout(SILENCE, listener.recv()).await else {
            let asked = timeout(ANSWERS_WITHIN, sqlx::query("SELECT 1").execute(&mut listener)).await;
            asked.map_err(|_| sqlx::Error::PoolTimedOut)??;
            continue;
        };
        let notification = notification?;
        match serde_json::from_str::<Notice>(notification.payload()) {
            Ok(notice) if notice.sender != me => inbox.put(WakeUp { job: notice.job, video: notice.video }),
            Ok(_) => {}
            Err(error) => tracing::debug!(%error, "a notice that is none of ours"),
        }
    }
}
