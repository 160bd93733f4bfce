//! Takes one leased job from source to published renditions: look at the source, plan the ladder, encode, check, publish. Every
//! write is made under the lease; an attempt that does not end well leaves nothing in the store.

use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use domain::{
    ids::{GenerationId, UploadId, UserId},
    job::MAX_ATTEMPTS,
    playlist::Rendition,
    source::SourceFacts,
    storage_key::StorageKey,
    video::Stage,
};
use sea_orm::{
    ColumnTrait, DatabaseConnection, EntityTrait, QueryFilter,
    sea_query::{Expr, SimpleExpr},
};
use tokio::{sync::watch, time::timeout};
use uuid::Uuid;

use crate::{
    db::{
        begin_write,
        entity::{jobs as job_rows, uploads, videos},
    },
    error::{Error, Result},
    failpoints,
    ports::{
        blob_store::BlobStore,
        transcoder::{TranscodeId, TranscodeRequest, Transcoder},
    },
    services::{
        changes::{Change, Changes},
        growing,
        jobs::{Held, Jobs, Lease, hold},
        packages::Packages,
        publishing::Publishing,
        removals::{Removal, Removals},
        storage::Storage,
        videos::{advance, source_facts},
    },
    telemetry::{metrics, stages},
};

mod endings;
mod grown;
mod holding;
mod keeping;
mod refused;

/// How long a process that ends tries to give its jobs back. What it cannot, others take over: they see at once that it is gone.
const GIVE_BACK_WITHIN: Duration = Duration::from_secs(5);

/// Processes videos.
#[derive(Debug, Clone)]
pub struct Transcodes {
    db: DatabaseConnection,
    transcoder: Arc<dyn Transcoder>,
    jobs: Jobs,
    publishing: Publishing,
    removals: Removals,
    storage: Storage,
    viewers: Viewers,
}

/// Who waits for what is made.
#[derive(Debug, Clone)]
pub struct Viewers {
    /// Open pages.
    pub changes: Changes,
    /// What plays before it is made.
    pub packages: Packages,
}

/// Why an attempt stopped without a result.
enum Stop {
    /// The lease is lost or the video is gone.
    Lost,
    /// The process is shutting down.
    ShuttingDown,
    /// It failed.
    Failed(Error),
}

impl Stop {
    /// What is left to say where not even the end of a try could be written down.
    fn unnoted(self) -> Result<()> {
        match self {
            Self::Lost => Ok(()),
            Self::ShuttingDown => Err(Error::broken("the database did not answer before the process ended")),
            Self::Failed(error) => Err(error),
        }
    }
}

impl<E: Into<Error>> From<E> for Stop {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

/// What an encode has come to: renditions, and whether there is a poster.
struct Made {
    renditions: Vec<Rendition>,
    poster: bool,
}

/// What one attempt works with.
struct Attempt<'a> {
    lease: &'a Lease,
    user: UserId,
    source: StorageKey,
    generation: GenerationId,
    /// Whether the generation is an earlier try's, whose encode may still run elsewhere.
    adopted: bool,
    /// Set once an encode may have been started.
    started: AtomicBool,
    /// The encode's name, once it is known.
    encode: OnceLock<TranscodeId>,
    /// Set once the encode is known to be one that an earlier try started.
    resumed: AtomicBool,
    /// Set once this try counts no more, as the one before it lost nothing.
    given_back: AtomicBool,
    /// Set once viewers may have been given what is finished of it.
    shown: AtomicBool,
    /// The trace that it is part of.
    trace: Option<String>,
}

impl Transcodes {
    /// Processing with these parts.
    pub fn new(
        db: DatabaseConnection,
        store: Arc<dyn BlobStore>,
        transcoder: Arc<dyn Transcoder>,
        jobs: Jobs,
        removals: Removals,
        storage: Storage,
        viewers: Viewers,
    ) -> Self {
        let publishing = Publishing::new(db.clone(), store);
        Self { db, transcoder, jobs, publishing, removals, storage, viewers }
    }

    /// Works on a leased job until it is done, has failed, or is given back because `shutdown` turned true.
    ///
    /// # Errors
    /// The database fails so that not even the failure can be noted; the lease then runs out by itself.
    pub async fn run(&self, lease: &Lease, mut shutdown: watch::Receiver<bool>) -> Result<()> {
        let upload = || async { Ok(uploads::Entity::find().filter(uploads::Column::VideoId.eq(lease.video.0)).one(&self.db).await?) };
        let row = match self.insist(&mut shutdown, upload).await {
            Ok(Some(row)) => row,
            Ok(None) => return Ok(()),
            Err(stop) => return stop.unnoted(),
        };
        let (user, upload) = (UserId(row.user_id), UploadId(row.id));
        let mut span = stages::attempt(lease, row.trace_parent.as_deref());
        failpoints::pass("job.leased");
        let leftover = lease.leftover.filter(|_| self.transcoder.outlives_process());
        let generation = leftover.unwrap_or_else(|| GenerationId(Uuid::now_v7()));
        let adopted = leftover.is_some();
        let encode = lease.encode.clone().filter(|_| adopted).map_or_else(OnceLock::new, OnceLock::from);
        let source = StorageKey::Source { upload };
        let trace = span.traceparent();
        let (started, resumed, given_back, shown) =
            (AtomicBool::new(adopted), AtomicBool::default(), AtomicBool::default(), AtomicBool::default());
        let attempt = Attempt { lease, user, source, generation, adopted, started, encode, resumed, given_back, shown, trace };
        let outcome = self.attempt(&attempt, &mut shutdown).await;
        let outcome = match outcome {
            Ok(()) => {
                tracing::info!(video_id = %lease.video, job_id = %lease.job, attempt = lease.attempt, "video is ready");
                metrics::ended("done");
                Ok(())
            }
            Err(Stop::Lost) => {
                tracing::info!(video_id = %lease.video, job_id = %lease.job, "stopped: the video is gone or somebody else has the job");
                metrics::ended("lost");
                span.fail("lost");
                let noted = self.insist(&mut shutdown, || async { Ok(self.let_go(&self.db, &attempt).await?) }).await;
                noted.or_else(Stop::unnoted)
            }
            Err(Stop::ShuttingDown) => {
                let given_back = timeout(GIVE_BACK_WITHIN, self.give_back(&attempt)).await;
                given_back.unwrap_or_else(|_| Stop::ShuttingDown.unnoted())
            }
            Err(Stop::Failed(error)) => {
                span.fail("failed");
                let noted = self.insist(&mut shutdown, || async { Ok(self.failed(&attempt, &error).await?) }).await;
                noted.or_else(Stop::unnoted)
            }
        };
        self.tell(&attempt);
        outcome?;
        self.removals.work_off_soon().await;
        Ok(())
    }

    async fn attempt(&self, attempt: &Attempt<'_>, shutdown: &mut watch::Receiver<bool>) -> std::result::Result<(), Stop> {
        // An encode that the last try started and that goes on elsewhere may be waited for once more.
        if attempt.lease.attempt > MAX_ATTEMPTS + i32::from(attempt.adopted) {
            // Tries that end with their worker's death note nothing; here they are counted, and what the last one left goes.
            if let Some(leftover) = attempt.lease.leftover.filter(|_| !attempt.adopted) {
                Removal::Published(leftover).note(&self.db).await?;
            }
            return Err(Error::broken("every try ended with the worker that made it").into());
        }
        let known = self.insist(shutdown, || self.begin(attempt)).await?;
        let facts = match known.filter(|_| attempt.adopted) {
            Some(facts) => facts,
            None => {
                let stage = stages::Stage::begin("probe", attempt.trace.as_deref());
                let probe = async { Ok(self.transcoder.probe(&attempt.source).await?) };
                let facts = self.holding(attempt, shutdown, probe).await?;
                stage.done();
                facts
            }
        };
        let (ladder, kept) = self.holding(attempt, shutdown, async { Ok(self.plan(attempt, &facts).await) }).await?;
        if !self.transcoder.outlives_process() {
            self.storage.check_job(&facts, &ladder).await?;
        }
        self.insist(shutdown, || self.to_encoding(attempt, &facts)).await?;
        let request = TranscodeRequest {
            job: attempt.lease.job,
            video: attempt.lease.video,
            generation: attempt.generation,
            source: attempt.source.clone(),
            facts: facts.clone(),
            ladder,
        };
        let encoding = stages::Stage::begin("encode", attempt.trace.as_deref());
        let encode = self.encode(attempt, shutdown, request).await?;
        let watched = self.watch(attempt, &encode, shutdown).await;
        if let Err(stop) = &watched {
            self.stop(attempt, &encode, stop).await;
        }
        let Made { renditions: made, poster } = watched?;
        // The largest picture first.
        let made = [kept, made].concat();
        encoding.done();
        let publishing = stages::Stage::begin("publish", attempt.trace.as_deref());
        self.insist(shutdown, || self.step(attempt, Stage::Publishing, &[])).await?;
        failpoints::pass("job.publish.before_check");
        let check = async { Ok(self.publishing.check(attempt.generation, &facts, &made).await?) };
        let bytes = self.holding(attempt, shutdown, check).await?.map_err(Error::from)?;
        let publish = || async { Ok(self.publishing.publish(attempt.lease, attempt.generation, &made, bytes, poster).await?) };
        match self.insist(shutdown, publish).await? {
            Held::Yes => {
                publishing.done();
                Ok(())
            }
            // Published before, by a commit whose answer was lost.
            Held::Lost if self.insist(shutdown, || self.is_published(attempt)).await? => Ok(()),
            Held::Lost => Err(Stop::Lost),
        }
    }

    async fn is_published(&self, attempt: &Attempt<'_>) -> std::result::Result<bool, Stop> {
        let video = videos::Entity::find_by_id(attempt.lease.video.0).one(&self.db).await?;
        Ok(video.is_some_and(|video| video.generation_id == Some(attempt.generation.0)))
    }

    /// Starts the encode, or goes on with the one that an earlier try started, and notes its name where it outlives this process.
    async fn encode(
        &self,
        attempt: &Attempt<'_>,
        shutdown: &mut watch::Receiver<bool>,
        request: TranscodeRequest,
    ) -> std::result::Result<TranscodeId, Stop> {
        let encode = self
            .holding(attempt, shutdown, async {
                if attempt.adopted
                    && let Some(encode) = self.transcoder.resume(&request, attempt.lease.encode.as_ref()).await?
                {
                    attempt.resumed.store(true, Ordering::Relaxed);
                    return Ok(encode);
                }
                attempt.started.store(true, Ordering::Relaxed);
                Ok(self.transcoder.start(request).await?)
            })
            .await?;
        let encode = attempt.encode.get_or_init(|| encode).clone();
        if self.transcoder.outlives_process() {
            let name = [(job_rows::Column::EncodeId, Expr::value(encode.0.clone()))];
            let note = || async { Ok(hold(&self.db, attempt.lease, &name).await?) };
            if self.insist(shutdown, note).await? == Held::Lost {
                self.stop(attempt, &encode, &Stop::Lost).await;
                return Err(Stop::Lost);
            }
        }
        Ok(encode)
    }

    /// Stops an encode that this attempt does not wait for any more. One that runs elsewhere is stopped by way of a note, which survives a service
    /// that does not answer ([`Transcodes::let_go`]); but for a twin of the one that somebody else waits for, whose objects must stay.
    async fn stop(&self, attempt: &Attempt<'_>, encode: &TranscodeId, why: &Stop) {
        let at_once = !self.transcoder.outlives_process() || (matches!(why, Stop::Lost) && self.is_a_twin(attempt, encode).await);
        if at_once && let Err(error) = self.transcoder.cancel(encode).await {
            tracing::warn!(%error, job_id = %attempt.lease.job, encode_id = encode.0, "an encode that nobody waits for could not be stopped");
        }
    }

    /// Whether somebody else goes on with this generation by another encode. A database that does not answer says no.
    async fn is_a_twin(&self, attempt: &Attempt<'_>, encode: &TranscodeId) -> bool {
        let job = job_rows::Entity::find_by_id(attempt.lease.job.0).one(&self.db).await.ok().flatten();
        job.is_some_and(|job| {
            job.generation_id == Some(attempt.generation.0) && job.encode_id.is_some_and(|waited_for| waited_for != encode.0)
        })
    }

    /// Notes where this attempt is going to write, and lets go of what an attempt that died left behind. Gives the source's facts, where they
    /// are known already.
    async fn begin(&self, attempt: &Attempt<'_>) -> std::result::Result<Option<SourceFacts>, Stop> {
        let transaction = begin_write(&self.db).await?;
        let generation = [(job_rows::Column::GenerationId, Expr::value(attempt.generation.0))];
        if hold(&transaction, attempt.lease, &generation).await? == Held::Lost {
            return Err(Stop::Lost);
        }
        // What was said of it while nobody might work on it is over.
        let mut changes: Vec<(videos::Column, SimpleExpr)> = vec![(videos::Column::FailureCode, Expr::value(None::<String>))];
        let grew = growing::end(&transaction, attempt.lease.video).await?;
        if let Some(leftover) = attempt.lease.leftover.filter(|_| !attempt.adopted) {
            let given = grew == Some(leftover);
            if given { Removal::Published(leftover) } else { Removal::Generation(leftover) }.note(&transaction).await?;
            changes.push((videos::Column::PosterGenerationId, Expr::col(videos::Column::GenerationId)));
        }
        if !advance(&transaction, attempt.lease.video, Stage::Checking, &changes).await? {
            return Err(Error::broken("a job whose video is in no stage to be worked on").into());
        }
        let video = videos::Entity::find_by_id(attempt.lease.video.0).one(&transaction).await?;
        failpoints::pass("job.begin.before_commit");
        transaction.commit().await?;
        failpoints::pass("job.begin.committed");
        self.tell(attempt);
        if video.as_ref().is_some_and(|video| !video.is_playable()) {
            self.offer(attempt);
        }
        Ok(video.as_ref().map(source_facts).transpose()?.flatten())
    }

    async fn to_encoding(&self, attempt: &Attempt<'_>, facts: &SourceFacts) -> std::result::Result<(), Stop> {
        let facts = serde_json::to_string(facts).map_err(|error| Error::broken(error.to_string()))?;
        self.step(attempt, Stage::Encoding, &[(videos::Column::SourceFacts, Expr::value(facts))]).await
    }

    /// Takes the video to the next stage, under the lease.
    async fn step(&self, attempt: &Attempt<'_>, stage: Stage, changes: &[(videos::Column, SimpleExpr)]) -> std::result::Result<(), Stop> {
        let transaction = begin_write(&self.db).await?;
        if hold(&transaction, attempt.lease, &[]).await? == Held::Lost {
            return Err(Stop::Lost);
        }
        if !advance(&transaction, attempt.lease.video, stage, changes).await? {
            // Made before, by a commit whose answer was lost: nobody else writes under this lease.
            let video = videos::Entity::find_by_id(attempt.lease.video.0).one(&transaction).await?;
            if video.is_none_or(|video| video.stage != stage.as_str()) {
                return Err(Error::broken(format!("no legal step to {}", stage.as_str())).into());
            }
        }
        transaction.commit().await?;
        failpoints::pass("job.step.committed");
        self.tell(attempt);
        Ok(())
    }

    /// Whoever took the last byte may have died before it could look whether the source plays as it is.
    fn offer(&self, attempt: &Attempt<'_>) {
        let (packages, user, video) = (self.viewers.packages.clone(), attempt.user, attempt.lease.video);
        if let StorageKey::Source { upload } = attempt.source {
            tokio::spawn(async move { packages.offer(user, video, upload).await });
        }
    }

    fn tell(&self, attempt: &Attempt<'_>) {
        self.viewers.changes.tell(Change::Video { user: attempt.user, video: attempt.lease.video });
    }
}
