//! Who asks: by API key or by session cookie. Server functions and REST handlers use the same extractors.
//!
//! What a handler asks for says what a key needs: [`Reading`], [`Uploading`], or [`Viewer`], which takes everything. So a handler that says
//! nothing more is closed to keys that may do less. A session may do everything.

use std::time::Instant;

use axum::{
    extract::{FromRef, FromRequestParts},
    http::{header, request::Parts},
};
use domain::{
    account::Scope,
    error::Problem,
    ids::{ApiKeyId, UserId},
};

use super::{
    AppState,
    last_sender::LastSender,
    problem::Refusal,
    session::{self, Session},
};

/// Somebody known, who may do everything that the account may.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Viewer {
    /// The account.
    pub user: UserId,
    /// How they are known.
    pub credential: Credential,
}

/// How somebody is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credential {
    /// By a session: the one with this handle.
    Session(String),
    /// By an API key, which may do this much.
    Key(ApiKeyId, Scope),
}

/// Somebody known who may read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reading(pub Viewer);

/// Somebody known who may upload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Uploading(pub Viewer);

/// Somebody, known or not. Wrong credentials are refused all the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MaybeViewer(pub Option<Viewer>);

impl Viewer {
    /// Refuses a key that may not do what needs `scope`.
    fn check(&self, scope: Scope) -> Result<(), Problem> {
        match &self.credential {
            Credential::Session(_) => Ok(()),
            Credential::Key(_, granted) => granted.check(scope),
        }
    }

    /// Whether what they are known by still stands: a session may have been ended and a key revoked since.
    ///
    /// # Errors
    /// The database fails.
    pub async fn still_known(&self, state: &AppState) -> crate::error::Result<bool> {
        match &self.credential {
            Credential::Session(handle) => state.sessions.stands(handle).await,
            Credential::Key(key, _) => state.api_keys.works(*key).await,
        }
    }
}

impl<S> FromRequestParts<S> for MaybeViewer
where
    S: Send + Sync,
    AppState: FromRef<S>,
{
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        // Whoever counted the request has looked already.
        if let Some(known) = parts.extensions.get::<Self>() {
            return Ok(known.clone());
        }
        let (last, asked) = (LastSender::of(parts), Instant::now());
        if let Some(viewer) = last.as_ref().and_then(|last| last.known(&parts.headers, asked)) {
            return Ok(Self(Some(viewer)));
        }
        let known = recognise(parts, state).await?;
        if let Some((last, viewer)) = last.zip(known.as_ref()) {
            last.note(&parts.headers, viewer, asked);
        }
        Ok(Self(known))
    }
}

/// Looks up whom a request comes from.
async fn recognise<S>(parts: &Parts, state: &S) -> Result<Option<Viewer>, Refusal>
where
    S: Send + Sync,
    AppState: FromRef<S>,
{
    // Other schemes are a proxy's business.
    let authorization = parts.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    if let Some(secret) = authorization.and_then(bearer) {
        let holder = AppState::from_ref(state).api_keys.recognise(secret.trim()).await?.ok_or_else(Problem::unauthenticated)?;
        return Ok(Some(Viewer { user: holder.user, credential: Credential::Key(holder.key, holder.scope) }));
    }
    let Some(session) = parts.extensions.get::<Session>() else { return Ok(None) };
    let user = session::user(session).await?;
    Ok(user.map(|user| Viewer { user, credential: Credential::Session(session::handle(session)) }))
}

/// The secret in a header of the scheme `Bearer`, whose name is the same in any case.
fn bearer(value: &str) -> Option<&str> {
    let (scheme, secret) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("Bearer").then_some(secret)
}

async fn known<S>(parts: &mut Parts, state: &S, needed: Scope) -> Result<Viewer, Refusal>
where
    S: Send + Sync,
    AppState: FromRef<S>,
{
    let MaybeViewer(viewer) = MaybeViewer::from_request_parts(parts, state).await?;
    let viewer = viewer.ok_or_else(Problem::unauthenticated)?;
    viewer.check(needed)?;
    Ok(viewer)
}

impl<S> FromRequestParts<S> for Viewer
where
    S: Send + Sync,
    AppState: FromRef<S>,
{
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        known(parts, state, Scope::Manage).await
    }
}

impl<S> FromRequestParts<S> for Reading
where
    S: Send + Sync,
    AppState: FromRef<S>,
{
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        known(parts, state, Scope::Read).await.map(Self)
    }
}

impl<S> FromRequestParts<S> for Uploading
where
    S: Send + Sync,
    AppState: FromRef<S>,
{
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        known(parts, state, Scope::Upload).await.map(Self)
    }
}
