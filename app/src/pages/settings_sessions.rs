//! Where the account is signed in, and ending that: one by one, or everywhere. Works without scripts.

use domain::account::SignedIn;
use leptos::{form::ActionForm, prelude::*, server_fn::ServerFn};

use crate::{
    components::{
        clock::Moment,
        confirm::Confirm,
        fields::{FormError, error_of},
    },
    server_fns::{
        AppError,
        sessions::{EndSession, SignOutEverywhere, list_sessions},
    },
    wire,
};

/// Where the account is signed in, asked again whenever a session has been ended.
#[derive(Clone, Copy)]
pub struct SessionList {
    end: ServerAction<EndSession>,
    rows: wire::Asked<Result<Vec<SignedIn>, AppError>>,
}

impl std::fmt::Debug for SessionList {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SessionList").finish_non_exhaustive()
    }
}

impl SessionList {
    /// Asks for them.
    pub fn ask() -> Self {
        let end = ServerAction::<EndSession>::new();
        let version = end.version();
        Self { end, rows: wire::ask(move || version.get(), |_| list_sessions()) }
    }
}

/// The panel.
#[component]
pub fn Sessions(
    /// The sessions.
    list: SessionList,
) -> impl IntoView {
    let SessionList { end, rows } = list;
    view! {
        <section class="panel" id="sessions">
            <h2>"Where you are signed in"</h2>
            <FormError id="session-error" error=error_of(end.value())/>
            <Transition>
                {move || Suspend::new(async move {
                    let rows = rows.await.unwrap_or_default();
                    view! { <ul class="keys">{rows.into_iter().map(|row| view! { <Row row end/> }).collect_view()}</ul> }
                })}
            </Transition>
            <Confirm
                id="sign-out-everywhere"
                button_class="button danger"
                button=ViewFn::from(|| "Sign out everywhere")
                question=Signal::stored("Sign out everywhere?".to_owned())
                consequence="All browsers are signed out, this one too. Sign in again with your password. API keys go on working."
            >
                // A plain form on purpose: the page is left, and nothing of the account stays in memory.
                <form method="post" action=SignOutEverywhere::url()>
                    <button class="button danger solid">"Sign out everywhere"</button>
                </form>
            </Confirm>
        </section>
    }
}

#[component]
fn Row(row: SignedIn, end: ServerAction<EndSession>) -> impl IntoView {
    let SignedIn { handle, device, address, since_ms, last_seen_ms, current } = row;
    let label = format!("Sign out {device}");
    view! {
        <li>
            <div class="key-words">
                <b>{device}</b>
                {current.then(|| view! { <span class="small this-one">"This browser"</span> })}
                <span class="small muted">
                    {(!address.is_empty()).then(|| format!("From {address}. "))}
                    {(since_ms > 0).then(|| view! { "Signed in "<Moment at_ms=since_ms/>", last seen "<Moment at_ms=last_seen_ms/> })}
                </span>
            </div>
            {(!current).then(|| view! {
                <ActionForm action=end>
                    <input type="hidden" name="handle" value=handle/>
                    <button class="button" aria-label=label>"Sign out"</button>
                </ActionForm>
            })}
        </li>
    }
}
