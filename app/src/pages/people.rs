//! The people of this server, for its owners: who they are, what they store, and shutting them out, letting them in, deleting them. Works
//! without scripts.

use domain::{
    account::{PeoplePage as Page, Person, Role},
    ids::UserId,
    upload::bytes_in_words,
};
use leptos::{either::Either, form::ActionForm, prelude::*};
use leptos_meta::Title;
use leptos_router::hooks::use_query_map;

use super::{
    not_found::LoadError,
    people_invites::{InviteList, Invites},
};
use crate::{
    components::{
        clock::Moment,
        confirm::Confirm,
        fields::{FormError, error_of},
    },
    server_fns::{
        AppError,
        people::{DeletePerson, DisablePerson, EnablePerson, SetRole, list_people},
    },
    session::Session,
    wire,
};

/// What can be done to somebody.
#[derive(Clone, Copy)]
struct Deeds {
    role: ServerAction<SetRole>,
    disable: ServerAction<DisablePerson>,
    enable: ServerAction<EnablePerson>,
    delete: ServerAction<DeletePerson>,
}

impl Deeds {
    fn new() -> Self {
        Self { role: ServerAction::new(), disable: ServerAction::new(), enable: ServerAction::new(), delete: ServerAction::new() }
    }

    /// Grows whenever something has been done.
    fn count(self) -> usize {
        self.role.version().get() + self.disable.version().get() + self.enable.version().get() + self.delete.version().get()
    }

    /// What went wrong last, if anything did.
    fn error(self) -> Signal<Option<AppError>> {
        let all =
            [error_of(self.role.value()), error_of(self.disable.value()), error_of(self.enable.value()), error_of(self.delete.value())];
        Signal::derive(move || all.iter().find_map(|error| error.get()))
    }
}

/// The page.
#[component]
pub fn PeoplePage() -> impl IntoView {
    let session = expect_context::<Session>();
    let deeds = Deeds::new();
    let invites = InviteList::ask();
    let query = use_query_map();
    let after = Memo::new(move |_| query.with(|query| query.get_str("after").and_then(|id| id.parse::<UserId>().ok())));
    let people = wire::ask(move || (after.get(), deeds.count()), |(after, _)| list_people(after));
    view! {
        <Title text="People"/>
        <div class="page narrow">
            <Transition fallback=|| view! { <h1>"People"</h1> }>
                {move || Suspend::new(async move {
                    match people.await {
                        Ok(page) => {
                            let me = session.account.await.ok().flatten().map(|account| account.id);
                            Either::Left(view! {
                                <h1>"People"</h1>
                                <List page me deeds/>
                                <Invites list=invites/>
                            })
                        }
                        Err(error) => Either::Right(view! { <LoadError error/> }),
                    }
                })}
            </Transition>
        </div>
    }
}

#[component]
fn List(page: Page, me: Option<UserId>, deeds: Deeds) -> impl IntoView {
    view! {
        <section class="panel" id="people">
            <h2>"Accounts"</h2>
            <p class="small muted">
                "Who is disabled cannot sign in, their sessions and keys stop at once, and none of their videos plays. Enabling brings everything back but the sessions; deleting is for good."
            </p>
            <FormError id="people-error" error=deeds.error()/>
            <ul class="keys">
                {page.people.into_iter().map(|person| view! { <Row own=me == Some(person.id) person deeds/> }).collect_view()}
            </ul>
            {page.next.map(|after| view! { <p><a class="button" href=format!("/people?after={after}")>"More people"</a></p> })}
        </section>
    }
}

#[component]
fn Row(person: Person, own: bool, deeds: Deeds) -> impl IntoView {
    let state = match (person.leaving, person.disabled_at_ms.is_some(), person.role) {
        (true, ..) => "Being deleted",
        (_, true, _) => "Disabled",
        (_, _, Role::Owner) => "Owner",
        (_, _, Role::Member) => "Member",
    };
    let videos = if person.videos == 1 { "1 video".to_owned() } else { format!("{} videos", person.videos) };
    let stands = !person.leaving && person.disabled_at_ms.is_none();
    let manageable = !own && !person.leaving;
    view! {
        <li>
            <div class="key-words">
                <b>{person.email.clone()}</b>
                <span class="small" class=("this-one", stands) class=("not-in", !stands)>{state}{own.then_some(" (you)")}</span>
                <span class="small muted">{videos}", "{bytes_in_words(person.bytes)}". Joined "<Moment at_ms=person.created_at_ms/></span>
            </div>
            {manageable.then(|| view! { <Buttons person deeds/> })}
        </li>
    }
}

#[component]
fn Buttons(person: Person, deeds: Deeds) -> impl IntoView {
    let Person { id, email, role, disabled_at_ms, .. } = person;
    let email = StoredValue::new(email);
    let label = move |deed: &str| format!("{deed} {}", email.get_value());
    let (other, words) = match role {
        Role::Owner => (Role::Member, "Make member"),
        Role::Member => (Role::Owner, "Make owner"),
    };
    let door = if disabled_at_ms.is_some() {
        Either::Left(view! {
            <ActionForm action=deeds.enable>
                <input type="hidden" name="id" value=id.to_string()/>
                <button class="button" aria-label=label("Enable")>"Enable"</button>
            </ActionForm>
        })
    } else {
        Either::Right(view! {
            <ActionForm action=deeds.role>
                <input type="hidden" name="id" value=id.to_string()/>
                <input type="hidden" name="role" value=other.as_str()/>
                <button class="button" aria-label=label(&format!("{words}:"))>{words}</button>
            </ActionForm>
            <ActionForm action=deeds.disable>
                <input type="hidden" name="id" value=id.to_string()/>
                <button class="button" aria-label=label("Disable")>"Disable"</button>
            </ActionForm>
        })
    };
    view! {
        <div class="buttons">
            {door}
            <Confirm
                id=format!("delete-{id}")
                button_class="button danger"
                button=ViewFn::from(|| "Delete")
                button_label=label("Delete")
                question=Signal::stored(format!("Delete {}?", email.get_value()))
                consequence="The account goes with all its videos and links. This cannot be undone."
            >
                <ActionForm action=deeds.delete>
                    <input type="hidden" name="id" value=id.to_string()/>
                    <button class="button danger solid">"Delete account and videos"</button>
                </ActionForm>
            </Confirm>
        </div>
    }
}
