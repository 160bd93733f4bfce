//! The seek bar: where the playhead is, what is buffered, the time under the pointer; dragged by pointer, moved by keys.
//! Drawn as an SVG whose attributes carry the percents, because a strict content security policy lets no `style` attribute through.

use leptos::{ev::PointerEvent, prelude::*};
use wasm_bindgen::JsCast;
use web_sys::{Element, HtmlElement};

use super::{
    clock,
    request::Request,
    state::{State, percent_text, within},
    store::Store,
};

/// The slider with its rail and bubble.
pub(super) fn seek_bar(store: Store) -> impl IntoView {
    view! {
        <div
            class="player-seek"
            role="slider"
            tabindex="0"
            aria-label="Seek"
            aria-orientation="horizontal"
            aria-keyshortcuts="j l ArrowLeft ArrowRight Home End"
            aria-valuemin="0"
            aria-valuemax=store.text(|state| whole(state.timeline.duration))
            aria-valuenow=store.text(|state| whole(state.timeline.position))
            aria-valuetext=store.text(|state| state.timeline.words())
            on:pointerdown=move |event| on_pointer(&event, store, Act::Press)
            on:pointermove=move |event| on_pointer(&event, store, Act::Move)
            on:pointerup=move |event| on_pointer(&event, store, Act::Release)
            on:pointerleave=move |event| on_pointer(&event, store, Act::Leave)
            on:pointercancel=move |event| on_pointer(&event, store, Act::Cancel)
        >
            <svg class="player-rail" aria-hidden="true">
                <rect class="player-whole" width="100%" height="100%"></rect>
                <rect class="player-buffered" height="100%" width=store.text(|state| percent_text(state.timeline.buffered_percent()))></rect>
                <rect class="player-played" height="100%" width=store.text(knob)></rect>
                <circle class="player-knob" cy="50%" r="6.500" cx=store.text(knob)></circle>
            </svg>
            <span class="player-bubble" aria-hidden="true" hidden=store.flag(|state| state.pointed.is_none())>
                {store.text(|state| clock::digits(state.pointed.unwrap_or(0.0), state.timeline.duration))}
            </span>
        </div>
    }
}

/// What the pointer does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Act {
    Press,
    Move,
    Release,
    Leave,
    Cancel,
}

fn on_pointer(event: &PointerEvent, store: Store, act: Act) {
    let Some(bar) = event.current_target().and_then(|bar| bar.dyn_into::<Element>().ok()) else { return };
    let bounds = bar.get_bounding_client_rect();
    let share = within((f64::from(event.client_x()) - bounds.left()) / bounds.width().max(1.0), 1.0);
    let (dragging, second) = store.look(|state| (state.dragging, state.timeline.duration * share));
    let touch = event.pointer_type() == "touch";
    match act {
        Act::Press if event.button() == 0 => {
            // So that the drag goes on outside; refused for a pointer that is gone already, which is a click then.
            let _ = bar.set_pointer_capture(event.pointer_id());
            store.change(|state| (state.dragging, state.pointed) = (true, Some(second)));
        }
        Act::Press => return,
        Act::Move => store.change(|state| state.pointed = Some(second)),
        Act::Release => {
            // The seek first: the knob goes from the pointer to the new place, not by way of the old one.
            if dragging {
                store.send(Request::SeekTo(second));
            }
            store.change(|state| (state.dragging, state.pointed) = (false, (!touch).then_some(second)));
        }
        Act::Leave if dragging => return,
        Act::Leave | Act::Cancel => store.change(|state| (state.dragging, state.pointed) = (false, None)),
    }
    place_bubble(&bar, share);
}

/// By script: a style set by script is no style in the page.
fn place_bubble(bar: &Element, share: f64) {
    let bubble = bar.last_element_child().and_then(|bubble| bubble.dyn_into::<HtmlElement>().ok());
    if let Some(bubble) = bubble {
        let _ = bubble.style().set_property("left", &percent_text(share * 100.0));
    }
}

fn knob(state: &State) -> String {
    percent_text(state.knob())
}

fn whole(seconds: f64) -> String {
    (seconds.max(0.0) as u32).to_string()
}
