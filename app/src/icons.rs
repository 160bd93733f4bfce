//! The icons: a few strokes each, drawn in the text's colour. They say nothing to screen readers; the words beside them do.

use leptos::prelude::*;

/// Which picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Glyph {
    /// Something is wrong.
    Alert,
    /// A flash: it can be played.
    Bolt,
    /// Done.
    Check,
    /// Folds and unfolds.
    Chevron,
    /// Waiting.
    Clock,
    /// Away with it.
    Close,
    /// Two sheets.
    Copy,
    /// An eye.
    Eye,
    /// A film strip: a video without a picture yet.
    Film,
    /// The whole world: public.
    Globe,
    /// A key.
    Key,
    /// A chain: everybody with the link.
    Link,
    /// A lock: private.
    Lock,
    /// The way out.
    Out,
    /// Hold.
    Pause,
    /// A pencil.
    Pencil,
    /// Go on.
    Play,
    /// Once more.
    Retry,
    /// A magnifying glass.
    Search,
    /// A bin.
    Trash,
    /// An arrow up, out of the machine.
    Upload,
    /// Three quarters of a circle: being worked on.
    Work,
}

impl Glyph {
    const fn path(self) -> &'static str {
        match self {
            Self::Alert => r#"<path d="M12 7v6m0 4v.01"/><circle cx="12" cy="12" r="9"/>"#,
            Self::Bolt => r#"<path d="M13 3 5 14h6l-1 7 9-12h-6z" fill="currentColor"/>"#,
            Self::Check => r#"<path d="m5 12.500 4.500 4.500L19 7.500"/>"#,
            Self::Chevron => r#"<path d="m6 9 6 6 6-6"/>"#,
            Self::Clock => r#"<circle cx="12" cy="12" r="9"/><path d="M12 7v5l3 2"/>"#,
            Self::Close => r#"<path d="m6 6 12 12M18 6 6 18"/>"#,
            Self::Copy => r#"<rect x="9" y="9" width="11" height="11" rx="2"/><path d="M5 15H4V5a1 1 0 0 1 1-1h10v1"/>"#,
            Self::Eye => r#"<path d="M2 12s4-7 10-7 10 7 10 7-4 7-10 7S2 12 2 12z"/><circle cx="12" cy="12" r="3"/>"#,
            Self::Film => r#"<rect x="3" y="4" width="18" height="16" rx="2"/><path d="M8 4v16M16 4v16M3 9h5m-5 6h5m8-6h5m-5 6h5"/>"#,
            Self::Globe => r#"<circle cx="12" cy="12" r="9"/><path d="M3 12h18M12 3c3 3 3 15 0 18-3-3-3-15 0-18z"/>"#,
            Self::Key => r#"<circle cx="8" cy="15" r="4"/><path d="m11 12 9-9m-4 4 3 3"/>"#,
            Self::Link => {
                r#"<path d="M10 14a4 4 0 0 0 6 0l3-3a4 4 0 0 0-6-6l-1 1"/><path d="M14 10a4 4 0 0 0-6 0l-3 3a4 4 0 0 0 6 6l1-1"/>"#
            }
            Self::Lock => r#"<rect x="5" y="11" width="14" height="9" rx="2"/><path d="M8 11V8a4 4 0 0 1 8 0v3"/>"#,
            Self::Out => r#"<path d="M9 4H5v16h4M15 8l4 4-4 4m4-4H9"/>"#,
            Self::Pause => r#"<path d="M8 5v14m8-14v14" stroke-width="3"/>"#,
            Self::Pencil => r#"<path d="M4 20h4L19 9l-4-4L4 16zM13 7l4 4"/>"#,
            Self::Play => r#"<path d="M7 4.500v15l12-7.500z" fill="currentColor"/>"#,
            Self::Retry => r#"<path d="M20 11a8 8 0 1 0-2 6m2-12v6h-6"/>"#,
            Self::Search => r#"<circle cx="11" cy="11" r="7"/><path d="m20 20-4-4"/>"#,
            Self::Trash => r#"<path d="M4 7h16M9 7V4h6v3m-8 0 1 13h8l1-13"/>"#,
            Self::Upload => r#"<path d="M12 16V4m-5 5 5-5 5 5M4 20h16"/>"#,
            Self::Work => r#"<path d="M12 3a9 9 0 1 0 9 9"/>"#,
        }
    }
}

/// One icon, sized by the text or the rule around it.
#[component]
pub fn Icon(
    /// Which picture.
    glyph: Glyph,
) -> impl IntoView {
    view! {
        <svg
            class="icon"
            viewBox="0 0 24 24"
            fill="none"
            stroke="currentColor"
            stroke-width="2"
            stroke-linecap="round"
            stroke-linejoin="round"
            aria-hidden="true"
            focusable="false"
            inner_html=glyph.path()
        ></svg>
    }
}

/// Running water behind a page that has nothing else to show.
#[component]
pub fn Water() -> impl IntoView {
    view! {
        <svg
            class="water"
            viewBox="0 0 1600 400"
            preserveAspectRatio="none"
            fill="none"
            stroke="currentColor"
            aria-hidden="true"
            focusable="false"
            inner_html=r#"<g vector-effect="non-scaling-stroke"><path d="M0 90c200 0 200 70 400 70s200-70 400-70 200 70 400 70 200-70 400-70"/><path d="M0 160c220 0 220 60 440 60s200-60 380-60 200 60 400 60 200-50 380-50"/><path d="M0 230c180 0 220 56 420 56s220-56 400-56 180 56 380 56 220-50 400-50"/><path d="M0 300c240 0 220 46 420 46s200-46 420-46 200 46 380 46 200-40 380-40"/><path d="M0 370c200 0 240 30 440 30s200-30 400-30 200 30 400 30 180-24 360-24"/></g>"#
        ></svg>
    }
}

/// The mark: running water with a play triangle in it.
#[component]
pub fn Mark() -> impl IntoView {
    view! {
        <svg
            class="mark"
            viewBox="0 0 32 32"
            fill="none"
            stroke="currentColor"
            stroke-width="2.6"
            stroke-linecap="round"
            aria-hidden="true"
            focusable="false"
            inner_html=r#"<path d="M3 9c5 0 5 4 10 4s5-4 10-4 4 2 6 3"/><path d="M3 17c5 0 5 4 10 4s4-2 6-3"/><path d="M3 25c5 0 5 3 10 3"/><path d="m20 18 9 5.200-9 5.200z" fill="currentColor" stroke-linejoin="round"/>"#
        ></svg>
    }
}
