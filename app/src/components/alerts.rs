//! What needs a person, on a page for owners.

use domain::alert::{Alert, Alerts, LostNotice};
use leptos::prelude::*;

use super::words;

/// The section.
#[component]
pub fn AlertsPanel(
    /// How things stand.
    alerts: Alerts,
) -> impl IntoView {
    let Alerts { open, lost, channels } = alerts;
    let told = if channels.is_empty() {
        "Nobody is told of them: the settings under [alerts] can name a mail server or a webhook.".to_owned()
    } else {
        format!("They are told by {} as well.", channels.join(" and "))
    };
    let calm = open.is_empty();
    view! {
        <section class="panel" id="alerts">
            <h2>"What needs somebody"</h2>
            {calm.then(|| view! { <p>"Nothing at the moment."</p> })}
            <ul class="keys">{open.into_iter().map(|alert| view! { <Open alert/> }).collect_view()}</ul>
            {(!lost.is_empty()).then(|| view! { <h3>"Messages that nobody took"</h3> })}
            <ul class="keys">{lost.into_iter().map(|notice| view! { <Lost notice/> }).collect_view()}</ul>
            <p class="small muted">{told}</p>
        </section>
    }
}

#[component]
fn Open(alert: Alert) -> impl IntoView {
    view! {
        <li>
            <div class="key-words">
                <b>{alert.kind.words()}</b>
                <span>{alert.detail}</span>
            </div>
            <time class="small muted num" datetime=words::timestamp(alert.since_ms)>{words::date_and_time(alert.since_ms)}</time>
        </li>
    }
}

#[component]
fn Lost(notice: LostNotice) -> impl IntoView {
    view! {
        <li>
            <div class="key-words">
                <b>{format!("By {}", notice.channel)}</b>
                <span class="small">{notice.error}</span>
            </div>
            <time class="small muted num" datetime=words::timestamp(notice.at_ms)>{words::date_and_time(notice.at_ms)}</time>
        </li>
    }
}
