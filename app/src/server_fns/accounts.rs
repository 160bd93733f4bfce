//! Accounts: who is there, signing up, in and out, and a new password.

use domain::account::Account;
use leptos::{server, server_fn::codec::GetUrl};
use serde::{Deserialize, Serialize};

use super::AppError;

/// What somebody at the door may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Door {
    /// Whether there is any account at all; the first visitor creates the owner's.
    pub has_owner: bool,
    /// Whether an account can be created now.
    pub registration_open: bool,
    /// Whether the visitor came with an invitation that stands.
    pub invited: bool,
    /// Whether the visitor is signed in already.
    pub signed_in: bool,
}

/// What the visitor may do.
#[server(prefix = "/app", endpoint = "door", input = GetUrl)]
pub async fn look_at_door(
    /// The secret of an invitation.
    invite: Option<String>,
) -> Result<Door, AppError> {
    use crate::request;
    let state = request::state();
    let signed_in = request::maybe_viewer(&state).await?.is_some();
    let has_owner = state.accounts.has_owner().await.map_err(request::refuse)?;
    let registration_open = state.accounts.registration_open().await.map_err(request::refuse)?;
    let invited = match invite {
        Some(secret) => state.invites.stands(&secret).await.map_err(request::refuse)?,
        None => false,
    };
    Ok(Door { has_owner, registration_open, invited, signed_in })
}

/// Who is signed in, if anybody is.
#[server(prefix = "/app", endpoint = "account", input = GetUrl)]
pub async fn current_account() -> Result<Option<Account>, AppError> {
    use crate::request;
    let state = request::state();
    match request::maybe_viewer(&state).await? {
        Some(user) => state.accounts.account(user).await.map(Some).map_err(request::refuse),
        None => Ok(None),
    }
}

/// Creates an account and signs it in.
#[server(prefix = "/app", endpoint = "sign-up")]
pub async fn sign_up(
    /// The address to sign in with.
    email: String,
    /// The password.
    password: String,
    /// The secret of an invitation.
    invite: Option<String>,
) -> Result<(), AppError> {
    use crate::request;
    use ::server::services::accounts::SignUp;
    let state = request::state();
    request::at_the_door(&state).await.map_err(|error| error.keeping(&email))?;
    let address = Some(request::client_address(&state).await?);
    let invite = invite.as_deref().filter(|secret| !secret.is_empty());
    let signed_up = state.accounts.sign_up(SignUp { email: &email, password: &password, invite, address }).await;
    let admitted = signed_up.map_err(|error| request::refuse(error).keeping(&email))?;
    request::start_session(&state, &admitted).await?;
    request::go_to("/");
    Ok(())
}

/// Signs in and goes on to `next`.
#[server(prefix = "/app", endpoint = "sign-in")]
pub async fn sign_in(
    /// The address of the account.
    email: String,
    /// Its password.
    password: String,
    /// The path to go on to.
    next: Option<String>,
) -> Result<(), AppError> {
    use crate::request;
    let state = request::state();
    let address = request::client_address(&state).await?;
    let signed_in = state.accounts.sign_in(&email, &password, address).await;
    let admitted = signed_in.map_err(|error| request::refuse(error).keeping(&email))?;
    request::start_session(&state, &admitted).await?;
    request::go_to(request::own_path(next.as_deref()));
    Ok(())
}

/// Signs out.
#[server(prefix = "/app", endpoint = "sign-out")]
pub async fn sign_out() -> Result<(), AppError> {
    use crate::request;
    let state = request::state();
    if request::maybe_viewer(&state).await?.is_some() {
        let actor = request::actor(&state).await?;
        state.sessions.sign_out(actor, &request::session_id().await?).await.map_err(request::refuse)?;
    }
    request::end_session().await?;
    request::go_to("/sign-in");
    Ok(())
}

/// Changes the password; other sessions of the account end, and this one goes on under a new id.
#[server(prefix = "/app", endpoint = "change-password")]
pub async fn change_password(
    /// The password as it is.
    current: String,
    /// The password as it shall be.
    new: String,
) -> Result<(), AppError> {
    use crate::request;
    let state = request::state();
    let actor = request::actor(&state).await?;
    request::at_the_door(&state).await?;
    let session = request::session_id().await?;
    let epoch = state.accounts.change_password(actor, &current, &new, Some(&session)).await.map_err(request::refuse)?;
    request::renew_session(epoch).await?;
    request::go_to("/settings?saved=password");
    Ok(())
}
