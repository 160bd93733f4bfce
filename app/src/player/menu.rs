//! The settings menu: quality and speed side by side. Arrows move, Enter or Space chooses, Escape closes and gives the focus back.

use leptos::{
    ev::{FocusEvent, KeyboardEvent, MouseEvent},
    prelude::*,
};
use wasm_bindgen::JsCast;
use web_sys::{Element, Event, HtmlElement, Node};

use super::{
    icons::{self, still},
    quality::Choice,
    request::Request,
    state::{RATES, rate_label},
    store::Store,
};

const ITEMS: &str = "[role=menuitemradio]";
const CHOSEN: &str = "[aria-checked=true]";
const OPENER: &str = "[aria-haspopup]";

/// The button and its menu.
pub(super) fn settings(store: Store) -> impl IntoView {
    let toggle = move |event: MouseEvent| {
        store.change(|state| state.menu = !state.menu);
        // The keyboard lands on what is chosen now, as soon as the menu shows.
        let root = root(&event);
        if store.look(|state| state.menu) {
            store.send(Request::Choices);
            request_animation_frame(move || focus(root.and_then(|root| root.query_selector(CHOSEN).ok().flatten())));
        }
    };
    view! {
        <div class="player-settings" on:focusout=move |event| on_leave(&event, store)>
            <button
                class="player-button"
                type="button"
                aria-label="Settings"
                aria-haspopup="menu"
                aria-expanded=store.text(|state| state.menu.to_string())
                on:click=toggle
            >
                {still(icons::SETTINGS)}
            </button>
            <div
                class="player-menu"
                role="menu"
                aria-label="Settings"
                tabindex="-1"
                hidden=store.flag(|state| !state.menu)
                on:keydown=move |event| on_key(&event, store)
            >
                {qualities(store)}
                {speeds(store)}
            </div>
        </div>
    }
}

fn qualities(store: Store) -> impl IntoView {
    let choices = store.memo(|state| state.qualities.choices());
    let items = move || choices.get().into_iter().map(|choice| quality(store, choice)).collect_view();
    view! {
        <div class="player-choices" role="group" aria-label="Quality" hidden=store.flag(|state| state.qualities.rungs.is_empty())>
            <span class="player-title" aria-hidden="true">"Quality"</span>
            {items}
        </div>
    }
}

fn quality(store: Store, choice: Choice) -> impl IntoView {
    let checked = Signal::stored(choice.chosen.to_string());
    item(store, choice.label, checked, Request::ChooseQuality(choice.level))
}

fn speeds(store: Store) -> impl IntoView {
    let items = RATES.map(|rate| {
        let checked = Signal::derive(move || store.rate_is(rate).to_string());
        item(store, rate_label(rate), checked, Request::SetRate(rate))
    });
    view! {
        <div class="player-choices" role="group" aria-label="Speed">
            <span class="player-title" aria-hidden="true">"Speed"</span>
            {items.into_iter().collect_view()}
        </div>
    }
}

fn item(store: Store, label: String, checked: Signal<String>, request: Request) -> impl IntoView {
    let choose = move |event: MouseEvent| {
        store.send(request);
        close(&event, store);
    };
    view! {
        <button class="player-item" type="button" role="menuitemradio" tabindex="-1" aria-checked=checked on:click=choose>
            {still(icons::CHECK)}
            {label}
        </button>
    }
}

/// The element around button and menu.
fn root(event: &Event) -> Option<Element> {
    event.target()?.dyn_into::<Element>().ok()?.closest(".player-settings").ok()?
}

fn close(event: &Event, store: Store) {
    let root = root(event);
    focus(root.and_then(|root| root.query_selector(OPENER).ok().flatten()));
    store.change(|state| state.menu = false);
}

fn on_leave(event: &FocusEvent, store: Store) {
    let to = event.related_target().and_then(|target| target.dyn_into::<Node>().ok());
    if !root(event).is_some_and(|root| root.contains(to.as_ref())) {
        store.change(|state| state.menu = false);
    }
}

fn on_key(event: &KeyboardEvent, store: Store) {
    let Some(list) = root(event).and_then(|root| root.query_selector_all(ITEMS).ok()) else { return };
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
            return close(event, store);
        }
        _ => return,
    };
    event.prevent_default();
    focus(items.get(to).cloned());
}

/// What is chosen in the other column.
fn beside(items: &[Element], at: usize) -> usize {
    let column = |index: usize| items.get(index).and_then(|item| item.parent_element());
    let chosen = |index: &usize| items[*index].matches(CHOSEN).unwrap_or(false);
    (0..items.len()).filter(|index| column(*index) != column(at)).find(chosen).unwrap_or(at)
}

fn focus(element: Option<Element>) {
    if let Some(element) = element.and_then(|element| element.dyn_into::<HtmlElement>().ok()) {
        let _ = element.focus();
    }
}
