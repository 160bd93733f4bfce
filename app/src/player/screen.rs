//! Full screen and picture in picture, in whichever spelling the browser has them.

use js_sys::{Function, Reflect};
use leptos::prelude::document;
use wasm_bindgen::{JsCast, JsValue};
use web_sys::{HtmlElement, HtmlVideoElement};

/// Where the picture is shown, and where it could be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Screen {
    pub(super) full: bool,
    pub(super) picture_in_picture: bool,
    pub(super) can_full: bool,
    pub(super) can_picture_in_picture: bool,
}

impl Default for Screen {
    /// Until the browser is asked both are taken to work: a button that goes is rarer than one that comes and pushes the others aside.
    fn default() -> Self {
        Self { full: false, picture_in_picture: false, can_full: true, can_picture_in_picture: true }
    }
}

impl Screen {
    /// As it is now.
    pub(super) fn read(group: &HtmlElement, video: &HtmlVideoElement) -> Self {
        let document: JsValue = document().into();
        let full = first(&document, &["fullscreenElement", "webkitFullscreenElement"]);
        let pip = first(&document, &["pictureInPictureElement"]);
        Self {
            full: full == JsValue::from(group.clone()),
            picture_in_picture: pip == JsValue::from(video.clone()),
            can_full: first(&document, &["fullscreenEnabled", "webkitFullscreenEnabled"]).is_truthy()
                || first(video, &["webkitEnterFullscreen"]).is_function(),
            can_picture_in_picture: first(&document, &["pictureInPictureEnabled"]).is_truthy(),
        }
    }
}

/// Into full screen, or out of it. An iPhone can show only the video itself so, with controls of its own.
pub(super) fn toggle_full(group: &HtmlElement, video: &HtmlVideoElement) {
    let document: JsValue = document().into();
    if first(&document, &["fullscreenElement", "webkitFullscreenElement"]).is_object() {
        call(&document, &["exitFullscreen", "webkitExitFullscreen"]);
    } else if !call(group, &["requestFullscreen", "webkitRequestFullscreen"]) {
        call(video, &["webkitEnterFullscreen"]);
    }
}

/// Into picture in picture, or out of it.
pub(super) fn toggle_picture_in_picture(video: &HtmlVideoElement) {
    let document: JsValue = document().into();
    if first(&document, &["pictureInPictureElement"]).is_object() {
        call(&document, &["exitPictureInPicture"]);
    } else {
        call(video, &["requestPictureInPicture"]);
    }
}

/// The first of these properties that is there.
fn first(object: &JsValue, names: &[&str]) -> JsValue {
    let mut found = names.iter().filter_map(|name| Reflect::get(object, &(*name).into()).ok());
    found.find(|value| !value.is_undefined() && !value.is_null()).unwrap_or(JsValue::UNDEFINED)
}

/// Calls the first of these methods that is there. A refusal (no user gesture, not allowed in this frame) changes nothing,
/// so there is nothing to do about it but not to let it surface as an unhandled rejection.
fn call(object: &JsValue, names: &[&str]) -> bool {
    let Ok(method) = first(object, names).dyn_into::<Function>() else { return false };
    if let Ok(result) = method.call0(object)
        && let Ok(promise) = result.dyn_into::<js_sys::Promise>()
    {
        leptos::task::spawn_local(async move {
            let _ = wasm_bindgen_futures::JsFuture::from(promise).await;
        });
    }
    true
}
