//! The dashboard's WASM entry: brings the server's page to life.

use wasm_bindgen::prelude::wasm_bindgen;

/// Hydrates the whole app. The page's hydration script calls it when the module is loaded.
#[wasm_bindgen]
pub fn hydrate() {
    leptos::mount::hydrate_body(app::App);
}
