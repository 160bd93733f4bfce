//! Takes one leased job from source to published renditions: look at the source, plan the ladder, encode, check, publish. Every
//! write is made under the lease; an attempt that does not end well leaves nothing in the store.

use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use domain::{
    ids::{GenerationId, UploadId, UserId},
    job::{HEARTBEAT_MS, MAX_ATTEMPTS},
    ladder,
    source::SourceFacts,
    storage_key::StorageKey,
    video::Stage,
};
use sea_orm::{
    ColumnTrait, DatabaseConnection, EntityTrait, QueryFilter,
    sea_query::{Expr, SimpleExpr},
};
use tokio::sync::watch;
use uuid::Uuid;

use crate::{
    clock::now_ms,
    db::{
        begin_write,
        entity::{jobs as job_rows, uploads, videos},
    },
    error::{Error, Result},
    ports::{
        blob_store::BlobStore,
        transcoder::{TranscodeId, TranscodeRequest, TranscodeState, Transcoder},
    },
    services::{
        changes::{Change, Changes},
        jobs::{Held, Jobs, Lease, hold},
        publishing::Publishing,
        removals::{Removal, Removals},
        videos::{advance, source_facts},
    },
};

mod endings;
mod refused;

/// How often a running encode is looked at.
const POLL_EVERY: Duration = Duration::from_millis(250);
/// How often the row is read for what another process was told about an encode.
const READ_REPORTS_EVERY: Duration = Duration::from_secs(1);
/// How often a lease is renewed while nothing else is written.
const HEARTBEAT: Duration = Duration::from_millis(HEARTBEAT_MS.unsigned_abs());

/// Processes videos.
#[derive(Debug, Clone)]
pub struct Transcodes {
    db: DatabaseConnection,
    transcoder: Arc<dyn Transcoder>,
    jobs: Jobs,
    publishing: Publishing,
    removals: Removals,
    changes: Changes,
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

impl<E: Into<Error>> From<E> for Stop {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
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
}

impl Transcodes {
    /// Processing with these parts.
    pub fn new(
        db: DatabaseConnection,
        store: Arc<dyn BlobStore>,
        transcoder: Arc<dyn Transcoder>,
        jobs: Jobs,
        removals: Removals,
        changes: Changes,
    ) -> Self {
        let publishing = Publishing::new(db.clone(), store);
        Self { db, transcoder, jobs, publishing, removals, changes }
    }

    /// Works on a leased job until it is done, has failed, or is given back because `shutdown` turned true.
    ///
    /// # Errors
    /// The database fails so that not even the failure can be noted; the lease then runs out by itself.
    pub async fn run(&self, lease: &Lease, mut shutdown: watch::Receiver<bool>) -> Result<()> {
        let Some((user, upload)) = self.owner_and_upload(lease).await? else { return Ok(()) };
        let leftover = lease.leftover.filter(|_| self.transcoder.outlives_process());
        let generation = leftover.unwrap_or_else(|| GenerationId(Uuid::now_v7()));
        let adopted = leftover.is_some();
        let encode = lease.encode.clone().filter(|_| adopted).map_or_else(OnceLock::new, OnceLock::from);
        let source = StorageKey::Source { upload };
        let attempt = Attempt { lease, user, source, generation, adopted, started: AtomicBool::new(adopted), encode };
        let outcome = self.attempt(&attempt, &mut shutdown).await;
        let outcome = match outcome {
            Ok(()) => {
                tracing::info!(video_id = %lease.video, job_id = %lease.job, attempt = lease.attempt, "video is ready");
                Ok(())
            }
            Err(Stop::Lost) => {
                tracing::info!(video_id = %lease.video, job_id = %lease.job, "stopped: the video is gone or somebody else has the job");
                self.let_go(&self.db, &attempt).await
            }
            Err(Stop::ShuttingDown) => self.give_back(&attempt).await,
            Err(Stop::Failed(error)) => self.failed(&attempt, error).await,
        };
        self.tell(&attempt);
        outcome?;
        self.removals.work_off_soon().await;
        Ok(())
    }

    async fn owner_and_upload(&self, lease: &Lease) -> Result<Option<(UserId, UploadId)>> {
        let upload = uploads::Entity::find().filter(uploads::Column::VideoId.eq(lease.video.0)).one(&self.db).await?;
        Ok(upload.map(|row| (UserId(row.user_id), UploadId(row.id))))
    }

    async fn attempt(&self, attempt: &Attempt<'_>, shutdown: &mut watch::Receiver<bool>) -> std::result::Result<(), Stop> {
        if attempt.lease.attempt > MAX_ATTEMPTS {
            // Tries that end with their worker's death note nothing; here they are counted, and what the last one left goes.
            if let Some(leftover) = attempt.lease.leftover.filter(|_| !attempt.adopted) {
                Removal::Generation(leftover).note(&self.db).await?;
            }
            return Err(Error::broken("every try ended with the worker that made it").into());
        }
        let known = self.begin(attempt).await?;
        let facts = match known.filter(|_| attempt.adopted) {
            Some(facts) => facts,
            None => self.holding(attempt, shutdown, async { Ok(self.transcoder.probe(&attempt.source).await?) }).await?,
        };
        let ladder = ladder::plan(&facts);
        self.to_encoding(attempt, &facts).await?;
        let request = TranscodeRequest {
            job: attempt.lease.job,
            video: attempt.lease.video,
            generation: attempt.generation,
            source: attempt.source.clone(),
            facts: facts.clone(),
            ladder,
        };
        let encode = self.encode(attempt, shutdown, request).await?;
        let watched = self.watch(attempt, &encode, shutdown).await;
        if let Err(stop) = &watched {
            self.stop(attempt, &encode, stop).await;
        }
        let (made, poster) = watched?;
        self.step(attempt, Stage::Publishing, &[]).await?;
        let checked = self.holding(attempt, shutdown, self.publishing.check(attempt.generation, &facts, &made)).await?;
        checked.map_err(Error::from)?;
        match self.publishing.publish(attempt.lease, attempt.generation, &made, poster).await? {
            Held::Yes => Ok(()),
            Held::Lost => Err(Stop::Lost),
        }
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
                    return Ok(encode);
                }
                attempt.started.store(true, Ordering::Relaxed);
                Ok(self.transcoder.start(request).await?)
            })
            .await?;
        let encode = attempt.encode.get_or_init(|| encode).clone();
        if self.transcoder.outlives_process() {
            let name = [(job_rows::Column::EncodeId, Expr::value(encode.0.clone()))];
            if hold(&self.db, attempt.lease, &name).await? == Held::Lost {
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
        if let Some(leftover) = attempt.lease.leftover.filter(|_| !attempt.adopted) {
            Removal::Generation(leftover).note(&transaction).await?;
            changes.push((videos::Column::PosterGenerationId, Expr::col(videos::Column::GenerationId)));
        }
        if !advance(&transaction, attempt.lease.video, Stage::Checking, &changes).await? {
            return Err(Error::broken("a job whose video is in no stage to be worked on").into());
        }
        let video = videos::Entity::find_by_id(attempt.lease.video.0).one(&transaction).await?;
        transaction.commit().await?;
        self.tell(attempt);
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
            return Err(Error::broken(format!("no legal step to {}", stage.as_str())).into());
        }
        transaction.commit().await?;
        self.tell(attempt);
        Ok(())
    }

    /// Waits for `work` of unknown length, keeping the lease alive meanwhile. Work that is let go of stops.
    async fn holding<T>(
        &self,
        attempt: &Attempt<'_>,
        shutdown: &mut watch::Receiver<bool>,
        work: impl Future<Output = Result<T>>,
    ) -> std::result::Result<T, Stop> {
        tokio::pin!(work);
        loop {
            tokio::select! {
                done = &mut work => return Ok(done?),
                () = turns_true(shutdown) => return Err(Stop::ShuttingDown),
                () = tokio::time::sleep(HEARTBEAT) => {
                    if self.jobs.renew(attempt.lease).await? == Held::Lost {
                        return Err(Stop::Lost);
                    }
                }
            }
        }
    }

    /// Waits for an encode, passing on how far it is and keeping the lease alive.
    async fn watch(
        &self,
        attempt: &Attempt<'_>,
        encode: &TranscodeId,
        shutdown: &mut watch::Receiver<bool>,
    ) -> std::result::Result<(Vec<domain::playlist::Rendition>, bool), Stop> {
        let (mut shown_percent, mut shown_poster) = (0, false);
        let (mut renewed, mut looked) = (Instant::now(), None::<Instant>);
        loop {
            tokio::select! {
                () = turns_true(shutdown) => return Err(Stop::ShuttingDown),
                () = tokio::time::sleep(POLL_EVERY) => {}
            }
            if self.transcoder.outlives_process() && looked.is_none_or(|looked| looked.elapsed() >= READ_REPORTS_EVERY) {
                looked = Some(Instant::now());
                // Another process may have been the one that was told.
                if let Some(report) = self.jobs.report(attempt.lease).await? {
                    self.transcoder.hear(&report);
                }
            }
            match self.transcoder.poll(encode).await.map_err(Error::from)? {
                TranscodeState::Done { renditions, poster } => return Ok((renditions, poster)),
                TranscodeState::Running { percent, poster } if percent != shown_percent || poster != shown_poster => {
                    (shown_percent, shown_poster, renewed) = (percent, poster, Instant::now());
                    self.note_progress(attempt, percent, poster).await?;
                }
                TranscodeState::Running { .. } if renewed.elapsed() >= HEARTBEAT => {
                    renewed = Instant::now();
                    if self.jobs.renew(attempt.lease).await? == Held::Lost {
                        return Err(Stop::Lost);
                    }
                }
                TranscodeState::Running { .. } => {}
            }
        }
    }

    async fn note_progress(&self, attempt: &Attempt<'_>, percent: u8, poster: bool) -> std::result::Result<(), Stop> {
        let transaction = begin_write(&self.db).await?;
        if hold(&transaction, attempt.lease, &[]).await? == Held::Lost {
            return Err(Stop::Lost);
        }
        let mut update = videos::Entity::update_many()
            .col_expr(videos::Column::Progress, Expr::value(i32::from(percent)))
            .col_expr(videos::Column::UpdatedAtMs, Expr::value(now_ms()));
        if poster {
            update = update.col_expr(videos::Column::PosterGenerationId, Expr::value(attempt.generation.0));
        }
        update.filter(videos::Column::Id.eq(attempt.lease.video.0)).exec(&transaction).await?;
        transaction.commit().await?;
        self.tell(attempt);
        Ok(())
    }

    fn tell(&self, attempt: &Attempt<'_>) {
        self.changes.tell(Change::Video { user: attempt.user, video: attempt.lease.video });
    }
}

/// Waits for the shut-down. The value is not kept: it is a lock.
async fn turns_true(shutdown: &mut watch::Receiver<bool>) {
    let _ = shutdown.wait_for(|down| *down).await;
}
