//! Password hashes: argon2id with OWASP's parameters (19 MiB, 2 passes, 1 lane). Hashing runs off the async threads, and only so
//! many at once that a flood of sign-ins cannot take the machine away from playback.

use std::sync::Arc;

use argon2::{
    Algorithm, Argon2, Params, Version,
    password_hash::{PasswordHasher, PasswordVerifier},
};
use secrecy::{ExposeSecret, SecretString};
use tokio::{sync::Semaphore, task::spawn_blocking};

use crate::error::{Error, Result};

/// What an unknown user's password is compared with, so that the answer takes as long as a known user's.
const NOBODY: &str = "$argon2id$v=19$m=19456,t=2,p=1$bWlsbHJhY2Utbm9ib2R5$0S0m0e0NzYVnqLzQBFh1rJ1Z0yZ6oC0lXkqB1mWv2yM";

/// Hashes and checks passwords.
#[derive(Debug, Clone)]
pub struct Passwords {
    slots: Arc<Semaphore>,
}

impl Default for Passwords {
    fn default() -> Self {
        Self { slots: Arc::new(Semaphore::new(2)) }
    }
}

fn argon2() -> Argon2<'static> {
    Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::new(19 * 1024, 2, 1, None).expect("OWASP's parameters are valid"))
}

impl Passwords {
    async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
        let _slot = self.slots.acquire().await.map_err(|error| Error::broken(error.to_string()))?;
        spawn_blocking(work).await.map_err(|error| Error::broken(error.to_string()))
    }

    /// The PHC string to store for a password.
    ///
    /// # Errors
    /// The machine has no randomness or no memory.
    pub async fn hash(&self, password: SecretString) -> Result<String> {
        self.run(move || argon2().hash_password(password.expose_secret().as_bytes()).map(|hash| hash.to_string()))
            .await?
            .map_err(|error| Error::broken(format!("hashing a password: {error}")))
    }

    /// Whether a password belongs to a stored hash. `None` stands for an unknown user and takes as long as a wrong password.
    ///
    /// # Errors
    /// The stored hash cannot be read.
    pub async fn verify(&self, password: SecretString, stored: Option<String>) -> Result<bool> {
        let known = stored.is_some();
        let stored = stored.unwrap_or_else(|| NOBODY.to_owned());
        let matches = self.run(move || argon2().verify_password(password.expose_secret().as_bytes(), stored.as_str()).is_ok()).await?;
        Ok(known && matches)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn hashes_are_owasp_argon2id_and_nobody_never_matches() {
        let passwords = Passwords::default();
        let hash = passwords.hash("correct horse".into()).await.expect("hashed");
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        assert!(passwords.verify("correct horse".into(), Some(hash.clone())).await.expect("checked"));
        assert!(!passwords.verify("wrong horse".into(), Some(hash.clone())).await.expect("checked"));
        assert!(!passwords.verify("correct horse".into(), None).await.expect("checked"));
        let cost = |hash: &str| {
            let hash = argon2::password_hash::phc::PasswordHash::new(hash).expect("an unreadable hash would answer too fast");
            (hash.algorithm.to_string(), hash.version, hash.params.to_string(), hash.hash.map(|output| output.as_bytes().len()))
        };
        assert_eq!(cost(NOBODY), cost(&hash), "a cheaper one would tell who has an account");
    }
}
