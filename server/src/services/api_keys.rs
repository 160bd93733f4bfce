//! API keys: made, listed, revoked, and recognised. A secret is 32 random bytes behind `mr_`; it is shown once and stored hashed.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use domain::{
    account::{Account, ApiKey, NewApiKey, Scope},
    audit::AuditKind,
    error::Problem,
    ids::{ApiKeyId, UserId},
    upload::clean_title,
};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, DatabaseConnection, EntityTrait, IntoActiveModel, ModelTrait, PaginatorTrait, QueryFilter, QueryOrder,
    Select, sea_query::Expr,
};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::{
    clock::now_ms,
    db::{
        begin_write,
        entity::{api_keys, users},
        passing,
    },
    error::{Error, Result},
    services::audit_log::{Act, Actor},
};

const PREFIX: &str = "mr_";
/// Keys an account may have; more than anybody needs, fewer than would hurt.
const MAX_KEYS: u64 = 100;
/// The last use is noted to the minute, so that a busy key does not write at every request.
const LAST_USE_STEP_MS: i64 = 60_000;

/// Who shows a key, and what it allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyHolder {
    /// The account.
    pub user: UserId,
    /// The key.
    pub key: ApiKeyId,
    /// What it may do.
    pub scope: Scope,
}

/// API keys.
#[derive(Debug, Clone)]
pub struct ApiKeys {
    db: DatabaseConnection,
}

fn hash(secret: &str) -> String {
    Sha256::digest(secret).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn scope(row: &api_keys::Model) -> Result<Scope> {
    Scope::parse(&row.scope).ok_or_else(|| Error::broken(format!("an unknown scope: {}", row.scope)))
}

fn shown(row: &api_keys::Model) -> Result<ApiKey> {
    Ok(ApiKey {
        id: ApiKeyId(row.id),
        name: row.name.clone(),
        scope: scope(row)?,
        prefix: row.prefix.clone(),
        created_at_ms: row.created_at_ms,
        last_used_at_ms: row.last_used_at_ms,
    })
}

/// Keys that work: those of somebody who may come in.
pub fn working() -> Select<api_keys::Entity> {
    api_keys::Entity::find().filter(users::Entity::may_come_in(api_keys::Column::UserId))
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

    /// Makes a key that may do what `scope` says.
    ///
    /// # Errors
    /// The name is empty, or the account has too many keys.
    pub async fn create(&self, actor: impl Into<Actor>, name: &str, scope: Scope) -> Result<NewApiKey> {
        let actor = actor.into();
        self.make(actor.user, name, scope, Act::of(actor, AuditKind::KeyMade)).await
    }

    /// Makes a key for an account from the command line.
    ///
    /// # Errors
    /// As [`Self::create`].
    pub async fn create_as_operator(&self, account: &Account, name: &str, scope: Scope) -> Result<NewApiKey> {
        let act = Act::of_nobody(AuditKind::KeyMade, None).with("by", "command line").with("account", account.email.clone());
        self.make(account.id, name, scope, act).await
    }

    async fn make(&self, user: UserId, name: &str, scope: Scope, act: Act) -> Result<NewApiKey> {
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
            scope: scope.as_str().to_owned(),
        };
        let key = shown(&row)?;
        let transaction = begin_write(&self.db).await?;
        api_keys::Entity::insert(row.into_active_model().reset_all()).exec_without_returning(&transaction).await?;
        act.on(key.name.clone()).with("scope", scope.as_str()).note(&transaction).await?;
        transaction.commit().await?;
        Ok(NewApiKey { key, secret })
    }

    /// The account's keys, newest first.
    ///
    /// # Errors
    /// The database fails.
    pub async fn list(&self, user: UserId) -> Result<Vec<ApiKey>> {
        let rows = list_query(user).all(&self.db).await?;
        rows.iter().map(shown).collect()
    }

    /// Revokes a key at once.
    ///
    /// # Errors
    /// The account has no such key.
    pub async fn revoke(&self, actor: impl Into<Actor>, key: ApiKeyId) -> Result<()> {
        let actor = actor.into();
        let transaction = begin_write(&self.db).await?;
        let own = api_keys::Entity::of(actor.user.0).filter(api_keys::Column::Id.eq(key.0));
        let row = own.one(&transaction).await?.ok_or_else(Problem::not_found)?;
        let name = row.name.clone();
        row.delete(&transaction).await?;
        Act::of(actor, AuditKind::KeyRevoked).on(name).note(&transaction).await?;
        transaction.commit().await?;
        Ok(())
    }

    /// Whose secret this is and what it allows, if it is anybody's who may come in. Asked at every request, but for the
    /// pieces of an upload that follow one another on a connection.
    ///
    /// # Errors
    /// The database fails.
    pub async fn recognise(&self, secret: &str) -> Result<Option<KeyHolder>> {
        if !secret.starts_with(PREFIX) {
            return Ok(None);
        }
        // A look-up by hash: timing tells nothing about the secret, which an attacker would have to hash to.
        let row = working().filter(api_keys::Column::SecretHash.eq(hash(secret))).one(&self.db).await?;
        let Some(row) = row else { return Ok(None) };
        let now = now_ms();
        if row.last_used_at_ms.is_none_or(|last| now - last >= LAST_USE_STEP_MS) {
            let used = api_keys::Entity::update_many().col_expr(api_keys::Column::LastUsedAtMs, Expr::value(now));
            let (used, db) = (used.filter(api_keys::Column::Id.eq(row.id)), self.db.clone());
            passing::note(async move { used.exec(&db).await }).await;
        }
        Ok(Some(KeyHolder { user: UserId(row.user_id), key: ApiKeyId(row.id), scope: scope(&row)? }))
    }

    /// Whether the key still works.
    ///
    /// # Errors
    /// The database fails.
    pub async fn works(&self, key: ApiKeyId) -> Result<bool> {
        Ok(working().filter(api_keys::Column::Id.eq(key.0)).one(&self.db).await?.is_some())
    }
}
