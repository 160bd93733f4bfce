//! The uploads of this tab, in a corner of every page.

use leptos::prelude::*;

use super::{
    engine::Uploader,
    item::{Item, ItemKey, Phase},
    queue::{Queue, Totals},
    sign_in_again::SignInAgain,
    words,
};
use crate::icons::{Glyph, Icon};

/// How a row looks; each look has its own icon, so colour says nothing alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Look {
    Going,
    Waiting,
    Done,
    Failed,
}

impl Look {
    const fn glyph(self) -> Glyph {
        match self {
            Self::Going => Glyph::Upload,
            Self::Waiting => Glyph::Clock,
            Self::Done => Glyph::Check,
            Self::Failed => Glyph::Alert,
        }
    }
}

/// What a row shows.
#[derive(Debug, Clone, PartialEq)]
struct Row {
    name: String,
    line: String,
    percent: u8,
    value_text: String,
    look: Look,
    paused: bool,
    link: Option<String>,
}

fn row_of(item: &Item, online: bool) -> Row {
    let look = match item.phase {
        Phase::Done => Look::Done,
        Phase::Failed(_) => Look::Failed,
        _ if item.paused || item.trouble.is_some() || !online || item.phase == Phase::Waiting => Look::Waiting,
        _ => Look::Going,
    };
    Row {
        name: item.file_name.clone(),
        line: words::item_line(item, online),
        percent: item.percent(),
        value_text: words::item_value_text(item),
        look,
        paused: item.paused,
        link: item.video_id.filter(|_| item.phase == Phase::Done).map(|video| format!("/videos/{video}")),
    }
}

/// The tray. Nothing is shown while there is nothing to show.
#[component]
pub fn Tray() -> impl IntoView {
    let uploader = expect_context::<Uploader>();
    let keys = Memo::new(move |_| uploader.queue.with(Queue::keys));
    let totals = Memo::new(move |_| uploader.queue.with(Queue::totals));
    let open = RwSignal::new(true);
    let toggle_label = move || if open.get() { "Fold uploads" } else { "Unfold uploads" };
    let finished = Memo::new(move |_| totals.with(|totals: &Totals| totals.done + totals.failed > 0));
    view! {
        <Show when=move || keys.with(|keys| !keys.is_empty())>
            <section class="tray" class:folded=move || !open.get() aria-label="Uploads">
                <header>
                    <h2 class="num">{move || totals.with(words::heading)}</h2>
                    <span class="small muted num">{move || totals.with(words::summary)}</span>
                    <Show when=move || finished.get()>
                        <button type="button" class="text-button" on:click=move |_| uploader.clear_finished()>"Clear finished"</button>
                    </Show>
                    <button
                        type="button"
                        class="icon-button fold"
                        aria-label=toggle_label
                        title=toggle_label
                        aria-expanded=move || open.get().to_string()
                        aria-controls="tray-rows"
                        on:click=move |_| open.update(|open| *open = !*open)
                    >
                        <Icon glyph=Glyph::Chevron/>
                    </button>
                </header>
                <progress
                    class="tray-total"
                    max="100"
                    aria-label="All uploads"
                    prop:value=move || f64::from(totals.with(|totals| totals.percent))
                ></progress>
                <SignInAgain/>
                <ul id="tray-rows" hidden=move || !open.get()>
                    <For each=move || keys.get() key=|key| *key let(key)>
                        <TrayRow item=key/>
                    </For>
                </ul>
            </section>
        </Show>
    }
}

#[component]
fn TrayRow(item: ItemKey) -> impl IntoView {
    let uploader = expect_context::<Uploader>();
    let row = Memo::new(move |before: Option<&Option<Row>>| {
        let now = uploader.queue.with(|queue| queue.get(item).map(|item| row_of(item, queue.online())));
        // While a removed row goes away it keeps its last look.
        now.or_else(|| before.cloned().flatten())
    });
    let show = move |of: fn(&Row) -> String| move || row.with(|row| row.as_ref().map(of).unwrap_or_default());
    let look = Memo::new(move |_| row.with(|row| row.as_ref().map_or(Look::Waiting, |row| row.look)));
    let running = Memo::new(move |_| matches!(look.get(), Look::Going | Look::Waiting));
    let paused = Memo::new(move |_| row.with(|row| row.as_ref().is_some_and(|row| row.paused)));
    let link = Memo::new(move |_| row.with(|row| row.as_ref().and_then(|row| row.link.clone())));
    let pause_label = show(|row| format!("{} upload of {}", if row.paused { "Resume" } else { "Pause" }, row.name));
    let remove_label = show(|row| match row.look {
        Look::Done | Look::Failed => format!("Remove {} from this list", row.name),
        Look::Going | Look::Waiting => format!("Cancel upload of {}", row.name),
    });
    view! {
        <li class="tray-row" data-look=move || format!("{:?}", look.get()).to_lowercase()>
            <span class="tray-mark">{move || view! { <Icon glyph=look.get().glyph()/> }}</span>
            <b title=show(|row| row.name.clone())>{show(|row| row.name.clone())}</b>
            // The buttons stay the same elements while their icons change: a focused one must not vanish under the finger.
            <span class="tray-buttons">
                {move || link.get().map(|href| view! { <a class="text-button" href=href aria-label=show(|row| format!("Open {}", row.name))>"Open"</a> })}
                <Show when=move || running.get()>
                    <button type="button" class="icon-button" aria-label=pause_label title=pause_label
                        on:click=move |_| uploader.set_paused(item, !paused.get_untracked())
                    >
                        {move || view! { <Icon glyph=if paused.get() { Glyph::Play } else { Glyph::Pause }/> }}
                    </button>
                </Show>
                <button type="button" class="icon-button" aria-label=remove_label title=remove_label on:click=move |_| uploader.remove(item)>
                    <Icon glyph=Glyph::Close/>
                </button>
            </span>
            <progress
                max="100"
                aria-label=show(|row| format!("Uploading {}", row.name))
                aria-valuetext=show(|row| row.value_text.clone())
                prop:value=move || row.with(|row| row.as_ref().map_or(0.0, |row| f64::from(row.percent)))
            ></progress>
            <span class="tray-line small num">{show(|row| row.line.clone())}</span>
        </li>
    }
}
