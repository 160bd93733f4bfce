//! Accounts: signing up and in, and changing a password. Who has signed in is told by the session, which is `http`'s.

use std::{net::IpAddr, num::NonZeroU32, sync::Arc, time::Duration};

use domain::{
    account::{Account, Role, check_new_password, clean_email},
    audit::AuditKind,
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
    services::{
        audit_log::{Act, Actor},
        invites,
        passwords::Passwords,
        users::role,
    },
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

/// What a visitor signs up with.
#[derive(Debug, Clone, Copy)]
pub struct SignUp<'a> {
    /// The address to sign in with.
    pub email: &'a str,
    /// The password.
    pub password: &'a str,
    /// The secret of an invitation, where there is one.
    pub invite: Option<&'a str>,
    /// Where the request came from.
    pub address: Option<IpAddr>,
}

/// Somebody who has shown that an account is theirs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Admitted {
    /// The account.
    pub account: Account,
    /// What a session has to be opened with, so that it ends with those that stood when the password was looked at.
    pub session_epoch: i64,
}

/// Who lets a new account in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum By<'a> {
    /// The settings, or the invitation with this secret.
    Visitor(Option<&'a str>),
    /// The operator.
    Operator,
}

/// Whose password is replaced.
#[derive(Debug, Clone, Copy)]
struct Replace<'a> {
    user: UserId,
    /// The hash that the current password was compared with, where it was.
    seen: Option<&'a str>,
    /// The id of the session that goes on.
    keep_session: Option<&'a str>,
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
    /// Accounts in `db`, and who may make one.
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

    /// Makes an account for a visitor: the first one is the owner's, later ones are for whom the settings let in.
    ///
    /// # Errors
    /// Signing up is closed, the invitation does not stand, the address is taken, or a field cannot be used.
    pub async fn sign_up(&self, new: SignUp<'_>) -> Result<Admitted> {
        let account = self.create(new, By::Visitor(new.invite)).await?;
        Ok(Admitted { account, session_epoch: 0 })
    }

    /// Makes an account, whatever the setting says: for the operator's command line.
    ///
    /// # Errors
    /// The address is taken, or a field cannot be used.
    pub async fn add(&self, email: &str, password: &str) -> Result<Account> {
        self.create(SignUp { email, password, invite: None, address: None }, By::Operator).await
    }

    async fn create(&self, new: SignUp<'_>, by: By<'_>) -> Result<Account> {
        let email = clean_email(new.email)?;
        check_new_password(new.password)?;
        // A look beforehand, so that nobody who is refused costs a hash.
        if anybody(&self.db).await? {
            self.check_door(&self.db, by).await?;
        }
        let password_hash = self.passwords.hash(new.password.into()).await?;
        let id = UserId(Uuid::now_v7());
        // Looked at again when it is our turn: two first visitors at once must not both become the owner.
        let transaction = begin_write(&self.db).await?;
        let turn = turns::Entity::first_owner().one(&transaction).await?;
        turn.ok_or_else(|| Error::broken("the row that new accounts take turns on is gone"))?;
        let first = !anybody(&transaction).await?;
        let invited = match by {
            By::Visitor(Some(secret)) if !first && self.registration != Registration::Closed => {
                invites::use_up(&transaction, secret).await?
            }
            _ => None,
        };
        if !first && invited.is_none() {
            self.check_door(&transaction, if by == By::Operator { by } else { By::Visitor(None) }).await?;
        }
        let role = if first { Role::Owner } else { Role::Member };
        let row = users::ActiveModel {
            id: Set(id.0),
            email: Set(email.clone()),
            password_hash: Set(password_hash),
            created_at: Set(OffsetDateTime::now_utc()),
            role: Set(role.as_str().to_owned()),
            ..users::ActiveModel::default()
        };
        match users::Entity::insert(row).exec_without_returning(&transaction).await {
            Err(error) if matches!(error.sql_err(), Some(SqlErr::UniqueConstraintViolation(_))) => {
                return Err(Problem::new(Code::EmailTaken, "There is an account with this e-mail address already. Sign in instead.").into());
            }
            other => other?,
        };
        let kind = if invited.is_some() { AuditKind::InviteUsed } else { AuditKind::AccountMade };
        let act = match by {
            By::Operator => Act::of_nobody(kind, None).with("by", "command line"),
            By::Visitor(_) => Act::of(Actor { user: id, address: new.address }, kind),
        };
        let act = if let Some(name) = invited { act.with("invitation", name) } else { act };
        act.on(email.clone()).with("role", role.as_str()).note(&transaction).await?;
        transaction.commit().await?;
        Ok(Account { id, email, role })
    }

    /// Refuses who is not let in, once there is an owner.
    async fn check_door(&self, db: &impl ConnectionTrait, by: By<'_>) -> Result<()> {
        let refused = match (by, self.registration) {
            (By::Operator, _) | (By::Visitor(_), Registration::Open) => return Ok(()),
            (By::Visitor(Some(secret)), Registration::Invite) if invites::stands(db, secret).await? => return Ok(()),
            (By::Visitor(Some(_)), Registration::Invite) => {
                "This invitation has been used or withdrawn, or has expired. Ask for a new one."
            }
            (By::Visitor(None), Registration::Invite) => "Signing up takes an invitation here. Ask the owner for one.",
            (By::Visitor(_), Registration::Closed) => "Signing up is closed here. Ask the owner for an account.",
        };
        Err(Problem::new(Code::RegistrationClosed, refused).into())
    }

    /// Checks credentials.
    ///
    /// # Errors
    /// They are wrong (the same answer, after the same time, for unknown users), or there were too many tries.
    pub async fn sign_in(&self, email: &str, password: &str, address: IpAddr) -> Result<Admitted> {
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
        let matches = self.passwords.verify(password.into(), stored).await?;
        let (act, answer) = match row {
            Some(row) if matches && row.disabled_at_ms.is_none() => {
                let actor = Actor { user: UserId(row.id), address: Some(address) };
                let account = Account { id: actor.user, role: role(&row)?, email: row.email };
                (Act::of(actor, AuditKind::SignedIn), Ok(Admitted { account, session_epoch: row.session_epoch }))
            }
            Some(row) if matches => {
                let act = Act::of_nobody(AuditKind::SignInFailed, Some(address)).on(row.email).with("why", "disabled");
                (act, Err(Problem::new(Code::Forbidden, "This account has been disabled. Ask the owner of this server.")))
            }
            Some(row) => (Act::of_nobody(AuditKind::SignInFailed, Some(address)).on(row.email), Err(wrong_credentials())),
            None => (Act::of_nobody(AuditKind::SignInFailed, Some(address)).with("why", "unknown address"), Err(wrong_credentials())),
        };
        act.note(&self.db).await?;
        Ok(answer?)
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
        let row = users::Entity::find_by_id(user.0).one(&self.db).await?.filter(|row| row.disabled_at_ms.is_none());
        let row = row.ok_or_else(Problem::unauthenticated)?;
        Ok(Account { id: user, role: role(&row)?, email: row.email })
    }

    /// The account with this address, for the command line.
    ///
    /// # Errors
    /// There is none.
    pub async fn by_email(&self, email: &str) -> Result<Account> {
        let email = clean_email(email)?;
        let row = users::Entity::find().filter(users::Column::Email.eq(&email)).one(&self.db).await?;
        let row = row.ok_or_else(|| Problem::new(Code::NotFound, format!("There is no account {email}.")))?;
        Ok(Account { id: UserId(row.id), role: role(&row)?, email: row.email })
    }

    /// Changes a password and ends every other session of the account; `keep_session` is the id of the one that goes on. Gives the epoch
    /// that it goes on in.
    ///
    /// # Errors
    /// The current password is wrong, the new one cannot be used, or the session has been ended.
    pub async fn change_password(&self, actor: impl Into<Actor>, current: &str, new: &str, keep_session: Option<&str>) -> Result<i64> {
        check_new_password(new)?;
        let actor = actor.into();
        let row = users::Entity::find_by_id(actor.user.0).one(&self.db).await?.ok_or_else(Problem::unauthenticated)?;
        if !self.passwords.verify(current.into(), Some(row.password_hash.clone())).await? {
            return Err(Problem::invalid("The current password is wrong.").into());
        }
        let change = Replace { user: actor.user, seen: Some(&row.password_hash), keep_session };
        self.replace_password(change, new, Act::of(actor, AuditKind::PasswordChanged)).await
    }

    /// Sets a password without asking for the old one and ends every session of the account: for the operator's command line.
    ///
    /// # Errors
    /// There is no such account, or the password cannot be used.
    pub async fn set_password(&self, email: &str, new: &str) -> Result<Account> {
        check_new_password(new)?;
        let account = self.by_email(email).await?;
        let act = Act::of_nobody(AuditKind::PasswordChanged, None).on(account.email.clone()).with("by", "command line");
        self.replace_password(Replace { user: account.id, seen: None, keep_session: None }, new, act).await?;
        Ok(account)
    }

    async fn replace_password(&self, change: Replace<'_>, new: &str, act: Act) -> Result<i64> {
        let password_hash = self.passwords.hash(new.into()).await?;
        let transaction = begin_write(&self.db).await?;
        let row = users::Entity::find_by_id(change.user.0).lock_exclusive().one(&transaction).await?;
        let row = row.ok_or_else(Problem::unauthenticated)?;
        // Of two who change it at once, the second has looked at a password that is none any more.
        if change.seen.is_some_and(|seen| seen != row.password_hash) {
            return Err(Problem::invalid("The current password is wrong.").into());
        }
        let epoch = row.session_epoch + 1;
        if let Some(kept) = change.keep_session {
            let kept = sessions::Entity::update_many()
                .col_expr(sessions::Column::Epoch, Expr::value(epoch))
                .filter(sessions::Column::IdHash.eq(sessions::hash_id(kept)))
                .filter(sessions::Column::UserId.eq(change.user.0))
                .filter(sessions::Column::Epoch.eq(row.session_epoch));
            if kept.exec(&transaction).await?.rows_affected == 0 {
                return Err(Problem::unauthenticated().into());
            }
        }
        users::Entity::update_many()
            .col_expr(users::Column::PasswordHash, Expr::value(password_hash))
            .col_expr(users::Column::SessionEpoch, Expr::value(epoch))
            .filter(users::Column::Id.eq(change.user.0))
            .exec(&transaction)
            .await?;
        sessions::Entity::delete_many()
            .filter(sessions::Column::UserId.eq(change.user.0))
            .filter(sessions::Column::Epoch.ne(epoch))
            .exec(&transaction)
            .await?;
        act.note(&transaction).await?;
        transaction.commit().await?;
        Ok(epoch)
    }
}
