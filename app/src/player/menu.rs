//! The settings menu: quality and speed side by side. Arrows move, Enter or Space chooses, Escape closes and gives the focus back.

use leptos::{
    ev::{FocusEvent, KeyboardEvent},
    html,
    prelude::*,
};
use wasm_bindgen::JsCast;
use web_sys::{Element, HtmlElement, Node};

use super::{
    icons::{self, icon},
    request::Request,
    state::{RATES, rate_label},
    store::Store,
};

const ITEMS: &str = "[role=menuitemradio]";

/// The button and, while open, the menu.
pub(super) fn settings(store: Store) -> impl IntoView {
    let root = NodeRef::<html::Div>::new();
    let opener = NodeRef::<html::Button>::new();
    let close = move || {
        store.menu.set(false);
        if let Some(opener) = opener.get_untracked() {
            let _ = opener.focus();
        }
    };
    // The keyboard lands on what is chosen now, as soon as the menu is there.
    Effect::new(move |_| {
        if store.menu.get() {
            request_animation_frame(move || {
                if let Some(root) = root.get_untracked() {
                    focus(root.query_selector("[aria-checked=true]").ok().flatten());
                }
            });
        }
    });
    let left = move |event: FocusEvent| {
        let inside = event.related_target().and_then(|target| target.dyn_into::<Node>().ok());
        let stays = root.get_untracked().is_some_and(|root| inside.is_some_and(|node| root.contains(Some(&node))));
        if !stays {
            store.menu.set(false);
        }
    };
    view! {
        <div class="player-settings" node_ref=root on:focusout=left>
            <button
                class="player-button"
                type="button"
                aria-label="Settings"
                aria-haspopup="menu"
                aria-expanded=move || if store.menu.get() { "true" } else { "false" }
                node_ref=opener
                on:click=move |_| store.menu.update(|open| *open = !*open)
            >
                {icon(Signal::stored(icons::SETTINGS))}
            </button>
            <Show when=move || store.menu.get()>
                <div class="player-menu" role="menu" aria-label="Settings" tabindex="-1" on:keydown=move |event| on_key(&event, root, close)>
                    {qualities(store, close)}
                    {speeds(store, close)}
                </div>
            </Show>
        </div>
    }
}

fn qualities(store: Store, close: impl Fn() + Copy + Send + Sync + 'static) -> impl IntoView {
    let choices = Memo::new(move |_| store.qualities.with(|qualities| qualities.choices()));
    let items = move || {
        let item = |choice: super::quality::Choice| {
            item(choice.label, choice.chosen, move || {
                store.send(Request::ChooseQuality(choice.level));
                close();
            })
        };
        choices.get().into_iter().map(item).collect_view()
    };
    view! {
        <Show when=move || !choices.with(|choices| choices.is_empty())>
            <div class="player-choices" role="group" aria-label="Quality">
                <span class="player-title" aria-hidden="true">"Quality"</span>
                {items}
            </div>
        </Show>
    }
}

fn speeds(store: Store, close: impl Fn() + Copy + Send + Sync + 'static) -> impl IntoView {
    let items = move || {
        let item = |rate: f64| {
            item(rate_label(rate), rate == store.rate.get(), move || {
                store.send(Request::SetRate(rate));
                close();
            })
        };
        RATES.into_iter().map(item).collect_view()
    };
    view! {
        <div class="player-choices" role="group" aria-label="Speed">
            <span class="player-title" aria-hidden="true">"Speed"</span>
            {items}
        </div>
    }
}

fn item(label: String, chosen: bool, choose: impl Fn() + 'static) -> impl IntoView {
    view! {
        <button class="player-item" type="button" role="menuitemradio" tabindex="-1" aria-checked=chosen.to_string() on:click=move |_| choose()>
            {icon(Signal::stored(icons::CHECK))}
            {label}
        </button>
    }
}

fn on_key(event: &KeyboardEvent, root: NodeRef<html::Div>, close: impl Fn()) {
    let Some(root) = root.get_untracked() else { return };
    let Ok(list) = root.query_selector_all(ITEMS) else { return };
    let items: Vec<Element> = (0..list.length()).filter_map(|index| list.get(index)?.dyn_into().ok()).collect();
    let active = document().active_element();
    let at = items.iter().position(|item| Some(item) == active.as_ref()).unwrap_or(0);
    let to = match event.key().as_str() {
        "ArrowDown" => (at + 1) % items.len().max(1),
        "ArrowUp" => (at + items.len()).saturating_sub(1) % items.len().max(1),
        "ArrowLeft" | "ArrowRight" => beside(&items, at),
        "Home" => 0,
        "End" => items.len().saturating_sub(1),
        "Escape" => {
            event.prevent_default();
            event.stop_propagation();
            return close();
        }
        _ => return,
    };
    event.prevent_default();
    focus(items.get(to).cloned());
}

/// What is chosen in the other column.
fn beside(items: &[Element], at: usize) -> usize {
    let column = |index: usize| items.get(index).and_then(|item| item.parent_element());
    let chosen = |index: &usize| items[*index].get_attribute("aria-checked").as_deref() == Some("true");
    (0..items.len()).filter(|index| column(*index) != column(at)).find(chosen).unwrap_or(at)
}

fn focus(element: Option<Element>) {
    if let Some(element) = element.and_then(|element| element.dyn_into::<HtmlElement>().ok()) {
        let _ = element.focus();
    }
}
