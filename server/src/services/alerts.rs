//! What needs a person: looked for again and again by every process, written down, and told once however many look. An alert is one row for its
//! kind and what it is about; whoever changes that row writes the messages in the same transaction ([`notices`] sends them).

use std::{sync::Arc, time::Duration};

use domain::{
    alert::{Alert, AlertKind, Alerts as Shown, LostNotice},
    ids::UserId,
};
use sea_orm::{ActiveValue::Set, ColumnTrait, ConnectionTrait, DatabaseConnection, EntityTrait, QueryFilter, SqlErr, sea_query::Expr};
use tokio::sync::watch;
use uuid::Uuid;

use crate::{
    clock::now_ms,
    config::AlertSettings,
    db::{
        begin_write,
        entity::{alert_notices, alerts},
    },
    error::{Error, Result},
    ports::alert_channel::{AlertChannel, ChannelError, Event},
    services::{users::check_owner, vitals::Vitals},
};

pub mod notices;
pub mod rules;

use rules::Finding;

/// How often is looked, and how often what waits is sent.
const LOOK_EVERY: Duration = Duration::from_secs(20);
/// An alert about a machine that nobody has looked at for so long is over: the machine is gone.
const FORGOTTEN_MS: i64 = 24 * 3_600_000;
/// How long messages are kept that were sent or given up.
const KEPT_MS: i64 = 30 * 24 * 3_600_000;

/// When something is wrong.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// A video may wait for so long, in milliseconds.
    pub queue_ms: i64,
    /// Free bytes below which a disk is low; 0 for never.
    pub disk_bytes: u64,
    /// Until what goes on is told again, in milliseconds.
    pub remind_ms: i64,
}

impl Limits {
    /// As the settings say.
    pub fn of(settings: &AlertSettings) -> Self {
        Self {
            queue_ms: settings.old_queue_minutes * 60_000,
            disk_bytes: settings.low_disk_bytes,
            remind_ms: settings.remind_hours * 3_600_000,
        }
    }
}

/// Looks for what is wrong and tells.
#[derive(Debug, Clone)]
pub struct Alerts {
    db: DatabaseConnection,
    vitals: Vitals,
    limits: Limits,
    channels: Arc<[Arc<dyn AlertChannel>]>,
    /// The server, in messages.
    server: String,
    /// The machine, where an alert is about one.
    machine: String,
}

impl Alerts {
    /// Tells nobody yet. `server` is its address, as people know it, and `machine` the name of the one that this process runs on.
    pub fn new(db: DatabaseConnection, vitals: Vitals, limits: Limits, server: String, machine: String) -> Self {
        Self { db, vitals, limits, channels: Arc::new([]), server, machine }
    }

    /// Tells by these from now on.
    #[must_use]
    pub fn telling(self, channels: Vec<Arc<dyn AlertChannel>>) -> Self {
        Self { channels: channels.into(), ..self }
    }

    /// Looks and tells until `shutdown` turns true.
    pub async fn run(self, mut shutdown: watch::Receiver<bool>) {
        loop {
            if let Err(error) = self.look().await {
                tracing::warn!(%error, "cannot look for what needs a person; trying again");
            }
            if let Err(error) = self.send_due().await {
                tracing::warn!(%error, "cannot send what waits about alerts; trying again");
            }
            tokio::select! {
                () = tokio::time::sleep(LOOK_EVERY) => {}
                _ = shutdown.wait_for(|down| *down) => return,
            }
        }
    }

    /// Looks once, and writes down what has changed.
    ///
    /// # Errors
    /// The database fails.
    pub async fn look(&self) -> Result<()> {
        for finding in self.findings().await? {
            match &finding.wrong {
                Some(detail) => self.goes_on(&finding, detail).await?,
                None => self.is_over(&finding).await?,
            }
        }
        let forgotten = alerts::Entity::update_many()
            .col_expr(alerts::Column::IsOpen, Expr::value(false))
            .col_expr(alerts::Column::ResolvedAtMs, Expr::value(now_ms()))
            .filter(alerts::Column::IsOpen.eq(true))
            .filter(alerts::Column::SeenAtMs.lt(now_ms() - FORGOTTEN_MS));
        forgotten.exec(&self.db).await?;
        for state in [alert_notices::SENT, alert_notices::GIVEN_UP] {
            alert_notices::Entity::delete_before(state, now_ms() - KEPT_MS).exec(&self.db).await?;
        }
        Ok(())
    }

    /// Opens an alert, or tells of it again where that is due or where it has become twice as bad. Of several that see the same, one changes the
    /// row.
    async fn goes_on(&self, finding: &Finding, detail: &str) -> Result<()> {
        let known = alerts::Entity::of(finding.kind.as_str(), &finding.subject).one(&self.db).await?;
        let transaction = begin_write(&self.db).await?;
        let event = match known {
            None => match alerts::Entity::insert(opened(finding, detail, now_ms())).exec_without_returning(&transaction).await {
                // Somebody else saw it first.
                Err(error) if matches!(error.sql_err(), Some(SqlErr::UniqueConstraintViolation(_))) => return Ok(()),
                done => done.map(|_| Some(Event::Opened))?,
            },
            Some(row) => self.seen_again(&transaction, &row, finding, detail).await?,
        };
        if let Some(event) = event {
            tracing::warn!(kind = finding.kind.as_str(), subject = finding.subject, event = event.as_str(), "{detail}");
            self.note(&transaction, event, finding, detail).await?;
        }
        transaction.commit().await?;
        Ok(())
    }

    /// Writes down that something is still wrong, or again; says what is to be told of it.
    async fn seen_again(&self, db: &impl ConnectionTrait, row: &alerts::Model, finding: &Finding, detail: &str) -> Result<Option<Event>> {
        let now = now_ms();
        let event = match row.is_open {
            false => Some(Event::Opened),
            true if finding.has_grown_since(row.told_size) => Some(Event::Worse),
            true if now - row.told_at_ms >= self.limits.remind_ms => Some(Event::Reminder),
            true => None,
        };
        // What has become better and then worse again is worse than it was.
        let told_size = if event.is_some() { finding.size } else { finding.size.min(row.told_size) };
        let mut update = alerts::Entity::update_many()
            .col_expr(alerts::Column::Detail, Expr::value(detail))
            .col_expr(alerts::Column::SeenAtMs, Expr::value(now))
            .col_expr(alerts::Column::ToldSize, Expr::value(told_size))
            .filter(alerts::Column::Id.eq(row.id))
            .filter(alerts::Column::IsOpen.eq(row.is_open))
            .filter(alerts::Column::ToldAtMs.eq(row.told_at_ms))
            .filter(alerts::Column::ToldSize.eq(row.told_size));
        if event.is_some() {
            update = update.col_expr(alerts::Column::ToldAtMs, Expr::value(now));
        }
        if !row.is_open {
            update = update
                .col_expr(alerts::Column::IsOpen, Expr::value(true))
                .col_expr(alerts::Column::OpenedAtMs, Expr::value(now))
                .col_expr(alerts::Column::ResolvedAtMs, Expr::value(None::<i64>));
        }
        let changed = update.exec(db).await?.rows_affected > 0;
        Ok(event.filter(|_| changed))
    }

    /// Closes an alert, where it is open.
    async fn is_over(&self, finding: &Finding) -> Result<()> {
        let open = alerts::Entity::of(finding.kind.as_str(), &finding.subject).filter(alerts::Column::IsOpen.eq(true));
        let Some(row) = open.one(&self.db).await? else { return Ok(()) };
        let transaction = begin_write(&self.db).await?;
        let closed = alerts::Entity::update_many()
            .col_expr(alerts::Column::IsOpen, Expr::value(false))
            .col_expr(alerts::Column::ResolvedAtMs, Expr::value(now_ms()))
            .filter(alerts::Column::Id.eq(row.id))
            .filter(alerts::Column::IsOpen.eq(true))
            .exec(&transaction)
            .await?;
        if closed.rows_affected == 1 {
            tracing::info!(kind = finding.kind.as_str(), subject = finding.subject, "an alert is over");
            let detail = format!("This is over. It said: {}", row.detail);
            self.note(&transaction, Event::Resolved, finding, &detail).await?;
        }
        transaction.commit().await?;
        Ok(())
    }

    /// Writes a message for each channel; part of the caller's transaction.
    async fn note(&self, db: &impl ConnectionTrait, event: Event, finding: &Finding, detail: &str) -> Result<()> {
        for channel in self.channels.iter() {
            let notice = notices::notice(event, finding, detail, &self.server);
            let message = serde_json::to_string(&notice).map_err(|error| Error::broken(error.to_string()))?;
            let row = alert_notices::ActiveModel {
                id: Set(notice.id),
                channel: Set(channel.name().to_owned()),
                event: Set(event.as_str().to_owned()),
                message: Set(message),
                state: Set(alert_notices::WAITING.to_owned()),
                attempt: Set(0),
                due_at_ms: Set(now_ms()),
                created_at_ms: Set(now_ms()),
                last_error: Set(None),
            };
            alert_notices::Entity::insert(row).exec_without_returning(db).await?;
        }
        Ok(())
    }

    /// What owners see.
    ///
    /// # Errors
    /// Who asks is not an owner.
    pub async fn shown(&self, user: UserId) -> Result<Shown> {
        check_owner(&self.db, user).await?;
        let open = alerts::Entity::open().all(&self.db).await?;
        let lost = alert_notices::Entity::given_up().all(&self.db).await?;
        let alert = |row: alerts::Model| {
            let kind = AlertKind::parse(&row.kind)?;
            Some(Alert { kind, subject: row.subject, detail: row.detail, since_ms: row.opened_at_ms })
        };
        let notice = |row: alert_notices::Model| LostNotice {
            channel: row.channel,
            at_ms: row.created_at_ms,
            error: row.last_error.unwrap_or_default(),
        };
        Ok(Shown {
            open: open.into_iter().filter_map(alert).collect(),
            lost: lost.into_iter().map(notice).collect(),
            channels: self.channels.iter().map(|channel| channel.name().to_owned()).collect(),
        })
    }
}

/// Sends a message that nothing is wrong by every channel, at once, and says how that went.
pub async fn try_out(channels: &[Arc<dyn AlertChannel>], server: &str) -> Vec<(&'static str, std::result::Result<(), ChannelError>)> {
    let finding = Finding { kind: AlertKind::Test, subject: String::new(), size: 0, wrong: None };
    let detail = "Somebody tries out the alerts of this server. Nothing is wrong, and nothing is to be done.";
    let notice = notices::notice(Event::Test, &finding, detail, server);
    let mut went = Vec::with_capacity(channels.len());
    for channel in channels {
        went.push((channel.name(), notices::send(&**channel, &notice).await));
    }
    went
}

fn opened(finding: &Finding, detail: &str, now: i64) -> alerts::ActiveModel {
    alerts::ActiveModel {
        id: Set(Uuid::now_v7()),
        kind: Set(finding.kind.as_str().to_owned()),
        subject: Set(finding.subject.clone()),
        is_open: Set(true),
        detail: Set(detail.to_owned()),
        opened_at_ms: Set(now),
        told_at_ms: Set(now),
        told_size: Set(finding.size),
        seen_at_ms: Set(now),
        resolved_at_ms: Set(None),
    }
}
