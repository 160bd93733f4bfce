//! How soon a job starts: from its commit until a worker has its lease. On SQLite the worker is in this process, as the product has it; on
//! PostgreSQL there are two, in processes of their own. Beside it, workers that are told nothing and look every second.

use std::{
    io::Write as _,
    process::Stdio,
    sync::Arc,
    time::{Duration, SystemTime},
};

use domain::{
    ids::{JobId, UserId, VideoId},
    job::JobState,
};
use sea_orm::{ColumnTrait, DatabaseConnection, EntityTrait, QueryFilter, QuerySelect, sea_query::Expr};
use server::{
    adapters::db_queue::DbQueue,
    db::{
        begin_write,
        entity::{jobs as rows, videos},
    },
    ports::job_queue::{JobQueue, Message, WakeUp},
    process_name::ProcessName,
    services::jobs::{Jobs, enqueue},
};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
    sync::mpsc,
};
use uuid::Uuid;

use crate::{
    Outcome, Plan,
    figures::{Report, Times},
    settings,
};

/// Looks every second, so it takes one a job.
const POLLED: usize = 8;

/// A lease that was taken: of what, and when, in nanoseconds of the Unix epoch.
type Started = (JobId, u128);

fn now() -> u128 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_nanos()
}

/// Takes leases as the product's worker does: what it is told of at once, anything else when it looks.
async fn take(db: &DatabaseConnection, queue: Arc<DbQueue>, tell: impl Fn(Started)) -> Outcome<()> {
    let jobs = Jobs::new(db.clone(), ProcessName::own());
    loop {
        while let Some(lease) = jobs.claim().await? {
            tell((lease.job, now()));
        }
        for delivery in queue.receive(Duration::from_secs(5), 1).await? {
            let Message::WakeUp(wake_up) = delivery.message else { continue };
            if let Some(lease) = jobs.claim_job(wake_up.job).await? {
                tell((lease.job, now()));
            }
        }
    }
}

/// A worker in a process of its own: prints what it has begun.
pub(crate) async fn work(url: &str) -> Outcome<()> {
    let db = server::db::connect(&settings(url), ".".as_ref()).await?;
    let queue = Arc::new(DbQueue::open(&db));
    take(&db, queue, |(job, at)| {
        let mut out = std::io::stdout().lock();
        let _ = writeln!(out, "{job} {at}").and_then(|()| out.flush());
    })
    .await
}

fn spawn_worker(heard: mpsc::UnboundedSender<Started>) -> Outcome<Child> {
    let mut child = Command::new(std::env::current_exe()?).arg("--work").stdout(Stdio::piped()).kill_on_drop(true).spawn()?;
    let out = child.stdout.take().ok_or("a worker without an output")?;
    tokio::spawn(async move {
        let mut lines = BufReader::new(out).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            let Some((job, at)) = line.split_once(' ') else { continue };
            if let (Ok(job), Ok(at)) = (job.parse(), at.parse()) {
                let _ = heard.send((job, at));
            }
        }
    });
    Ok(child)
}

pub(crate) async fn measure(db: &DatabaseConnection, url: &str, plan: &Plan, user: Uuid, report: &mut Report) -> Outcome<()> {
    let video = videos::Entity::of(user).limit(1).one(db).await?.ok_or("no video")?.id;
    let (tell, mut heard) = mpsc::unbounded_channel();
    let queue = Arc::new(DbQueue::open(db));
    let mut children = Vec::new();
    let mut own = None;
    if url.is_empty() {
        let (db, queue) = (db.clone(), Arc::clone(&queue));
        own = Some(tokio::spawn(async move {
            let _ = take(&db, queue, |started| {
                let _ = tell.send(started);
            })
            .await;
        }));
    } else {
        children = vec![spawn_worker(tell.clone())?, spawn_worker(tell)?];
    }
    // They open their connections.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let (mut told, mut looked) = (Times::default(), Times::default());
    let every = plan.jobs / POLLED;
    for number in 0..plan.jobs {
        told.add(one(db, UserId(user), VideoId(video), Some(&queue), &mut heard).await?);
        if number % every == 0 {
            looked.add(one(db, UserId(user), VideoId(video), None, &mut heard).await?);
        }
    }
    drop(children);
    if let Some(own) = own {
        own.abort();
    }
    let place = if url.is_empty() { "in this process" } else { "of two processes" };
    report.add(format!("commit of a job until its lease, {place}"), told, "looking every second", looked);
    Ok(())
}

/// One job: from its commit until somebody has it. Without a queue nobody is told.
async fn one(
    db: &DatabaseConnection,
    user: UserId,
    video: VideoId,
    queue: Option<&DbQueue>,
    heard: &mut mpsc::UnboundedReceiver<Started>,
) -> Outcome<Duration> {
    // At no moment that has to do with when they look.
    tokio::time::sleep(Duration::from_millis(u64::from(rand_ms()))).await;
    let transaction = begin_write(db).await?;
    let job = enqueue(&transaction, user, video).await?;
    transaction.commit().await?;
    let committed = now();
    if let Some(queue) = queue {
        queue.send(WakeUp { job, video }).await?;
    }
    let started = loop {
        let (started, at) = tokio::time::timeout(Duration::from_secs(30), heard.recv()).await?.ok_or("the workers are gone")?;
        if started == job {
            break at;
        }
    };
    rows::Entity::update_many()
        .col_expr(rows::Column::State, Expr::value(JobState::Done.as_str()))
        .filter(rows::Column::Id.eq(job.0))
        .exec(db)
        .await?;
    Ok(Duration::from_nanos(u64::try_from(started.saturating_sub(committed))?))
}

/// Something between 5 and 60.
fn rand_ms() -> u8 {
    5 + Uuid::new_v4().as_bytes()[0] % 56
}
