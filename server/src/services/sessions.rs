//! The sessions of an account: who is signed in where, and ending them. What a session holds and how its cookie looks is `http`'s.

use domain::{
    account::SignedIn,
    audit::AuditKind,
    error::{Code, Problem},
    ids::UserId,
};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DatabaseConnection, EntityTrait, QueryFilter, QuerySelect, Select,
    sea_query::{Expr, ExprTrait},
};

use crate::{
    clock::now_ms,
    db::{
        begin_write,
        entity::{
            sessions::{self, hash_id},
            users,
        },
    },
    error::{Error, Result},
    services::audit_log::{Act, Actor},
};

/// Sessions shown at most.
const SHOWN: u64 = 200;

/// Sessions.
#[derive(Debug, Clone)]
pub struct Sessions {
    db: DatabaseConnection,
}

/// The sessions of an account that stand at `now_ms`.
pub fn list_query(user: UserId, now_ms: i64) -> Select<sessions::Entity> {
    sessions::Entity::standing_of(user.0, now_ms).limit(SHOWN)
}

/// Ends all sessions of an account, those too that are just being opened; part of the caller's transaction. Gives how many there were.
pub(super) async fn end_all(db: &impl ConnectionTrait, user: UserId) -> Result<u64> {
    users::Entity::update_many()
        .col_expr(users::Column::SessionEpoch, Expr::col(users::Column::SessionEpoch).add(1))
        .filter(users::Column::Id.eq(user.0))
        .exec(db)
        .await?;
    Ok(sessions::Entity::delete_many().filter(sessions::Column::UserId.eq(user.0)).exec(db).await?.rows_affected)
}

impl Sessions {
    /// Sessions in `db`.
    pub fn new(db: DatabaseConnection) -> Self {
        Self { db }
    }

    /// The account's sessions, the one that asks first and then the one that was seen last. `current` is the id of the one that asks.
    ///
    /// # Errors
    /// The database fails.
    pub async fn list(&self, user: UserId, current: &str) -> Result<Vec<SignedIn>> {
        let current = hash_id(current);
        let rows = list_query(user, now_ms()).all(&self.db).await?;
        let mut list: Vec<SignedIn> = rows
            .into_iter()
            .map(|row| SignedIn {
                current: row.id_hash == current,
                handle: row.id_hash,
                device: if row.device.is_empty() { domain::device::device("") } else { row.device },
                address: row.address,
                since_ms: row.since_ms,
                last_seen_ms: row.last_seen_ms,
            })
            .collect();
        list.sort_by_key(|session| (!session.current, std::cmp::Reverse(session.last_seen_ms)));
        Ok(list)
    }

    /// Ends one session of the account.
    ///
    /// # Errors
    /// The account has no such session.
    pub async fn end(&self, actor: Actor, handle: &str) -> Result<()> {
        self.end_as(actor, handle, AuditKind::SessionEnded).await
    }

    /// Signs out: ends the session whose id this is. One that has ended in the meantime is what was asked for.
    ///
    /// # Errors
    /// The database fails.
    pub async fn sign_out(&self, actor: Actor, session: &str) -> Result<()> {
        match self.end_as(actor, &hash_id(session), AuditKind::SignedOut).await {
            Err(Error::Problem(problem)) if problem.code == Code::NotFound => Ok(()),
            other => other,
        }
    }

    async fn end_as(&self, actor: Actor, handle: &str, kind: AuditKind) -> Result<()> {
        let transaction = begin_write(&self.db).await?;
        let own = sessions::Entity::of(actor.user.0).filter(sessions::Column::IdHash.eq(handle));
        let row = own.one(&transaction).await?.ok_or_else(Problem::not_found)?;
        sessions::Entity::delete_by_id(row.id_hash).exec(&transaction).await?;
        Act::of(actor, kind).on(row.device).note(&transaction).await?;
        transaction.commit().await?;
        Ok(())
    }

    /// Ends all sessions of the account, the one that asks too.
    ///
    /// # Errors
    /// The database fails.
    pub async fn end_all(&self, actor: Actor) -> Result<()> {
        let transaction = begin_write(&self.db).await?;
        let ended = end_all(&transaction, actor.user).await?;
        let act = Act::of(actor, AuditKind::SessionEnded).on("all sessions").with("ended", ended.to_string());
        act.note(&transaction).await?;
        transaction.commit().await?;
        Ok(())
    }

    /// Whether the session still stands.
    ///
    /// # Errors
    /// The database fails.
    pub async fn stands(&self, handle: &str) -> Result<bool> {
        Ok(sessions::Entity::standing(handle, now_ms()).one(&self.db).await?.is_some())
    }
}
