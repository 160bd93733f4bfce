//! What the machinery has before it, for owners of the server: what waits, what runs, what was given up, and giving that another try. Works
//! without scripts. Videos are named by id and people by address: titles are their owners' own.

use domain::{
    backlog::{Backlog, FailedJob, FailedPage, RunningJob},
    ids::JobId,
};
use leptos::{either::Either, form::ActionForm, prelude::*};
use leptos_meta::Title;
use leptos_router::hooks::use_query_map;

use super::not_found::LoadError;
use crate::{
    components::{
        clock::Moment,
        confirm::Confirm,
        fields::{FormError, error_of},
    },
    server_fns::jobs::{RetryAllJobs, RetryJob, list_jobs},
    wire,
};

/// What can be done.
#[derive(Clone, Copy)]
struct Deeds {
    one: ServerAction<RetryJob>,
    all: ServerAction<RetryAllJobs>,
}

/// The page.
#[component]
pub fn JobsPage() -> impl IntoView {
    let deeds = Deeds { one: ServerAction::new(), all: ServerAction::new() };
    let query = use_query_map();
    let after = move |list: &'static str| query.with(|query| query.get_str(list).and_then(|id| id.parse::<JobId>().ok()));
    let after = Memo::new(move |_| (after("ours"), after("files")));
    let done = move || deeds.one.version().get() + deeds.all.version().get();
    let backlog = wire::ask(move || (after.get(), done()), |((ours, files), _)| list_jobs(ours, files));
    view! {
        <Title text="Jobs"/>
        <div class="page narrow">
            <Transition fallback=|| view! { <h1>"Jobs"</h1> }>
                {move || Suspend::new(async move {
                    match backlog.await {
                        Ok(backlog) => Either::Left(view! { <h1>"Jobs"</h1><Standing backlog after=after.get_untracked() deeds/> }),
                        Err(error) => Either::Right(view! { <LoadError error/> }),
                    }
                })}
            </Transition>
        </div>
    }
}

#[component]
fn Standing(backlog: Backlog, after: (Option<JobId>, Option<JobId>), deeds: Deeds) -> impl IntoView {
    let Backlog { waiting, oldest_since_ms, running, ours, files } = backlog;
    let waits = match waiting {
        0 => "Nothing waits.".to_owned(),
        1 => "1 job waits, since ".to_owned(),
        many => format!("{many} jobs wait, the first since "),
    };
    let errors = (error_of(deeds.one.value()), error_of(deeds.all.value()));
    let error = Signal::derive(move || errors.0.get().or_else(|| errors.1.get()));
    let some = !ours.jobs.is_empty();
    view! {
        <section class="panel" id="now">
            <h2>"Now"</h2>
            <p>{waits}{oldest_since_ms.map(|since| view! { <Moment at_ms=since/>"." })}</p>
            {running.is_empty().then(|| view! { <p class="small muted">"No video is being processed."</p> })}
            <ul class="keys">{running.into_iter().map(|job| view! { <Running job/> }).collect_view()}</ul>
        </section>
        <section class="panel" id="failed">
            <h2>"Failed on our side"</h2>
            <p class="small muted">
                "Each was tried several times and is kept. Once what was wrong has been put right, try again: that makes a new job and wakes a worker, \
                 whatever became of the first message about it."
            </p>
            <FormError id="jobs-error" error/>
            {some.then(|| view! { <TryAll deeds/> })}
            <Failures page=ours first=after.0.is_none() older=move |last| address(Some(last), after.1) deeds/>
        </section>
        <section class="panel" id="bad-files">
            <h2>"Failed because of the file"</h2>
            <p class="small muted">"The same file ends the same way, unless the settings have been changed since."</p>
            <Failures page=files first=after.1.is_none() older=move |last| address(after.0, Some(last)) deeds/>
        </section>
    }
}

#[component]
fn Running(job: RunningJob) -> impl IntoView {
    view! {
        <li>
            <div class="key-words">
                <b>{job.owner}</b>
                <span class="small">"Video "<code>{job.video.to_string()}</code></span>
                <span class="small muted">"Try "{job.attempt}", by "<code>{job.worker}</code></span>
            </div>
            {job.since_ms.map(|since| view! { <span class="small muted">"Since "<Moment at_ms=since/></span> })}
        </li>
    }
}

#[component]
fn TryAll(deeds: Deeds) -> impl IntoView {
    let said = move || {
        deeds.all.value().get().and_then(Result::ok).map(|(queued, left)| match left {
            0 => format!("In line again: {queued}."),
            left => format!("In line again: {queued}. Left as they are: {left}."),
        })
    };
    view! {
        <p role="status" class="small">{said}</p>
        <Confirm
            id="try-all"
            button_class="button"
            button=ViewFn::from(|| "Try all again")
            button_label="Try all again".to_owned()
            question=Signal::stored("Try all of these again?".to_owned())
            consequence="Each gets a new job and goes to the end of its owner's line."
        >
            <ActionForm action=deeds.all>
                <button class="button solid">"Try all again"</button>
            </ActionForm>
        </Confirm>
    }
}

#[component]
fn Failures(
    page: FailedPage,
    /// Whether these are the newest.
    first: bool,
    /// The address of those behind the last one.
    older: impl Fn(JobId) -> String,
    deeds: Deeds,
) -> impl IntoView {
    let none = page.jobs.is_empty();
    let older = page.next.map(older);
    view! {
        {none.then(|| view! { <p class="small">"None."</p> })}
        <ul class="keys">{page.jobs.into_iter().map(|job| view! { <Failure job deeds/> }).collect_view()}</ul>
        <p class="buttons">
            {(!first).then(|| view! { <a class="button" href="/jobs">"Newest"</a> })}
            {older.map(|older| view! { <a class="button" href=older>"Older"</a> })}
        </p>
    }
}

#[component]
fn Failure(job: FailedJob, deeds: Deeds) -> impl IntoView {
    let FailedJob { id, video, owner, code, attempts, at_ms, detail, repeatable } = job;
    let label = format!("Try again: video {video} of {owner}");
    let tries = if attempts == 1 { "1 try".to_owned() } else { format!("{attempts} tries") };
    let again = if repeatable {
        Either::Left(view! {
            <ActionForm action=deeds.one>
                <input type="hidden" name="id" value=id.to_string()/>
                <button class="button" aria-label=label>"Try again"</button>
            </ActionForm>
        })
    } else {
        Either::Right(view! { <span class="small muted">"The file is gone."</span> })
    };
    view! {
        <li>
            <div class="key-words">
                <b>{owner}</b>
                <span class="small">"Video "<code>{video.to_string()}</code></span>
                <span>{code.sentence()}</span>
                <span class="small muted">
                    <code>{code.as_str()}</code>" after "{tries}{at_ms.map(|at| view! { ", "<Moment at_ms=at/> })}
                </span>
                {(!detail.is_empty()).then(|| view! {
                    <details class="small"><summary>"What the last try ended with"</summary><pre class="said">{detail}</pre></details>
                })}
            </div>
            {again}
        </li>
    }
}

/// The page behind these jobs.
fn address(ours: Option<JobId>, files: Option<JobId>) -> String {
    let fields = [("ours", ours), ("files", files)];
    let query: Vec<String> = fields.into_iter().filter_map(|(name, id)| Some(format!("{name}={}", id?))).collect();
    format!("/jobs?{}", query.join("&"))
}
