//! Who asks: by API key or by session cookie. Server functions and REST handlers use the same extractors.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use axum::{
    extract::{ConnectInfo, FromRef, FromRequestParts},
    http::{header, request::Parts},
};
use domain::{error::Problem, ids::UserId};

use super::{
    AppState,
    problem::Refusal,
    session::{self, Session},
};

/// Somebody known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Viewer {
    /// The account.
    pub user: UserId,
}

/// Somebody, known or not. Wrong credentials are refused all the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MaybeViewer(pub Option<Viewer>);

/// The address a request came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientAddress(pub IpAddr);

impl<S> FromRequestParts<S> for MaybeViewer
where
    S: Send + Sync,
    AppState: FromRef<S>,
{
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        // Other schemes are a proxy's business.
        let authorization = parts.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        if let Some(secret) = authorization.and_then(|value| value.strip_prefix("Bearer ")) {
            let user = AppState::from_ref(state).api_keys.recognise(secret.trim()).await?;
            return Ok(Self(Some(Viewer { user: user.ok_or_else(Problem::unauthenticated)? })));
        }
        let Some(session) = parts.extensions.get::<Session>() else { return Ok(Self(None)) };
        Ok(Self(session::user(session).await?.map(|user| Viewer { user })))
    }
}

impl<S> FromRequestParts<S> for Viewer
where
    S: Send + Sync,
    AppState: FromRef<S>,
{
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        let MaybeViewer(viewer) = MaybeViewer::from_request_parts(parts, state).await?;
        viewer.ok_or_else(|| Refusal(Problem::unauthenticated()))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for ClientAddress {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Self::Rejection> {
        let address = parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(address)| address.ip());
        Ok(Self(address.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED))))
    }
}
