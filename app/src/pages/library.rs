//! The library: posters, newest first, live, searchable, in pages. Drawn on the server, so it works without scripts.

use domain::{
    ids::VideoId,
    video::{Video, VideoPage},
};
use leptos::{
    either::{Either, EitherOf3},
    prelude::*,
    task::spawn_local,
};
use leptos_meta::Title;
use leptos_router::{hooks::use_query_map, location::Url};

use super::{not_found::LoadError, shelf::Shelf};
use crate::{
    components::{announcer::Announcer, card::Card, clock::Clock},
    icons::{Glyph, Icon},
    live::{Live, LiveEvent},
    server_fns::videos::list_videos,
    uploader::{desk::ResumePlace, drop_overlay::FileChooser},
    wire,
};

/// What of the library is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Asked {
    search: String,
    after: Option<VideoId>,
}

impl Asked {
    fn search(&self) -> Option<String> {
        (!self.search.is_empty()).then(|| self.search.clone())
    }
}

/// The page.
#[component]
pub fn LibraryPage() -> impl IntoView {
    let query = use_query_map();
    let asked = Memo::new(move |_| {
        query.with(|query| Asked {
            search: query.get_str("q").unwrap_or_default().trim().to_owned(),
            after: query.get_str("after").and_then(|after| after.parse().ok()),
        })
    });
    let page = wire::ask(
        move || asked.get(),
        |asked| async move {
            let search = asked.search();
            list_videos(search, asked.after).await.map(|page| (asked.search, asked.after.is_none(), page))
        },
    );
    view! {
        <Title text="Videos"/>
        <div class="page">
            <Transition fallback=Skeleton>
                {move || Suspend::new(async move {
                    match page.await {
                        Ok((search, from_newest, page)) => Either::Left(view! { <Library search from_newest page/> }),
                        Err(error) => Either::Right(view! { <LoadError error/> }),
                    }
                })}
            </Transition>
        </div>
    }
}

/// What is there while the first page is on its way: the same shapes, so that nothing jumps.
#[component]
fn Skeleton() -> impl IntoView {
    view! {
        <div class="head"><h1>"Videos"</h1></div>
        <div class="grid" aria-hidden="true">
            {(0..8).map(|_| view! { <div class="card blank"><div class="thumb"></div><h2>" "</h2><p class="meta">" "</p></div> }).collect_view()}
        </div>
    }
}

#[component]
fn Library(search: String, from_newest: bool, page: VideoPage) -> impl IntoView {
    let announcer = expect_context::<Announcer>();
    let live = expect_context::<Live>();
    let shelf = RwSignal::new(Shelf::new(page, &search, from_newest));
    let search = StoredValue::new(search);
    let searched = move || Some(search.get_value()).filter(|search| !search.is_empty());

    live.on(move |event| {
        if event == LiveEvent::Ready {
            if from_newest {
                spawn_local(async move {
                    if let Ok(page) = list_videos(searched(), None).await {
                        shelf.try_update(|shelf| shelf.refresh(page));
                    }
                });
            }
        } else if let Some(news) = shelf.try_update(|shelf| shelf.apply(event)).flatten() {
            announcer.say(&news, false);
        }
    });
    let empty = Memo::new(move |_| shelf.with(Shelf::is_empty));
    view! {
        <div class="head">
            <h1>{move || searched().map_or_else(|| "Videos".to_owned(), |search| format!("Videos with “{search}”"))}</h1>
            {(!from_newest).then(|| view! { <a class="button" href=page_url(searched(), None)>"Back to the newest"</a> })}
        </div>
        <ResumePlace/>
        {move || match (empty.get(), searched()) {
            (false, None) => EitherOf3::A(view! { <DropHint/> }),
            (true, None) => EitherOf3::B(view! { <Empty/> }),
            (true, Some(search)) => EitherOf3::C(Either::Left(view! { <NoMatch search/> })),
            (false, Some(_)) => EitherOf3::C(Either::Right(())),
        }}
        <section class="grid" aria-label="Library">
            <For each=move || shelf.with(Shelf::ids) key=|id| *id let(id)>
                {shelf.with_untracked(|shelf| shelf.get(id).cloned()).map(|now| view! { <Card video=follow(shelf, id, now) first=seen_first(shelf, id)/> })}
            </For>
        </section>
        <LoadMore shelf search/>
    }
}

/// One video of the shelf as it changes; its last state while it goes away.
fn follow(shelf: RwSignal<Shelf>, id: VideoId, first: Video) -> Signal<Video> {
    Memo::new(move |before: Option<&Video>| {
        let now = shelf.with(|shelf| shelf.get(id).cloned());
        now.or_else(|| before.cloned()).unwrap_or_else(|| first.clone())
    })
    .into()
}

/// Whether a video is among those that a screen shows before anybody scrolls: two rows of a wide one.
fn seen_first(shelf: RwSignal<Shelf>, id: VideoId) -> bool {
    shelf.with_untracked(|shelf| shelf.ids().iter().take(8).any(|one| *one == id))
}

/// A link to the older ones; with scripts they come onto this page.
#[component]
fn LoadMore(shelf: RwSignal<Shelf>, search: StoredValue<String>) -> impl IntoView {
    let loading = RwSignal::new(false);
    let problem = RwSignal::new(None::<String>);
    let searched = move || Some(search.get_value()).filter(|search| !search.is_empty());
    let next = Memo::new(move |_| shelf.with(Shelf::next));
    let load = move |event: web_sys::MouseEvent| {
        let Some(after) = next.get_untracked() else { return };
        event.prevent_default();
        if loading.get_untracked() {
            return;
        }
        loading.set(true);
        problem.set(None);
        spawn_local(async move {
            match list_videos(searched(), Some(after)).await {
                Ok(page) => drop(shelf.try_update(|shelf| shelf.append(page))),
                Err(error) => drop(problem.try_set(Some(error.problem.detail))),
            }
            loading.try_set(false);
        });
    };
    view! {
        {move || next.get().map(|after| view! {
            <p class="more">
                // External, so that the router leaves the click to us.
                <a class="button" rel="external" href=page_url(searched(), Some(after)) on:click=load>
                    {move || if loading.get() { "Loading" } else { "Load more" }}
                </a>
            </p>
        })}
        <p class="form-error" role="alert">{problem}</p>
    }
}

fn page_url(search: Option<String>, after: Option<VideoId>) -> String {
    let pairs = [search.map(|search| format!("q={}", Url::escape(&search))), after.map(|after| format!("after={after}"))];
    let query: Vec<String> = pairs.into_iter().flatten().collect();
    if query.is_empty() { "/".to_owned() } else { format!("/?{}", query.join("&")) }
}

#[component]
fn DropHint() -> impl IntoView {
    let chooser = expect_context::<FileChooser>();
    let clock = expect_context::<Clock>();
    view! {
        <button type="button" class="drop-hint" disabled=move || !clock.alive() on:click=move |_| chooser.open()>
            <Icon glyph=Glyph::Upload/>
            <span>
                <b>"Drop videos here or choose files"</b>
                <span class="small muted">"Each one gets ready by itself. You can go to other pages meanwhile; uploads go on."</span>
            </span>
        </button>
        <ScriptNeeded/>
    }
}

#[component]
fn ScriptNeeded() -> impl IntoView {
    view! {
        <noscript>
            <p class="small muted notice">"Uploading in the browser needs JavaScript. Without it, send files through the API with a key from the settings."</p>
        </noscript>
    }
}

#[component]
fn Empty() -> impl IntoView {
    let chooser = expect_context::<FileChooser>();
    let clock = expect_context::<Clock>();
    view! {
        <div class="empty">
            <Icon glyph=Glyph::Upload/>
            <h2>"Upload your first video"</h2>
            <p class="muted">"Drop files anywhere on this page, paste them, or choose them. MP4, MOV, MKV, WebM and AVI all work."</p>
            <button type="button" class="button primary" disabled=move || !clock.alive() on:click=move |_| chooser.open()>"Choose files"</button>
            <ScriptNeeded/>
        </div>
    }
}

#[component]
fn NoMatch(search: String) -> impl IntoView {
    view! {
        <div class="empty">
            <Icon glyph=Glyph::Search/>
            <h2>{format!("No title holds “{search}”")}</h2>
            <p class="muted">"Try fewer words, or look through all of them."</p>
            <a class="button primary" href="/">"Show all videos"</a>
        </div>
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn page_urls_hold_only_what_is_asked_for() {
        assert_eq!(page_url(None, None), "/");
        let id: VideoId = "018f4c3e-7b1a-7000-8000-000000000001".parse().expect("an id");
        assert_eq!(page_url(None, Some(id)), format!("/?after={id}"));
    }
}
