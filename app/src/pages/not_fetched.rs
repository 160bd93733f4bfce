//! In place of a page whose code cannot be had: another version has been installed meanwhile, or the network is gone. Loading it anew brings all
//! that belongs together; that ends what this tab is sending, so it is done unasked only where nothing is on its way and the network is there.

use leptos::prelude::*;
use leptos_meta::Title;
use leptos_router::hooks::use_location;

use crate::{
    icons::{Glyph, Icon},
    uploader::desk::Uploads,
};

/// The page.
#[component]
pub fn NotFetchedPage() -> impl IntoView {
    let to = use_location();
    let search = to.search.get_untracked();
    let address = match search.trim_start_matches('?') {
        "" => to.pathname.get_untracked(),
        search => format!("{}?{search}", to.pathname.get_untracked()),
    };
    let uploads = expect_context::<Uploads>();
    let by_itself = address.clone();
    Effect::new(move |_| {
        if !uploads.busy() && window().navigator().on_line() {
            drop(window().location().assign(&by_itself));
        }
    });
    view! {
        <Title text="Not loaded"/>
        <div class="page">
            <div class="empty">
                <Icon glyph=Glyph::Film/>
                <h1>"This page could not be loaded"</h1>
                <p class="muted">
                    "Either the network is gone, or Millrace has been updated. Load the page anew to go on. Uploads on their way stop then; choose their files again to continue them."
                </p>
                // Past the router: it would only look for the same code again.
                <a class="button primary" href=address rel="external">"Load the page anew"</a>
            </div>
        </div>
    }
}
