//! Which sites may show videos in their pages: the fields for it, and the panel for the whole account.

use leptos::{either::Either, form::ActionForm, prelude::*};

use crate::{
    components::fields::{FormError, RwSignalOf, error_of},
    server_fns::grants::{SetAccountHosts, get_account_hosts},
    wire,
};

/// A list of hosts, what is wrong with it, the button that saves it, and that it was saved.
#[component]
pub fn HostsField(
    /// Its id in the page.
    id: &'static str,
    /// The id of its error.
    error_id: &'static str,
    /// What is in it at first.
    hosts: String,
    /// What it is for.
    hint: &'static str,
    /// What saving came to.
    value: RwSignalOf<String>,
    /// The button's classes.
    button_class: &'static str,
) -> impl IntoView {
    let error = error_of(value);
    // What was refused stays in the field, also when the page was drawn anew.
    let shown = error.with_untracked(|error| error.as_ref().and_then(|error| error.kept.clone())).unwrap_or(hosts);
    let saved = move || value.with(|value| matches!(value, Some(Ok(_))));
    let hint_id = format!("{id}-hint");
    view! {
        <FormError id=error_id error/>
        <div class="field">
            <label for=id>"Sites that may embed"</label>
            <textarea id=id name="hosts" rows="2" spellcheck="false" autocapitalize="none" maxlength="4000" placeholder="example.com *.example.org"
                aria-describedby=format!("{hint_id} {error_id}")>{shown}</textarea>
            <p id=hint_id class="small muted">{hint}</p>
        </div>
        <div class="between start">
            <button class=button_class>"Save sites"</button>
            <p class="small muted" role="status">{move || saved().then_some("Saved.")}</p>
        </div>
    }
}

/// The account's list.
#[component]
pub fn AccountHosts() -> impl IntoView {
    let action = ServerAction::<SetAccountHosts>::new();
    let hosts = wire::ask(|| (), |()| get_account_hosts());
    view! {
        <Suspense>
            {move || Suspend::new(async move {
                match hosts.await {
                    Ok(hosts) => Either::Left(view! {
                        <section class="panel" id="embed-hosts">
                            <h2>"Embedding"</h2>
                            <ActionForm action=action attr:class="form">
                                <HostsField id="account-hosts" error_id="account-hosts-error" hosts value=action.value() button_class="button primary"
                                    hint="Only pages of these sites may show your videos, except where a video names its own. Empty: every page may."/>
                            </ActionForm>
                        </section>
                    }),
                    Err(_) => Either::Right(()),
                }
            })}
        </Suspense>
    }
}
