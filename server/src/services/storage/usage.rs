//! Who has taken up what: added up from the rows, never by walking through a disk.

use domain::{
    error::Problem,
    ids::UserId,
    storage_use::{AccountUse, DiskUse, ServerUse, StorageUse},
    video::Stage,
};
use sea_orm::{
    ColumnTrait, EntityTrait, ExprTrait, FromQueryResult, PaginatorTrait, QueryFilter, QuerySelect, Select,
    sea_query::{CaseStatement, Expr},
};
use uuid::Uuid;

use super::Storage;
use crate::{
    db::entity::{removals, users, videos},
    error::{Error, Result},
    services::users::check_owner,
};

/// Accounts that an owner sees one by one.
const SHOWN: usize = 100;
/// Addresses asked for in one statement.
const AT_ONCE: usize = 500;

/// Sums of one account.
#[derive(Debug, Clone, Copy, Default, FromQueryResult)]
struct Sums {
    user_id: Uuid,
    videos: i64,
    sources: Option<i64>,
    renditions: Option<i64>,
    unfinished: Option<i64>,
}

fn sums(videos: Select<videos::Entity>) -> Select<videos::Entity> {
    let column = |column: videos::Column| Expr::col((videos::Entity, column));
    let uploading = || videos::Column::Stage.eq(Stage::Uploading.as_str());
    // A source that was let go of takes up nothing.
    let here = videos::Column::S3InputUrl.is_not_null();
    let source = CaseStatement::new().case(here, column(videos::Column::SizeBytes)).finally(Expr::value(0_i64));
    let unfinished = CaseStatement::new().case(uploading(), column(videos::Column::SizeBytes)).finally(Expr::value(0_i64));
    videos
        .select_only()
        .column(videos::Column::UserId)
        .column_as(videos::Column::Id.count(), "videos")
        // Sums of large integers are decimals on PostgreSQL.
        .column_as(Expr::expr(source).sum().cast_as("bigint"), "sources")
        .column_as(column(videos::Column::PublishedBytes).sum().cast_as("bigint"), "renditions")
        .column_as(Expr::expr(unfinished).sum().cast_as("bigint"), "unfinished")
        .group_by(videos::Column::UserId)
}

/// What one account has stored.
pub fn account_query(user: UserId) -> Select<videos::Entity> {
    sums(videos::Entity::of(user.0))
}

/// What every account has stored.
pub fn accounts_query() -> Select<videos::Entity> {
    sums(videos::Entity::find())
}

impl Sums {
    fn shown(self, email: String) -> AccountUse {
        let bytes = |sum: Option<i64>| sum.unwrap_or(0).unsigned_abs();
        AccountUse {
            email,
            videos: self.videos.unsigned_abs(),
            sources: bytes(self.sources),
            renditions: bytes(self.renditions),
            unfinished: bytes(self.unfinished),
        }
    }
}

impl Storage {
    /// What `user` sees: their own, and, as an owner of the server, everybody's.
    ///
    /// # Errors
    /// The database fails.
    pub async fn used(&self, user: UserId) -> Result<StorageUse> {
        let row = users::Entity::find_by_id(user.0).one(&self.db).await?.ok_or_else(Problem::unauthenticated)?;
        let own = account_query(user).into_model::<Sums>().one(&self.db).await?.unwrap_or_default().shown(row.email);
        let server = match check_owner(&self.db, user).await {
            Ok(()) => Some(self.server().await?),
            Err(Error::Problem(_)) => None,
            Err(error) => return Err(error),
        };
        Ok(StorageUse { own, quota: self.limits.quota, server })
    }

    async fn server(&self) -> Result<ServerUse> {
        let mut sums = accounts_query().into_model::<Sums>().all(&self.db).await?;
        sums.sort_by_key(|sums| std::cmp::Reverse(sums.shown(String::new()).total()));
        let mut all = AccountUse::default();
        for one in sums.iter().map(|sums| sums.shown(String::new())) {
            all.videos += one.videos;
            all.sources += one.sources;
            all.renditions += one.renditions;
            all.unfinished += one.unfinished;
        }
        let more_accounts = sums.len().saturating_sub(SHOWN) as u64;
        sums.truncate(SHOWN);
        let disk = self.room_of_store().await.map(|room| DiskUse { total: room.total, free: room.free, low_water: self.low_water(room) });
        Ok(ServerUse {
            place: self.store.to_string(),
            disk,
            accounts: self.named(sums).await?,
            more_accounts,
            all,
            removals: removals::Entity::find().count(&self.db).await?,
            last_audit: self.audit.last().await?,
            checking: self.audit.is_running(),
        })
    }

    async fn named(&self, sums: Vec<Sums>) -> Result<Vec<AccountUse>> {
        let mut emails = std::collections::HashMap::new();
        for some in sums.chunks(AT_ONCE) {
            let ids = some.iter().map(|sums| sums.user_id);
            let query = users::Entity::find().select_only().columns([users::Column::Id, users::Column::Email]);
            emails.extend(query.filter(users::Column::Id.is_in(ids)).into_tuple::<(Uuid, String)>().all(&self.db).await?);
        }
        Ok(sums.into_iter().filter_map(|sums| Some(sums.shown(emails.remove(&sums.user_id)?))).collect())
    }

    /// Begins a check of the store for an owner.
    ///
    /// # Errors
    /// The account is no owner, or a check is running.
    pub async fn start_check(&self, user: UserId) -> Result<()> {
        self.audit.start(user).await
    }
}
