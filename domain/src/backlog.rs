//! What the machinery has before it, as whoever runs a server sees it: what waits, what runs, and what was given up. It names videos by id and
//! people by address, never a title: titles are their owners' own.

use serde::{Deserialize, Serialize};

use crate::{
    failure::FailureCode,
    ids::{JobId, VideoId},
};

/// How things stand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Backlog {
    /// Jobs that wait, for a worker or for a later moment.
    pub waiting: u64,
    /// When the one that has waited longest was made, in milliseconds of the Unix epoch.
    pub oldest_since_ms: Option<i64>,
    /// Jobs that somebody works on.
    pub running: Vec<RunningJob>,
    /// Given up because of something on our side: these are worth another try.
    pub ours: FailedPage,
    /// Given up because of the file: the same bytes end the same way, unless the settings have been changed.
    pub files: FailedPage,
}

/// A job that somebody works on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RunningJob {
    /// The job.
    pub id: JobId,
    /// What it works on.
    pub video: VideoId,
    /// Whose that is.
    pub owner: String,
    /// The process that works on it.
    pub worker: String,
    /// Tries begun, this one included.
    pub attempt: i32,
    /// When this try began, in milliseconds of the Unix epoch.
    pub since_ms: Option<i64>,
}

/// A job that was given up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FailedJob {
    /// The job.
    pub id: JobId,
    /// What it worked on.
    pub video: VideoId,
    /// Whose that is.
    pub owner: String,
    /// Why.
    pub code: FailureCode,
    /// Tries made.
    pub attempts: i32,
    /// When it was given up, in milliseconds of the Unix epoch.
    pub at_ms: Option<i64>,
    /// What the last try ended with, for whoever runs the server.
    pub detail: String,
    /// Whether the source is still there, so that it can be tried again.
    pub repeatable: bool,
}

/// Some of the jobs that were given up, the newest first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FailedPage {
    /// The jobs.
    pub jobs: Vec<FailedJob>,
    /// The last of them, where there are older ones.
    pub next: Option<JobId>,
}
