//! The request a server function runs in: who sent it, the session, the status and the way on. Server only.

use std::net::IpAddr;

use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, Method, StatusCode, header, request::Parts},
};
use domain::{
    error::{Code, Problem},
    ids::UserId,
};
use leptos::prelude::{expect_context, use_context};
use leptos_axum::ResponseOptions;
use server::{
    http::{
        AppState,
        client_address::ClientAddress,
        request_id::with_request_id,
        session::{self, Opened, Session},
        viewer::{Credential, MaybeViewer},
    },
    services::{accounts::Admitted, audit_log::Actor},
};

use crate::server_fns::AppError;

/// The services.
pub(crate) fn state() -> AppState {
    expect_context::<AppState>()
}

/// Who sent the request, if anybody is signed in. Keys are for programs, and these functions are for pages: so no key, whatever it may do,
/// can make another one or change a password.
pub(crate) async fn maybe_viewer(state: &AppState) -> Result<Option<UserId>, AppError> {
    let mut parts = use_context::<Parts>().ok_or_else(|| refuse(Problem::internal()))?;
    let MaybeViewer(viewer) = MaybeViewer::from_request_parts(&mut parts, state).await.map_err(|refusal| refuse(refusal.0))?;
    match viewer {
        Some(viewer) if matches!(viewer.credential, Credential::Key(..)) => {
            Err(refuse(Problem::new(Code::ForbiddenScope, "API keys are for addresses under /api. Sign in to use this one.")))
        }
        viewer => Ok(viewer.map(|viewer| viewer.user)),
    }
}

/// Who sent the request, and from where; nobody is refused.
pub(crate) async fn actor(state: &AppState) -> Result<Actor, AppError> {
    Ok(Actor { user: viewer(state).await?, address: Some(client_address(state).await?) })
}

/// Who sent the request; nobody is refused.
pub(crate) async fn viewer(state: &AppState) -> Result<UserId, AppError> {
    maybe_viewer(state).await?.ok_or_else(|| refuse(Problem::unauthenticated()))
}

/// Where the request came from.
pub(crate) async fn client_address(state: &AppState) -> Result<IpAddr, AppError> {
    let ClientAddress(address) = leptos_axum::extract_with_state(state).await.map_err(|_| refuse(Problem::internal()))?;
    Ok(address)
}

/// Counts a try to create an account or to change a password.
pub(crate) async fn at_the_door(state: &AppState) -> Result<(), AppError> {
    state.rate_limits.at_the_door(client_address(state).await?).map_err(refuse)
}

async fn session() -> Result<Session, AppError> {
    leptos_axum::extract().await.map_err(|_| refuse(Problem::internal()))
}

/// The id of the session, as the session store knows it.
pub(crate) async fn session_id() -> Result<String, AppError> {
    Ok(session().await?.id().map(|id| id.to_string()).unwrap_or_default())
}

/// Signs the browser in, under a new session id.
pub(crate) async fn start_session(state: &AppState, admitted: &Admitted) -> Result<(), AppError> {
    let user_agent = use_context::<Parts>().and_then(|parts| parts.headers.get(header::USER_AGENT)?.to_str().ok().map(str::to_owned));
    let opened = Opened::now(&user_agent.unwrap_or_default(), client_address(state).await?);
    session::sign_in(&session().await?, admitted.account.id, admitted.session_epoch, opened).await.map_err(refuse)
}

/// Gives the browser's session a new id, in a new epoch.
pub(crate) async fn renew_session(epoch: i64) -> Result<(), AppError> {
    session::renew(&session().await?, epoch).await.map_err(refuse)
}

/// Signs the browser out.
pub(crate) async fn end_session() -> Result<(), AppError> {
    session::sign_out(&session().await?).await.map_err(refuse)
}

/// Makes a problem of an error and gives the response its status.
pub(crate) fn refuse(error: impl Into<Problem>) -> AppError {
    let mut problem = error.into();
    if problem.code == Code::Internal {
        // Whoever asks for help has something to name.
        problem.detail = with_request_id(&problem.detail);
    }
    answer_status(problem.code.http_status());
    AppError::from(problem)
}

/// Gives the response a status. A form that was sent without scripts is redirected back to its page instead, and that has a status of its own.
pub(crate) fn answer_status(status: u16) {
    let plain_form = use_context::<Parts>().is_some_and(|parts| parts.method == Method::POST && accepts_html(&parts.headers));
    if let (false, Some(response), Ok(status)) = (plain_form, use_context::<ResponseOptions>(), StatusCode::from_u16(status)) {
        response.set_status(status);
    }
}

fn accepts_html(headers: &HeaderMap) -> bool {
    headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).is_some_and(|value| value.contains("text/html"))
}

/// Sends the browser on, with and without scripts.
pub(crate) fn go_to(path: &str) {
    leptos_axum::redirect(path);
}

/// A path to come back to: only one of ours, and only one that cannot be read as another host.
pub(crate) fn own_path(path: Option<&str>) -> &str {
    path.filter(|path| {
        path.starts_with('/') && !path.starts_with("//") && path.bytes().all(|byte| (0x21..0x7f).contains(&byte) && byte != b'\\')
    })
    .unwrap_or("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_own_paths_are_come_back_to() {
        assert_eq!(own_path(Some("/videos/1?x=2")), "/videos/1?x=2");
        for bad in ["https://evil.example", "//evil.example", "/\\evil.example", "/a\r\nset-cookie: x", "", "videos"] {
            assert_eq!(own_path(Some(bad)), "/", "{bad}");
        }
        assert_eq!(own_path(None), "/");
    }
}
