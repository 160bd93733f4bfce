//! What takes up room: one's own for everybody, and for owners who has what, how full the disk is, and whether rows and store agree. Works
//! without scripts.

use domain::{
    storage_use::{AccountUse, DiskUse, ServerUse, StorageUse},
    store_audit::{Finding, LastAudit},
    upload::bytes_in_words,
};
use leptos::{either::Either, form::ActionForm, prelude::*};
use leptos_meta::Title;

use super::not_found::LoadError;
use crate::{
    components::{
        clock::Moment,
        fields::{FormError, error_of},
    },
    server_fns::storage::{CheckStorage, storage_use},
    wire,
};

/// Findings that the page shows; the command line shows all.
const SHOWN: usize = 20;

/// The page.
#[component]
pub fn StoragePage() -> impl IntoView {
    let check = ServerAction::<CheckStorage>::new();
    let used = wire::ask(move || check.version().get(), |_| storage_use());
    view! {
        <Title text="Storage"/>
        <div class="page narrow">
            <Transition fallback=|| view! { <h1>"Storage"</h1> }>
                {move || Suspend::new(async move {
                    match used.await {
                        Ok(used) => Either::Left(view! { <h1>"Storage"</h1><Used used check/> }),
                        Err(error) => Either::Right(view! { <LoadError error/> }),
                    }
                })}
            </Transition>
        </div>
    }
}

#[component]
fn Used(used: StorageUse, check: ServerAction<CheckStorage>) -> impl IntoView {
    let StorageUse { own, quota, server } = used;
    let share = match quota {
        0 => format!("{} in all.", bytes_in_words(own.total())),
        quota => format!(
            "{} in all. Of the {} that your files may have as uploaded, {} are used.",
            bytes_in_words(own.total()),
            bytes_in_words(quota),
            bytes_in_words(own.sources + own.unfinished)
        ),
    };
    view! {
        <section class="panel" id="own-storage">
            <h2>"Yours"</h2>
            <p>{share}</p>
            <Parts of=own/>
        </section>
        {server.map(|server| view! { <Server server check/> })}
    }
}

/// So many of something, in words.
fn counted(count: u64, one: &str) -> String {
    if count == 1 { format!("1 {one}") } else { format!("{count} {one}s") }
}

/// The three kinds of bytes, in words.
#[component]
fn Parts(of: AccountUse) -> impl IntoView {
    let rows = [("Files as uploaded", of.sources), ("Ready to play", of.renditions), ("Uploads on their way", of.unfinished)];
    view! {
        <dl class="facts">
            {rows.map(|(name, bytes)| view! { <dt>{name}</dt><dd class="num">{bytes_in_words(bytes)}</dd> }).collect_view()}
        </dl>
    }
}

#[component]
fn Server(server: ServerUse, check: ServerAction<CheckStorage>) -> impl IntoView {
    let ServerUse { place, disk, accounts, more_accounts, all, removals, last_audit, checking } = server;
    let waiting = match removals {
        0 => None,
        1 => Some("1 deleted thing is still to be removed from the store; that happens by itself.".to_owned()),
        some => Some(format!("{some} deleted things are still to be removed from the store; that happens by itself.")),
    };
    view! {
        <section class="panel" id="server-storage">
            <h2>"This server"</h2>
            <p class="small muted">"Videos are in "{place}"."</p>
            {disk.map(|disk| view! { <Disk disk/> })}
            <p>{format!("{} in {}.", bytes_in_words(all.total()), counted(all.videos, "video"))}</p>
            <Parts of=all/>
            {waiting.map(|waiting| view! { <p class="small muted">{waiting}</p> })}
        </section>
        <section class="panel" id="accounts-storage">
            <h2>"Who stores what"</h2>
            <ul class="keys">{accounts.into_iter().map(|account| view! { <Account account/> }).collect_view()}</ul>
            {(more_accounts > 0).then(|| view! { <p class="small muted">{format!("And {} with less.", counted(more_accounts, "account"))}</p> })}
        </section>
        <Audit last=last_audit checking check/>
    }
}

#[component]
fn Disk(disk: DiskUse) -> impl IntoView {
    let DiskUse { total, free, low_water } = disk;
    let used = total.saturating_sub(free);
    let low = low_water > 0 && free < low_water;
    let limit = match low_water {
        0 => "New uploads are refused only when nothing is left.".to_owned(),
        _ if low => format!(
            "That is less than {}: new uploads are refused, and go on by themselves once there is room. Delete videos or add space.",
            bytes_in_words(low_water)
        ),
        _ => format!("New uploads are refused where they would leave less than {}.", bytes_in_words(low_water)),
    };
    view! {
        <meter class="disk" min="0" max=total.to_string() value=used.to_string() aria-label="How full the disk is"></meter>
        <p>{format!("{} of {} are free.", bytes_in_words(free), bytes_in_words(total))}</p>
        <p class=if low { "notice warn" } else { "small muted" }>{limit}</p>
    }
}

#[component]
fn Account(account: AccountUse) -> impl IntoView {
    let total = bytes_in_words(account.total());
    let AccountUse { email, videos, sources, renditions, unfinished } = account;
    let videos = counted(videos, "video");
    let mut parts = vec![format!("{} as uploaded", bytes_in_words(sources)), format!("{} ready to play", bytes_in_words(renditions))];
    if unfinished > 0 {
        parts.push(format!("{} on their way", bytes_in_words(unfinished)));
    }
    view! {
        <li>
            <div class="key-words">
                <b>{email}</b>
                <span class="small muted">{videos}": "{parts.join(", ")}</span>
            </div>
            <span class="num">{total}</span>
        </li>
    }
}

#[component]
fn Audit(last: Option<LastAudit>, checking: bool, check: ServerAction<CheckStorage>) -> impl IntoView {
    let error = error_of(check.value());
    view! {
        <section class="panel" id="store-audit">
            <h2>"Check"</h2>
            <p class="small muted">
                "Holds what is listed against what is stored: every video has its files, every file its video. It happens daily by itself, and then removes what nobody needs any more. "
                <code>"millrace audit --deep"</code>" on the server also reads every video."
            </p>
            {match last {
                Some(last) => Either::Left(view! { <Last last/> }),
                None => Either::Right(view! { <p>"Not checked yet."</p> }),
            }}
            <FormError id="store-audit-error" error/>
            <div class="buttons" role="status">
                {if checking {
                    Either::Left(view! { <p class="small">"A check is running. "<a href="/storage" rel="external">"Look again"</a></p> })
                } else {
                    Either::Right(view! { <ActionForm action=check><button class="button">"Check now"</button></ActionForm> })
                }}
            </div>
        </section>
    }
}

#[component]
fn Last(last: LastAudit) -> impl IntoView {
    let LastAudit { at_ms, report } = last;
    let left: Vec<Finding> = report.findings.iter().filter(|finding| !finding.repaired).cloned().collect();
    let mended = report.findings.len() - left.len();
    let count = left.len() as u64 + report.left_out;
    let more = count.saturating_sub(SHOWN as u64);
    let outcome = match count {
        0 => "all is where it belongs".to_owned(),
        1 => "1 thing is not as it should be".to_owned(),
        count => format!("{count} things are not as they should be"),
    };
    let mended = match mended {
        0 => None,
        1 => Some(" 1 leftover was removed.".to_owned()),
        some => Some(format!(" {some} leftovers were removed.")),
    };
    view! {
        <p class=if count == 0 { "notice ok" } else { "notice warn" }>
            <span>"Last check "<Moment at_ms/>": "{counted(report.checked.videos, "video")}", "{outcome}"."{mended}</span>
        </p>
        <ul class="keys">{left.into_iter().take(SHOWN).map(|finding| view! { <Row finding/> }).collect_view()}</ul>
        {(more > 0).then(|| view! { <p class="small muted">{format!("And {more} more: ")}<code>"millrace audit"</code>" shows them."</p> })}
    }
}

#[component]
fn Row(finding: Finding) -> impl IntoView {
    let Finding { kind, video, key, detail, .. } = finding;
    view! {
        <li>
            <div class="key-words">
                <b>{detail}</b>
                {video.map(|video| view! { <span class="small">{format!("Video {video}")}</span> })}
                {(!key.is_empty()).then(|| view! { <code class="small path">{key}</code> })}
                <span class="small muted">{kind.advice()}</span>
            </div>
        </li>
    }
}
