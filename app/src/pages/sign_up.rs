//! Sign up. The first visitor creates the owner's account, and the page says so; a server that takes nobody else, or only who was invited,
//! says that.

use leptos::{either::Either, form::ActionForm, prelude::*};
use leptos_router::hooks::use_query_map;

use super::door::{self, Doorway};
use crate::{
    components::fields::{FormError, PasswordField, TextField, error_of, kept},
    server_fns::accounts::{Door, SignUp},
};

const ERROR: &str = "sign-up-error";

/// The page.
#[component]
pub fn SignUpPage() -> impl IntoView {
    let action = ServerAction::<SignUp>::new();
    door::refresh_session(move || action.value().with(|value| matches!(value, Some(Ok(())))));
    let invite = use_query_map().with_untracked(|query| query.get_str("invite").map(str::to_owned));
    let brought = StoredValue::new(invite.clone());
    view! {
        <Doorway door=door::ask(invite) title="Create an account" elsewhere=|_| None form=move |door| {
            if door.registration_open || door.invited {
                Either::Left(view! { <SignUpForm action door invite=brought.get_value()/> })
            } else {
                Either::Right(view! { <Closed invited=brought.with_value(Option::is_some)/> })
            }
        }/>
    }
}

#[component]
fn SignUpForm(action: ServerAction<SignUp>, door: Door, invite: Option<String>) -> impl IntoView {
    let error = error_of(action.value());
    let pending = action.pending();
    let intro = if door.invited {
        "You have been invited. This link makes one account."
    } else if door.has_owner {
        "Your videos are yours alone until you share them."
    } else {
        "This server is new. Whoever signs up first owns it: this account is the owner's."
    };
    view! {
        <h1>{if door.has_owner { "Create an account" } else { "Welcome to Millrace" }}</h1>
        <p class="muted">{intro}</p>
        <ActionForm action=action attr:class="form">
            {invite.map(|secret| view! { <input type="hidden" name="invite" value=secret/> })}
            <FormError id=ERROR error/>
            <TextField id="email" name="email" label="E-mail address" kind="email" autocomplete="username" value=kept(error) error_id=ERROR error/>
            <PasswordField
                id="password"
                name="password"
                label="Password"
                autocomplete="new-password"
                hint="At least 8 characters. A sentence is easy to remember and hard to guess."
                error_id=ERROR
                error
            />
            <button class="button primary wide" aria-disabled=move || pending.get().then_some("true")>
                {if door.has_owner { "Create account" } else { "Create the owner's account" }}
            </button>
        </ActionForm>
        {door.has_owner.then(|| view! { <p class="small muted">"You have an account? "<a href="/sign-in">"Sign in"</a></p> })}
    }
}

#[component]
fn Closed(invited: bool) -> impl IntoView {
    let (heading, text) = if invited {
        (
            "This invitation does not work",
            "It has been used or withdrawn, or it is more than a week old. Ask whoever sent it for a new one.",
        )
    } else {
        ("Signing up is closed", "This server takes no new accounts by itself. Ask whoever runs it for an invitation.")
    };
    view! {
        <h1>{heading}</h1>
        <p class="muted">{text}</p>
        <a class="button wide" href="/sign-in">"Sign in"</a>
    }
}
