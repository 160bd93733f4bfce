//! Keys that work anywhere while nobody types: `/` goes to the search, `u` opens the file chooser.

use leptos::{ev, prelude::*};
use wasm_bindgen::JsCast;
use web_sys::{Element, HtmlElement, KeyboardEvent};

use super::header::SEARCH_ID;
use crate::uploader::drop_overlay::FileChooser;

/// Starts to listen, in the browser.
pub fn listen(chooser: FileChooser) {
    Effect::new(move |_| {
        let _ = window_event_listener(ev::keydown, move |event| on_key(&event, chooser));
    });
}

fn on_key(event: &KeyboardEvent, chooser: FileChooser) {
    let modified = event.ctrl_key() || event.alt_key() || event.meta_key();
    let target = event.target().and_then(|target| target.dyn_into::<Element>().ok());
    if event.default_prevented() || modified || event.repeat() || target.is_some_and(|target| takes_keys(&target)) {
        return;
    }
    let search = || document().get_element_by_id(SEARCH_ID).and_then(|element| element.dyn_into::<HtmlElement>().ok());
    match event.key().as_str() {
        "/" => {
            if let Some(search) = search() {
                event.prevent_default();
                drop(search.focus());
            }
        }
        // Only signed in is there a search, and somebody to upload for.
        "u" if search().is_some() => {
            event.prevent_default();
            chooser.open();
        }
        _ => {}
    }
}

/// Whether keys belong to this element: it is typed in, has keys of its own, or is in front of the page.
fn takes_keys(element: &Element) -> bool {
    element
        .closest("input, textarea, select, [contenteditable], [role=slider], [role=menu], dialog[open], .player")
        .ok()
        .flatten()
        .is_some()
}
