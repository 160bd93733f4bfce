//! Invitations: made, their link shown once, listed, withdrawn.

use domain::account::{Invite, NewInvite};
use leptos::{form::ActionForm, prelude::*};

use crate::{
    components::{
        announcer::Announcer,
        clock::{Clock, Moment},
        copy_field::CopyField,
        fields::{FormError, TextField, error_of, kept},
        words,
    },
    server_fns::{
        AppError,
        people::{CreateInvite, WithdrawInvite, list_invites},
    },
    wire,
};

const ERROR: &str = "invite-error";

/// The invitations, asked for again whenever one has been made or withdrawn.
#[derive(Clone, Copy)]
pub struct InviteList {
    create: ServerAction<CreateInvite>,
    withdraw: ServerAction<WithdrawInvite>,
    rows: wire::Asked<Result<Vec<Invite>, AppError>>,
}

impl std::fmt::Debug for InviteList {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("InviteList").finish_non_exhaustive()
    }
}

impl InviteList {
    /// Asks for them.
    pub fn ask() -> Self {
        let (create, withdraw) = (ServerAction::<CreateInvite>::new(), ServerAction::<WithdrawInvite>::new());
        let (created, withdrawn) = (create.version(), withdraw.version());
        Self { create, withdraw, rows: wire::ask(move || created.get() + withdrawn.get(), |_| list_invites()) }
    }
}

/// The panel.
#[component]
pub fn Invites(
    /// The invitations.
    list: InviteList,
) -> impl IntoView {
    let InviteList { create, withdraw, rows } = list;
    let announcer = expect_context::<Announcer>();
    let clock = expect_context::<Clock>();
    let fresh = Memo::new(move |_| create.value().get().and_then(Result::ok));
    let error = error_of(create.value());
    Effect::new(move |_| {
        if fresh.get().is_some() {
            announcer.say("Invitation made. Its link is shown once, below.", false);
        }
    });
    view! {
        <section class="panel" id="invites">
            <h2>"Invitations"</h2>
            <p class="small muted">"A link makes one account, once, within 7 days. Send it yourself: nothing is mailed from here."</p>
            <ActionForm action=create attr:class="form in-line">
                <FormError id=ERROR error/>
                <TextField id="invite-name" name="name" label="Whom it is for" max=100 value=kept(error) error_id=ERROR error/>
                // Without scripts the answer, and with it the link, would never be seen.
                <button class="button primary" disabled=move || !clock.alive()>"Invite"</button>
            </ActionForm>
            <noscript><p class="small muted">"Inviting here needs JavaScript. On the server, "<code>"millrace user invite"</code>" does it too."</p></noscript>
            {move || fresh.get().map(|new| view! { <Link new/> })}
            <FormError id="withdraw-error" error=error_of(withdraw.value())/>
            <Transition>
                {move || Suspend::new(async move {
                    let rows = rows.await.unwrap_or_default();
                    view! { <ul class="keys">{rows.into_iter().map(|row| view! { <Row row withdraw/> }).collect_view()}</ul> }
                })}
            </Transition>
        </section>
    }
}

#[component]
fn Link(new: NewInvite) -> impl IntoView {
    view! {
        <div class="secret">
            <p>"The link for "<b>{new.invite.name}</b>" is ready. Copy it now: it is not shown again."</p>
            <CopyField id="new-invite" label="Link" text=Signal::stored(new.link)/>
        </div>
    }
}

#[component]
fn Row(row: Invite, withdraw: ServerAction<WithdrawInvite>) -> impl IntoView {
    let Invite { id, name, created_at_ms, expires_at_ms } = row;
    let label = format!("Withdraw the invitation for {name}");
    view! {
        <li>
            <div class="key-words">
                <b>{name}</b>
                <span class="small muted">"Made "<Moment at_ms=created_at_ms/>". Works until "{words::date(expires_at_ms)}</span>
            </div>
            <ActionForm action=withdraw>
                <input type="hidden" name="id" value=id.to_string()/>
                <button class="button danger" aria-label=label>"Withdraw"</button>
            </ActionForm>
        </li>
    }
}
