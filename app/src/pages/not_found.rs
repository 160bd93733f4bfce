//! Nothing here: an address that leads nowhere, a video that is gone or somebody else's.

use domain::error::Code;
use leptos::{either::Either, prelude::*};
use leptos_meta::Title;
use leptos_router::{components::Redirect, hooks::use_location, location::Url};

use crate::{
    icons::{Glyph, Icon},
    server_fns::AppError,
};

/// The page for addresses that lead nowhere; its HTTP status is 404.
#[component]
pub fn NotFound() -> impl IntoView {
    crate::answer_status(404);
    view! { <Nothing heading="There is nothing here" text="The address leads nowhere, or what was here has been deleted."/> }
}

/// A page with nothing on it but why, and the way back.
#[component]
pub fn Nothing(
    /// What it is.
    heading: &'static str,
    /// Why.
    #[prop(into)]
    text: String,
) -> impl IntoView {
    view! {
        <Title text=heading/>
        <div class="page">
            <div class="empty">
                <Icon glyph=Glyph::Film/>
                <h1>{heading}</h1>
                <p class="muted">{text}</p>
                <a class="button primary" href="/">"To your videos"</a>
            </div>
        </div>
    }
}

/// What a page shows instead of itself when it could not be loaded. Who is not signed in is sent to sign in, and comes back afterwards.
#[component]
pub fn LoadError(
    /// Why.
    error: AppError,
) -> impl IntoView {
    if error.signed_out() {
        let location = use_location();
        let here = format!(
            "{}{}",
            location.pathname.get_untracked(),
            match location.search.get_untracked() {
                search if search.is_empty() => search,
                search => format!("?{}", search.trim_start_matches('?')),
            }
        );
        let path = if here == "/" { "/sign-in".to_owned() } else { format!("/sign-in?next={}", Url::escape(&here)) };
        return Either::Left(view! { <Redirect path=path/> });
    }
    let heading = match error.problem.code {
        Code::NotFound => "There is nothing here",
        Code::Forbidden => "This page is not for you",
        _ => "This page could not be loaded",
    };
    Either::Right(view! { <Nothing heading text=error.problem.detail/> })
}
