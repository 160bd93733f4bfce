//! The browser's side of the watch and embed pages: takes the server-rendered player over and nothing else. It carries no router, no
//! server function and no dashboard; in a frame of somebody else's page it sends no cookies, so that it works alike in all of them.

mod playback;

use app::{
    player::{Player, StartOptions},
    watch::{PLAYBACK_ID, PLAYER_ID},
};
use domain::video::Playback;
use leptos::{mount::hydrate_from, prelude::*};
use wasm_bindgen::{JsCast, prelude::wasm_bindgen};
use web_sys::HtmlElement;

use crate::playback::Fetched;

/// Runs when the module is loaded. Where the page is not one of ours there is nothing to do.
#[wasm_bindgen(start)]
pub fn start() {
    let Some((container, playback)) = read_page() else { return };
    let options = StartOptions::from_query(&window().location().search().unwrap_or_default());
    hydrate_from(container, move || player(playback, options)).forget();
}

/// What the server left in the page.
fn read_page() -> Option<(HtmlElement, Playback)> {
    let document = document();
    let container = document.get_element_by_id(PLAYER_ID)?.dyn_into().ok()?;
    let json = document.get_element_by_id(PLAYBACK_ID)?.text_content()?;
    Some((container, playback::parse(&json)?))
}

fn player(playback: Playback, options: StartOptions) -> impl IntoView {
    let id = playback.playback_id.clone();
    let playback = RwSignal::new(playback);
    let gone = RwSignal::new(false);
    let renew = Callback::new(move |lifetime| {
        let id = id.clone();
        leptos::task::spawn_local(async move {
            match playback::fetch(id.as_str(), lifetime).await {
                Fetched::Fresh(fresh) => playback.set(fresh),
                Fetched::Gone => gone.set(true),
                // The player asks again, or says that the link has run out.
                Fetched::Nothing => {}
            }
        });
    });
    view! { <Player playback=playback renew=renew gone=gone start=options /> }
}
