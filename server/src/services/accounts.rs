//! Accounts: signing up and in, and changing a password. Who has signed in is told by the session, which is `http`'s.

use std::{net::IpAddr, num::NonZeroU32, sync::Arc, time::Duration};

use domain::{
    account::{Account, check_new_password, clean_email},
    error::{Code, Problem},
    ids::UserId,
};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter, clock::Clock};
use sea_orm::{
    ActiveValue::Set, ColumnTrait, ConnectionTrait, DatabaseConnection, EntityTrait, QueryFilter, QuerySelect, SqlErr, sea_query::Expr,
};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::{
    config::Registration,
    db::{
        begin_write,
        entity::{sessions, turns, users},
    },
    error::{Error, Result},
    services::passwords::Passwords,
};

/// Tries to sign in to one account from one address before it has to wait: 10, then one every 30 s. Keyed by both, so that a stranger
/// cannot lock an account out.
const PER_ACCOUNT: (u32, Duration) = (10, Duration::from_secs(30));
/// Tries to sign in from one address, over all accounts.
const PER_ADDRESS: (u32, Duration) = (60, Duration::from_secs(3));

/// Entries after which the two counters above are swept.
const TRIES_REMEMBERED: usize = 10_000;

/// Accounts.
#[derive(Debug, Clone)]
pub struct Accounts {
    db: DatabaseConnection,
    registration: Registration,
    passwords: Passwords,
    per_account: Arc<DefaultKeyedRateLimiter<(String, IpAddr)>>,
    per_address: Arc<DefaultKeyedRateLimiter<IpAddr>>,
}

fn quota((burst, refill): (u32, Duration)) -> Quota {
    Quota::with_period(refill).expect("the period is not zero").allow_burst(NonZeroU32::new(burst).expect("the burst is not zero"))
}

fn wrong_credentials() -> Problem {
    Problem::new(Code::Unauthenticated, "The e-mail address or the password is wrong.")
}

/// Whether there is any account.
async fn anybody(db: &impl ConnectionTrait) -> Result<bool> {
    let one: Option<Uuid> = users::Entity::find().select_only().column(users::Column::Id).into_tuple().one(db).await?;
    Ok(one.is_some())
}

impl Accounts {
    /// Accounts in `db`, open or closed to strangers.
    pub fn new(db: DatabaseConnection, registration: Registration) -> Self {
        Self {
            db,
            registration,
            passwords: Passwords::default(),
            per_account: Arc::new(RateLimiter::keyed(quota(PER_ACCOUNT))),
            per_address: Arc::new(RateLimiter::keyed(quota(PER_ADDRESS))),
        }
    }

    /// Whether anybody has an account here yet.
    ///
    /// # Errors
    /// The database fails.
    pub async fn has_owner(&self) -> Result<bool> {
        anybody(&self.db).await
    }

    /// Whether a stranger may sign up now.
    ///
    /// # Errors
    /// The database fails.
    pub async fn registration_open(&self) -> Result<bool> {
        Ok(self.registration == Registration::Open || !self.has_owner().await?)
    }

    /// Makes an account for a visitor, if visitors may have one.
    ///
    /// # Errors
    /// Signing up is closed, the address is taken, or a field cannot be used.
    pub async fn sign_up(&self, email: &str, password: &str) -> Result<Account> {
        self.create(email, password, self.registration == Registration::Closed).await
    }

    /// Makes an account, whatever the setting says: for the operator's command line.
    ///
    /// # Errors
    /// The address is taken, or a field cannot be used.
    pub async fn add(&self, email: &str, password: &str) -> Result<Account> {
        self.create(email, password, false).await
    }

    async fn create(&self, email: &str, password: &str, only_first: bool) -> Result<Account> {
        let email = clean_email(email)?;
        check_new_password(password)?;
        let closed = || Problem::new(Code::RegistrationClosed, "Signing up is closed here. Ask the owner for an account.");
        if only_first && self.has_owner().await? {
            return Err(closed().into());
        }
        let password_hash = self.passwords.hash(password.into()).await?;
        let id = UserId(Uuid::now_v7());
        let row = users::ActiveModel {
            id: Set(id.0),
            email: Set(email.clone()),
            password_hash: Set(password_hash),
            created_at: Set(OffsetDateTime::now_utc()),
        };
        // Looked at again when it is our turn: two first visitors at once must not both become the owner.
        let transaction = begin_write(&self.db).await?;
        let turn = turns::Entity::first_owner().one(&transaction).await?;
        turn.ok_or_else(|| Error::broken("the row that new accounts take turns on is gone"))?;
        if only_first && anybody(&transaction).await? {
            return Err(closed().into());
        }
        match users::Entity::insert(row).exec_without_returning(&transaction).await {
            Err(error) if matches!(error.sql_err(), Some(SqlErr::UniqueConstraintViolation(_))) => {
                return Err(Problem::new(Code::EmailTaken, "There is an account with this e-mail address already. Sign in instead.").into());
            }
            other => other?,
        };
        transaction.commit().await?;
        Ok(Account { id, email })
    }

    /// Checks credentials.
    ///
    /// # Errors
    /// They are wrong (the same answer, after the same time, for unknown users), or there were too many tries.
    pub async fn sign_in(&self, email: &str, password: &str, address: IpAddr) -> Result<Account> {
        let email = clean_email(email).map_err(|_| wrong_credentials())?;
        let too_many = |wait: Duration| {
            let mut problem = Problem::new(Code::RateLimited, "Too many tries. Wait half a minute and try again.");
            problem.retry_after_seconds = Some(wait.as_secs() + 1);
            Error::from(problem)
        };
        self.forget_old_tries();
        self.per_address.check_key(&address).map_err(|until| too_many(until.wait_time_from(self.per_address.clock().now())))?;
        self.per_account
            .check_key(&(email.clone(), address))
            .map_err(|until| too_many(until.wait_time_from(self.per_account.clock().now())))?;
        let row = users::Entity::find().filter(users::Column::Email.eq(&email)).one(&self.db).await?;
        let stored = row.as_ref().map(|row| row.password_hash.clone());
        match row {
            Some(row) if self.passwords.verify(password.into(), stored).await? => Ok(Account { id: UserId(row.id), email: row.email }),
            Some(_) => Err(wrong_credentials().into()),
            None => {
                self.passwords.verify(password.into(), None).await?;
                Err(wrong_credentials().into())
            }
        }
    }

    /// Lets go of who has not tried for long enough, once there are so many that it matters.
    fn forget_old_tries(&self) {
        if self.per_account.len() > TRIES_REMEMBERED || self.per_address.len() > TRIES_REMEMBERED {
            self.per_account.retain_recent();
            self.per_address.retain_recent();
        }
    }

    /// The account of somebody signed in.
    ///
    /// # Errors
    /// There is no such account any more.
    pub async fn account(&self, user: UserId) -> Result<Account> {
        let row = users::Entity::find_by_id(user.0).one(&self.db).await?.ok_or_else(Problem::unauthenticated)?;
        Ok(Account { id: user, email: row.email })
    }

    /// The account with this address, for the command line.
    ///
    /// # Errors
    /// There is none.
    pub async fn by_email(&self, email: &str) -> Result<Account> {
        let email = clean_email(email)?;
        let row = users::Entity::find().filter(users::Column::Email.eq(&email)).one(&self.db).await?;
        let row = row.ok_or_else(|| Problem::new(Code::NotFound, format!("There is no account {email}.")))?;
        Ok(Account { id: UserId(row.id), email: row.email })
    }

    /// Changes a password and ends every other session of the account; `keep_session` is the id of the one that goes on.
    ///
    /// # Errors
    /// The current password is wrong, or the new one cannot be used.
    pub async fn change_password(&self, user: UserId, current: &str, new: &str, keep_session: &str) -> Result<()> {
        check_new_password(new)?;
        let row = users::Entity::find_by_id(user.0).one(&self.db).await?.ok_or_else(Problem::unauthenticated)?;
        if !self.passwords.verify(current.into(), Some(row.password_hash)).await? {
            return Err(Problem::invalid("The current password is wrong.").into());
        }
        self.replace_password(user, new, Some(keep_session)).await
    }

    /// Sets a password without asking for the old one and ends every session of the account: for the operator's command line.
    ///
    /// # Errors
    /// There is no such account, or the password cannot be used.
    pub async fn set_password(&self, email: &str, new: &str) -> Result<Account> {
        check_new_password(new)?;
        let account = self.by_email(email).await?;
        self.replace_password(account.id, new, None).await?;
        Ok(account)
    }

    async fn replace_password(&self, user: UserId, new: &str, keep_session: Option<&str>) -> Result<()> {
        let password_hash = self.passwords.hash(new.into()).await?;
        let transaction = begin_write(&self.db).await?;
        users::Entity::update_many()
            .col_expr(users::Column::PasswordHash, Expr::value(password_hash))
            .filter(users::Column::Id.eq(user.0))
            .exec(&transaction)
            .await?;
        sessions::Entity::delete_many()
            .filter(sessions::Column::UserId.eq(user.0))
            .filter(sessions::Column::IdHash.is_not_in(keep_session.map(sessions::hash_id)))
            .exec(&transaction)
            .await?;
        transaction.commit().await?;
        Ok(())
    }
}
