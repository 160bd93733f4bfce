//! What takes up the room on a server, as its people see it.

use serde::{Deserialize, Serialize};

use crate::store_audit::LastAudit;

/// What one account has stored.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AccountUse {
    /// Its address.
    pub email: String,
    /// Videos.
    pub videos: u64,
    /// Bytes of files as they were uploaded.
    pub sources: u64,
    /// Bytes of what was made of them.
    pub renditions: u64,
    /// Bytes kept free for uploads that are not complete.
    pub unfinished: u64,
}

impl AccountUse {
    /// All of it together, in bytes.
    pub const fn total(&self) -> u64 {
        self.sources + self.renditions + self.unfinished
    }
}

/// The disk that the store lies on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DiskUse {
    /// Its bytes in all.
    pub total: u64,
    /// What can still be written.
    pub free: u64,
    /// New uploads are refused where they would leave less than this.
    pub low_water: u64,
}

/// What the page about storage shows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StorageUse {
    /// What the asking account has.
    pub own: AccountUse,
    /// What it may have; 0 for as much as it likes.
    pub quota: u64,
    /// The rest, for owners of the server alone.
    pub server: Option<ServerUse>,
}

/// What an owner sees of the whole server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ServerUse {
    /// Where the store is.
    pub place: String,
    /// Its disk, where it has one.
    pub disk: Option<DiskUse>,
    /// Accounts that store something, the largest first.
    pub accounts: Vec<AccountUse>,
    /// Accounts beyond those.
    pub more_accounts: u64,
    /// All of them together.
    pub all: AccountUse,
    /// Things that wait to be deleted from the store.
    pub removals: u64,
    /// The last check of the store.
    pub last_audit: Option<LastAudit>,
    /// Whether one is running in this process.
    pub checking: bool,
}
