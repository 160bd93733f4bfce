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

use super::{
    AppState,
    viewer::{Reading, Viewer},
};
use crate::{error::Error, services::changes::Change};

/// How often a stream looks whether its viewer is still known: an ended session and a revoked key stop within this.
const LOOK_AGAIN: Duration = Duration::from_secs(3);

/// `GET /api/v1/events`. `ready` tells the page that everything before may have been missed; then `video` and `deleted` follow.
pub async fn events(State(state): State<AppState>, Reading(viewer): Reading) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let changes = state.changes.listen();
    let until = over(state.clone(), viewer.clone());
    let ready = stream::iter([Event::default().event("ready").data("{}")]);
    let events = ready.chain(stream::unfold((changes, state, viewer.user), next)).map(Ok);
    let while_it_lasts = events.take_until(until);
    Sse::new(while_it_lasts).keep_alive(KeepAlive::new().interval(Duration::from_secs(15)))
}

/// Ends with the process, or when the viewer is not known any more. A browser then asks again, and is refused.
async fn over(state: AppState, viewer: Viewer) {
    let mut shutdown = state.shutdown.clone();
    loop {
        let down = tokio::time::timeout(LOOK_AGAIN, shutdown.wait_for(|down| *down)).await.is_ok();
        if down {
            return;
        }
        match viewer.still_known(&state).await {
            Ok(true) => {}
            Ok(false) => return,
            Err(error) => {
                tracing::warn!(%error, "cannot tell whether a page's credentials still stand; it has to show them again");
                return;
            }
        }
    }
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
