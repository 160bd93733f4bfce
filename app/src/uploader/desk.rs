//! Where the app hands files in. The machinery behind it, with the tray and the card of what can be continued, is a part of the code by itself, which
//! the browser fetches once the page has come to life; files that come before it wait here.

use domain::ids::VideoId;
use gloo_timers::future::TimeoutFuture;
use leptos::{prelude::*, task::spawn_local};
use send_wrapper::SendWrapper;
use wasm_split_helpers::wasm_split;
use web_sys::{File, FileList};

use super::{backoff, engine::Uploader, resume_card::ResumeCard, tray::Tray};
use crate::{components::announcer::Announcer, pages::later::NotFetched, session::Session};

/// What the machinery has for the app, once it is here.
#[derive(Debug, Clone, Copy)]
struct Machinery {
    uploader: Uploader,
    add: fn(Uploader, Vec<File>),
    tray: fn() -> AnyView,
    card: fn() -> AnyView,
}

#[wasm_split(uploads, fallible)]
fn machinery() -> Result<fn(Uploads, Announcer, Session) -> Machinery, NotFetched> {
    Ok(|desk, announcer, session| Machinery {
        uploader: Uploader::provide(desk, announcer, session),
        add: Uploader::add,
        tray: || view! { <Tray/> }.into_any(),
        card: || view! { <ResumeCard/> }.into_any(),
    })
}

/// The desk, in the context of the whole app.
#[derive(Debug, Clone, Copy)]
pub struct Uploads {
    /// How far this tab's uploads are, by the videos they become.
    pub(super) percents: RwSignal<Vec<(VideoId, u8)>>,
    machinery: RwSignal<Option<Machinery>>,
    waiting: RwSignal<Vec<SendWrapper<File>>>,
    /// Whether the machinery could not be fetched when it was asked for last.
    missing: RwSignal<bool>,
}

impl Uploads {
    /// A desk in the context. In the browser its machinery is fetched, and started in the scope in which this is called.
    pub fn provide(announcer: Announcer, session: Session) -> Self {
        let desk = Self {
            percents: RwSignal::new(Vec::new()),
            machinery: RwSignal::new(None),
            waiting: RwSignal::new(Vec::new()),
            missing: RwSignal::new(false),
        };
        provide_context(desk);
        let owner = Owner::current().unwrap_or_default();
        Effect::new(move |_| {
            let owner = owner.clone();
            spawn_local(async move {
                let start = desk.fetched().await;
                let machinery = owner.with(|| start(desk, announcer, session));
                desk.machinery.set(Some(machinery));
                let waiting = desk.waiting.try_update(std::mem::take).unwrap_or_default();
                (machinery.add)(machinery.uploader, waiting.into_iter().map(SendWrapper::take).collect());
            });
        });
        desk
    }

    /// Takes files up, as chosen, dropped or pasted.
    pub fn add(self, list: Option<FileList>) {
        let Some(list) = list else { return };
        // At once: the list is the browser's own, and changes with what it belongs to.
        let files = (0..list.length()).filter_map(|at| list.item(at));
        match self.machinery.get_untracked() {
            Some(machinery) => (machinery.add)(machinery.uploader, files.collect()),
            None => self.waiting.update(|waiting| waiting.extend(files.map(SendWrapper::new))),
        }
    }

    /// Percent of the file that becomes this video, while it is on its way from this tab.
    pub fn percent_of(self, video: VideoId) -> Option<u8> {
        self.percents.with(|percents| percents.iter().find(|(of, _)| *of == video).map(|(_, percent)| *percent))
    }

    /// Whether this tab has something on its way, or has still to begin with it.
    pub fn busy(self) -> bool {
        self.percents.with_untracked(|percents| !percents.is_empty()) || self.waiting.with_untracked(|waiting| !waiting.is_empty())
    }

    /// The machinery's code. While it cannot be had, it is asked for again and again.
    async fn fetched(self) -> fn(Self, Announcer, Session) -> Machinery {
        let mut failures = 0;
        loop {
            match machinery().await {
                Ok(start) => return start,
                Err(NotFetched) => {
                    failures += 1;
                    self.missing.set(true);
                    TimeoutFuture::new(backoff::delay_ms(failures, js_sys::Math::random()) as u32).await;
                }
            }
        }
    }
}

/// The tray's place. Until the machinery is here, it says what becomes of files that have been chosen.
#[component]
pub fn TrayPlace() -> impl IntoView {
    let desk = expect_context::<Uploads>();
    move || match desk.machinery.get() {
        Some(machinery) => Some((machinery.tray)()),
        None => desk.waiting.with(|waiting| !waiting.is_empty()).then(|| view! { <Waiting desk/> }.into_any()),
    }
}

#[component]
fn Waiting(desk: Uploads) -> impl IntoView {
    let text = move || match desk.missing.get() {
        false => "Your upload begins in a moment.",
        true => {
            "Your upload has not begun: a part of Millrace could not be loaded. It is tried again by itself. If this stays, load the page anew and choose the file again."
        }
    };
    view! { <section class="tray note" aria-label="Uploads"><p role="status">{text}</p></section> }
}

/// The place of what can be continued: nothing until the machinery is here.
#[component]
pub fn ResumePlace() -> impl IntoView {
    let desk = expect_context::<Uploads>();
    move || desk.machinery.get().map(|machinery| (machinery.card)())
}
