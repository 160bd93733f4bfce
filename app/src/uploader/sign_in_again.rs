//! The session ended under an upload: the one whose upload it is signs in again here, without leaving the page, and the queue goes on.

use leptos::{form::ActionForm, prelude::*};

use super::{engine::Uploader, queue::Queue};
use crate::{
    components::fields::{FormError, PasswordField, error_of},
    pages::door,
    server_fns::accounts::SignIn,
};

const ERROR: &str = "again-error";

/// The form, while files wait for somebody.
#[component]
pub fn SignInAgain() -> impl IntoView {
    let uploader = expect_context::<Uploader>();
    let waits_for = Memo::new(move |_| uploader.queue.with(Queue::waits_for).map(|account| account.email));
    move || waits_for.get().map(|email| view! { <Form email/> })
}

#[component]
fn Form(email: String) -> impl IntoView {
    let action = ServerAction::<SignIn>::new();
    let error = error_of(action.value());
    // Back to where the user is: the page stays.
    let here = window().location().pathname().unwrap_or_default() + &window().location().search().unwrap_or_default();
    door::refresh_session(move || action.value().with(|value| matches!(value, Some(Ok(())))));
    view! {
        <ActionForm action=action attr:class="form tray-form" attr:aria-label="Sign in again">
            <p class="small">"Uploads wait for "<b>{email.clone()}</b>". Sign in, and they go on."</p>
            <input type="hidden" name="next" value=here/>
            <input type="hidden" name="email" autocomplete="username" value=email/>
            <FormError id=ERROR error/>
            <PasswordField id="again-password" name="password" label="Password" autocomplete="current-password" error_id=ERROR error/>
            <button class="button primary wide">"Sign in and go on"</button>
        </ActionForm>
    }
}
