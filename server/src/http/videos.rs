//! The list of one's videos by the API: `/api/v1/videos`.

use axum::{Json, extract::State};
use domain::{
    error::Problem,
    failure::Failure,
    ids::{PlaybackId, VideoId},
    video::{Stage, Status, Video},
};
use serde::{Deserialize, Serialize};

use super::{AppState, body::QueryString, problem::Result, viewer::Reading};
use crate::services::videos::PAGE_LIMIT;

/// Videos on a page of which nothing is said.
const PAGE: u64 = 24;

/// The query.
#[derive(Debug, Deserialize)]
pub struct Asked {
    q: Option<String>,
    after: Option<String>,
    limit: Option<u64>,
}

/// One page of videos.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct VideoList {
    /// Newest first.
    pub videos: Vec<ListedVideo>,
    /// Ask with this as `after` for the next page; absent on the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<VideoId>,
}

/// One of them.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ListedVideo {
    /// Its owner's handle.
    video_id: VideoId,
    /// The public handle.
    playback_id: PlaybackId,
    /// Title, never empty.
    title: String,
    status: Status,
    stage: Stage,
    /// Percent of the stage.
    progress: u8,
    /// Whether something of it can be played now.
    playable: bool,
    /// `private`, `unlisted` or `public`.
    visibility: &'static str,
    /// Why it failed, or why it waits.
    error: Option<Failure>,
    /// Name of the file as uploaded.
    file_name: String,
    /// Bytes in the file as uploaded.
    size_bytes: u64,
    /// Length, once it is known.
    duration_ms: Option<u64>,
    /// Signed link to the poster, once there is one.
    poster_url: Option<String>,
    /// When the upload began, in milliseconds of the Unix epoch.
    created_at_ms: i64,
}

impl From<Video> for ListedVideo {
    fn from(video: Video) -> Self {
        Self {
            status: video.status(),
            duration_ms: video.duration_ms(),
            video_id: video.id,
            playback_id: video.playback_id,
            title: video.title,
            stage: video.stage,
            progress: video.progress,
            playable: video.playable,
            visibility: video.visibility.as_str(),
            error: video.failure,
            file_name: video.file_name,
            size_bytes: video.size_bytes,
            poster_url: video.poster_url,
            created_at_ms: video.created_at_ms,
        }
    }
}

/// `GET /api/v1/videos?q=&after=&limit=`.
pub async fn list(
    State(state): State<AppState>,
    Reading(viewer): Reading,
    QueryString(asked): QueryString<Asked>,
) -> Result<Json<VideoList>> {
    let after = asked.after.map(|after| after.parse()).transpose();
    let after = after.map_err(|_| Problem::invalid("`after` is the `next` of the page before."))?;
    let limit = asked.limit.unwrap_or(PAGE);
    if !(1..=PAGE_LIMIT).contains(&limit) {
        return Err(Problem::invalid(format!("`limit` is a number from 1 to {PAGE_LIMIT}.")).into());
    }
    let page = state.videos.page(viewer.user, asked.q.as_deref(), after, limit).await?;
    Ok(Json(VideoList { videos: page.videos.into_iter().map(ListedVideo::from).collect(), next: page.next }))
}
