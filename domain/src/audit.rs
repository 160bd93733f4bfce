//! The audit log: who did what that matters to security, from where. It never holds a secret.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::ids::AuditId;

/// Days that an entry is kept.
pub const KEPT_DAYS: i64 = 180;

/// Kinds of entries. The spelling (snake case) is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AuditKind {
    /// An account was made.
    AccountMade,
    /// Somebody signed in.
    SignedIn,
    /// Somebody could not sign in.
    SignInFailed,
    /// Somebody signed out.
    SignedOut,
    /// A password was changed.
    PasswordChanged,
    /// A session was ended from another one.
    SessionEnded,
    /// An API key was made.
    KeyMade,
    /// An API key was revoked.
    KeyRevoked,
    /// An invitation was made.
    InviteMade,
    /// An invitation became an account.
    InviteUsed,
    /// An invitation was withdrawn.
    InviteWithdrawn,
    /// A role was given.
    RoleChanged,
    /// An account was disabled.
    AccountDisabled,
    /// An account was enabled again.
    AccountEnabled,
    /// An account was deleted.
    AccountDeleted,
    /// A video's visibility was changed.
    VisibilityChanged,
    /// A video was deleted.
    VideoDeleted,
    /// Somebody was given a link of their own to a video.
    GrantMade,
    /// Such a link was taken back.
    GrantRevoked,
    /// The list of sites that may embed a video, or an account's videos, was changed.
    EmbedHostsChanged,
    /// A job that had failed was given another try by whoever runs the server.
    JobRetried,
}

impl AuditKind {
    /// All of them.
    pub const ALL: [Self; 21] = [
        Self::AccountMade,
        Self::SignedIn,
        Self::SignInFailed,
        Self::SignedOut,
        Self::PasswordChanged,
        Self::SessionEnded,
        Self::KeyMade,
        Self::KeyRevoked,
        Self::InviteMade,
        Self::InviteUsed,
        Self::InviteWithdrawn,
        Self::RoleChanged,
        Self::AccountDisabled,
        Self::AccountEnabled,
        Self::AccountDeleted,
        Self::VisibilityChanged,
        Self::VideoDeleted,
        Self::GrantMade,
        Self::GrantRevoked,
        Self::EmbedHostsChanged,
        Self::JobRetried,
    ];

    /// The kind as it is stored.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AccountMade => "account_made",
            Self::SignedIn => "signed_in",
            Self::SignInFailed => "sign_in_failed",
            Self::SignedOut => "signed_out",
            Self::PasswordChanged => "password_changed",
            Self::SessionEnded => "session_ended",
            Self::KeyMade => "key_made",
            Self::KeyRevoked => "key_revoked",
            Self::InviteMade => "invite_made",
            Self::InviteUsed => "invite_used",
            Self::InviteWithdrawn => "invite_withdrawn",
            Self::RoleChanged => "role_changed",
            Self::AccountDisabled => "account_disabled",
            Self::AccountEnabled => "account_enabled",
            Self::AccountDeleted => "account_deleted",
            Self::VisibilityChanged => "visibility_changed",
            Self::VideoDeleted => "video_deleted",
            Self::GrantMade => "grant_made",
            Self::GrantRevoked => "grant_revoked",
            Self::EmbedHostsChanged => "embed_hosts_changed",
            Self::JobRetried => "job_retried",
        }
    }

    /// The kind with this name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }

    /// The kind for people.
    pub const fn words(self) -> &'static str {
        match self {
            Self::AccountMade => "Account created",
            Self::SignedIn => "Signed in",
            Self::SignInFailed => "Sign-in failed",
            Self::SignedOut => "Signed out",
            Self::PasswordChanged => "Password changed",
            Self::SessionEnded => "Session ended",
            Self::KeyMade => "API key created",
            Self::KeyRevoked => "API key revoked",
            Self::InviteMade => "Invitation made",
            Self::InviteUsed => "Invitation used",
            Self::InviteWithdrawn => "Invitation withdrawn",
            Self::RoleChanged => "Role changed",
            Self::AccountDisabled => "Account disabled",
            Self::AccountEnabled => "Account enabled",
            Self::AccountDeleted => "Account deleted",
            Self::VisibilityChanged => "Visibility changed",
            Self::VideoDeleted => "Video deleted",
            Self::GrantMade => "Link made",
            Self::GrantRevoked => "Link revoked",
            Self::EmbedHostsChanged => "Sites that may embed changed",
            Self::JobRetried => "Failed video tried again",
        }
    }
}

/// An entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AuditEntry {
    /// The entry.
    pub id: AuditId,
    /// Milliseconds of the Unix epoch.
    pub at_ms: i64,
    /// E-mail address of who did it, as it was then; empty where nobody was known.
    pub actor: String,
    /// What was done.
    pub kind: AuditKind,
    /// What it was done to: an address, a key's name, a video's title.
    pub subject: String,
    /// Where the request came from; empty for the command line.
    pub address: String,
    /// More about it, by name.
    pub detail: BTreeMap<String, String>,
}

/// A page of the log, the newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AuditPage {
    /// The entries.
    pub entries: Vec<AuditEntry>,
    /// The last of them, where there are older ones.
    pub next: Option<AuditId>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_reads_back_and_is_spelt_as_serde_spells_it() {
        for kind in AuditKind::ALL {
            assert_eq!(AuditKind::parse(kind.as_str()), Some(kind));
            assert_eq!(serde_json::to_value(kind).expect("a text"), kind.as_str());
        }
    }
}
