//! Videos: the library's pages, one video, and what its owner can do with it.

use domain::{
    grant::Lifetime,
    ids::VideoId,
    video::{Playback, Video, VideoPage, Visibility},
};
use leptos::{server, server_fn::codec::GetUrl};

use super::AppError;

/// A page of the library, newest first: those whose title holds `search`, after the video `after`.
#[server(prefix = "/app", endpoint = "videos", input = GetUrl)]
pub async fn list_videos(
    /// What the title has to hold.
    search: Option<String>,
    /// The last video of the page before.
    after: Option<VideoId>,
) -> Result<VideoPage, AppError> {
    use crate::request;
    let state = request::state();
    let user = request::viewer(&state).await?;
    let search = search.as_deref().map(str::trim).filter(|search| !search.is_empty());
    state.videos.page(user, search, after, 24).await.map_err(request::refuse)
}

/// One video.
#[server(prefix = "/app", endpoint = "videos/one", input = GetUrl)]
pub async fn get_video(
    /// The video.
    id: VideoId,
) -> Result<Video, AppError> {
    use crate::request;
    let state = request::state();
    let user = request::viewer(&state).await?;
    state.videos.get(user, id).await.map_err(request::refuse)
}

/// What the player needs of one video, with a fresh grant.
#[server(prefix = "/app", endpoint = "videos/playback", input = GetUrl)]
pub async fn get_playback(
    /// The video.
    id: VideoId,
    /// How long its addresses are to last.
    lifetime: Lifetime,
) -> Result<Playback, AppError> {
    use crate::request;
    let state = request::state();
    let user = request::viewer(&state).await?;
    state.playback.for_owner(user, id, lifetime).await.map_err(request::refuse)
}

/// The address under which others reach this server, without a slash at its end.
#[server(prefix = "/app", endpoint = "public-url", input = GetUrl)]
pub async fn public_url() -> Result<String, AppError> {
    Ok(crate::request::state().settings.public_url.clone())
}

/// Gives a video another title.
#[server(prefix = "/app", endpoint = "videos/rename")]
pub async fn rename_video(
    /// The video.
    id: VideoId,
    /// Its new title.
    title: String,
) -> Result<Video, AppError> {
    use crate::request;
    let state = request::state();
    let user = request::viewer(&state).await?;
    state.videos.rename(user, id, &title).await.map_err(|error| request::refuse(error).keeping(&title))
}

/// Says who may watch a video.
#[server(prefix = "/app", endpoint = "videos/visibility")]
pub async fn set_visibility(
    /// The video.
    id: VideoId,
    /// Who may watch.
    visibility: Visibility,
) -> Result<Video, AppError> {
    use crate::request;
    let state = request::state();
    let actor = request::actor(&state).await?;
    state.videos.set_visibility(actor, id, visibility).await.map_err(request::refuse)
}

/// Deletes a video and everything stored for it.
#[server(prefix = "/app", endpoint = "videos/delete")]
pub async fn delete_video(
    /// The video.
    id: VideoId,
) -> Result<(), AppError> {
    use crate::request;
    let state = request::state();
    let actor = request::actor(&state).await?;
    state.videos.delete(actor, id).await.map_err(request::refuse)?;
    request::go_to("/");
    Ok(())
}

/// Processes a failed video once more.
#[server(prefix = "/app", endpoint = "videos/retry")]
pub async fn retry_video(
    /// The video.
    id: VideoId,
) -> Result<Video, AppError> {
    use crate::request;
    let state = request::state();
    let user = request::viewer(&state).await?;
    state.videos.retry(user, id).await.map_err(request::refuse)
}
