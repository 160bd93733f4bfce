//! Brings hls.js into the page: once, and only where a player wants it. Its version is in the file's name, so that it can be
//! cached for ever; `scripts/bundle-hls.mjs` makes the file.

use js_sys::{Function, Promise, Reflect};
use leptos::prelude::{document, window};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::HtmlScriptElement;

/// Where the bundle is served.
pub const HLS_SCRIPT: &str = "/vendor/hls-1.7.4.js";

/// Marks our element, so that a second player on the page waits for the same one.
const ELEMENT_ID: &str = "hls-script";

/// The script did not come.
#[derive(Debug, Clone, Copy)]
pub(super) struct ScriptUnreachable;

/// Returns once `Hls` is there. After a failure the next call tries anew.
pub(super) async fn load() -> Result<(), ScriptUnreachable> {
    if is_loaded() {
        return Ok(());
    }
    let script = element().map_err(|_| ScriptUnreachable)?;
    let outcome = JsFuture::from(Promise::new(&mut |resolve: Function, reject: Function| {
        // Listeners on an element that lives as long as the page, or is removed below.
        let _ = script.add_event_listener_with_callback("load", &resolve);
        let _ = script.add_event_listener_with_callback("error", &reject);
    }))
    .await;
    if outcome.is_ok() && is_loaded() {
        return Ok(());
    }
    script.remove();
    Err(ScriptUnreachable)
}

fn is_loaded() -> bool {
    Reflect::get(&window(), &"Hls".into()).is_ok_and(|hls| hls.is_function())
}

/// The element that is loading, or a new one.
fn element() -> Result<HtmlScriptElement, JsValue> {
    let document = document();
    if let Some(present) = document.get_element_by_id(ELEMENT_ID) {
        return Ok(present.unchecked_into());
    }
    let script: HtmlScriptElement = document.create_element("script")?.unchecked_into();
    script.set_id(ELEMENT_ID);
    script.set_src(HLS_SCRIPT);
    document.head().ok_or(JsValue::NULL)?.append_child(&script)?;
    Ok(script)
}

#[cfg(test)]
mod tests {
    use super::HLS_SCRIPT;

    #[test]
    fn the_script_is_the_pinned_version() {
        let packages: serde_json::Value = serde_json::from_str(include_str!("../../../package.json")).expect("package.json is JSON");
        let version = packages["devDependencies"]["hls.js"].as_str().expect("hls.js is pinned");
        assert_eq!(HLS_SCRIPT, format!("/vendor/hls-{version}.js"));
    }
}
