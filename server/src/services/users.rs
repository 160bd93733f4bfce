//! The people of a server, as its owners see and manage them.
//!
//! Owners never act on their own account here. So whoever has just done something is still an owner, and at least one always remains. Acts
//! take turns on one row, and look at who acts when it is theirs.

use std::collections::HashMap;

use domain::{
    account::{PeoplePage, Person, Role},
    audit::AuditKind,
    error::{Code, Problem},
    ids::{UserId, VideoId},
};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DatabaseConnection, DatabaseTransaction, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder,
    QuerySelect, Select,
    sea_query::{Expr, ExprTrait},
};
use uuid::Uuid;

use crate::{
    clock::now_ms,
    db::{
        begin_write,
        entity::{api_keys, turns, users, videos},
    },
    error::{Error, Result},
    services::{
        audit_log::{Act, Actor},
        sessions::end_all,
        videos::Videos,
    },
};

const PAGE: u64 = 50;
/// Videos of a leaving account that are deleted before its owner gets an answer, and between two looks at the clock.
const BATCH: u64 = 50;

/// The people.
#[derive(Debug, Clone)]
pub struct Users {
    db: DatabaseConnection,
    videos: Videos,
}

/// Refuses who is not an owner.
///
/// # Errors
/// The account is a member's, or cannot come in.
pub async fn check_owner(db: &impl ConnectionTrait, user: UserId) -> Result<()> {
    let row = users::Entity::find_by_id(user.0).one(db).await?.filter(|row| row.disabled_at_ms.is_none());
    let row = row.ok_or_else(Problem::unauthenticated)?;
    if row.role != Role::Owner.as_str() {
        return Err(Problem::new(Code::Forbidden, "Only an owner of this server may do this. Ask one of them.").into());
    }
    Ok(())
}

/// The role in a row.
///
/// # Errors
/// It cannot be read.
pub fn role(row: &users::Model) -> Result<Role> {
    Role::parse(&row.role).ok_or_else(|| Error::broken(format!("an unknown role: {}", row.role)))
}

/// A page of the people, in the order in which they came, behind `after` where it is given.
pub fn page_query(after: Option<UserId>, limit: u64) -> Select<users::Entity> {
    let after = after.map_or(Uuid::nil(), |after| after.0);
    users::Entity::find().filter(users::Column::Id.gt(after)).order_by_asc(users::Column::Id).limit(limit)
}

/// How many videos these people have, and of how many bytes.
pub fn totals_query(people: Vec<Uuid>) -> Select<videos::Entity> {
    videos::Entity::find()
        .select_only()
        .column(videos::Column::UserId)
        .column_as(videos::Column::Id.count(), "videos")
        .column_as(Expr::col(videos::Column::SizeBytes).sum().cast_as("bigint"), "bytes")
        .filter(videos::Column::UserId.is_in(people))
        .group_by(videos::Column::UserId)
}

impl Users {
    /// The people in `db`; their videos go by `videos`.
    pub fn new(db: DatabaseConnection, videos: Videos) -> Self {
        Self { db, videos }
    }

    /// One page of the people; `after` is the last of the page before.
    ///
    /// # Errors
    /// Who asks is not an owner.
    pub async fn page(&self, user: UserId, after: Option<UserId>) -> Result<PeoplePage> {
        check_owner(&self.db, user).await?;
        let mut rows = page_query(after, PAGE + 1).all(&self.db).await?;
        let more = rows.len() as u64 > PAGE;
        rows.truncate(PAGE as usize);
        let next = rows.last().filter(|_| more).map(|row| UserId(row.id));
        let counted = totals_query(rows.iter().map(|row| row.id).collect());
        let totals: Vec<(Uuid, i64, i64)> = counted.into_tuple().all(&self.db).await?;
        let totals: HashMap<Uuid, (i64, i64)> = totals.into_iter().map(|(user, videos, bytes)| (user, (videos, bytes))).collect();
        let people = rows.iter().map(|row| person(row, totals.get(&row.id).copied().unwrap_or_default())).collect::<Result<_>>()?;
        Ok(PeoplePage { people, next })
    }

    /// Gives somebody a role.
    ///
    /// # Errors
    /// Who asks is not an owner, or it is their own account, or there is no such account.
    pub async fn set_role(&self, actor: Actor, user: UserId, role: Role) -> Result<()> {
        let (transaction, row) = self.turn(actor, user).await?;
        set(&transaction, user, users::Column::Role, Expr::value(role.as_str())).await?;
        Act::of(actor, AuditKind::RoleChanged).on(row.email).with("role", role.as_str()).note(&transaction).await?;
        Ok(transaction.commit().await?)
    }

    /// Shuts somebody out: no signing in, no session, no key works from now on, and nothing of theirs plays, by whatever link.
    ///
    /// # Errors
    /// As [`Self::set_role`].
    pub async fn disable(&self, actor: Actor, user: UserId) -> Result<()> {
        let (transaction, row) = self.turn(actor, user).await?;
        set(&transaction, user, users::Column::DisabledAtMs, Expr::value(now_ms())).await?;
        end_all(&transaction, user).await?;
        Act::of(actor, AuditKind::AccountDisabled).on(row.email).note(&transaction).await?;
        transaction.commit().await?;
        self.videos.look_at_accounts().await;
        Ok(())
    }

    /// Lets somebody in again; their keys and what they have shared work as before.
    ///
    /// # Errors
    /// As [`Self::set_role`].
    pub async fn enable(&self, actor: Actor, user: UserId) -> Result<()> {
        let (transaction, row) = self.turn(actor, user).await?;
        set(&transaction, user, users::Column::DisabledAtMs, Expr::value(None::<i64>)).await?;
        Act::of(actor, AuditKind::AccountEnabled).on(row.email).note(&transaction).await?;
        transaction.commit().await?;
        self.videos.look_at_accounts().await;
        Ok(())
    }

    /// Deletes an account with its videos. It is shut out at once; a first batch of its videos goes now and the rest with the worker's
    /// tidying, so that a crash on the way leaves nothing behind.
    ///
    /// # Errors
    /// As [`Self::set_role`].
    pub async fn delete(&self, actor: Actor, user: UserId) -> Result<()> {
        let (transaction, row) = self.turn(actor, user).await?;
        for column in [users::Column::DisabledAtMs, users::Column::LeavingAtMs] {
            set(&transaction, user, column, Expr::value(now_ms())).await?;
        }
        end_all(&transaction, user).await?;
        api_keys::Entity::delete_many().filter(api_keys::Column::UserId.eq(user.0)).exec(&transaction).await?;
        let videos = videos::Entity::of(user.0).count(&transaction).await?;
        let act = Act::of(actor, AuditKind::AccountDeleted).on(row.email).with("videos", videos.to_string());
        act.note(&transaction).await?;
        transaction.commit().await?;
        self.videos.look_at_accounts().await;
        if let Err(error) = self.delete_batch(user).await {
            // It is decided and noted: nobody has to ask again.
            tracing::warn!(%error, "cannot delete the videos of an account that goes yet; a worker goes on with it");
        }
        Ok(())
    }

    /// Goes on with all deletions that were begun.
    ///
    /// # Errors
    /// The database or the store fails.
    pub async fn finish_leaving(&self) -> Result<()> {
        for row in users::Entity::leaving().all(&self.db).await? {
            while !self.delete_batch(UserId(row.id)).await? {}
        }
        Ok(())
    }

    /// Deletes some of the videos of a leaving account, and the account when none is left. Says whether it is gone.
    async fn delete_batch(&self, user: UserId) -> Result<bool> {
        let some = videos::Entity::of(user.0).select_only().column(videos::Column::Id).limit(BATCH);
        let some: Vec<Uuid> = some.into_tuple().all(&self.db).await?;
        for video in some {
            match self.videos.delete_with_account(user, VideoId(video)).await {
                // Another process is at it as well.
                Err(Error::Problem(problem)) if problem.code == Code::NotFound => {}
                other => other?,
            }
        }
        self.videos.work_off_removals().await;
        let transaction = begin_write(&self.db).await?;
        // Under the lock of its row nobody adds a video to it; one that came in the meantime is seen here.
        let row = users::Entity::find_by_id(user.0).lock_exclusive().one(&transaction).await?;
        if row.is_none_or(|row| row.leaving_at_ms.is_none()) {
            return Ok(true);
        }
        if videos::Entity::of(user.0).count(&transaction).await? > 0 {
            return Ok(false);
        }
        users::Entity::delete_by_id(user.0).exec(&transaction).await?;
        transaction.commit().await?;
        Ok(true)
    }

    /// Waits for the turn to change something about `user`.
    async fn turn(&self, actor: Actor, user: UserId) -> Result<(DatabaseTransaction, users::Model)> {
        let transaction = begin_write(&self.db).await?;
        let turn = turns::Entity::first_owner().one(&transaction).await?;
        turn.ok_or_else(|| Error::broken("the row that owners take turns on is gone"))?;
        check_owner(&transaction, actor.user).await?;
        if actor.user == user {
            let own = "You cannot do this to your own account. Another owner of this server can.";
            return Err(Problem::new(Code::Conflict, own).into());
        }
        let row = users::Entity::find_by_id(user.0).lock_exclusive().one(&transaction).await?;
        let row = row.filter(|row| row.leaving_at_ms.is_none()).ok_or_else(Problem::not_found)?;
        Ok((transaction, row))
    }
}

async fn set(db: &impl ConnectionTrait, user: UserId, column: users::Column, value: Expr) -> Result<()> {
    users::Entity::update_many().col_expr(column, value).filter(users::Column::Id.eq(user.0)).exec(db).await?;
    Ok(())
}

fn person(row: &users::Model, (videos, bytes): (i64, i64)) -> Result<Person> {
    Ok(Person {
        id: UserId(row.id),
        email: row.email.clone(),
        role: role(row)?,
        disabled_at_ms: row.disabled_at_ms,
        leaving: row.leaving_at_ms.is_some(),
        created_at_ms: i64::try_from(row.created_at.unix_timestamp_nanos() / 1_000_000).unwrap_or_default(),
        videos: videos.unsigned_abs(),
        bytes: bytes.unsigned_abs(),
    })
}
