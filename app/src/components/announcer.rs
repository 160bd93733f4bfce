//! Says things to people who do not see the screen: two live regions, one that waits its turn and one that interrupts.

use leptos::prelude::*;

/// The voice, in the context of the whole app.
#[derive(Debug, Clone, Copy)]
pub struct Announcer {
    polite: RwSignal<String>,
    urgent: RwSignal<String>,
}

impl Announcer {
    /// A voice in the context; [`Announcements`] lends it its regions.
    pub fn provide() -> Self {
        let announcer = Self { polite: RwSignal::new(String::new()), urgent: RwSignal::new(String::new()) };
        provide_context(announcer);
        announcer
    }

    /// Says a sentence; an urgent one interrupts.
    pub fn say(self, text: &str, urgent: bool) {
        let region = if urgent { self.urgent } else { self.polite };
        region.update(|said| {
            // The same sentence twice is no change for a screen reader, unless something invisible differs.
            let again = said.trim_end_matches('\u{a0}') == text && !said.ends_with('\u{a0}');
            *said = if again { format!("{text}\u{a0}") } else { text.to_owned() };
        });
    }
}

/// The two live regions. They have to be in the page before something is said in them.
#[component]
pub fn Announcements() -> impl IntoView {
    let announcer = expect_context::<Announcer>();
    view! {
        <div class="visually-hidden" role="status" aria-live="polite">{announcer.polite}</div>
        <div class="visually-hidden" role="alert" aria-live="assertive">{announcer.urgent}</div>
    }
}
