//! Accounts and API keys as their owner sees them, and the rules for what may be typed in. The same checks run in the
//! browser and on the server.

use serde::{Deserialize, Serialize};

use crate::{
    error::Problem,
    ids::{ApiKeyId, UserId},
};

/// Fewest characters in a password (NIST SP 800-63B asks for 8 at least; no other rule of composition).
pub const PASSWORD_MIN: usize = 8;
/// Most bytes in a password: long enough for any phrase, short enough to hash.
pub const PASSWORD_MAX: usize = 256;

/// Who is signed in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Account {
    /// The account.
    pub id: UserId,
    /// Its e-mail address, in lower case.
    pub email: String,
}

/// An API key as listed: never its secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ApiKey {
    /// The key's id, for revoking it.
    pub id: ApiKeyId,
    /// What its owner called it.
    pub name: String,
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
    fn passwords_count_characters_not_bytes() {
        assert!(check_new_password("ääääääää").is_ok());
        assert!(check_new_password("short").is_err());
        assert!(check_new_password(&"x".repeat(257)).is_err());
    }
}
