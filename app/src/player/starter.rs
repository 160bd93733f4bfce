//! What a page's own script (`watch/starter.js`) has begun before the player was there: a video that is loading, or already plays. The player
//! takes it over with its element, and hls.js with its buffers.

use js_sys::{Function, Reflect};
use leptos::prelude::window;
use wasm_bindgen::prelude::*;

use super::{engine::Engine, hls_extern::JsHls};

const NAME: &str = "millraceStarter";

#[wasm_bindgen]
extern "C" {
    type JsStarter;

    #[wasm_bindgen(method, getter)]
    fn over(this: &JsStarter) -> bool;

    #[wasm_bindgen(method, getter)]
    fn wanted(this: &JsStarter) -> bool;

    #[wasm_bindgen(method, getter)]
    fn muted(this: &JsStarter) -> bool;

    #[wasm_bindgen(method, getter)]
    fn estimate(this: &JsStarter) -> f64;

    #[wasm_bindgen(method)]
    fn adopt(this: &JsStarter);

    #[wasm_bindgen(method, js_name = handOver)]
    fn hand_over(this: &JsStarter, hls: &JsHls, otherwise: &Function);

    #[wasm_bindgen(method)]
    fn stop(this: &JsStarter);
}

/// A beginning that waits to be taken over. Where it is dropped before that, it loads no more.
pub(super) struct Starter(JsStarter);

impl Starter {
    /// The page's beginning, for the first player that asks. It listens to the viewer no more.
    pub(super) fn adopt() -> Option<Self> {
        let starter = Reflect::get(&window(), &NAME.into()).ok().filter(JsValue::is_truthy)?;
        let _ = Reflect::delete_property(&window(), &NAME.into());
        let starter: JsStarter = starter.unchecked_into();
        starter.adopt();
        Some(Self(starter))
    }

    /// Whether there still is something to take over.
    pub(super) fn is_alive(&self) -> bool {
        !self.0.over()
    }

    /// Whether the video is to play: by the page's address, or because the viewer pressed play.
    pub(super) fn wanted(&self) -> bool {
        self.0.wanted()
    }

    /// Whether the browser would not let it be heard.
    pub(super) fn muted_by_browser(&self) -> bool {
        self.0.muted()
    }

    /// Bits per second that the line brought.
    pub(super) fn estimate(&self) -> f64 {
        self.0.estimate()
    }

    /// Gives `hls` the element with its buffers once both are ready; `otherwise` is called where that fails.
    pub(super) fn hand_over(&self, hls: &JsHls, otherwise: &Function) {
        self.0.hand_over(hls, otherwise);
    }
}

impl Drop for Starter {
    fn drop(&mut self) {
        self.0.stop();
    }
}

impl Engine {
    /// Whether the element plays what the page had begun and nobody has taken over.
    pub(super) fn began_elsewhere(&self) -> bool {
        self.starter.borrow().as_ref().is_some_and(Starter::is_alive)
    }
}
