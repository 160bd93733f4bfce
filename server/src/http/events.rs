//! The event stream of open pages: what has changed about the viewer's videos, as it changes.

use std::{convert::Infallible, time::Duration};

use axum::{
    extract::State,
    response::{
        Sse,
        sse::{Event, KeepAlive},
    },
};
use domain::ids::UserId;
use futures::{Stream, StreamExt, stream};
use tokio::sync::broadcast::{Receiver, error::RecvError};

use super::{AppState, viewer::Viewer};
use crate::{error::Error, services::changes::Change};

/// How long a stream goes on without its viewer's credentials being looked at.
const CREDENTIALS_HOLD: Duration = Duration::from_secs(60);

/// `GET /api/v1/events`. `ready` tells the page that everything before may have been missed; then `video` and `deleted` follow.
pub async fn events(State(state): State<AppState>, viewer: Viewer) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let changes = state.changes.listen();
    let mut shutdown = state.shutdown.clone();
    let ready = stream::iter([Event::default().event("ready").data("{}")]);
    let events = ready.chain(stream::unfold((changes, state, viewer.user), next)).map(Ok);
    let while_it_lasts = events.take_until(async move {
        // Its end sends the browser back with its cookie, which is then looked at anew.
        let _ = tokio::time::timeout(CREDENTIALS_HOLD, shutdown.wait_for(|down| *down)).await;
    });
    Sse::new(while_it_lasts).keep_alive(KeepAlive::new().interval(Duration::from_secs(15)))
}

type Following = (Receiver<Change>, AppState, UserId);

async fn next((mut changes, state, user): Following) -> Option<(Event, Following)> {
    loop {
        let event = match changes.recv().await {
            Ok(change) if change.user() != user => continue,
            Ok(Change::Deleted { video, .. }) => Event::default().event("deleted").data(format!("{{\"id\":\"{video}\"}}")),
            Ok(Change::Video { video, .. }) => match state.videos.get(user, video).await {
                Ok(video) => match Event::default().event("video").json_data(&video) {
                    Ok(event) => event,
                    Err(_) => continue,
                },
                // Deleted in the meantime; that has an event of its own.
                Err(Error::Problem(_)) => continue,
                Err(error) => {
                    tracing::warn!(%error, "cannot tell a page what has changed; it will fetch anew");
                    return None;
                }
            },
            Err(RecvError::Lagged(_)) => Event::default().event("ready").data("{}"),
            Err(RecvError::Closed) => return None,
        };
        return Some((event, (changes, state, user)));
    }
}
