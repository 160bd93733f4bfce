//! What was done on this server that matters to security, for its owners. Plain pages: works without scripts.

use domain::{
    audit::{AuditEntry, AuditPage, KEPT_DAYS},
    ids::AuditId,
};
use leptos::{either::Either, prelude::*};
use leptos_meta::Title;
use leptos_router::hooks::use_query_map;

use super::not_found::LoadError;
use crate::{
    components::{alerts::AlertsPanel, words},
    server_fns::{alerts::list_alerts, audit_log::list_acts},
    wire,
};

/// The page.
#[component]
pub fn ActivityPage() -> impl IntoView {
    let query = use_query_map();
    let after = Memo::new(move |_| query.with(|query| query.get_str("after").and_then(|id| id.parse::<AuditId>().ok())));
    let log = wire::ask(move || after.get(), list_acts);
    let alerts = wire::ask(|| (), |()| list_alerts());
    view! {
        <Title text="Activity"/>
        <div class="page narrow">
            <Transition fallback=|| view! { <h1>"Activity"</h1> }>
                {move || Suspend::new(async move {
                    match log.await {
                        Ok(page) => {
                            let alerts = alerts.await.ok();
                            let first = after.get_untracked().is_none();
                            Either::Left(view! {
                                <h1>"Activity"</h1>
                                {alerts.filter(|_| first).map(|alerts| view! { <AlertsPanel alerts/> })}
                                <Log page first/>
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
fn Log(page: AuditPage, first: bool) -> impl IntoView {
    view! {
        <section class="panel" id="activity">
            <h2>"What was done, the newest first"</h2>
            <p class="small muted">{format!("Kept for {KEPT_DAYS} days. Times are in UTC.")}</p>
            <ul class="keys">{page.entries.into_iter().map(|entry| view! { <Row entry/> }).collect_view()}</ul>
            <p class="buttons">
                {(!first).then(|| view! { <a class="button" href="/activity">"Newest"</a> })}
                {page.next.map(|after| view! { <a class="button" href=format!("/activity?after={after}")>"Older"</a> })}
            </p>
        </section>
    }
}

#[component]
fn Row(entry: AuditEntry) -> impl IntoView {
    let who = who(&entry);
    let detail = entry.detail.iter().map(|(name, value)| format!("{name}: {value}")).collect::<Vec<_>>().join(", ");
    view! {
        <li>
            <div class="key-words">
                <b>{entry.kind.words()}</b>
                {(!entry.subject.is_empty()).then(|| view! { <span>{entry.subject}</span> })}
                {(!detail.is_empty()).then(|| view! { <span class="small">{detail}</span> })}
                <span class="small muted">{who}</span>
            </div>
            <time class="small muted num" datetime=words::timestamp(entry.at_ms)>{words::date_and_time(entry.at_ms)}</time>
        </li>
    }
}

/// Who did it and from where, in words.
pub fn who(entry: &AuditEntry) -> String {
    match (entry.actor.as_str(), entry.address.as_str()) {
        ("", "") => "On the server itself".to_owned(),
        ("", address) => format!("Somebody at {address}"),
        (actor, "") => format!("By {actor}"),
        (actor, address) => format!("By {actor}, from {address}"),
    }
}
