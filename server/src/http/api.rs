//! The three endpoints that are promised to stay: upload, status, stream.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use axum::{
    Json,
    body::Body,
    extract::{FromRequest, Multipart, Request, State, multipart::Field},
    http::StatusCode,
};
use domain::{
    error::{Code, Problem},
    failure::Failure,
    ids::{UserId, VideoId},
    upload::clean_title,
    video::{Stage, Status, Video},
};
use futures::{SinkExt, StreamExt, TryStreamExt, channel::mpsc};
use serde::{Deserialize, Serialize};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::{
    AppState,
    body::QueryString,
    problem::{Refusal, Result},
    viewer::{Reading, Uploading},
};
use crate::{error::Error, services::uploads::single::Received};

/// Longest title field read, in bytes.
const TITLE_LIMIT: usize = 4096;
/// What a form may hold beside its file. The parser keeps in memory what it looks for a boundary or the end of a field's headers in.
const BESIDE_LIMIT: u64 = 2 * 1024 * 1024;

/// The query of status and stream.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Which {
    video_id: String,
}

impl Which {
    /// An id that cannot be one is one that does not exist.
    fn id(&self) -> Result<VideoId> {
        self.video_id.parse().map_err(|_| Refusal(Problem::not_found()))
    }
}

/// What an upload answers.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Accepted {
    /// The video.
    pub video_id: VideoId,
    /// Its status.
    pub status: Status,
}

/// What status answers.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct StatusAnswer {
    video_id: VideoId,
    status: Status,
    stage: Stage,
    progress: u8,
    playable: bool,
    error: Option<Failure>,
}

impl From<Video> for StatusAnswer {
    fn from(video: Video) -> Self {
        Self {
            video_id: video.id,
            status: video.status(),
            stage: video.stage,
            progress: video.progress,
            playable: video.playable,
            error: video.failure,
        }
    }
}

/// What stream answers.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct StreamAnswer {
    video_id: VideoId,
    url: String,
    expires_at: String,
    embed_url: String,
    poster_url: Option<String>,
}

/// `GET /api/status?videoId=`.
pub async fn status(
    State(state): State<AppState>,
    Reading(viewer): Reading,
    QueryString(which): QueryString<Which>,
) -> Result<Json<StatusAnswer>> {
    Ok(Json(state.videos.get(viewer.user, which.id()?).await?.into()))
}

/// `GET /api/stream?videoId=`.
pub async fn stream(
    State(state): State<AppState>,
    Reading(viewer): Reading,
    QueryString(which): QueryString<Which>,
) -> Result<Json<StreamAnswer>> {
    let stream = state.playback.stream(viewer.user, which.id()?).await?;
    let expires_at = i64::try_from(stream.expires_at).ok().and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok());
    let expires_at =
        expires_at.and_then(|time| time.format(&Rfc3339).ok()).ok_or_else(|| Error::broken("an expiry beyond the calendar"))?;
    Ok(Json(StreamAnswer {
        video_id: stream.video,
        url: stream.url,
        expires_at,
        embed_url: stream.embed_url,
        poster_url: stream.poster_url,
    }))
}

/// `POST /api/upload`: `multipart/form-data` with `file` and, before or after it, `title`.
pub async fn upload(State(state): State<AppState>, Uploading(viewer): Uploading, request: Request) -> Result<(StatusCode, Json<Accepted>)> {
    let beside = Beside::default();
    let request = request.map(|body| beside.watch(body));
    let form = Multipart::from_request(request, &()).await.map_err(|rejection| Problem::invalid(rejection.body_text()))?;
    let mut received = None;
    match read_form(&state, viewer.user, form, &beside, &mut received).await {
        Ok(form) => {
            let adopted = state.uploads.adopt(viewer.user, &form.file, &form.file_name, form.title.as_deref()).await;
            if adopted.is_err() {
                state.uploads.discard(&form.file).await?;
            }
            Ok((StatusCode::ACCEPTED, Json(Accepted { video_id: adopted?, status: Status::Processing })))
        }
        Err(refusal) => {
            // What follows the file may be refused after the file was stored.
            if let Some(file) = received {
                state.uploads.discard(&file).await?;
            }
            Err(if beside.is_too_much() {
                Problem::new(Code::TooLarge, "The form holds more than 2 MB beside its file.").into()
            } else {
                refusal
            })
        }
    }
}

/// Bytes of a form that are not its file's, or not handed on as such yet.
#[derive(Debug, Clone, Default)]
struct Beside(Arc<AtomicU64>);

impl Beside {
    /// The body, which ends in an error where there are too many of them. The parser takes all pieces that there are at once; hyper has no
    /// second one before the first was asked for, so that a file that comes fast is not counted here.
    fn watch(&self, body: Body) -> Body {
        let beside = self.clone();
        Body::from_stream(body.into_data_stream().map_err(io::Error::other).map(move |piece| {
            let piece = piece?;
            beside.0.fetch_add(piece.len() as u64, Ordering::Relaxed);
            if beside.is_too_much() { Err(io::Error::other("too much beside the file")) } else { Ok(piece) }
        }))
    }

    /// These were the file's.
    fn handed_on(&self, bytes: usize) {
        self.0.fetch_sub(bytes as u64, Ordering::Relaxed);
    }

    fn is_too_much(&self) -> bool {
        self.0.load(Ordering::Relaxed) > BESIDE_LIMIT
    }
}

struct Form {
    file: Received,
    file_name: String,
    title: Option<String>,
}

async fn read_form(state: &AppState, user: UserId, mut form: Multipart, beside: &Beside, received: &mut Option<Received>) -> Result<Form> {
    let (mut file_name, mut title) = (String::new(), None);
    let broken = |error: axum::extract::multipart::MultipartError| Refusal(Problem::invalid(error.body_text()));
    while let Some(field) = form.next_field().await.map_err(broken)? {
        match field.name() {
            Some("file") if received.is_none() => {
                file_name = field.file_name().unwrap_or("upload").chars().take(255).collect();
                *received = Some(receive(state, user, field, beside).await?);
            }
            Some("file") => return Err(Problem::invalid("Send one file a request.").into()),
            Some("title") => title = clean_title(&read_title(field).await?),
            // Fields we do not know are read past, so that forms may carry their own.
            _ => {}
        }
    }
    match received.clone() {
        Some(file) => Ok(Form { file, file_name, title }),
        None => Err(Problem::invalid("The form has no `file` field.").into()),
    }
}

async fn read_title(mut field: Field<'_>) -> Result<String> {
    let mut bytes = Vec::new();
    while let Some(chunk) = field.chunk().await.map_err(|error| Problem::invalid(error.body_text()))? {
        bytes.extend_from_slice(&chunk);
        if bytes.len() > TITLE_LIMIT {
            return Err(Problem::invalid("The title is too long.").into());
        }
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Hands the field to the store as it arrives. The channel holds two pieces, so a slow disk slows the sender and fills no memory.
async fn receive(state: &AppState, user: UserId, mut field: Field<'_>, beside: &Beside) -> Result<Received> {
    let (mut sender, receiver) = mpsc::channel::<io::Result<bytes::Bytes>>(1);
    let pump = async move {
        loop {
            let piece = match field.chunk().await {
                Ok(Some(piece)) => {
                    beside.handed_on(piece.len());
                    Ok(piece)
                }
                Ok(None) => return,
                Err(error) => Err(io::Error::other(error.body_text())),
            };
            let failed = piece.is_err();
            // The store has stopped reading when sending fails; it says why.
            if sender.send(piece).await.is_err() || failed {
                return;
            }
        }
    };
    let (stored, ()) = futures::join!(state.uploads.receive(user, receiver.boxed()), pump);
    Ok(stored?)
}
