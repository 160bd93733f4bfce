//! Sessions: a random id in an HttpOnly cookie, its hash in the database, so that they survive a restart and a stolen table opens none.

use std::{collections::HashMap, net::IpAddr};

use domain::ids::UserId;
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, DatabaseConnection, EntityTrait, QueryFilter,
    sea_query::{Expr, OnConflict},
};
use serde::{Deserialize, Serialize};
pub use tower_sessions::Session;
use tower_sessions::{
    Expiry, SessionManagerLayer, SessionStore,
    cookie::SameSite,
    session::{Id, Record},
    session_store,
};

use crate::{
    clock::now_ms,
    config::Settings,
    db::{entity::sessions, passing},
    error::Result,
};

const USER: &str = "user";
const OPENED: &str = "opened";
const EPOCH: &str = "epoch";
/// The last request is noted to the minute, so that not every request writes.
const LAST_SEEN_STEP_MS: i64 = 60_000;

/// What a session was opened with.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Opened {
    /// Browser and system, in words.
    device: String,
    /// Where the request came from.
    address: String,
    /// Milliseconds of the Unix epoch.
    at_ms: i64,
}

impl Opened {
    /// Opened now, by a browser that calls itself this, from this address.
    pub fn now(user_agent: &str, address: IpAddr) -> Self {
        Self { device: domain::device::device(user_agent), address: address.to_string(), at_ms: now_ms() }
    }
}

/// Sessions in our database.
#[derive(Debug, Clone)]
pub struct DbSessions {
    db: DatabaseConnection,
}

/// The layer that gives requests their session. The cookie is `__Host-` bound where users come over HTTPS.
pub fn layer(db: DatabaseConnection, settings: &Settings) -> SessionManagerLayer<DbSessions> {
    let https = settings.https();
    SessionManagerLayer::new(DbSessions { db })
        .with_name(if https { "__Host-millrace" } else { "millrace" })
        .with_secure(https)
        .with_http_only(true)
        .with_same_site(SameSite::Lax)
        .with_path("/")
        .with_expiry(Expiry::OnInactivity(time::Duration::days(settings.session.days)))
}

/// Who is signed in.
///
/// # Errors
/// The session store fails.
pub async fn user(session: &Session) -> Result<Option<UserId>> {
    Ok(session.get::<UserId>(USER).await?)
}

/// What the session is called in lists; see [`domain::account::SignedIn`].
pub fn handle(session: &Session) -> String {
    session.id().map(|id| sessions::hash_id(&id.to_string())).unwrap_or_default()
}

/// Signs somebody in, under a new session id, so that an id planted before is worth nothing. `epoch` is the one that was read with the
/// password: where all sessions have been ended since, this one never stands.
///
/// # Errors
/// The session store fails.
pub async fn sign_in(session: &Session, user: UserId, epoch: i64, opened: Opened) -> Result<()> {
    session.cycle_id().await?;
    session.insert(OPENED, opened).await?;
    session.insert(EPOCH, epoch).await?;
    session.insert(USER, user).await?;
    Ok(())
}

/// Goes on under a new session id, in a new epoch: the old one, if anybody else has it, is worth nothing from now on.
///
/// # Errors
/// The session store fails.
pub async fn renew(session: &Session, epoch: i64) -> Result<()> {
    session.cycle_id().await?;
    Ok(session.insert(EPOCH, epoch).await?)
}

/// Ends the session.
///
/// # Errors
/// The session store fails.
pub async fn sign_out(session: &Session) -> Result<()> {
    Ok(session.flush().await?)
}

fn failed(error: impl std::fmt::Display) -> session_store::Error {
    session_store::Error::Backend(error.to_string())
}

fn row(record: &Record) -> session_store::Result<sessions::ActiveModel> {
    let user: Option<UserId> = record.data.get(USER).and_then(|value| serde_json::from_value(value.clone()).ok());
    let epoch = record.data.get(EPOCH).and_then(serde_json::Value::as_i64).unwrap_or_default();
    let opened: Opened = record.data.get(OPENED).and_then(|value| serde_json::from_value(value.clone()).ok()).unwrap_or_default();
    Ok(sessions::ActiveModel {
        id_hash: Set(sessions::hash_id(&record.id.to_string())),
        user_id: Set(user.map(|user| user.0)),
        data: Set(serde_json::to_string(&record.data).map_err(|error| session_store::Error::Encode(error.to_string()))?),
        expires_at_ms: Set(record.expiry_date.unix_timestamp() * 1_000),
        device: Set(opened.device),
        address: Set(opened.address),
        since_ms: Set(opened.at_ms),
        last_seen_ms: Set(now_ms()),
        epoch: Set(epoch),
    })
}

#[async_trait::async_trait]
impl SessionStore for DbSessions {
    async fn create(&self, record: &mut Record) -> session_store::Result<()> {
        // 128 random bits do not collide; if they did, the insert would fail and nobody would get another's session.
        sessions::Entity::insert(row(record)?).exec_without_returning(&self.db).await.map_err(failed)?;
        // Sessions that have run out go when new ones come.
        sessions::Entity::delete_expired(now_ms()).exec(&self.db).await.map_err(failed)?;
        Ok(())
    }

    async fn save(&self, record: &Record) -> session_store::Result<()> {
        let update = OnConflict::column(sessions::Column::IdHash)
            .update_columns([sessions::Column::UserId, sessions::Column::Data, sessions::Column::ExpiresAtMs, sessions::Column::Epoch])
            .to_owned();
        sessions::Entity::insert(row(record)?).on_conflict(update).exec_without_returning(&self.db).await.map_err(failed)?;
        Ok(())
    }

    async fn load(&self, id: &Id) -> session_store::Result<Option<Record>> {
        let now = now_ms();
        let found = sessions::Entity::standing(&sessions::hash_id(&id.to_string()), now).one(&self.db).await.map_err(failed)?;
        let Some(found) = found else { return Ok(None) };
        if found.user_id.is_some() && now - found.last_seen_ms >= LAST_SEEN_STEP_MS {
            let seen = sessions::Entity::update_many().col_expr(sessions::Column::LastSeenMs, Expr::value(now));
            let (seen, db) = (seen.filter(sessions::Column::IdHash.eq(&found.id_hash)), self.db.clone());
            passing::note(async move { seen.exec(&db).await }).await;
        }
        let data: HashMap<String, serde_json::Value> =
            serde_json::from_str(&found.data).map_err(|error| session_store::Error::Decode(error.to_string()))?;
        let expiry_date = time::OffsetDateTime::from_unix_timestamp(found.expires_at_ms / 1_000).map_err(failed)?;
        Ok(Some(Record { id: *id, data, expiry_date }))
    }

    async fn delete(&self, id: &Id) -> session_store::Result<()> {
        sessions::Entity::delete_by_id(sessions::hash_id(&id.to_string())).exec(&self.db).await.map_err(failed)?;
        Ok(())
    }
}
