//! What the two pages before the door share: the sheet they stand on, and who is sent elsewhere.
//!
//! Who comes to one of them first gets it as the server drew it, with a few lines of script (`shell/door.js`) and none of the dashboard's code. That comes for
//! them only where a living dashboard goes there, because its session has ended: what it is uploading stays.

use leptos::{either::Either, prelude::*};
use leptos_meta::Title;
use leptos_router::components::Redirect;

use crate::{
    icons::{Mark, Water},
    server_fns::{
        AppError,
        accounts::{self, Door},
    },
    session::Session,
    wire,
};

/// What the visitor may do, asked once for the page.
pub type DoorResource = wire::Asked<Result<Door, AppError>>;

/// Whether a path is one of theirs.
pub fn is_at(path: &str) -> bool {
    matches!(path.trim_end_matches('/'), "/sign-in" | "/sign-up")
}

/// Asks the server what the visitor may do, with the secret of an invitation where they brought one.
pub fn ask(invite: Option<String>) -> DoorResource {
    wire::ask(move || invite.clone(), accounts::look_at_door)
}

/// Tells the app that somebody came in, as soon as the action did its work.
pub fn refresh_session(done: impl Fn() -> bool + Send + Sync + 'static) {
    let session = expect_context::<Session>();
    Effect::new(move |_| {
        if done() {
            session.account.refetch();
        }
    });
}

/// Sends those who are signed in, or at the wrong door, to where they belong; shows the form to the others.
#[component]
pub fn Doorway<V: IntoView + 'static>(
    /// What the visitor may do.
    door: DoorResource,
    /// The page's title.
    title: &'static str,
    /// Where to go instead, if anywhere.
    elsewhere: fn(Door) -> Option<&'static str>,
    /// The form.
    form: impl Fn(Door) -> V + Copy + Send + Sync + 'static,
) -> impl IntoView {
    view! {
        <Title text=title/>
        <div class="door">
            <Water/>
            <div class="door-sheet">
                <p class="door-brand"><Mark/>"Millrace"</p>
                <Suspense fallback=|| view! { <p class="muted">"One moment"</p> }>
                    {move || Suspend::new(async move {
                        match door.await {
                            Ok(door) if door.signed_in => Either::Left(view! { <Redirect path="/"/> }.into_any()),
                            Ok(door) => match elsewhere(door) {
                                Some(path) => Either::Left(view! { <Redirect path=path/> }.into_any()),
                                None => Either::Right(form(door)),
                            },
                            Err(error) => Either::Left(view! { <h1>{title}</h1><p class="form-error" role="alert">{error.problem.detail}</p> }.into_any()),
                        }
                    })}
                </Suspense>
            </div>
        </div>
    }
}

#[cfg(test)]
mod tests {
    use super::is_at;

    #[test]
    fn the_door_is_known_by_its_address() {
        for door in ["/sign-in", "/sign-in/", "/sign-up"] {
            assert!(is_at(door), "{door}");
        }
        for other in ["/", "/sign-in/x", "/sign-into", "/settings/sign-in"] {
            assert!(!is_at(other), "{other}");
        }
    }
}
