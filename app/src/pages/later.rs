//! Pages whose code comes by itself: the browser fetches it with the page it begins on, and with others when somebody goes there, or a little before. The
//! dashboard's WASM is cut at the functions marked `wasm_split`; the server calls them as they are.

use std::{fmt, pin::pin};

use futures::{FutureExt, future::LocalBoxFuture};
use leptos::prelude::*;
use leptos_router::ChooseView;
use wasm_split_helpers::{SplitLoaderError, wasm_split};

use super::{
    activity::ActivityPage, coming::Coming, jobs::JobsPage, not_fetched::NotFetchedPage, people::PeoplePage, settings::SettingsPage,
    sign_in::SignInPage, sign_up::SignUpPage, storage::StoragePage, video::VideoPage,
};

/// A page that comes later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Later {
    /// One video.
    Video,
    /// The account's settings.
    Settings,
    /// The people of this server.
    People,
    /// What is stored.
    Storage,
    /// What was done by whom.
    Activity,
    /// What the machinery has before it.
    Jobs,
    /// Where an account is asked for.
    SignIn,
    /// Where an account is made.
    SignUp,
}

/// The code could not be fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotFetched;

impl From<SplitLoaderError> for NotFetched {
    fn from(_: SplitLoaderError) -> Self {
        Self
    }
}

impl fmt::Display for NotFetched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the page's code could not be fetched")
    }
}

impl std::error::Error for NotFetched {}

/// Draws a page, once its code is here.
type Draw = fn() -> AnyView;
/// Finds what draws a page in the part of the code that has come; `None` where that is another part's.
type Part = fn(Later) -> Option<Draw>;

#[wasm_split(video, fallible)]
fn video() -> Result<Part, NotFetched> {
    Ok(|page| match page {
        Later::Video => Some(|| view! { <VideoPage/> }.into_any()),
        _ => None,
    })
}

#[wasm_split(office, fallible)]
fn office() -> Result<Part, NotFetched> {
    Ok(|page| match page {
        Later::Settings => Some(|| view! { <SettingsPage/> }.into_any()),
        Later::People => Some(|| view! { <PeoplePage/> }.into_any()),
        Later::Storage => Some(|| view! { <StoragePage/> }.into_any()),
        Later::Activity => Some(|| view! { <ActivityPage/> }.into_any()),
        Later::Jobs => Some(|| view! { <JobsPage/> }.into_any()),
        _ => None,
    })
}

#[wasm_split(door, fallible)]
fn door() -> Result<Part, NotFetched> {
    Ok(|page| match page {
        Later::SignIn => Some(|| view! { <SignInPage/> }.into_any()),
        Later::SignUp => Some(|| view! { <SignUpPage/> }.into_any()),
        _ => None,
    })
}

impl Later {
    /// The page behind a path (with or without its query), if it is one that comes later.
    pub fn at(path: &str) -> Option<Self> {
        match path.trim_start_matches('/').split(['/', '?', '#']).next()? {
            "videos" => Some(Self::Video),
            "settings" => Some(Self::Settings),
            "people" => Some(Self::People),
            "storage" => Some(Self::Storage),
            "activity" => Some(Self::Activity),
            "jobs" => Some(Self::Jobs),
            "sign-in" => Some(Self::SignIn),
            "sign-up" => Some(Self::SignUp),
            _ => None,
        }
    }

    /// The part of the code that draws the page, by the name it has in the build.
    const fn part(self) -> &'static str {
        match self {
            Self::Video => "video",
            Self::Settings | Self::People | Self::Storage | Self::Activity | Self::Jobs => "office",
            Self::SignIn | Self::SignUp => "door",
        }
    }

    async fn draw(self) -> Result<Draw, NotFetched> {
        let part = match self.part() {
            "video" => video().await?,
            "office" => office().await?,
            _ => door().await?,
        };
        part(self).ok_or(NotFetched)
    }

    /// Fetches the page's code, so that it is drawn without a wait.
    ///
    /// # Errors
    /// It could not be fetched; the next call tries again.
    pub async fn fetch(self) -> Result<(), NotFetched> {
        self.draw().await.map(|_| ())
    }

    /// The page, or what stands in its place. In a box: each route would have a copy of it otherwise.
    fn drawn(self) -> LocalBoxFuture<'static, AnyView> {
        // On the server: the page says in its head what the browser is going to need.
        leptos::prefetch_lazy_fn_on_server(self.part());
        let coming = use_context::<Coming>();
        async move {
            let mut drawing = pin!(self.draw());
            // What is here already is drawn at once, and nobody is told that it is coming.
            let draw = match drawing.as_mut().now_or_never() {
                Some(draw) => draw,
                None => {
                    let _told = coming.map(Coming::begin);
                    drawing.await
                }
            };
            match draw {
                Ok(draw) => draw(),
                Err(NotFetched) => view! { <NotFetchedPage/> }.into_any(),
            }
        }
        .boxed_local()
    }
}

impl ChooseView for Later {
    async fn choose(self) -> AnyView {
        self.drawn().await
    }

    async fn preload(&self) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_page_is_in_the_part_that_is_fetched_for_it() {
        for path in ["/videos/1", "/settings", "/people", "/storage", "/activity", "/jobs", "/sign-in", "/sign-up"] {
            let page = Later::at(path).expect(path);
            let draw = page.draw().now_or_never().expect("nothing to wait for on the host");
            assert!(draw.is_ok(), "{path}");
        }
        assert_eq!(Later::at("/nowhere/settings"), None);
        assert_eq!(Later::at("/?q=settings"), None);
    }
}
