//! A way on which the operator is told of what needs a person.

use std::fmt::Debug;

use domain::alert::AlertKind;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// What has happened to an alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    /// It began.
    #[serde(rename = "alert.opened")]
    Opened,
    /// It goes on, and is twice as bad as when it was last told.
    #[serde(rename = "alert.worse")]
    Worse,
    /// It goes on.
    #[serde(rename = "alert.reminder")]
    Reminder,
    /// It is over.
    #[serde(rename = "alert.resolved")]
    Resolved,
    /// Somebody tries it out.
    #[serde(rename = "alert.test")]
    Test,
}

impl Event {
    /// As sent.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Opened => "alert.opened",
            Self::Worse => "alert.worse",
            Self::Reminder => "alert.reminder",
            Self::Resolved => "alert.resolved",
            Self::Test => "alert.test",
        }
    }
}

/// A message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// The same however often it is sent.
    pub id: Uuid,
    /// What has happened.
    #[serde(rename = "type")]
    pub event: Event,
    /// When, in RFC 3339.
    pub timestamp: String,
    /// To what.
    pub data: Matter,
}

/// What a message is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Matter {
    /// The alert.
    pub kind: AlertKind,
    /// What it is about; empty where there is one thing only.
    pub subject: String,
    /// One line.
    pub summary: String,
    /// What is wrong and what to do.
    pub detail: String,
    /// The server that says so.
    pub server: String,
}

/// Why a message was not taken; a new try may help.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ChannelError(pub String);

/// A way.
#[async_trait::async_trait]
pub trait AlertChannel: Debug + Send + Sync {
    /// Its name, as stored: `email`, `webhook`.
    fn name(&self) -> &'static str;

    /// Sends a message. It may have been taken although this fails; sent again, its receiver knows it by its id.
    async fn send(&self, notice: &Notice) -> Result<(), ChannelError>;
}
