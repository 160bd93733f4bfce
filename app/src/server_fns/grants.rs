//! Named grants, and which sites may show embeds.

use domain::{
    grant::NamedGrant,
    ids::{GrantId, VideoId},
};
use leptos::{server, server_fn::codec::GetUrl};
use serde::{Deserialize, Serialize};

use super::AppError;

/// How a video is shared beyond its own link.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sharing {
    /// The grants that are not revoked, newest first.
    pub grants: Vec<NamedGrant>,
    /// The video's own list of hosts, with spaces between them.
    pub hosts: String,
}

/// How a video is shared.
#[server(prefix = "/app", endpoint = "videos/sharing", input = GetUrl)]
pub async fn get_sharing(
    /// The video.
    id: VideoId,
) -> Result<Sharing, AppError> {
    use crate::request;
    let state = request::state();
    let user = request::viewer(&state).await?;
    let grants = state.grants.list(user, id).await.map_err(request::refuse)?;
    let hosts = state.embed_rules.of_video(user, id).await.map_err(request::refuse)?;
    Ok(Sharing { grants, hosts: hosts.texts().join(" ") })
}

/// Gives somebody a link of their own.
#[server(prefix = "/app", endpoint = "videos/grants/give")]
pub async fn give_grant(
    /// The video.
    id: VideoId,
    /// For whom it is.
    name: String,
    /// Days until it ends; 0 for never.
    days: u16,
) -> Result<NamedGrant, AppError> {
    use crate::request;
    use ::server::services::grants::NewGrant;
    let state = request::state();
    let actor = request::actor(&state).await?;
    let seconds = (days > 0).then(|| u64::from(days) * 86_400);
    let new = NewGrant { name: &name, seconds, embed_hosts: "" };
    state.grants.create(actor, id, new).await.map_err(|error| request::refuse(error).keeping(&name))
}

/// Takes a link back, and says which: what an action was asked is forgotten by the time its answer is looked at.
#[server(prefix = "/app", endpoint = "videos/grants/revoke")]
pub async fn revoke_grant(
    /// The video.
    id: VideoId,
    /// The grant.
    grant: GrantId,
) -> Result<GrantId, AppError> {
    use crate::request;
    let state = request::state();
    let actor = request::actor(&state).await?;
    state.grants.revoke(actor, id, grant).await.map_err(request::refuse)?;
    Ok(grant)
}

/// Says which sites may show a video; an empty list leaves it to the account's.
#[server(prefix = "/app", endpoint = "videos/embed-hosts")]
pub async fn set_video_hosts(
    /// The video.
    id: VideoId,
    /// The hosts, as typed.
    hosts: String,
) -> Result<String, AppError> {
    use crate::request;
    let state = request::state();
    let actor = request::actor(&state).await?;
    let set = state.embed_rules.set_of_video(actor, id, &hosts).await.map_err(|error| request::refuse(error).keeping(&hosts))?;
    Ok(set.texts().join(" "))
}

/// The account's list of hosts, with spaces between them.
#[server(prefix = "/app", endpoint = "embed-hosts", input = GetUrl)]
pub async fn get_account_hosts() -> Result<String, AppError> {
    use crate::request;
    let state = request::state();
    let user = request::viewer(&state).await?;
    Ok(state.embed_rules.of_account(user).await.map_err(request::refuse)?.texts().join(" "))
}

/// Says which sites may show the account's videos; an empty list lets all of them.
#[server(prefix = "/app", endpoint = "embed-hosts/set")]
pub async fn set_account_hosts(
    /// The hosts, as typed.
    hosts: String,
) -> Result<String, AppError> {
    use crate::request;
    let state = request::state();
    let actor = request::actor(&state).await?;
    let set = state.embed_rules.set_of_account(actor, &hosts).await.map_err(|error| request::refuse(error).keeping(&hosts))?;
    Ok(set.texts().join(" "))
}
