//! The bar above every page: the mark, where to go, search, upload, and who is signed in.

use std::time::Duration;

use domain::account::Account;
use leptos::{ev::SubmitEvent, html, prelude::*, server_fn::ServerFn};
use leptos_router::{
    NavigateOptions,
    components::A,
    hooks::{use_location, use_navigate, use_query_map},
};

use super::clock::Clock;
use crate::{
    icons::{Glyph, Icon, Mark},
    server_fns::accounts::SignOut,
    session::Session,
    uploader::drop_overlay::FileChooser,
};

/// Typing pauses this long before the library is searched.
const SEARCH_AFTER: Duration = Duration::from_millis(250);

/// The search field's id, for the keyboard shortcut.
pub const SEARCH_ID: &str = "search";

/// The bar.
#[component]
pub fn Header() -> impl IntoView {
    let session = expect_context::<Session>();
    view! {
        <header class="bar">
            <a class="brand" href="/" aria-label="Millrace, to your videos"><Mark/><span>"Millrace"</span></a>
            <Transition>
                {move || Suspend::new(async move {
                    session.account.await.ok().flatten().map(|account| view! { <Signed account/> })
                })}
            </Transition>
        </header>
    }
}

#[component]
fn Signed(account: Account) -> impl IntoView {
    let chooser = expect_context::<FileChooser>();
    let clock = expect_context::<Clock>();
    let letter = account.email.chars().next().map(|c| c.to_uppercase().to_string()).unwrap_or_default();
    view! {
        <nav aria-label="Main">
            <A href="/" exact=true>"Videos"</A>
            <A href="/settings">"Settings"</A>
        </nav>
        <Search/>
        <button
            type="button"
            class="button primary upload-button"
            disabled=move || !clock.alive()
            aria-keyshortcuts="u"
            on:click=move |_| chooser.open()
        >
            <Icon glyph=Glyph::Upload/>"Upload"
        </button>
        <a class="avatar" href="/settings" title=account.email.clone() aria-label=format!("Settings of {}", account.email)>{letter}</a>
        <SignOutForm class="sign-out"/>
    }
}

/// The button that signs out. A plain form on purpose: the page is left, and nothing of the account stays in memory.
#[component]
pub fn SignOutForm(
    /// The form's class.
    class: &'static str,
) -> impl IntoView {
    view! {
        <form class=class method="post" action=SignOut::url()>
            <button class="button quiet" title="Sign out"><Icon glyph=Glyph::Out/><span>"Sign out"</span></button>
        </form>
    }
}

#[component]
fn Search() -> impl IntoView {
    let input = NodeRef::<html::Input>::new();
    let query = use_query_map();
    let asked = Memo::new(move |_| query.with(|query| query.get_str("q").unwrap_or_default().to_owned()));
    let path = use_location().pathname;
    let navigate = use_navigate();
    let go = navigate.clone();
    let typed = StoredValue::new(0_u32);

    // The address may change under the field (back, a link); while somebody types in it, it is theirs.
    Effect::new(move |_| {
        let text = asked.get();
        if let Some(input) = input.get() {
            let typing = document().active_element().is_some_and(|active| active.id() == SEARCH_ID);
            if !typing && input.value() != text {
                input.set_value(&text);
            }
        }
    });
    let on_input = move |_| {
        if path.get_untracked() != "/" {
            return;
        }
        let number = typed.get_value() + 1;
        typed.set_value(number);
        let navigate = navigate.clone();
        set_timeout(
            move || {
                let Some(input) = input.get_untracked().filter(|_| typed.get_value() == number) else { return };
                let options = NavigateOptions { replace: true, scroll: false, ..NavigateOptions::default() };
                navigate(&library_url(&input.value()), options);
            },
            SEARCH_AFTER,
        );
    };
    let on_submit = move |event: SubmitEvent| {
        if let Some(input) = input.get_untracked() {
            event.prevent_default();
            go(&library_url(&input.value()), NavigateOptions::default());
        }
    };
    view! {
        // No form of the router's: that one can do much more, and the browser would have to load it first.
        <form method="get" action="/" class="search" role="search" on:submit=on_submit>
            <Icon glyph=Glyph::Search/>
            <input
                id=SEARCH_ID
                node_ref=input
                type="search"
                name="q"
                placeholder="Search videos"
                aria-label="Search videos by title"
                aria-keyshortcuts="/"
                autocomplete="off"
                maxlength="200"
                value=asked.get_untracked()
                on:input=on_input
            />
            <kbd aria-hidden="true">"/"</kbd>
        </form>
    }
}

/// The library's address for a search.
pub fn library_url(search: &str) -> String {
    let search = search.trim();
    if search.is_empty() { "/".to_owned() } else { format!("/?q={}", leptos_router::location::Url::escape(search)) }
}
