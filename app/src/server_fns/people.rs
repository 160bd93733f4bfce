//! The people of a server and its invitations, for owners.

use domain::{
    account::{Invite, NewInvite, PeoplePage, Role},
    ids::{InviteId, UserId},
};
use leptos::{server, server_fn::codec::GetUrl};

use super::AppError;

/// A page of the people, after the one named.
#[server(prefix = "/app", endpoint = "people", input = GetUrl)]
pub async fn list_people(
    /// The last of the page before.
    after: Option<UserId>,
) -> Result<PeoplePage, AppError> {
    use crate::request;
    let state = request::state();
    let user = request::viewer(&state).await?;
    state.users.page(user, after).await.map_err(request::refuse)
}

/// Gives somebody a role.
#[server(prefix = "/app", endpoint = "people/role")]
pub async fn set_role(
    /// The account.
    id: UserId,
    /// Its new role.
    role: Role,
) -> Result<(), AppError> {
    use crate::request;
    let state = request::state();
    let actor = request::actor(&state).await?;
    state.users.set_role(actor, id, role).await.map_err(request::refuse)
}

/// Shuts somebody out.
#[server(prefix = "/app", endpoint = "people/disable")]
pub async fn disable_person(
    /// The account.
    id: UserId,
) -> Result<(), AppError> {
    use crate::request;
    let state = request::state();
    let actor = request::actor(&state).await?;
    state.users.disable(actor, id).await.map_err(request::refuse)
}

/// Lets somebody in again.
#[server(prefix = "/app", endpoint = "people/enable")]
pub async fn enable_person(
    /// The account.
    id: UserId,
) -> Result<(), AppError> {
    use crate::request;
    let state = request::state();
    let actor = request::actor(&state).await?;
    state.users.enable(actor, id).await.map_err(request::refuse)
}

/// Deletes an account with its videos.
#[server(prefix = "/app", endpoint = "people/delete")]
pub async fn delete_person(
    /// The account.
    id: UserId,
) -> Result<(), AppError> {
    use crate::request;
    let state = request::state();
    let actor = request::actor(&state).await?;
    state.users.delete(actor, id).await.map_err(request::refuse)
}

/// The invitations that stand.
#[server(prefix = "/app", endpoint = "invites", input = GetUrl)]
pub async fn list_invites() -> Result<Vec<Invite>, AppError> {
    use crate::request;
    let state = request::state();
    let user = request::viewer(&state).await?;
    state.invites.list(user).await.map_err(request::refuse)
}

/// Invites somebody. This answer is the one moment the link is known.
#[server(prefix = "/app", endpoint = "invites/create")]
pub async fn create_invite(
    /// Whom it is for.
    name: String,
) -> Result<NewInvite, AppError> {
    use crate::request;
    let state = request::state();
    let actor = request::actor(&state).await?;
    state.invites.create(actor, &name).await.map_err(|error| request::refuse(error).keeping(&name))
}

/// Withdraws an invitation.
#[server(prefix = "/app", endpoint = "invites/withdraw")]
pub async fn withdraw_invite(
    /// The invitation.
    id: InviteId,
) -> Result<(), AppError> {
    use crate::request;
    let state = request::state();
    let actor = request::actor(&state).await?;
    state.invites.withdraw(actor, id).await.map_err(request::refuse)
}
