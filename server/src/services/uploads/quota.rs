//! How much an account may store and how many files it may have on their way.
//!
//! What counts is the size of every file that a video of the account's was or will be made of, as declared until it has arrived. It is
//! counted in the transaction that adds to it, under a lock on the account, so that of any number of requests at once none goes over.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use domain::{
    error::{Code, Problem},
    ids::UserId,
    upload::{PART_SIZE, bytes_in_words},
    video::Stage,
};
use futures::{StreamExt, TryStreamExt};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DatabaseConnection, EntityTrait, ExprTrait, FromQueryResult, QuerySelect, Select,
    sea_query::{CaseStatement, Expr},
};
use uuid::Uuid;

use super::UploadLimits;
use crate::{
    db::entity::{users, videos},
    error::Result,
    ports::blob_store::ByteStream,
};

/// What an account has.
#[derive(Debug, Clone, Copy, Default, FromQueryResult)]
pub struct Usage {
    bytes: Option<i64>,
    unfinished: Option<i64>,
}

/// Asks for the [`Usage`] of an account.
pub fn usage_query(user: UserId) -> Select<videos::Entity> {
    let on_its_way = CaseStatement::new().case(videos::Column::Stage.eq(Stage::Uploading.as_str()), Expr::value(1)).finally(Expr::value(0));
    videos::Entity::of(user.0)
        .select_only()
        // Sums of large integers are decimals on PostgreSQL.
        .column_as(Expr::col(videos::Column::SizeBytes).sum().cast_as("bigint"), "bytes")
        .column_as(Expr::expr(on_its_way).sum().cast_as("bigint"), "unfinished")
}

impl Usage {
    /// What `user` has, seen by `db`.
    pub(super) async fn of(db: &impl ConnectionTrait, user: UserId) -> Result<Self> {
        Ok(usage_query(user).into_model::<Self>().one(db).await?.unwrap_or_default())
    }

    /// The same, and nobody else adds to it before the transaction ends.
    pub(super) async fn locked(transaction: &impl ConnectionTrait, user: UserId) -> Result<Self> {
        let account = users::Entity::find_by_id(user.0).select_only().column(users::Column::Id).lock_exclusive();
        account.into_tuple::<Uuid>().one(transaction).await?;
        Self::of(transaction, user).await
    }

    fn bytes(self) -> u64 {
        self.bytes.unwrap_or(0).unsigned_abs()
    }

    /// Whether `more` bytes fit.
    pub(super) fn check_bytes(self, limits: &UploadLimits, more: u64) -> std::result::Result<(), Problem> {
        let (used, quota) = (self.bytes(), limits.quota);
        let over = used.saturating_add(more).saturating_sub(quota);
        if quota == 0 || over == 0 {
            return Ok(());
        }
        Err(Problem::new(
            Code::QuotaExceeded,
            format!(
                "Your videos take {} of the {} that you may store. Delete videos of {} or more, then try again.",
                bytes_in_words(used),
                bytes_in_words(quota),
                bytes_in_words(over)
            ),
        ))
    }

    /// Whether one more upload may begin.
    pub(super) fn check_count(self, limits: &UploadLimits) -> std::result::Result<(), Problem> {
        let unfinished = self.unfinished.unwrap_or(0).unsigned_abs();
        if limits.max_unfinished == 0 || unfinished < limits.max_unfinished {
            return Ok(());
        }
        let detail = format!("You have {unfinished} uploads that are not complete. Complete or delete some of them, then try again.");
        Err(Problem::new(Code::TooManyUploads, detail))
    }
}

/// Bytes that arrive in one request, without a declared size: they are counted as they come, over all requests of an account in this
/// process, until they are a video's or are forgotten.
#[derive(Debug, Clone, Default)]
pub(super) struct Arriving(Arc<Mutex<HashMap<UserId, u64>>>);

impl Arriving {
    /// Adds to what arrives for an account; gives all of it.
    fn add(&self, user: UserId, bytes: u64) -> u64 {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let own = all.entry(user).or_default();
        *own = own.saturating_add(bytes);
        *own
    }

    fn give_back(&self, user: UserId, bytes: u64) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(own) = all.get_mut(&user) {
            *own = own.saturating_sub(bytes);
            if *own == 0 {
                all.remove(&user);
            }
        }
    }

    /// What arrives for an account now.
    pub(super) fn of(&self, user: UserId) -> u64 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&user).copied().unwrap_or(0)
    }
}

/// What one request has taken up; given back when it is dropped.
#[derive(Debug)]
pub(super) struct Taken {
    db: DatabaseConnection,
    limits: UploadLimits,
    arriving: Arriving,
    user: UserId,
    bytes: AtomicU64,
    /// What the account may still store, as last looked up.
    room: AtomicU64,
    refusal: OnceLock<Problem>,
}

impl Taken {
    pub(super) fn new(db: DatabaseConnection, limits: UploadLimits, arriving: Arriving, user: UserId) -> Arc<Self> {
        let (bytes, room) = (AtomicU64::new(0), AtomicU64::new(0));
        Arc::new(Self { db, limits, arriving, user, bytes, room, refusal: OnceLock::new() })
    }

    /// The body, which ends in an error where the account has no room for more of it.
    pub(super) fn within_quota(self: &Arc<Self>, body: ByteStream) -> ByteStream {
        if self.limits.quota == 0 {
            return body;
        }
        let taken = Arc::clone(self);
        let counted = body.and_then(move |piece| {
            let taken = Arc::clone(&taken);
            async move {
                taken.take(piece.len() as u64).await?;
                Ok(piece)
            }
        });
        counted.boxed()
    }

    async fn take(&self, bytes: u64) -> std::io::Result<()> {
        let before = self.bytes.fetch_add(bytes, Ordering::Relaxed);
        let arriving = self.arriving.add(self.user, bytes);
        // Other uploads begin meanwhile: looked up again as often as a part would be, which is what the account may go over by.
        if before == 0 || before / PART_SIZE != (before + bytes) / PART_SIZE {
            let usage = Usage::of(&self.db, self.user).await.map_err(std::io::Error::other)?;
            self.room.store(self.limits.quota.saturating_sub(usage.bytes()), Ordering::Relaxed);
        }
        if arriving > self.room.load(Ordering::Relaxed) {
            let usage = Usage::of(&self.db, self.user).await.map_err(std::io::Error::other)?;
            if let Err(problem) = usage.check_bytes(&self.limits, arriving) {
                let _ = self.refusal.set(problem);
                return Err(std::io::Error::other("over the account's quota"));
            }
        }
        Ok(())
    }

    /// Why the body was cut, where it was.
    pub(super) fn refusal(&self) -> Option<Problem> {
        self.refusal.get().cloned()
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.arriving.give_back(self.user, self.bytes.load(Ordering::Relaxed));
    }
}
