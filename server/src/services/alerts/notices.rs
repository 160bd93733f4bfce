//! Sends what was written down about alerts: claimed by one process at a time, tried again with growing waits for a day, always under the same id.

use std::time::Duration;

use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, sea_query::Expr};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use uuid::Uuid;

use super::{Alerts, rules::Finding};
use crate::{
    clock::now_ms,
    db::entity::alert_notices,
    error::Result,
    ports::alert_channel::{AlertChannel, ChannelError, Event, Matter, Notice},
    telemetry::metrics,
};

/// What takes longer has failed.
const PATIENCE: Duration = Duration::from_secs(30);
/// Whoever has claimed a message and has not said how it went is gone after so long.
const CLAIM_MS: i64 = 120_000;
/// After so long a message is given up.
const TRIED_FOR_MS: i64 = 24 * 3_600_000;
const LONGEST_WAIT_MS: i64 = 3_600_000;

impl Alerts {
    /// Sends the messages that are due.
    ///
    /// # Errors
    /// The database fails.
    pub async fn send_due(&self) -> Result<()> {
        for row in alert_notices::Entity::due(now_ms()).all(&self.db).await? {
            let Some(channel) = self.channels.iter().find(|channel| channel.name() == row.channel) else {
                self.without_channel(&row).await?;
                continue;
            };
            if !self.claim(&row).await? {
                continue;
            }
            let outcome = match serde_json::from_str::<Notice>(&row.message) {
                Ok(notice) => send(&**channel, &notice).await,
                Err(error) => Err(ChannelError(error.to_string())),
            };
            self.note_outcome(channel.name(), &row, outcome).await?;
        }
        Ok(())
    }

    /// Of several that want to send it, one may.
    async fn claim(&self, row: &alert_notices::Model) -> Result<bool> {
        let claimed = alert_notices::Entity::update_many()
            .col_expr(alert_notices::Column::DueAtMs, Expr::value(now_ms() + CLAIM_MS))
            .col_expr(alert_notices::Column::Attempt, Expr::value(row.attempt + 1))
            .filter(alert_notices::Column::Id.eq(row.id))
            .filter(alert_notices::Column::State.eq(alert_notices::WAITING))
            .filter(alert_notices::Column::Attempt.eq(row.attempt))
            .exec(&self.db)
            .await?;
        Ok(claimed.rows_affected == 1)
    }

    async fn note_outcome(
        &self,
        channel: &'static str,
        row: &alert_notices::Model,
        outcome: std::result::Result<(), ChannelError>,
    ) -> Result<()> {
        let Err(error) = outcome else {
            metrics::notice(channel, "sent");
            return self.set(row, alert_notices::SENT, now_ms(), None).await;
        };
        if now_ms() - row.created_at_ms >= TRIED_FOR_MS {
            tracing::error!(channel, notice_id = %row.id, %error, "a message about an alert could not be sent for a day; giving it up");
            metrics::notice(channel, "given_up");
            return self.set(row, alert_notices::GIVEN_UP, now_ms(), Some(error.0)).await;
        }
        tracing::warn!(channel, notice_id = %row.id, attempt = row.attempt + 1, %error, "a message about an alert could not be sent; trying again");
        metrics::notice(channel, "failed");
        self.set(row, alert_notices::WAITING, now_ms() + wait_ms(row.attempt), Some(error.0)).await
    }

    /// Another process may know the channel; if none does, somebody has taken it out of the settings.
    async fn without_channel(&self, row: &alert_notices::Model) -> Result<()> {
        if now_ms() - row.created_at_ms < TRIED_FOR_MS {
            return Ok(());
        }
        self.set(row, alert_notices::GIVEN_UP, now_ms(), Some("no such channel is set".to_owned())).await
    }

    async fn set(&self, row: &alert_notices::Model, state: &str, due_at_ms: i64, error: Option<String>) -> Result<()> {
        alert_notices::Entity::update_many()
            .col_expr(alert_notices::Column::State, Expr::value(state))
            .col_expr(alert_notices::Column::DueAtMs, Expr::value(due_at_ms))
            .col_expr(alert_notices::Column::LastError, Expr::value(error.map(|error| error.replace('\0', ""))))
            .filter(alert_notices::Column::Id.eq(row.id))
            .filter(alert_notices::Column::State.eq(alert_notices::WAITING))
            .exec(&self.db)
            .await?;
        Ok(())
    }
}

/// A message.
pub(super) fn notice(event: Event, finding: &Finding, detail: &str, server: &str) -> Notice {
    let words = finding.kind.words();
    let summary = if finding.subject.is_empty() { words.to_owned() } else { format!("{words} ({})", finding.subject) };
    let matter =
        Matter { kind: finding.kind, subject: finding.subject.clone(), summary, detail: detail.to_owned(), server: server.to_owned() };
    let timestamp = OffsetDateTime::now_utc().format(&Rfc3339).unwrap_or_default();
    Notice { id: Uuid::now_v7(), event, timestamp, data: matter }
}

/// One try, which ends in time whatever is at the other end.
pub(super) async fn send(channel: &dyn AlertChannel, notice: &Notice) -> std::result::Result<(), ChannelError> {
    let sent = tokio::time::timeout(PATIENCE, channel.send(notice)).await;
    sent.unwrap_or_else(|_| Err(ChannelError(format!("no answer within {} seconds", PATIENCE.as_secs()))))
}

/// Wait after try number `attempt + 1`: about 10, 40, 160 s … an hour.
fn wait_ms(attempt: i32) -> i64 {
    let exponent = u32::try_from(attempt.clamp(0, 8)).unwrap_or_default();
    (10_000 * 4_i64.pow(exponent)).min(LONGEST_WAIT_MS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_an_hour() {
        assert_eq!(
            [0, 1, 2, 3, 4, 5, i32::MAX].map(wait_ms),
            [10_000, 40_000, 160_000, 640_000, 2_560_000, LONGEST_WAIT_MS, LONGEST_WAIT_MS]
        );
    }
}
