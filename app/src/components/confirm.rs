//! A question before something cannot be undone. A real `<dialog>`: focus stays in it, Escape closes it.

use leptos::{ev::MouseEvent, html, prelude::*};

/// A button and the dialog it opens. Opens by script, and by the button's own `command` where there is none.
#[component]
pub fn Confirm(
    /// The dialog's id in the page.
    #[prop(into)]
    id: String,
    /// The opening button's classes.
    button_class: &'static str,
    /// The opening button's content.
    button: ViewFn,
    /// What the opening button is called for those who do not see where it stands.
    #[prop(optional, into)]
    button_label: Option<String>,
    /// The question.
    #[prop(into)]
    question: Signal<String>,
    /// What the answer leads to.
    #[prop(into)]
    consequence: Signal<String>,
    /// The form with the button that does it.
    children: Children,
) -> impl IntoView {
    let dialog = NodeRef::<html::Dialog>::new();
    let open = move |event: MouseEvent| {
        // So that the button's `command` does not open it a second time.
        event.prevent_default();
        if let Some(dialog) = dialog.get_untracked().filter(|dialog| !dialog.open()) {
            drop(dialog.show_modal());
        }
    };
    let title_id = format!("{id}-title");
    let heading_id = title_id.clone();
    view! {
        <button type="button" class=button_class command="show-modal" commandfor=id.clone() aria-label=button_label on:click=open>
            {button.run()}
        </button>
        <dialog id=id node_ref=dialog aria-labelledby=title_id>
            <h2 id=heading_id>{question}</h2>
            <p class="muted">{consequence}</p>
            <div class="dialog-buttons">
                <form method="dialog"><button class="button" autofocus>"Cancel"</button></form>
                {children()}
            </div>
        </dialog>
    }
}
