//! The dashboard's WASM entry: brings the server's page to life.

use app::pages::later::Later;
use wasm_bindgen::prelude::wasm_bindgen;

/// Hydrates the whole app. The page's hydration script calls it when the module is loaded.
#[wasm_bindgen]
pub async fn hydrate() {
    let path = leptos::prelude::location().pathname().unwrap_or_default();
    if let Some(page) = Later::at(&path)
        && let Err(error) = page.fetch().await
    {
        // The page stays as the server drew it, which works without scripts.
        leptos::logging::error!("{error}");
        return;
    }
    leptos::mount::hydrate_body(app::App);
}
