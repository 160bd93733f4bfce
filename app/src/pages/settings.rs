//! Settings: the account, its sessions and password, its API keys.

use domain::account::Role;
use leptos::{either::Either, form::ActionForm, prelude::*};
use leptos_meta::Title;
use leptos_router::hooks::use_query_map;

use super::{
    embed_hosts::AccountHosts,
    not_found::LoadError,
    settings_keys::Keys,
    settings_sessions::{SessionList, Sessions},
};
use crate::{
    components::{
        fields::{FormError, PasswordField, error_of},
        header::SignOutForm,
    },
    icons::{Glyph, Icon},
    server_fns::{accounts::ChangePassword, keys::list_keys, videos::public_url},
    session::Session,
    wire,
};

/// The page.
#[component]
pub fn SettingsPage() -> impl IntoView {
    let session = expect_context::<Session>();
    let sessions = SessionList::ask();
    let loaded = wire::ask(|| (), |()| async { Ok::<_, crate::server_fns::AppError>((list_keys().await?, public_url().await?)) });
    view! {
        <Title text="Settings"/>
        <div class="page narrow">
            <Transition fallback=|| view! { <h1>"Settings"</h1> }>
                {move || Suspend::new(async move {
                    match loaded.await {
                        Ok((keys, base)) => {
                            let account = session.account.await.ok().flatten();
                            let owner = account.as_ref().is_some_and(|account| account.role == Role::Owner);
                            let email = account.map(|account| account.email).unwrap_or_default();
                            Either::Left(view! {
                                <h1>"Settings"</h1>
                                <Account email=email.clone() owner/>
                                <Password email/>
                                <Sessions list=sessions/>
                                <AccountHosts/>
                                <Keys keys base/>
                            })
                        }
                        Err(error) => Either::Right(view! { <LoadError error/> }),
                    }
                })}
            </Transition>
        </div>
    }
}

#[component]
fn Account(email: String, owner: bool) -> impl IntoView {
    view! {
        <section class="panel">
            <h2>"Account"</h2>
            <div class="between"><p>"Signed in as "<b>{email}</b></p><SignOutForm class="sign-out-here"/></div>
            {owner.then(|| view! {
                <div class="between owner-links">
                    <p class="small muted">"You are an owner of this server."</p>
                    <p class="buttons"><a class="button" href="/people">"People"</a><a class="button" href="/jobs">"Jobs"</a><a class="button" href="/activity">"Activity"</a></p>
                </div>
            })}
            <div class="between">
                <p class="small muted">{if owner { "What takes up room, and how much is left." } else { "What your videos take up." }}</p>
                <p class="buttons"><a class="button" href="/storage">"Storage"</a></p>
            </div>
        </section>
    }
}

const ERROR: &str = "password-error";

#[component]
fn Password(email: String) -> impl IntoView {
    let action = ServerAction::<ChangePassword>::new();
    let error = error_of(action.value());
    let pending = action.pending();
    let query = use_query_map();
    let saved = Memo::new(move |_| query.with(|query| query.get_str("saved") == Some("password")));
    view! {
        <section class="panel">
            <h2>"Password"</h2>
            <div role="status">
                {move || saved.get().then(|| view! { <p class="notice ok"><Icon glyph=Glyph::Check/>"Password changed. Other sessions have been signed out."</p> })}
            </div>
            <ActionForm action=action attr:class="form">
                // For password managers: whose password this is.
                <input class="visually-hidden" type="email" name="username" autocomplete="username" value=email readonly tabindex="-1" aria-hidden="true"/>
                <FormError id=ERROR error/>
                <PasswordField id="current" name="current" label="Current password" autocomplete="current-password" error_id=ERROR error/>
                <PasswordField id="new" name="new" label="New password" autocomplete="new-password" hint="At least 8 characters." error_id=ERROR error/>
                <button class="button primary">{move || if pending.get() { "Changing" } else { "Change password" }}</button>
            </ActionForm>
        </section>
    }
}
