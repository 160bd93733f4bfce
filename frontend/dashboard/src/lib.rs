//! The dashboard's WASM entry: brings the server's page to life.

use app::pages::later::Later;
use wasm_bindgen::{JsValue, prelude::wasm_bindgen};

/// Hydrates the whole app. The page's hydration script calls it when the module is loaded.
///
/// # Errors
/// The page's own code could not be fetched. The page stays as the server drew it, which works without scripts, and says so (`app/src/shell/stopped.js`).
#[wasm_bindgen]
pub async fn hydrate() -> Result<(), JsValue> {
    // What ends the code in a release build is a trap without words, and the page says that it has stopped.
    if cfg!(debug_assertions) {
        std::panic::set_hook(Box::new(|panic| leptos::logging::error!("{panic}")));
    }
    let path = leptos::prelude::location().pathname().unwrap_or_default();
    if let Some(page) = Later::at(&path) {
        page.fetch().await.map_err(|error| JsValue::from_str(&error.to_string()))?;
    }
    leptos::mount::hydrate_body(app::App);
    match leptos::prelude::document().document_element() {
        Some(page) => page.set_attribute("data-alive", ""),
        None => Ok(()),
    }
}
