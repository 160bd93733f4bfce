//! Accounts, their sessions and API keys as their owner sees them, and the rules for what may be typed in. The same checks run in the
//! browser and on the server.

use serde::{Deserialize, Serialize};

use crate::{
    error::{Code, Problem},
    ids::{ApiKeyId, InviteId, UserId},
};

/// Fewest characters in a password (NIST SP 800-63B asks for 8 at least; no other rule of composition).
pub const PASSWORD_MIN: usize = 8;
/// Most bytes in a password: long enough for any phrase, short enough to hash.
pub const PASSWORD_MAX: usize = 256;

/// What an account may do beyond its own videos.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Runs the server: invites, disables and deletes people, reads the log of what they did.
    Owner,
    /// Has videos.
    Member,
}

impl Role {
    /// The role as it is stored and sent.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::Member => "member",
        }
    }

    /// The role with this name.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Owner, Self::Member].into_iter().find(|role| role.as_str() == text)
    }
}

/// What a key may do. Each holds what the ones before it do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Ask for the state of videos and fetch their stream addresses.
    Read,
    /// Also upload.
    Upload,
    /// Also change, share and delete.
    Manage,
}

impl Scope {
    /// All of them, the least first.
    pub const ALL: [Self; 3] = [Self::Read, Self::Upload, Self::Manage];

    /// The scope as it is stored and sent.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Upload => "upload",
            Self::Manage => "manage",
        }
    }

    /// The scope with this name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scope| scope.as_str() == text)
    }

    /// What it allows, in words.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Read => "Read: states and stream addresses",
            Self::Upload => "Upload: also upload videos",
            Self::Manage => "Manage: also change, share, delete",
        }
    }

    /// Refuses what needs more than this.
    ///
    /// # Errors
    /// `needed` is more.
    pub fn check(self, needed: Self) -> Result<(), Problem> {
        if self >= needed {
            return Ok(());
        }
        let sentence = format!("This key has the scope “{}”; this needs “{}”. Make another key for it.", self.as_str(), needed.as_str());
        Err(Problem::new(Code::ForbiddenScope, sentence))
    }
}

/// Who is signed in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Account {
    /// The account.
    pub id: UserId,
    /// Its e-mail address, in lower case.
    pub email: String,
    /// What it may do.
    pub role: Role,
}

/// A session as its owner sees it: a browser that is signed in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SignedIn {
    /// The session, for ending it. Nobody can make out its cookie from this.
    pub handle: String,
    /// Browser and system, in words.
    pub device: String,
    /// Where it signed in from; empty where that was not noted.
    pub address: String,
    /// Milliseconds of the Unix epoch of the sign-in.
    pub since_ms: i64,
    /// Milliseconds of the Unix epoch of the last request, to the minute.
    pub last_seen_ms: i64,
    /// Whether it is the one that asks.
    pub current: bool,
}

/// An account as the server's owner sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Person {
    /// The account.
    pub id: UserId,
    /// Its e-mail address.
    pub email: String,
    /// What it may do.
    pub role: Role,
    /// Milliseconds of the Unix epoch since when it cannot sign in.
    pub disabled_at_ms: Option<i64>,
    /// Whether it is being deleted, with its videos.
    pub leaving: bool,
    /// Milliseconds of the Unix epoch.
    pub created_at_ms: i64,
    /// Number of videos.
    pub videos: u64,
    /// Bytes of the files as uploaded.
    pub bytes: u64,
}

/// A page of the people, in the order in which they came.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PeoplePage {
    /// The people.
    pub people: Vec<Person>,
    /// The last of them, where there are more behind it.
    pub next: Option<UserId>,
}

/// An invitation that nobody has used yet: never its link.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Invite {
    /// The invitation, for withdrawing it.
    pub id: InviteId,
    /// Whom it is for, as the owner wrote it.
    pub name: String,
    /// Milliseconds of the Unix epoch.
    pub created_at_ms: i64,
    /// Milliseconds of the Unix epoch.
    pub expires_at_ms: i64,
}

/// An invitation at the one moment its link is known.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NewInvite {
    /// The invitation as it will be listed.
    pub invite: Invite,
    /// The link to send. Its secret is stored hashed; nobody can show it again.
    pub link: String,
}

impl std::fmt::Debug for NewInvite {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NewInvite").field("invite", &self.invite).finish_non_exhaustive()
    }
}

/// An API key as listed: never its secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ApiKey {
    /// The key's id, for revoking it.
    pub id: ApiKeyId,
    /// What its owner called it.
    pub name: String,
    /// What it may do.
    pub scope: Scope,
    /// The first characters of the secret, to tell keys apart.
    pub prefix: String,
    /// Milliseconds of the Unix epoch.
    pub created_at_ms: i64,
    /// Milliseconds of the Unix epoch; `None` where it was never used.
    pub last_used_at_ms: Option<i64>,
}

/// An API key at the one moment its secret is known.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NewApiKey {
    /// The key as it will be listed.
    pub key: ApiKey,
    /// The secret to send as `Authorization: Bearer …`. Stored hashed; nobody can show it again.
    pub secret: String,
}

impl std::fmt::Debug for NewApiKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NewApiKey").field("key", &self.key).finish_non_exhaustive()
    }
}

/// An e-mail address as it is stored: trimmed, in lower case.
///
/// # Errors
/// Something that cannot be an address. Only a message proves that one works; none is sent here.
pub fn clean_email(email: &str) -> Result<String, Problem> {
    let email = email.trim().to_lowercase();
    let plausible = email.len() <= 254
        && !email.chars().any(|c| c.is_whitespace() || c.is_control())
        && email.split_once('@').is_some_and(|(local, host)| !local.is_empty() && !host.is_empty() && !host.contains('@'));
    if plausible { Ok(email) } else { Err(Problem::invalid("Enter an e-mail address, such as ada@example.com.")) }
}

/// Checks a new password.
///
/// # Errors
/// One that is too short or too long.
pub fn check_new_password(password: &str) -> Result<(), Problem> {
    if password.chars().count() < PASSWORD_MIN {
        return Err(Problem::invalid(format!("Choose a password of at least {PASSWORD_MIN} characters.")));
    }
    if password.len() > PASSWORD_MAX {
        return Err(Problem::invalid(format!("Choose a password of at most {PASSWORD_MAX} bytes.")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_folded_and_nonsense_is_refused() {
        assert_eq!(clean_email(" Ada@Example.com ").as_deref(), Ok("ada@example.com"));
        for bad in ["", "ada", "@example.com", "ada@", "a b@example.com", "a@b@c", "a\n@b.c"] {
            assert!(clean_email(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_scope_holds_the_smaller_ones_and_says_what_is_missing() {
        assert!(Scope::Manage.check(Scope::Read).is_ok() && Scope::Upload.check(Scope::Upload).is_ok());
        let refused = Scope::Read.check(Scope::Upload).expect_err("too little");
        assert_eq!(refused.code.as_str(), "forbidden_scope");
        assert!(refused.detail.contains("“read”") && refused.detail.contains("“upload”"), "{}", refused.detail);
        assert!(Scope::ALL.into_iter().all(|scope| Scope::parse(scope.as_str()) == Some(scope)));
        assert_eq!((Role::parse("owner"), Role::parse("admin")), (Some(Role::Owner), None));
    }

    #[test]
    fn passwords_count_characters_not_bytes() {
        assert!(check_new_password("ääääääää").is_ok());
        assert!(check_new_password("short").is_err());
        assert!(check_new_password(&"x".repeat(257)).is_err());
    }
}
