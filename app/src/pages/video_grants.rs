//! "Share with…": links that are for one person or site each, with an end, the time of their last use, and a way to take them back. And
//! which sites may show the video.

use domain::{grant::NamedGrant, ids::VideoId, video::Video};
use leptos::{form::ActionForm, html, prelude::*};

use super::{embed_hosts::HostsField, video_side::embed_snippet};
use crate::{
    components::{
        announcer::Announcer,
        clock::{Clock, Moment},
        confirm::Confirm,
        copy_field::CopyField,
        fields::{FormError, TextField, error_of, kept},
        words,
    },
    server_fns::grants::{GiveGrant, RevokeGrant, SetVideoHosts, Sharing},
};

const ERROR: &str = "grant-error";
/// Days until a link ends, and what that is called.
const ENDS: [(u16, &str); 5] = [(1, "In a day"), (7, "In a week"), (30, "In 30 days"), (365, "In a year"), (0, "When revoked")];

/// The panel of links, and the one of sites.
#[component]
pub fn ShareWith(
    /// The video.
    video: RwSignal<Video>,
    /// How it is shared now.
    sharing: Sharing,
) -> impl IntoView {
    let id = video.with_untracked(|video| video.id);
    let announcer = expect_context::<Announcer>();
    let grants = RwSignal::new(sharing.grants);
    let give = ServerAction::<GiveGrant>::new();
    let revoke = ServerAction::<RevokeGrant>::new();
    let form = NodeRef::<html::Form>::new();
    Effect::new(move |_| {
        if let Some(Ok(new)) = give.value().get() {
            grants.update(|grants| grants.insert(0, new));
            announcer.say("Link made. Copy it below.", false);
            // Ready for the next one.
            if let Some(form) = form.get_untracked() {
                form.reset();
            }
        }
    });
    Effect::new(move |_| {
        if let Some(Ok(revoked)) = revoke.value().get() {
            grants.update(|grants| grants.retain(|grant| grant.id != revoked));
            announcer.say("Link revoked", false);
        }
    });
    view! {
        <section class="panel" id="share-with">
            <h2>"Share with…"</h2>
            <p class="small muted">"A link for one person or one site. It works while the video is private, too, until it ends or you revoke it."</p>
            <GiveForm id give form/>
            <FormError id="grant-revoke-error" error=error_of(revoke.value())/>
            <ul class="grants">
                <For each=move || grants.get() key=|grant| grant.id let(grant)>
                    <Row video grant revoke/>
                </For>
            </ul>
        </section>
        <Sites id hosts=sharing.hosts/>
    }
}

#[component]
fn GiveForm(id: VideoId, give: ServerAction<GiveGrant>, form: NodeRef<html::Form>) -> impl IntoView {
    let error = error_of(give.value());
    view! {
        <ActionForm action=give node_ref=form attr:class="form grant-form">
            <FormError id=ERROR error/>
            <input type="hidden" name="id" value=id.to_string()/>
            <TextField id="grant-name" name="name" label="For whom" max=100 value=kept(error) error_id=ERROR error/>
            <div class="field">
                <label for="grant-days">"Ends"</label>
                <select id="grant-days" name="days">
                    {ENDS.map(|(days, words)| view! { <option value=days.to_string() selected=days == 7>{words}</option> }).collect_view()}
                </select>
            </div>
            <button class="button">"Make a link"</button>
        </ActionForm>
    }
}

#[component]
fn Sites(id: VideoId, hosts: String) -> impl IntoView {
    let action = ServerAction::<SetVideoHosts>::new();
    view! {
        <section class="panel" id="embed-sites">
            <h2>"Embedding"</h2>
            <ActionForm action=action attr:class="form">
                <input type="hidden" name="id" value=id.to_string()/>
                <HostsField id="video-hosts" error_id="video-hosts-error" hosts value=action.value() button_class="button"
                    hint="Only pages of these sites may show this video. Empty: those that your settings name."/>
            </ActionForm>
        </section>
    }
}

#[component]
fn Row(video: RwSignal<Video>, grant: NamedGrant, revoke: ServerAction<RevokeGrant>) -> impl IntoView {
    let NamedGrant { id, name, expires_at_ms, last_used_at_ms, watch_url, embed_url, .. } = grant;
    let snippet = Signal::derive(move || video.with(|video| embed_snippet(video, &embed_url)));
    view! {
        <li>
            <CopyField id=format!("grant-{id}") label=name.clone() text=Signal::stored(watch_url)/>
            <div class="between">
                <p class="small muted">
                    <End at_ms=expires_at_ms/>
                    <br/>
                    {match last_used_at_ms {
                        Some(at_ms) => view! { "Last used "<Moment at_ms/> }.into_any(),
                        None => view! { "Not used yet" }.into_any(),
                    }}
                </p>
                <Confirm
                    id=format!("revoke-{id}")
                    button_class="button danger"
                    button=ViewFn::from(|| "Revoke")
                    button_label=format!("Revoke the link for {name}")
                    question=Signal::stored(format!("Revoke the link for “{name}”?"))
                    consequence="It opens nothing from then on, and what plays by it stops. This cannot be undone."
                >
                    <ActionForm action=revoke>
                        <input type="hidden" name="id" value=video.with_untracked(|video| video.id).to_string()/>
                        <input type="hidden" name="grant" value=id.to_string()/>
                        <button class="button danger solid">"Revoke link"</button>
                    </ActionForm>
                </Confirm>
            </div>
            <details>
                <summary>"Embed by this link"</summary>
                <CopyField id=format!("grant-embed-{id}") label=format!("Markup for {name}") text=snippet/>
            </details>
        </li>
    }
}

/// When a link ends, or that it has.
#[component]
fn End(at_ms: Option<i64>) -> impl IntoView {
    let clock = expect_context::<Clock>();
    let Some(at_ms) = at_ms else { return "Ends when you revoke it".into_any() };
    let text = move || match clock.now_ms() {
        Some(now) if at_ms <= now => format!("Ended {}", words::age(at_ms, now)),
        Some(now) => format!("Ends {}", words::until(at_ms, now)),
        None => format!("Ends on {}", words::date(at_ms)),
    };
    view! { <time class="num" datetime=words::timestamp(at_ms) title=words::date_and_time(at_ms)>{text}</time> }.into_any()
}
