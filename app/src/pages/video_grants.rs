//! "Share with…": links that are for one person or site each, with an end, the time of their last use, and a way to take them back. And
//! which sites may show the video.

use domain::{
    grant::NamedGrant,
    ids::{GrantId, VideoId},
};
use leptos::{form::ActionForm, prelude::*};

use super::embed_hosts::HostsField;
use crate::{
    components::{
        announcer::Announcer,
        clock::Moment,
        confirm::Confirm,
        copy_field::CopyField,
        fields::{FormError, TextField, error_of, kept},
    },
    server_fns::grants::{GiveGrant, RevokeGrant, SetVideoHosts, Sharing},
};

const ERROR: &str = "grant-error";
/// Days until a link ends, and what that is called.
const ENDS: [(u16, &str); 5] = [(1, "In a day"), (7, "In a week"), (30, "In 30 days"), (365, "In a year"), (0, "When revoked")];

/// The panel of links.
#[component]
pub fn ShareWith(
    /// The video.
    id: VideoId,
    /// How it is shared now.
    sharing: Sharing,
) -> impl IntoView {
    let announcer = expect_context::<Announcer>();
    let grants = RwSignal::new(sharing.grants);
    let give = ServerAction::<GiveGrant>::new();
    let revoke = ServerAction::<RevokeGrant>::new();
    let hosts = ServerAction::<SetVideoHosts>::new();
    let error = error_of(give.value());
    Effect::new(move |_| {
        if let Some(Ok(new)) = give.value().get() {
            grants.update(|grants| grants.insert(0, new));
            announcer.say("Link made. Copy it below.", false);
        }
    });
    Effect::new(move |_| {
        let asked: Option<GrantId> = revoke.input().get_untracked().map(|asked| asked.grant);
        if let (Some(Ok(())), Some(revoked)) = (revoke.value().get(), asked) {
            grants.update(|grants| grants.retain(|grant| grant.id != revoked));
            announcer.say("Link revoked", false);
        }
    });
    view! {
        <section class="panel" id="share-with">
            <h2>"Share with…"</h2>
            <p class="small muted">"A link of their own opens the video also while it is private, until it ends or you revoke it."</p>
            <ActionForm action=give attr:class="form">
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
            <FormError id="grant-revoke-error" error=error_of(revoke.value())/>
            <ul class="grants">
                <For each=move || grants.get() key=|grant| grant.id let(grant)>
                    <Row video=id grant revoke/>
                </For>
            </ul>
            <ActionForm action=hosts attr:class="form">
                <input type="hidden" name="id" value=id.to_string()/>
                <HostsField id="video-hosts" error_id="video-hosts-error" hosts=sharing.hosts value=hosts.value()
                    hint="Sites that may show this video in a page of theirs. Empty: those in your settings."/>
                <button class="button">"Save sites"</button>
            </ActionForm>
        </section>
    }
}

#[component]
fn Row(video: VideoId, grant: NamedGrant, revoke: ServerAction<RevokeGrant>) -> impl IntoView {
    let NamedGrant { id, name, expires_at_ms, last_used_at_ms, watch_url, .. } = grant;
    view! {
        <li>
            <CopyField id=format!("grant-{id}") label=name.clone() text=Signal::stored(watch_url)/>
            <p class="small muted">
                {match expires_at_ms {
                    Some(at_ms) => view! { "Ends "<Moment at_ms/>", " }.into_any(),
                    None => view! { "Ends when revoked, " }.into_any(),
                }}
                {match last_used_at_ms {
                    Some(at_ms) => view! { "last used "<Moment at_ms/> }.into_any(),
                    None => view! { "never used" }.into_any(),
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
                    <input type="hidden" name="id" value=video.to_string()/>
                    <input type="hidden" name="grant" value=id.to_string()/>
                    <button class="button danger solid">"Revoke link"</button>
                </ActionForm>
            </Confirm>
        </li>
    }
}
