//! API keys: made, listed, revoked, and recognised. A secret is 32 random bytes behind `mr_`; it is shown once and stored hashed.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use domain::{
    account::{ApiKey, NewApiKey},
    error::Problem,
    ids::{ApiKeyId, UserId},
    upload::clean_title,
};
use sea_orm::{
    ActiveValue::Set, ColumnTrait, DatabaseConnection, EntityTrait, ModelTrait, PaginatorTrait, QueryFilter, QueryOrder, Select,
    sea_query::Expr,
};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::{clock::now_ms, db::entity::api_keys, error::Result};

const PREFIX: &str = "mr_";
/// Keys an account may have; more than anybody needs, fewer than would hurt.
const MAX_KEYS: u64 = 100;
/// The last use is noted to the minute, so that a busy key does not write at every request.
const LAST_USE_STEP_MS: i64 = 60_000;

/// API keys.
#[derive(Debug, Clone)]
pub struct ApiKeys {
    db: DatabaseConnection,
}

fn hash(secret: &str) -> String {
    Sha256::digest(secret).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn shown(row: &api_keys::Model) -> ApiKey {
    ApiKey {
        id: ApiKeyId(row.id),
        name: row.name.clone(),
        prefix: row.prefix.clone(),
        created_at_ms: row.created_at_ms,
        last_used_at_ms: row.last_used_at_ms,
    }
}

/// The keys of an account, newest first.
pub fn list_query(user: UserId) -> Select<api_keys::Entity> {
    api_keys::Entity::of(user.0).order_by_desc(api_keys::Column::Id)
}

impl ApiKeys {
    /// Keys in `db`.
    pub fn new(db: DatabaseConnection) -> Self {
        Self { db }
    }

    /// Makes a key.
    ///
    /// # Errors
    /// The name is empty, or the account has too many keys.
    pub async fn create(&self, user: UserId, name: &str) -> Result<NewApiKey> {
        let name = clean_title(name).ok_or_else(|| Problem::invalid("Give the key a name, so that you know it again."))?;
        if api_keys::Entity::of(user.0).count(&self.db).await? >= MAX_KEYS {
            return Err(Problem::invalid(format!("An account has at most {MAX_KEYS} keys. Revoke one first.")).into());
        }
        let secret = format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>()));
        let row = api_keys::Model {
            id: Uuid::now_v7(),
            user_id: user.0,
            name,
            prefix: secret.chars().take(PREFIX.len() + 6).collect(),
            secret_hash: hash(&secret),
            created_at_ms: now_ms(),
            last_used_at_ms: None,
        };
        let key = shown(&row);
        let row = api_keys::ActiveModel {
            id: Set(row.id),
            user_id: Set(row.user_id),
            name: Set(row.name),
            prefix: Set(row.prefix),
            secret_hash: Set(row.secret_hash),
            created_at_ms: Set(row.created_at_ms),
            last_used_at_ms: Set(None),
        };
        api_keys::Entity::insert(row).exec_without_returning(&self.db).await?;
        Ok(NewApiKey { key, secret })
    }

    /// The account's keys, newest first.
    ///
    /// # Errors
    /// The database fails.
    pub async fn list(&self, user: UserId) -> Result<Vec<ApiKey>> {
        let rows = list_query(user).all(&self.db).await?;
        Ok(rows.iter().map(shown).collect())
    }

    /// Revokes a key at once.
    ///
    /// # Errors
    /// The account has no such key.
    pub async fn revoke(&self, user: UserId, key: ApiKeyId) -> Result<()> {
        let row = api_keys::Entity::of(user.0).filter(api_keys::Column::Id.eq(key.0)).one(&self.db).await?;
        row.ok_or_else(Problem::not_found)?.delete(&self.db).await?;
        Ok(())
    }

    /// Whose secret this is, if it is anybody's.
    ///
    /// # Errors
    /// The database fails.
    pub async fn recognise(&self, secret: &str) -> Result<Option<UserId>> {
        if !secret.starts_with(PREFIX) {
            return Ok(None);
        }
        // A look-up by hash: timing tells nothing about the secret, which an attacker would have to hash to.
        let row = api_keys::Entity::find().filter(api_keys::Column::SecretHash.eq(hash(secret))).one(&self.db).await?;
        let Some(row) = row else { return Ok(None) };
        let now = now_ms();
        if row.last_used_at_ms.is_none_or(|last| now - last >= LAST_USE_STEP_MS) {
            api_keys::Entity::update_many()
                .col_expr(api_keys::Column::LastUsedAtMs, Expr::value(now))
                .filter(api_keys::Column::Id.eq(row.id))
                .exec(&self.db)
                .await?;
        }
        Ok(Some(UserId(row.user_id)))
    }
}
