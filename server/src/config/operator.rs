//! Settings of what the operator sees and is told.

use base64::{Engine, prelude::BASE64_STANDARD};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use super::ConfigError;

/// Shortest token that opens the metrics.
const SHORTEST_TOKEN: usize = 16;
/// What a webhook's secret begins with, and the fewest bytes behind it (Standard Webhooks).
const WEBHOOK_PREFIX: &str = "whsec_";
const SHORTEST_SECRET: usize = 24;

/// How log lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// For people.
    Human,
    /// One JSON object a line.
    Json,
}

/// What Prometheus reads.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MetricsSettings {
    /// What opens them, or empty.
    pub token: SecretString,
    /// Address and port of their own, or empty.
    pub bind: String,
}

impl MetricsSettings {
    /// Whether anybody can read them.
    pub fn wanted(&self) -> bool {
        !self.bind.is_empty() || !self.token.expose_secret().is_empty()
    }
}

/// Traces.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TelemetrySettings {
    /// Base URL of the collector, or empty.
    pub otlp_endpoint: String,
    /// How many of 100 traces are sent.
    pub sample_percent: u8,
}

/// What the operator is told, and how.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AlertSettings {
    /// The mail server, or empty; it may hold a password.
    pub smtp_url: SecretString,
    /// Who the e-mail is from.
    pub from: String,
    /// Whom it goes to, with commas between.
    pub to: String,
    /// What gets each alert, or empty; it may hold a right.
    pub webhook_url: SecretString,
    /// What signs it.
    pub webhook_secret: SecretString,
    /// Whether it may lead to a private network.
    pub webhook_private: bool,
    /// Minutes that a video may wait.
    pub old_queue_minutes: i64,
    /// Free bytes below which a disk is low; 0 for never.
    pub low_disk_bytes: u64,
    /// Hours between two messages about the same.
    pub remind_hours: i64,
}

/// Checks what types alone do not say. Secrets are not repeated.
pub(super) fn check<'a>(text: &impl Fn(&str) -> &'a str) -> Result<(), ConfigError> {
    let fail = |name: &str, message: String| Err(ConfigError::Value { name: name.into(), origin: "see the settings".into(), message });
    let starts = |value: &str, schemes: &[&str]| value.is_empty() || schemes.iter().any(|scheme| value.starts_with(scheme));
    let bind = text("metrics.bind");
    if !bind.is_empty() && bind.parse::<std::net::SocketAddr>().is_err() {
        return fail("metrics.bind", format!("must be an address and a port, such as 127.0.0.1:9464, not `{bind}`"));
    }
    if (1..SHORTEST_TOKEN).contains(&text("metrics.token").len()) {
        return fail("metrics.token", format!("must have {SHORTEST_TOKEN} letters or more: openssl rand -hex 32 makes some"));
    }
    let collector = text("telemetry.otlp_endpoint");
    if !starts(collector, &["http://", "https://"]) {
        return fail("telemetry.otlp_endpoint", format!("must start with http:// or https://, not `{collector}`"));
    }
    if !starts(text("alerts.smtp_url"), &["smtp://", "smtps://"]) {
        return fail("alerts.smtp_url", "must start with smtp:// or smtps://".into());
    }
    for name in ["alerts.from", "alerts.to"] {
        if !text("alerts.smtp_url").is_empty() && !text(name).contains('@') {
            return fail(name, "must be an e-mail address where `alerts.smtp_url` is set".into());
        }
    }
    if !starts(text("alerts.webhook_url"), &["http://", "https://"]) {
        return fail("alerts.webhook_url", "must start with http:// or https://".into());
    }
    let secret = text("alerts.webhook_secret");
    let key = secret.strip_prefix(WEBHOOK_PREFIX).and_then(|key| BASE64_STANDARD.decode(key).ok()).unwrap_or_default();
    if (!secret.is_empty() || !text("alerts.webhook_url").is_empty()) && key.len() < SHORTEST_SECRET {
        let message = format!("must be {WEBHOOK_PREFIX} and at least {SHORTEST_SECRET} bytes in Base64, where `alerts.webhook_url` is set");
        return fail("alerts.webhook_secret", message);
    }
    Ok(())
}
