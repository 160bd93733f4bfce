//! The event stream: one connection a tab that is seen (`shell/streams.js`), above the router. Pages ask to be told; what they do with it is theirs.

use domain::{ids::VideoId, video::Video};
use futures::channel::oneshot;
use gloo_timers::future::TimeoutFuture;
use leptos::{prelude::*, task::spawn_local};
use serde::Deserialize;
use wasm_bindgen::{JsCast, closure::Closure};
use web_sys::{Event, EventSource, MessageEvent};

use crate::{uploader::backoff, wire};

/// Something happened on the server.
#[derive(Debug, Clone, PartialEq)]
pub enum LiveEvent {
    /// The stream has just been connected: whatever happened before may have been missed.
    Ready,
    /// A video is new or has changed.
    Video(Box<Video>),
    /// A video is gone.
    Deleted(VideoId),
}

#[derive(Deserialize)]
struct Deleted {
    id: VideoId,
}

impl LiveEvent {
    /// Reads an event as it comes over the wire; `None` for one that is not known here.
    pub fn read(kind: &str, data: &str) -> Option<Self> {
        match kind {
            "ready" => Some(Self::Ready),
            "video" => wire::read(data).ok().map(|video| Self::Video(Box::new(video))),
            "deleted" => wire::read::<Deleted>(data).ok().map(|deleted| Self::Deleted(deleted.id)),
            _ => None,
        }
    }
}

type Listener = (u64, Callback<LiveEvent>);

/// The stream, in the context of the whole app.
#[derive(Debug, Clone, Copy)]
pub struct Live {
    listeners: StoredValue<Vec<Listener>>,
    next: StoredValue<u64>,
    running: StoredValue<bool>,
}

impl Live {
    /// A stream that is connected as soon as `signed_in` says so, put into the context.
    pub fn provide(signed_in: Signal<bool>) -> Self {
        let live = Self { listeners: StoredValue::new(Vec::new()), next: StoredValue::new(0), running: StoredValue::new(false) };
        provide_context(live);
        Effect::new(move |_| {
            if signed_in.get() && !live.running.get_value() {
                live.running.set_value(true);
                spawn_local(live.run());
            }
        });
        live
    }

    /// Calls `act` for each event until the caller's component goes away.
    pub fn on(self, act: impl Fn(LiveEvent) + Send + Sync + 'static) {
        let number = self.next.get_value();
        self.next.set_value(number + 1);
        self.listeners.update_value(|listeners| listeners.push((number, Callback::new(act))));
        on_cleanup(move || {
            let _ = self.listeners.try_update_value(|listeners| listeners.retain(|(other, _)| *other != number));
        });
    }

    fn tell(self, event: &LiveEvent) {
        // A copy: whoever is told may register others or go away.
        for (_, listener) in self.listeners.get_value() {
            listener.run(event.clone());
        }
    }

    /// Keeps the stream connected. The browser reconnects a broken one by itself; it gives up when the server refuses, and then we go on.
    async fn run(self) {
        let mut failures = 0;
        loop {
            let connected_at = js_sys::Date::now();
            self.follow().await;
            // A stream that held for a while was no failure.
            failures = if js_sys::Date::now() - connected_at > 60_000.0 { 1 } else { failures + 1 };
            TimeoutFuture::new(backoff::delay_ms(failures, js_sys::Math::random()) as u32).await;
        }
    }

    async fn follow(self) {
        let Ok(source) = EventSource::new("/api/v1/events") else { return };
        let (gave_up, ended) = oneshot::channel();
        let mut gave_up = Some(gave_up);
        let heard = {
            let source = source.clone();
            Closure::<dyn FnMut(Event)>::new(move |event: Event| match event.dyn_ref::<MessageEvent>() {
                Some(message) => {
                    let data = message.data().as_string().unwrap_or_default();
                    if let Some(event) = LiveEvent::read(&event.type_(), &data) {
                        self.tell(&event);
                    }
                }
                None if source.ready_state() == EventSource::CLOSED => drop(gave_up.take()),
                None => {}
            })
        };
        for kind in ["ready", "video", "deleted", "error"] {
            drop(source.add_event_listener_with_callback(kind, heard.as_ref().unchecked_ref()));
        }
        // Never answered: the other end is let go of once the browser has given up.
        let _: Result<(), oneshot::Canceled> = ended.await;
        source.close();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_read_and_unknown_ones_passed_over() {
        let id = "018f4c3e-7b1a-7000-8000-000000000001";
        assert_eq!(LiveEvent::read("ready", "{}"), Some(LiveEvent::Ready));
        assert_eq!(LiveEvent::read("deleted", &format!(r#"{{"id":"{id}"}}"#)), id.parse().ok().map(LiveEvent::Deleted));
        assert_eq!(LiveEvent::read("video", "nonsense"), None);
        assert_eq!(LiveEvent::read("weather", "{}"), None);
    }
}
