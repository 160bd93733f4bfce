//! hls.js as far as the player uses it, declared and nothing more. Only `hls.rs` calls it.

use js_sys::{Array, Function, Object};
use wasm_bindgen::prelude::*;

#[wasm_bindgen]
extern "C" {
    /// An instance of hls.js.
    #[wasm_bindgen(js_name = Hls)]
    pub(super) type JsHls;

    #[wasm_bindgen(constructor, js_class = "Hls", catch)]
    pub(super) fn new(config: &Object) -> Result<JsHls, JsValue>;

    #[wasm_bindgen(static_method_of = JsHls, js_class = "Hls", js_name = isSupported)]
    pub(super) fn is_supported() -> bool;

    #[wasm_bindgen(method, js_name = on)]
    pub(super) fn on(this: &JsHls, event: &str, listener: &Function);

    #[wasm_bindgen(method, js_name = loadSource)]
    pub(super) fn load_source(this: &JsHls, url: &str);

    #[wasm_bindgen(method, js_name = attachMedia)]
    pub(super) fn attach_media(this: &JsHls, media: &JsValue);

    #[wasm_bindgen(method, js_name = startLoad)]
    pub(super) fn start_load(this: &JsHls, position: f64);

    #[wasm_bindgen(method, js_name = recoverMediaError)]
    pub(super) fn recover_media_error(this: &JsHls);

    #[wasm_bindgen(method)]
    pub(super) fn destroy(this: &JsHls);

    #[wasm_bindgen(method, getter)]
    pub(super) fn levels(this: &JsHls) -> Array;

    #[wasm_bindgen(method, getter)]
    pub(super) fn config(this: &JsHls) -> Object;

    #[wasm_bindgen(method, setter, js_name = nextLevel)]
    pub(super) fn set_next_level(this: &JsHls, level: i32);
}
