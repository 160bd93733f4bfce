//! Workers without ffmpeg, files and sockets: real services and a real database over an engine, a store and a queue of memory. A process is
//! a [`Hired`] worker; it can be shut down and it can die.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use domain::{ids::VideoId, job::JobState};
use futures::StreamExt;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, sea_query::Expr};
use server::{
    assembly::{Ports, assemble},
    db::entity::{jobs, videos},
    http::AppState,
    ports::{
        job_queue::{JobQueue, WakeUp},
        transcoder::{EncodeNews, EncodeReport, TranscodeId},
    },
    worker::Worker,
};
use tokio::{sync::watch, task::JoinHandle};

use self::{
    engine::{Engine, FakeTranscoder, Manners},
    queue::FakeQueue,
    store::FakeStore,
};
use crate::app::{App, Somebody};

pub(crate) mod engine;
pub(crate) mod flood;
pub(crate) mod queue;
pub(crate) mod store;

/// An engine that runs elsewhere and can be asked.
pub(crate) const ELSEWHERE: Manners = Manners { outlives: true, at_once: false, silent: false };

/// The place.
pub(crate) struct Workshop {
    pub(crate) app: App,
    pub(crate) ada: Somebody,
    pub(crate) engine: Arc<Engine>,
    pub(crate) store: Arc<FakeStore>,
    /// What people reach: its uploads go to this store, its wake-ups get lost.
    pub(crate) front: AppState,
}

/// A process that works.
pub(crate) struct Hired {
    shutdown: watch::Sender<bool>,
    running: JoinHandle<()>,
}

impl Workshop {
    pub(crate) async fn open(manners: Manners) -> Self {
        Self::on(App::start().await, manners).await
    }

    pub(crate) async fn on(app: App, manners: Manners) -> Self {
        let ada = app.somebody("ada@example.com").await;
        let engine = Engine::new(manners);
        let store = Arc::new(FakeStore::of(&engine));
        let (front, _) = parts(&app, &engine, &store, Arc::new(FakeQueue::default()), 1, watch::Sender::new(false).subscribe());
        Self { app, ada, engine, store, front }
    }

    /// A process with so many slots that hears this queue.
    pub(crate) fn hire(&self, queue: Arc<dyn JobQueue>, slots: usize) -> Hired {
        let shutdown = watch::Sender::new(false);
        let (_, worker) = parts(&self.app, &self.engine, &self.store, queue, slots, shutdown.subscribe());
        let running = tokio::spawn(worker.run(shutdown.subscribe()));
        Hired { shutdown, running }
    }

    /// What a process that hears this queue consists of, before it is at work.
    pub(crate) fn apply(&self, queue: Arc<dyn JobQueue>) -> (AppState, Worker) {
        parts(&self.app, &self.engine, &self.store, queue, 1, watch::Sender::new(false).subscribe())
    }

    /// A video that waits for a worker, and the message that should wake one.
    pub(crate) async fn video(&self) -> WakeUp {
        self.video_of(&self.ada).await
    }

    /// The same of somebody else.
    pub(crate) async fn video_of(&self, who: &Somebody) -> WakeUp {
        let body = futures::stream::iter([Ok(Bytes::from_static(b"a source"))]).boxed();
        let received = self.front.uploads.receive(who.user, body).await.expect("received");
        let video = self.front.uploads.adopt(who.user, &received, "clip.mp4", None).await.expect("a video");
        let job = jobs::Entity::find().filter(jobs::Column::VideoId.eq(video.0)).one(&self.app.db).await.expect("asked").expect("its job");
        WakeUp { job: job.id.into(), video }
    }

    /// A job's row.
    pub(crate) async fn row(&self, job: WakeUp) -> jobs::Model {
        jobs::Entity::find_by_id(job.job.0).one(&self.app.db).await.expect("asked").expect("a job")
    }

    /// Waits until a job stands so.
    pub(crate) async fn until(&self, job: WakeUp, state: JobState) {
        eventually(&format!("{} is {}", job.job, state.as_str()), async || self.row(job).await.state == state.as_str()).await;
    }

    /// Waits until the row names the encode that was started for a job, and gives its name.
    pub(crate) async fn until_encoding(&self, job: WakeUp) -> TranscodeId {
        eventually("the encode is noted", async || self.row(job).await.encode_id.is_some()).await;
        self.engine.encode_of(job.job).expect("it was started")
    }

    /// Lets the lease of a job run out, as when its worker has been silent for long.
    pub(crate) async fn let_lease_run_out(&self, job: WakeUp) {
        let aged = jobs::Entity::update_many().col_expr(jobs::Column::LeaseExpiresAtMs, Expr::value(0));
        aged.filter(jobs::Column::Id.eq(job.job.0)).exec(&self.app.db).await.expect("aged");
    }

    pub(crate) async fn progress(&self, video: VideoId) -> i32 {
        videos::Entity::find_by_id(video.0).one(&self.app.db).await.expect("asked").expect("a video").progress
    }
}

impl Hired {
    /// Ends it as SIGTERM does.
    pub(crate) async fn shut_down(self) {
        self.shutdown.send_replace(true);
        self.running.await.expect("it ends");
    }

    /// Ends it as SIGKILL does.
    pub(crate) async fn kill(self) {
        self.running.abort();
        assert!(self.running.await.expect_err("it was killed").is_cancelled());
    }
}

fn parts(
    app: &App,
    engine: &Arc<Engine>,
    store: &Arc<FakeStore>,
    queue: Arc<dyn JobQueue>,
    slots: usize,
    down: watch::Receiver<bool>,
) -> (AppState, Worker) {
    let mut settings = (*app.state.settings).clone();
    settings.transcode.jobs = slots;
    let ports = Ports { store: store.clone(), queue, transcoder: Arc::new(FakeTranscoder::of(engine)), cdn: Arc::clone(&app.state.cdn) };
    let (reachable, worker) = assemble(settings, &app.db, ports, b"a key for tests".to_vec().into(), down);
    (reachable.into(), worker)
}

/// What an engine may tell about an encode.
pub(crate) fn report(job: WakeUp, encode: &TranscodeId, at_ms: i64, news: EncodeNews) -> EncodeReport {
    EncodeReport { job: job.job, encode: encode.clone(), at_ms, news }
}

/// Waits until something is so; a test in which it never comes to that fails with its name.
pub(crate) async fn eventually(what: &str, so: impl AsyncFn() -> bool) {
    // Patient: a busy machine makes an emulator slow, and nothing is gained by giving up early.
    for _ in 0..4_500 {
        if so().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("it never came to this: {what}");
}
