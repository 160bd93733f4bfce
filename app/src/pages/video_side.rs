//! Beside the picture: who may watch, what to hand out, what was made, and what came in.

use domain::{
    upload::bytes_in_words,
    video::{RenditionFacts, Stage, Video, Visibility},
};
use leptos::{form::ActionForm, prelude::*};

use super::video_grants::ShareWith;
use crate::{
    components::{
        announcer::Announcer,
        copy_field::CopyField,
        fields::{FormError, error_of},
        words,
    },
    icons::{Glyph, Icon},
    server_fns::{grants::Sharing, videos::SetVisibility},
};

/// The panels.
#[component]
pub fn VideoSide(
    /// The video.
    video: RwSignal<Video>,
    /// The address under which others reach this server.
    base: String,
    /// How it is shared.
    sharing: Sharing,
) -> impl IntoView {
    view! {
        <aside class="video-side" aria-label="About this video">
            <Share video base/>
            <ShareWith video sharing/>
            <Renditions video/>
            <Source video/>
        </aside>
    }
}

const fn visibility_words(visibility: Visibility) -> (Glyph, &'static str, &'static str) {
    match visibility {
        Visibility::Private => (Glyph::Lock, "Private", "Only you can watch it, and whom you give a link of their own below."),
        Visibility::Unlisted => {
            (Glyph::Link, "With link", "Everybody who has the link can watch it. Search engines are told to stay away.")
        }
        Visibility::Public => (Glyph::Globe, "Public", "Everybody can watch it, and search engines may list it."),
    }
}

#[component]
fn Share(video: RwSignal<Video>, base: String) -> impl IntoView {
    let announcer = expect_context::<Announcer>();
    let action = ServerAction::<SetVisibility>::new();
    let error = error_of(action.value());
    let id = video.with_untracked(|video| video.id.to_string());
    let visibility = Memo::new(move |_| video.with(|video| video.visibility));
    let base = StoredValue::new(base);
    let link = Signal::derive(move || base.with_value(|base| video.with(|video| format!("{base}/watch/{}", video.playback_id))));
    let embed = Signal::derive(move || {
        base.with_value(|base| video.with(|video| embed_snippet(video, &format!("{base}/embed/{}", video.playback_id))))
    });
    Effect::new(move |_| {
        if let Some(Ok(changed)) = action.value().get() {
            announcer.say(&format!("Visibility: {}", visibility_words(changed.visibility).1), false);
            video.set(changed);
        }
    });
    view! {
        <section class="panel">
            <h2>"Share"</h2>
            <ActionForm action=action>
                <input type="hidden" name="id" value=id/>
                <fieldset class="segments">
                    <legend class="visually-hidden">"Who may watch"</legend>
                    {Visibility::ALL
                        .map(|choice| {
                            let (glyph, name, _) = visibility_words(choice);
                            view! {
                                <button name="visibility" value=choice.as_str() aria-pressed=move || (visibility.get() == choice).to_string()>
                                    <Icon glyph/>{name}
                                </button>
                            }
                        })
                        .collect_view()}
                </fieldset>
                <FormError id="visibility-error" error/>
            </ActionForm>
            <p class="small muted">{move || visibility_words(visibility.get()).2}</p>
            // While the video is private these open nothing for others.
            <div hidden=move || visibility.get() == Visibility::Private>
                <CopyField id="share-link" label="Link" text=link/>
                <CopyField id="embed-code" label="Embed in a page" text=embed/>
            </div>
            <p class="small"><a href=move || link.get() rel="external">"Open the watch page"</a></p>
        </section>
    }
}

/// The markup that shows a video in somebody's page, in the video's own shape. `address` is that of the embed page. The page that it stands in
/// is named to us, whatever else that page keeps to itself: which sites may embed is decided by it.
pub fn embed_snippet(video: &Video, address: &str) -> String {
    let (width, height) =
        video.source.as_ref().map_or((16, 9), |source| (source.video.display_width.max(1), source.video.display_height.max(1)));
    format!(
        "<iframe src=\"{}\" title=\"{}\" style=\"width:100%;aspect-ratio:{width}/{height};border:0\" loading=\"lazy\" \
         allow=\"autoplay; fullscreen; picture-in-picture; encrypted-media; web-share\" allowfullscreen \
         referrerpolicy=\"strict-origin-when-cross-origin\"></iframe>",
        attribute(address),
        attribute(&video.title),
    )
}

/// A text as the value of an attribute.
fn attribute(text: &str) -> String {
    text.replace('&', "&amp;").replace('"', "&quot;").replace('<', "&lt;").replace('>', "&gt;")
}

#[component]
fn Renditions(video: RwSignal<Video>) -> impl IntoView {
    let renditions = Memo::new(move |_| video.with(|video| video.renditions.clone()));
    let failed = Memo::new(move |_| video.with(|video| video.stage == Stage::Failed));
    view! {
        <section class="panel">
            <h2>"Renditions"</h2>
            {move || {
                let renditions = renditions.get();
                if renditions.is_empty() {
                    let text = if failed.get() { "None were made." } else { "None yet. They appear here when they are published, all at once." };
                    return view! { <p class="small muted">{text}</p> }.into_any();
                }
                view! { <ul class="rungs num">{renditions.into_iter().map(rendition).collect_view()}</ul> }.into_any()
            }}
        </section>
    }
}

fn rendition(facts: RenditionFacts) -> impl IntoView {
    let size = facts.size.map(|(width, height)| format!("{width} × {height}")).unwrap_or_else(|| "Sound".to_owned());
    let how = if facts.copied { "kept as uploaded" } else { "encoded" };
    view! {
        <li>
            <b>{facts.name}</b>
            <span>{size}<span class="muted">{how}</span></span>
            <span>{words::bit_rate(facts.average_bandwidth)}<span class="muted">{bytes_in_words(facts.bytes)}</span></span>
        </li>
    }
}

#[component]
fn Source(video: RwSignal<Video>) -> impl IntoView {
    let facts = Memo::new(move |_| video.with(source_facts));
    view! {
        <section class="panel">
            <h2>"Source"</h2>
            <dl class="facts num">
                {move || facts.get().into_iter().map(|(name, value)| view! { <dt>{name}</dt><dd>{value}</dd> }).collect_view()}
            </dl>
        </section>
    }
}

/// What is known of the file as uploaded.
pub fn source_facts(video: &Video) -> Vec<(&'static str, String)> {
    let mut facts = vec![("File", video.file_name.clone()), ("Size", bytes_in_words(video.size_bytes))];
    if let Some(source) = &video.source {
        facts.extend([
            ("Picture", words::picture(&source.video)),
            ("Codecs", words::codecs(source)),
            ("Length", words::duration(source.duration_ms)),
        ]);
        if source.video.high_dynamic_range() {
            facts.push(("Range", "High dynamic range, shown in standard range".to_owned()));
        }
    }
    facts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::components::chips::tests::video;

    #[test]
    fn the_embed_snippet_cannot_be_broken_out_of() {
        let video = Video { title: "\"><script>alert(1)</script>".into(), ..video(1, Stage::Ready) };
        let snippet = embed_snippet(&video, &format!("https://video.example.com/embed/{}", video.playback_id));
        assert!(snippet.contains("title=\"&quot;&gt;&lt;script&gt;"), "{snippet}");
        assert!(snippet.contains(&format!("https://video.example.com/embed/{}\"", video.playback_id)));
        assert!(snippet.contains("aspect-ratio:16/9"));
    }

    #[test]
    fn facts_grow_with_what_is_known() {
        assert_eq!(source_facts(&video(1, Stage::Uploading)).len(), 2);
    }
}
