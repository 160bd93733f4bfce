//! Starting to play where the browser may not let a page make sound by itself.

use super::engine::Engine;

impl Engine {
    /// Plays, and hears what the browser says to that.
    pub(super) fn start_video(&self) {
        let Ok(promise) = self.video.play() else { return };
        let this = self.this();
        leptos::task::spawn_local(async move {
            let Err(error) = wasm_bindgen_futures::JsFuture::from(promise).await else { return };
            let name = js_sys::Reflect::get(&error, &"name".into()).ok().and_then(|name| name.as_string());
            if let Some(engine) = this.upgrade()
                && name.as_deref() == Some("NotAllowedError")
            {
                engine.play_refused();
            }
        });
    }

    /// The browser starts nothing by itself that can be heard: without sound, with a button that brings it back. If not even
    /// that, the viewer presses play.
    fn play_refused(&self) {
        if self.video.muted() || self.started.get() {
            self.wanted.set(false);
            self.observe();
        } else {
            self.video.set_muted(true);
            self.store.change(|state| (state.sound.muted, state.sound.muted_by_browser) = (true, true));
            self.resume();
        }
    }
}
