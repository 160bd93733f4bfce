//! API keys: made, shown once, listed, revoked.

use domain::account::{ApiKey, NewApiKey, Scope};
use leptos::{form::ActionForm, prelude::*};

use crate::{
    components::{
        announcer::Announcer,
        clock::{Clock, Moment},
        confirm::Confirm,
        copy_field::CopyField,
        fields::{FormError, TextField, error_of, kept},
    },
    icons::{Glyph, Icon},
    server_fns::keys::{CreateKey, RevokeKey},
};

const ERROR: &str = "key-error";

/// The panel.
#[component]
pub fn Keys(
    /// The keys there are.
    keys: Vec<ApiKey>,
    /// The address under which others reach this server.
    base: String,
) -> impl IntoView {
    let announcer = expect_context::<Announcer>();
    let keys = RwSignal::new(keys);
    let fresh = RwSignal::new(None::<NewApiKey>);
    let create = ServerAction::<CreateKey>::new();
    let revoke = ServerAction::<RevokeKey>::new();

    Effect::new(move |_| {
        if let Some(Ok(new)) = create.value().get() {
            keys.update(|keys| keys.insert(0, new.key.clone()));
            fresh.set(Some(new));
            announcer.say("Key created. It is shown once, below.", false);
        }
    });
    Effect::new(move |_| {
        if let Some(Ok(revoked)) = revoke.value().get() {
            keys.update(|keys| keys.retain(|key| key.id != revoked));
            fresh.update(|fresh| drop(fresh.take_if(|fresh| fresh.key.id == revoked)));
            announcer.say("Key revoked", false);
        }
    });
    let last_revoked = StoredValue::new(revoke);
    view! {
        <section class="panel" id="keys">
            <h2>"API keys"</h2>
            <p class="small muted">"A key lets a program act as you, as far as its scope goes. Give each program its own."</p>
            <CreateForm action=create/>
            <Secret fresh base/>
            <FormError id="revoke-error" error=error_of(revoke.value())/>
            {move || keys.with(Vec::is_empty).then(|| view! { <p class="small muted no-keys">"No keys yet."</p> })}
            <ul class="keys">
                <For each=move || keys.get() key=|key| key.id let(key)>
                    <KeyRow key_facts=key revoke=last_revoked.get_value()/>
                </For>
            </ul>
        </section>
    }
}

#[component]
fn CreateForm(action: ServerAction<CreateKey>) -> impl IntoView {
    let clock = expect_context::<Clock>();
    let error = error_of(action.value());
    view! {
        <ActionForm action=action attr:class="form key-form">
            <FormError id=ERROR error/>
            <TextField id="key-name" name="name" label="Name of the new key" max=100 value=kept(error) error_id=ERROR error/>
            <div class="field">
                <label for="key-scope">"What it may do"</label>
                <select id="key-scope" name="scope">
                    {Scope::ALL.map(|scope| view! { <option value=scope.as_str() selected=scope == Scope::Upload>{scope.words()}</option> })}
                </select>
            </div>
            // Without scripts the answer, and with it the secret, would never be seen.
            <button class="button primary" disabled=move || !clock.alive()><Icon glyph=Glyph::Key/>"Create key"</button>
        </ActionForm>
        <noscript><p class="small muted">"Creating a key here needs JavaScript. On the server, "<code>"millrace key add"</code>" makes one too."</p></noscript>
    }
}

#[component]
fn Secret(fresh: RwSignal<Option<NewApiKey>>, base: String) -> impl IntoView {
    let base = StoredValue::new(base);
    move || {
        fresh.get().map(|new| {
            let secret = new.secret;
            let example = base.with_value(|base| curl_example(base, &secret));
            view! {
                <div class="secret">
                    <p><b>{new.key.name}</b>" is ready. Copy it now: it is not shown again."</p>
                    <CopyField id="new-key" label="Key" text=Signal::stored(secret)/>
                    <CopyField id="new-key-example" label="Upload with it" text=Signal::stored(example)/>
                </div>
            }
        })
    }
}

/// A command line that uploads a file with a key.
pub fn curl_example(base: &str, secret: &str) -> String {
    format!("curl -H 'Authorization: Bearer {secret}' -F file=@video.mp4 {base}/api/upload")
}

#[component]
fn KeyRow(key_facts: ApiKey, revoke: ServerAction<RevokeKey>) -> impl IntoView {
    let ApiKey { id, name, scope, prefix, created_at_ms, last_used_at_ms } = key_facts;
    let question = format!("Revoke “{name}”?");
    view! {
        <li>
            <div class="key-words">
                <b>{name.clone()}</b>
                <code>{format!("{prefix}…")}</code>
                <span class="small muted">
                    "Scope: "{scope.as_str()}". Created "<Moment at_ms=created_at_ms/>", "
                    {match last_used_at_ms {
                        Some(at_ms) => view! { "last used "<Moment at_ms/> }.into_any(),
                        None => view! { "never used" }.into_any(),
                    }}
                </span>
            </div>
            <Confirm
                id=format!("revoke-{id}")
                button_class="button danger"
                button=ViewFn::from(|| "Revoke")
                button_label=format!("Revoke {name}")
                question=Signal::stored(question)
                consequence="Programs that use it are refused from then on. This cannot be undone."
            >
                <ActionForm action=revoke>
                    <input type="hidden" name="id" value=id.to_string()/>
                    <button class="button danger solid">"Revoke key"</button>
                </ActionForm>
            </Confirm>
        </li>
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_is_one_line_that_can_be_pasted() {
        let line = curl_example("http://127.0.0.1:3000", "mr_abc");
        assert_eq!(line, "curl -H 'Authorization: Bearer mr_abc' -F file=@video.mp4 http://127.0.0.1:3000/api/upload");
    }
}
