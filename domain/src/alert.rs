//! What needs a person: the kinds of alerts, and how whoever runs a server sees them.

use serde::{Deserialize, Serialize};

/// Kinds of alerts. The spelling (snake case) is stored and sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AlertKind {
    /// Videos failed by a fault on our side.
    FailedVideos,
    /// Videos wait for too long, although others are worked on.
    OldQueue,
    /// Videos wait for too long, and nobody works.
    NoWorker,
    /// A disk is filling up.
    LowDisk,
    /// Nothing is wrong: somebody tries it out.
    Test,
}

impl AlertKind {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::FailedVideos, Self::OldQueue, Self::NoWorker, Self::LowDisk, Self::Test];

    /// As stored and sent.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::FailedVideos => "failed_videos",
            Self::OldQueue => "old_queue",
            Self::NoWorker => "no_worker",
            Self::LowDisk => "low_disk",
            Self::Test => "test",
        }
    }

    /// The kind that is stored so.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }

    /// What it is, in words.
    pub const fn words(self) -> &'static str {
        match self {
            Self::FailedVideos => "Videos failed",
            Self::OldQueue => "Videos wait for too long",
            Self::NoWorker => "Nobody processes videos",
            Self::LowDisk => "A disk is filling up",
            Self::Test => "This is a test",
        }
    }
}

/// An alert that goes on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Alert {
    /// What it is.
    pub kind: AlertKind,
    /// What it is about; empty where there is one thing only.
    pub subject: String,
    /// What is wrong and what to do.
    pub detail: String,
    /// When it began, in milliseconds of the Unix epoch.
    pub since_ms: i64,
}

/// A message that nobody took.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LostNotice {
    /// By which way it went.
    pub channel: String,
    /// When it was first sent, in milliseconds of the Unix epoch.
    pub at_ms: i64,
    /// What the last try failed with.
    pub error: String,
}

/// How things stand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Alerts {
    /// What goes on, the newest first.
    pub open: Vec<Alert>,
    /// Messages that nobody took, the newest first.
    pub lost: Vec<LostNotice>,
    /// Ways on which messages go.
    pub channels: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_is_read_as_it_is_stored() {
        for kind in AlertKind::ALL {
            assert_eq!(AlertKind::parse(kind.as_str()), Some(kind));
            assert_eq!(serde_json::to_value(kind).expect("JSON"), kind.as_str());
        }
    }
}
