//! Fetches the code of pages before somebody goes to them: of those whose links are pointed at or focused, and, when the first page has come to
//! life, of the one that most ways lead to.

use gloo_timers::future::TimeoutFuture;
use leptos::{ev, prelude::*, task::spawn_local};
use wasm_bindgen::JsCast;
use web_sys::{Element, EventTarget};

use super::later::{Later, NotFetched};

/// What the first page itself asks for goes first.
const REST_MS: u32 = 1_500;

/// Starts to look ahead, in the browser.
pub fn listen() {
    Effect::new(|_| {
        let _ = window_event_listener(ev::pointerover, |event| fetch_behind(event.target()));
        let _ = window_event_listener(ev::focusin, |event| fetch_behind(event.target()));
        spawn_local(async {
            TimeoutFuture::new(REST_MS).await;
            // What cannot be had now is asked for again when it is needed.
            let _: Result<(), NotFetched> = Later::Video.fetch().await;
        });
    });
}

fn fetch_behind(target: Option<EventTarget>) {
    let element = target.and_then(|target| target.dyn_into::<Element>().ok());
    let link = element.and_then(|element| element.closest("a[href^='/']").ok().flatten());
    if let Some(page) = link.and_then(|link| Later::at(&link.get_attribute("href")?)) {
        spawn_local(async move {
            let _: Result<(), NotFetched> = page.fetch().await;
        });
    }
}
