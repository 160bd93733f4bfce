//! A text to take away: shown in full in a field, copied by a button, and the button says that it did.

use gloo_timers::future::TimeoutFuture;
use leptos::{html, prelude::*, task::spawn_local};
use wasm_bindgen::JsValue;
use wasm_bindgen_futures::JsFuture;

use super::announcer::Announcer;
use crate::icons::{Glyph, Icon};

/// A label, a field that cannot be edited, and a button that copies.
#[component]
pub fn CopyField(
    /// The field's id in the page.
    #[prop(into)]
    id: Oco<'static, str>,
    /// What it is.
    #[prop(into)]
    label: Oco<'static, str>,
    /// The text.
    #[prop(into)]
    text: Signal<String>,
) -> impl IntoView {
    let announcer = expect_context::<Announcer>();
    let input = NodeRef::<html::Input>::new();
    let note = RwSignal::new("Copy");
    let copy = move |_| {
        spawn_local(async move {
            if write(&text.get_untracked()).await {
                note.set("Copied");
                announcer.say("Copied", false);
            } else {
                // Clipboards need HTTPS; everybody can still press the keys.
                if let Some(input) = input.get_untracked() {
                    input.select();
                }
                note.set("Press Ctrl+C");
                announcer.say("The text is selected. Press Control C to copy it.", false);
            }
            TimeoutFuture::new(2_500).await;
            note.try_set("Copy");
        });
    };
    view! {
        <div class="copy-field">
            <label for=id.clone()>{label.clone()}</label>
            <div class="copy">
                <input
                    id=id
                    node_ref=input
                    class="mono"
                    readonly
                    prop:value=text
                    value=move || text.get()
                    on:focus=move |_| if let Some(input) = input.get_untracked() { input.select() }
                />
                <button type="button" on:click=copy aria-label=move || format!("{}: {label}", note.get())>
                    {move || view! { <Icon glyph=if note.get() == "Copied" { Glyph::Check } else { Glyph::Copy }/> }}
                    <span>{note}</span>
                </button>
            </div>
        </div>
    }
}

async fn write(text: &str) -> bool {
    let navigator = window().navigator();
    let there = js_sys::Reflect::get(&navigator, &JsValue::from_str("clipboard")).is_ok_and(|clipboard| !clipboard.is_undefined());
    there && JsFuture::from(navigator.clipboard().write_text(text)).await.is_ok()
}
