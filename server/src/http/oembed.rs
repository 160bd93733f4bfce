//! oEmbed (oembed.com): lets other sites turn a pasted watch link into a player.

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use domain::{error::Problem, grant::Lifetime, ids::PlaybackId, video::Playback};
use serde::{Deserialize, Serialize};

use super::{AppState, body::QueryString, problem::Result, rate_limits::Counted};
use crate::services::playback::Visitor;

/// Width where the consumer names no limit, in pixels.
const WIDTH: u32 = 1280;

/// Longest side of a poster, in pixels.
const POSTER_SIDE: u32 = 1280;

/// The consumer's question.
#[derive(Debug, Deserialize)]
pub struct Question {
    url: String,
    maxwidth: Option<u32>,
    maxheight: Option<u32>,
    format: Option<String>,
}

/// An embeddable player, as oEmbed 1.0 describes it.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = Embeddable)]
pub(super) struct Answer {
    version: &'static str,
    r#type: &'static str,
    provider_name: &'static str,
    provider_url: String,
    title: String,
    html: String,
    width: u32,
    height: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    thumbnail_url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    thumbnail_width: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    thumbnail_height: Option<u32>,
    cache_age: u32,
}

/// `GET /oembed?url=…`.
pub async fn oembed(_: Counted, State(state): State<AppState>, QueryString(question): QueryString<Question>) -> Result<Response> {
    if question.format.as_deref().is_some_and(|format| format != "json") {
        // The specification has 501 for it, which is a fault of the server's; whoever asked can ask better.
        return Err(Problem::invalid("There is no other format than `json` here.").into());
    }
    let public_url = &state.settings.public_url;
    let id = playback_id(public_url, &question.url).ok_or_else(Problem::not_found)?;
    let playback = state.playback.for_viewer(&id, Visitor::default(), Lifetime::Film).await?;
    let (width, height) = fit(playback.size, question.maxwidth, question.maxheight);
    let poster = playback.poster_url.is_some();
    let longest = playback.size.0.max(playback.size.1).min(POSTER_SIDE);
    let (poster_width, poster_height) = fit(playback.size, Some(longest), Some(longest));
    Ok(Json(Answer {
        version: "1.0",
        r#type: "video",
        provider_name: "Millrace",
        provider_url: public_url.clone(),
        html: iframe(public_url, &playback, width, height),
        width,
        height,
        thumbnail_width: poster.then_some(poster_width),
        thumbnail_height: poster.then_some(poster_height),
        thumbnail_url: playback.poster_url,
        title: playback.title,
        cache_age: 3600,
    })
    .into_response())
}

/// The id in a watch or embed link of ours.
fn playback_id(public_url: &str, url: &str) -> Option<PlaybackId> {
    let path = url.strip_prefix(public_url)?;
    let rest = path.strip_prefix("/watch/").or_else(|| path.strip_prefix("/embed/"))?;
    rest.split(['?', '#', '/']).next()?.parse().ok()
}

/// The largest size of this shape within the limits.
fn fit((width, height): (u32, u32), max_width: Option<u32>, max_height: Option<u32>) -> (u32, u32) {
    let (width, height) = (f64::from(width.max(1)), f64::from(height.max(1)));
    let scale = (f64::from(max_width.unwrap_or(WIDTH)) / width).min(max_height.map_or(f64::INFINITY, |limit| f64::from(limit) / height));
    let size = |side: f64| ((side * scale).round() as u32).max(1);
    (size(width), size(height))
}

fn iframe(public_url: &str, playback: &Playback, width: u32, height: u32) -> String {
    let title = playback.title.replace('&', "&amp;").replace('"', "&quot;").replace('<', "&lt;");
    format!(
        "<iframe src=\"{public_url}/embed/{}\" width=\"{width}\" height=\"{height}\" title=\"{title}\" style=\"border:0\" \
         allow=\"autoplay; fullscreen; picture-in-picture; encrypted-media; web-share\" allowfullscreen loading=\"lazy\" \
         referrerpolicy=\"strict-origin-when-cross-origin\"></iframe>",
        playback.playback_id
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_links_are_answered() {
        let id = "k3vQ9tk3vQ9tk3vQ";
        for good in [format!("https://v.example/watch/{id}"), format!("https://v.example/embed/{id}?autoplay=1")] {
            assert_eq!(playback_id("https://v.example", &good).map(String::from).as_deref(), Some(id));
        }
        for bad in ["https://v.example.evil/watch/k3vQ9tk3vQ9tk3vQ", "https://v.example/watch/", "https://v.example/hls/x", "x"] {
            assert_eq!(playback_id("https://v.example", bad), None, "{bad}");
        }
    }

    #[test]
    fn the_shape_is_kept_within_the_limits() {
        assert_eq!(fit((768, 432), None, None), (1280, 720));
        assert_eq!(fit((1080, 1920), Some(600), Some(400)), (225, 400));
    }
}
