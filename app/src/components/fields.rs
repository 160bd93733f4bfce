//! Form fields with their labels, and the one place where a form says what is wrong with it.

use leptos::{html, prelude::*};

use super::clock::Clock;
use crate::{
    icons::{Glyph, Icon},
    server_fns::AppError,
};

/// What an action ended with, if it was an error.
pub fn error_of<T: Clone + Send + Sync + 'static>(value: RwSignalOf<T>) -> Signal<Option<AppError>> {
    Signal::derive(move || value.with(|value| value.as_ref().and_then(|result| result.as_ref().err().cloned())))
}

/// The value of a server action.
pub type RwSignalOf<T> = MappedSignal<Option<Result<T, AppError>>>;

/// The text that a form was sent with before it failed, for the field that showed it. Without scripts the page was drawn anew.
pub fn kept(error: Signal<Option<AppError>>) -> String {
    error.with_untracked(|error| error.as_ref().and_then(|error| error.kept.clone())).unwrap_or_default()
}

/// What is wrong with a form. Always in the page, unseen while it is empty, so that a screen reader hears it change; its fields point to it.
#[component]
pub fn FormError(
    /// Its id in the page.
    id: &'static str,
    /// What is wrong.
    error: Signal<Option<AppError>>,
) -> impl IntoView {
    let text = move || error.with(|error| error.as_ref().map(|error| error.problem.detail.clone()));
    view! { <p id=id class="form-error" role="alert"><Icon glyph=Glyph::Alert/><span>{text}</span></p> }
}

/// A text field with its label.
#[component]
pub fn TextField(
    /// Its id in the page, and its name in the form.
    id: &'static str,
    /// Its name in the form.
    name: &'static str,
    /// Its label.
    label: &'static str,
    /// The kind of input.
    #[prop(default = "text")]
    kind: &'static str,
    /// What a password manager calls it.
    #[prop(default = "off")]
    autocomplete: &'static str,
    /// What is in it at first.
    #[prop(optional, into)]
    value: String,
    /// Most characters.
    #[prop(default = 254)]
    max: u16,
    /// The id of the form's [`FormError`].
    error_id: &'static str,
    /// What is wrong with the form.
    error: Signal<Option<AppError>>,
) -> impl IntoView {
    let wrong = move || error.with(Option::is_some);
    view! {
        <div class="field">
            <label for=id>{label}</label>
            <input
                id=id
                name=name
                type=kind
                autocomplete=autocomplete
                autocapitalize="none"
                spellcheck="false"
                maxlength=max.to_string()
                required
                value=value
                aria-invalid=move || wrong().then_some("true")
                aria-describedby=move || wrong().then_some(error_id)
            />
        </div>
    }
}

/// A password field with its label and a button that shows what was typed.
#[component]
pub fn PasswordField(
    /// Its id in the page.
    id: &'static str,
    /// Its name in the form.
    name: &'static str,
    /// Its label.
    label: &'static str,
    /// `current-password` or `new-password`.
    autocomplete: &'static str,
    /// What it has to be, where that is to be said.
    #[prop(optional)]
    hint: Option<&'static str>,
    /// The id of the form's [`FormError`].
    error_id: &'static str,
    /// What is wrong with the form.
    error: Signal<Option<AppError>>,
) -> impl IntoView {
    let clock = expect_context::<Clock>();
    let input = NodeRef::<html::Input>::new();
    let shown = RwSignal::new(false);
    let hint_id = format!("{id}-hint");
    let wrong = move || error.with(Option::is_some);
    let described_by = {
        let hint_id = hint.map(|_| hint_id.clone());
        move || match (&hint_id, wrong()) {
            (Some(hint), true) => Some(format!("{error_id} {hint}")),
            (Some(hint), false) => Some(hint.clone()),
            (None, true) => Some(error_id.to_owned()),
            (None, false) => None,
        }
    };
    let min = (autocomplete == "new-password").then(|| domain::account::PASSWORD_MIN.to_string());
    view! {
        <div class="field">
            <label for=id>{label}</label>
            <div class="password">
                <input
                    id=id
                    node_ref=input
                    name=name
                    type=move || if shown.get() { "text" } else { "password" }
                    autocomplete=autocomplete
                    autocapitalize="none"
                    spellcheck="false"
                    minlength=min
                    maxlength=domain::account::PASSWORD_MAX.to_string()
                    required
                    aria-invalid=move || wrong().then_some("true")
                    aria-describedby=described_by
                />
                <button
                    type="button"
                    class="icon-button"
                    hidden=move || !clock.alive()
                    aria-pressed=move || shown.get().to_string()
                    aria-label=format!("Show {}", label.to_lowercase())
                    title=move || if shown.get() { "Hide" } else { "Show" }
                    on:click=move |_| shown.update(|shown| *shown = !*shown)
                >
                    <Icon glyph=Glyph::Eye/>
                </button>
            </div>
            {hint.map(|hint| view! { <p id=hint_id class="small muted">{hint}</p> })}
        </div>
    }
}
