//! The seek bar: where the playhead is, what is buffered, the time under the pointer; dragged by pointer, moved by keys.
//! Drawn as an SVG whose attributes carry the percents, because a strict content security policy lets no `style` attribute through.

use leptos::{ev::PointerEvent, html, prelude::*};

use super::{clock, request::Request, store::Store};

/// The slider with its rail and bubble.
pub(super) fn seek_bar(store: Store) -> impl IntoView {
    let bar = NodeRef::<html::Div>::new();
    // Second under the pointer, and whether it is being dragged.
    let pointed = RwSignal::new(None::<f64>);
    let dragging = RwSignal::new(false);

    let second_at = move |event: &PointerEvent| {
        let bounds = bar.get_untracked()?.get_bounding_client_rect();
        let share = ((f64::from(event.client_x()) - bounds.left()) / bounds.width().max(1.0)).clamp(0.0, 1.0);
        Some(store.timeline.with_untracked(|timeline| timeline.duration) * share)
    };
    let down = move |event: PointerEvent| {
        if event.button() != 0 {
            return;
        }
        if let Some(bar) = bar.get_untracked() {
            // So that the drag goes on outside; refused for a pointer that is gone already, which is a click then.
            let _ = bar.set_pointer_capture(event.pointer_id());
        }
        dragging.set(true);
        pointed.set(second_at(&event));
    };
    let moved = move |event: PointerEvent| pointed.set(second_at(&event));
    let up = move |event: PointerEvent| {
        if dragging.get_untracked() {
            dragging.set(false);
            if let Some(second) = second_at(&event) {
                store.send(Request::SeekTo(second));
            }
            if event.pointer_type() == "touch" {
                pointed.set(None);
            }
        }
    };
    let left = move |_: PointerEvent| {
        if !dragging.get_untracked() {
            pointed.set(None);
        }
    };
    let cancelled = move |_: PointerEvent| {
        dragging.set(false);
        pointed.set(None);
    };

    // While dragging, the knob is at the pointer and the playhead stays.
    let shown = Memo::new(move |_| {
        let dragged = pointed.get().filter(|_| dragging.get());
        store.timeline.with(|timeline| timeline.percent(dragged.unwrap_or(timeline.position)))
    });
    let percent = move |share: f64| format!("{share:.2}%");

    view! {
        <div
            class="player-seek"
            role="slider"
            tabindex="0"
            aria-label="Seek"
            aria-orientation="horizontal"
            aria-keyshortcuts="j l ArrowLeft ArrowRight Home End"
            aria-valuemin="0"
            aria-valuemax=move || whole(store.timeline.with(|timeline| timeline.duration))
            aria-valuenow=move || whole(store.timeline.with(|timeline| timeline.position))
            aria-valuetext=move || store.timeline.with(|timeline| timeline.words())
            node_ref=bar
            on:pointerdown=down
            on:pointermove=moved
            on:pointerup=up
            on:pointerleave=left
            on:pointercancel=cancelled
        >
            <svg class="player-rail" aria-hidden="true">
                <rect class="player-whole" width="100%" height="100%"></rect>
                <rect class="player-buffered" height="100%" width=move || percent(store.timeline.with(|timeline| timeline.buffered_percent()))></rect>
                <rect class="player-played" height="100%" width=move || percent(shown.get())></rect>
                <circle class="player-knob" cy="50%" r="6.500" cx=move || percent(shown.get())></circle>
            </svg>
            <Show when=move || pointed.get().is_some()>
                <span class="player-bubble" style:left=move || percent(store.timeline.with(|timeline| timeline.percent(pointed.get().unwrap_or(0.0))))>
                    {move || clock::digits(pointed.get().unwrap_or(0.0), store.timeline.with(|timeline| timeline.duration))}
                </span>
            </Show>
        </div>
    }
}

fn whole(seconds: f64) -> u32 {
    seconds.max(0.0) as u32
}
