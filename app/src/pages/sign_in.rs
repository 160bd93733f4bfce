//! Sign in. Works without scripts: the form posts, the server redirects, and an error comes back with the page.

use leptos::{form::ActionForm, prelude::*};
use leptos_router::hooks::use_query_map;

use super::door::{self, Doorway};
use crate::{
    components::fields::{FormError, PasswordField, TextField, error_of, kept},
    server_fns::accounts::SignIn,
};

const ERROR: &str = "sign-in-error";

/// The page.
#[component]
pub fn SignInPage() -> impl IntoView {
    let action = ServerAction::<SignIn>::new();
    let error = error_of(action.value());
    let pending = action.pending();
    let query = use_query_map();
    let next = move || query.with_untracked(|query| query.get_str("next").unwrap_or("/").to_owned());
    door::refresh_session(move || action.value().with(|value| matches!(value, Some(Ok(())))));
    view! {
        <Doorway door=door::ask(None) title="Sign in" elsewhere=|door| (!door.has_owner).then_some("/sign-up") form=move |door| view! {
            <h1>"Sign in"</h1>
            <ActionForm action=action attr:class="form">
                <input type="hidden" name="next" value=next()/>
                <FormError id=ERROR error/>
                <TextField id="email" name="email" label="E-mail address" kind="email" autocomplete="username" value=kept(error) error_id=ERROR error/>
                <PasswordField id="password" name="password" label="Password" autocomplete="current-password" error_id=ERROR error/>
                <button class="button primary wide" data-busy="Signing in" aria-disabled=move || pending.get().then_some("true")>
                    {move || if pending.get() { "Signing in" } else { "Sign in" }}
                </button>
            </ActionForm>
            {door.registration_open.then(|| view! { <p class="small muted">"No account yet? "<a href="/sign-up">"Create one"</a></p> })}
        }/>
    }
}
