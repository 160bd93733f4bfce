//! How a request of the uploader can end badly, and whether the same request may end well later.

use domain::error::{Code, Problem};
use serde::Deserialize;

/// What a server answered that did not do what was asked.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Refusal {
    /// The HTTP status.
    #[serde(default)]
    pub status: u16,
    /// What a program acts on; a proxy's answer has none.
    #[serde(default)]
    pub code: Option<Code>,
    /// What a person reads.
    #[serde(default)]
    pub detail: String,
    /// Seconds after which a new try makes sense.
    #[serde(default)]
    pub retry_after_seconds: Option<u64>,
    /// The parts that the server lacks.
    #[serde(default)]
    pub missing: Vec<u32>,
}

impl Refusal {
    /// Whether the same request can end differently later. A proxy's answer without a code can, unless it is about the request itself.
    pub fn passes(&self) -> bool {
        matches!(self.status, 401 | 408 | 425 | 429 | 500..=599) || matches!(self.code, Some(Code::ChecksumMismatch | Code::PartsMissing))
    }

    /// The refusal as a problem to show.
    pub fn into_problem(self) -> Problem {
        let detail = if self.detail.is_empty() { format!("The server refused the file (status {}).", self.status) } else { self.detail };
        Problem::new(self.code.unwrap_or(Code::Internal), detail)
    }
}

/// Why a request did not end well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SendError {
    /// We stopped it ourselves.
    Aborted,
    /// No answer came.
    Network,
    /// The browser cannot read the file any more.
    Unreadable,
    /// The server refused.
    Refused(Refusal),
    /// Somebody else is signed in; the address of the one whose upload it is.
    OtherAccount(String),
    /// The store, where parts go straight to it, did not take a part; a sentence about it. Whether that is the end only our server knows, and
    /// the next try begins there: with a new place for the part, which also cures one whose time was over.
    Store(String),
}
