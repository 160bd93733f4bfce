//! The audit log: acts that matter to security are noted, in the transaction that does them where there is one, and the owner reads them.
//! Nothing secret is ever written here, nor what was typed by somebody unknown: it might be a password in the wrong field.

use std::{collections::BTreeMap, net::IpAddr};

use domain::{
    audit::{AuditEntry, AuditKind, AuditPage, KEPT_DAYS},
    ids::{AuditId, UserId},
};
use sea_orm::{ActiveValue::Set, ColumnTrait, ConnectionTrait, DatabaseConnection, EntityTrait, QueryFilter, QuerySelect};
use uuid::Uuid;

use crate::{
    clock::now_ms,
    db::entity::{audit_log, users},
    error::{Error, Result},
    services::users::check_owner,
};

const PAGE: u64 = 50;
const DAY_MS: i64 = 24 * 60 * 60 * 1_000;

/// Who does something, and from where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Actor {
    /// The account.
    pub user: UserId,
    /// Where the request came from, where it is one.
    pub address: Option<IpAddr>,
}

impl From<UserId> for Actor {
    fn from(user: UserId) -> Self {
        Self { user, address: None }
    }
}

/// Something that was done.
#[derive(Debug, Clone)]
pub struct Act {
    actor: Option<UserId>,
    address: Option<IpAddr>,
    kind: AuditKind,
    subject: String,
    detail: BTreeMap<String, String>,
}

impl Act {
    /// What `actor` did.
    pub fn of(actor: Actor, kind: AuditKind) -> Self {
        Self { actor: Some(actor.user), address: actor.address, kind, subject: String::new(), detail: BTreeMap::new() }
    }

    /// What somebody unknown did, or the operator on the command line.
    pub fn of_nobody(kind: AuditKind, address: Option<IpAddr>) -> Self {
        Self { actor: None, address, kind, subject: String::new(), detail: BTreeMap::new() }
    }

    /// What it was done to.
    #[must_use]
    pub fn on(self, subject: impl Into<String>) -> Self {
        Self { subject: subject.into(), ..self }
    }

    /// It was done to a video. Its title is its owner's own, and who reads the log may be somebody else: it goes by its id.
    #[must_use]
    pub fn on_video(self, video: Uuid) -> Self {
        self.on(format!("video {video}"))
    }

    /// More about it.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl ToString) -> Self {
        self.detail.insert(name.to_owned(), value.to_string());
        self
    }

    /// Writes it down; part of the caller's transaction, where there is one.
    ///
    /// # Errors
    /// The database fails.
    pub async fn note(self, db: &impl ConnectionTrait) -> Result<()> {
        let actor: Option<String> = match self.actor {
            Some(user) => {
                let email = users::Entity::find().select_only().column(users::Column::Email).filter(users::Column::Id.eq(user.0));
                email.into_tuple().one(db).await?
            }
            None => None,
        };
        let detail = serde_json::to_string(&self.detail).map_err(|error| Error::broken(format!("an act: {error}")))?;
        let row = audit_log::ActiveModel {
            id: Set(Uuid::now_v7()),
            at_ms: Set(now_ms()),
            actor_id: Set(self.actor.map(|user| user.0)),
            actor: Set(actor.unwrap_or_default()),
            kind: Set(self.kind.as_str().to_owned()),
            subject: Set(self.subject),
            address: Set(self.address.map(|address| address.to_string()).unwrap_or_default()),
            detail: Set(detail),
        };
        audit_log::Entity::insert(row).exec_without_returning(db).await?;
        Ok(())
    }
}

/// The log.
#[derive(Debug, Clone)]
pub struct AuditLog {
    db: DatabaseConnection,
}

impl AuditLog {
    /// The log in `db`.
    pub fn new(db: DatabaseConnection) -> Self {
        Self { db }
    }

    /// One page of the log, newest first; `after` is the last entry of the page before.
    ///
    /// # Errors
    /// Who asks is not an owner.
    pub async fn page(&self, user: UserId, after: Option<AuditId>) -> Result<AuditPage> {
        check_owner(&self.db, user).await?;
        let before = after.map_or(Uuid::max(), |after| after.0);
        // One more than shown tells whether there is a next page.
        let mut rows = audit_log::Entity::older_than(before).limit(PAGE + 1).all(&self.db).await?;
        let more = rows.len() as u64 > PAGE;
        rows.truncate(PAGE as usize);
        let next = rows.last().filter(|_| more).map(|row| AuditId(row.id));
        let entries = rows.into_iter().map(shown).collect::<Result<_>>()?;
        Ok(AuditPage { entries, next })
    }

    /// Forgets what has been kept long enough.
    ///
    /// # Errors
    /// The database fails.
    pub async fn forget_old(&self) -> Result<()> {
        audit_log::Entity::delete_before(now_ms() - KEPT_DAYS * DAY_MS).exec(&self.db).await?;
        Ok(())
    }
}

fn shown(row: audit_log::Model) -> Result<AuditEntry> {
    let kind = AuditKind::parse(&row.kind).ok_or_else(|| Error::broken(format!("an unknown kind of act: {}", row.kind)))?;
    let detail = serde_json::from_str(&row.detail).map_err(|error| Error::broken(format!("the detail of an act: {error}")))?;
    Ok(AuditEntry { id: AuditId(row.id), at_ms: row.at_ms, actor: row.actor, kind, subject: row.subject, address: row.address, detail })
}
