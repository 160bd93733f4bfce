//! Where files come in: anywhere on the page by drop or paste, and through the one hidden file input that all upload buttons open.

use leptos::{ev, html, prelude::*};
use wasm_bindgen::JsCast;
use web_sys::{ClipboardEvent, DataTransfer};

use super::desk::Uploads;
use crate::icons::{Glyph, Icon};

/// Opens the file chooser from anywhere in the app.
#[derive(Debug, Clone, Copy)]
pub struct FileChooser {
    input: NodeRef<html::Input>,
}

impl FileChooser {
    /// A chooser in the context; [`DropOverlay`] gives it its input.
    pub fn provide() -> Self {
        let chooser = Self { input: NodeRef::new() };
        provide_context(chooser);
        chooser
    }

    /// Opens it. Works only within a click or a key press, as browsers demand.
    pub fn open(self) {
        if let Some(input) = self.input.get_untracked() {
            input.click();
        }
    }
}

/// The hidden input, the listeners for drop and paste, and what is seen while something is dragged over the page.
#[component]
pub fn DropOverlay() -> impl IntoView {
    let uploads = expect_context::<Uploads>();
    let chooser = expect_context::<FileChooser>();
    // `dragenter` and `dragleave` come for every element on the way; only their balance says whether the pointer is still here.
    let depth = RwSignal::new(0_i32);

    Effect::new(move |_| listen(uploads, depth));
    // A file chosen before the page came to life.
    Effect::new(move |_| {
        if let Some(input) = chooser.input.get() {
            take_from(uploads, &input);
        }
    });
    let on_change = move |_| {
        if let Some(input) = chooser.input.get_untracked() {
            take_from(uploads, &input);
        }
    };
    view! {
        <input
            node_ref=chooser.input
            id="file-chooser"
            class="visually-hidden"
            type="file"
            multiple
            tabindex="-1"
            aria-hidden="true"
            accept="video/*,.mp4,.m4v,.mov,.mkv,.webm,.avi"
            on:change=on_change
        />
        <div class="drop-overlay" class:shown=move || depth.get().is_positive() aria-hidden="true">
            <div class="drop-overlay-sheet">
                <Icon glyph=Glyph::Upload/>
                <strong>"Drop to upload"</strong>
                <span>"As many videos as you like"</span>
            </div>
        </div>
    }
}

fn take_from(uploads: Uploads, input: &web_sys::HtmlInputElement) {
    let files = input.files().filter(|files| files.length() > 0);
    uploads.add(files);
    // So that choosing the same file again is a change again.
    input.set_value("");
}

fn listen(uploads: Uploads, depth: RwSignal<i32>) {
    let has_files = |data: Option<DataTransfer>| data.is_some_and(|data| data.types().includes(&"Files".into(), 0));
    let _ = window_event_listener(ev::dragenter, move |event| {
        if has_files(event.data_transfer()) {
            event.prevent_default();
            depth.update(|depth| *depth += 1);
        }
    });
    let _ = window_event_listener(ev::dragover, move |event| {
        if has_files(event.data_transfer()) {
            event.prevent_default();
        }
    });
    let _ = window_event_listener(ev::dragleave, move |event| {
        if has_files(event.data_transfer()) {
            depth.update(|depth| *depth = (*depth - 1).max(0));
        }
    });
    let _ = window_event_listener(ev::drop, move |event| {
        depth.set(0);
        if has_files(event.data_transfer()) {
            event.prevent_default();
            uploads.add(event.data_transfer().and_then(|data| data.files()));
        }
    });
    let _ = window_event_listener(ev::paste, move |event| {
        let event: &web_sys::Event = event.as_ref();
        let data = event.dyn_ref::<ClipboardEvent>().and_then(ClipboardEvent::clipboard_data);
        if let Some(files) = data.and_then(|data| data.files()).filter(|files| files.length() > 0) {
            event.prevent_default();
            uploads.add(Some(files));
        }
    });
}
