//! The calls to the service, each with what its failures mean.

use std::{sync::Arc, time::Duration};

use aws_sdk_mediaconvert::{
    Client,
    error::ProvideErrorMetadata,
    types::{Job, JobStatus, Order, ProbeInputFile, ProbeResult},
};
use domain::{ids::GenerationId, storage_key::StorageKey};
use uuid::Uuid;

use super::{MediaConvertOptions, encode::End, failure, job};
use crate::{
    clock::now_ms,
    ports::{
        blob_store::BlobStore,
        transcoder::{TranscodeError, TranscodeRequest},
    },
};

/// Jobs may be this much older than their generation's id, as clocks differ.
const CLOCKS_DIFFER_MS: i64 = 60_000;
/// Pages of twenty jobs that are looked through for a lost one, at most.
const MOST_PAGES: usize = 100;
/// Time between two pages: the list is the service's tightest limit.
const BETWEEN_PAGES: Duration = Duration::from_millis(250);

/// What all calls work with.
#[derive(Debug)]
pub(super) struct Desk {
    pub(super) client: Client,
    pub(super) options: MediaConvertOptions,
    pub(super) store: Arc<dyn BlobStore>,
}

/// What the service says of a job.
#[derive(Debug)]
pub(super) enum Look {
    /// It waits or runs; how far it is, where the service knows.
    Running(Option<u8>),
    /// It is over.
    Over(End),
    /// The service did not answer this time.
    NoAnswer,
    /// The service did not want to tell.
    Refused(TranscodeError),
}

impl Desk {
    /// Submits a job; its id. The request's token is its generation, so that a call that is repeated makes no second job.
    pub(super) async fn create(&self, request: &TranscodeRequest) -> Result<String, TranscodeError> {
        let error = match job::create(&self.client, &self.options, request).send().await {
            Ok(created) => return named(created.job()),
            Err(error) => error,
        };
        // The SDK has repeated the call with the same token already. Now the job itself tells whether it is there.
        if failure::may_have_worked(&error)
            && let Some(found) = self.find(request.generation).await?
        {
            tracing::info!(encode_id = found, "found the job of a submission whose answer was lost");
            return Ok(found);
        }
        Err(failure::call("MediaConvert did not take the job", &error))
    }

    /// The job that was made for a generation and can still come to a good end, where there is one.
    pub(super) async fn find(&self, generation: GenerationId) -> Result<Option<String>, TranscodeError> {
        let oldest = made_ms(generation.0) - CLOCKS_DIFFER_MS;
        // This call wants the queue's name.
        let queue = self.options.queue_arn.rsplit('/').next().unwrap_or_default();
        let wanted = generation.to_string();
        let mut next = None;
        for _ in 0..MOST_PAGES {
            let call = self.client.list_jobs().queue(queue).order(Order::Descending).max_results(20);
            let page = call.set_next_token(next).send().await;
            let page = page.map_err(|error| failure::call("MediaConvert's jobs cannot be listed", &error))?;
            for job in page.jobs() {
                let is_wanted = job.user_metadata().and_then(|metadata| metadata.get(job::GENERATION)) == Some(&wanted);
                if is_wanted && can_end_well(job) {
                    return named(Some(job)).map(Some);
                }
                // Newest first: what follows is older still.
                if job.created_at().and_then(|at| at.to_millis().ok()).is_some_and(|at| at < oldest) {
                    return Ok(None);
                }
            }
            next = page.next_token().map(str::to_owned);
            if next.is_none() {
                return Ok(None);
            }
            tokio::time::sleep(BETWEEN_PAGES).await;
        }
        Err(failure::engine("MediaConvert's jobs cannot be looked through", "there are too many newer ones"))
    }

    /// Whether a job is there and has not ended badly.
    pub(super) async fn still_good(&self, id: &str) -> Result<bool, TranscodeError> {
        match self.client.get_job().id(id).send().await {
            Ok(found) => Ok(found.job().is_some_and(can_end_well)),
            Err(error) if error.code() == Some("NotFoundException") => Ok(false),
            Err(error) => Err(failure::call("MediaConvert did not say how a job is", &error)),
        }
    }

    /// How a job is. A service that is busy or away is no reason to give it up.
    pub(super) async fn look(&self, id: &str) -> Look {
        let answer = match self.client.get_job().id(id).send().await {
            Ok(answer) => answer,
            Err(error) if failure::is_passing(&error) => {
                let error = failure::call("no answer", &error);
                tracing::warn!(%error, encode_id = id, "MediaConvert did not say how a job is; asking again later");
                return Look::NoAnswer;
            }
            Err(error) => {
                let gone = error.code() == Some("NotFoundException");
                let error = failure::call("MediaConvert did not say how a job is", &error);
                // Rights that are missing for a while say nothing about the job.
                return if gone { Look::Over(End::Failed(error)) } else { Look::Refused(error) };
            }
        };
        let Some(job) = answer.job() else { return Look::NoAnswer };
        match job.status() {
            Some(JobStatus::Complete) => Look::Over(End::Done),
            Some(JobStatus::Canceled) => Look::Over(End::canceled()),
            Some(JobStatus::Error) => {
                let code = job.error_code().map(|code| code.to_string()).unwrap_or_default();
                Look::Over(End::Failed(failure::job(&code, job.error_message().unwrap_or("without a reason"))))
            }
            _ => Look::Running(job.job_percent_complete().map(|percent| percent.clamp(0, 100) as u8)),
        }
    }

    /// Stops a job. One that is over, or was never there, is as good as stopped.
    pub(super) async fn cancel(&self, id: &str) -> Result<(), TranscodeError> {
        match self.client.cancel_job().id(id).send().await {
            Ok(_) => Ok(()),
            Err(error) if matches!(error.code(), Some("NotFoundException" | "ConflictException" | "BadRequestException")) => Ok(()),
            Err(error) => Err(failure::call("the job could not be canceled", &error)),
        }
    }

    /// Stops the job of a generation, if there is one.
    pub(super) async fn cancel_generation(&self, generation: GenerationId) -> Result<(), TranscodeError> {
        match self.find(generation).await? {
            Some(id) => self.cancel(&id).await,
            None => Ok(()),
        }
    }

    /// Has the service look at a source.
    pub(super) async fn probe(&self, source: &StorageKey) -> Result<ProbeResult, TranscodeError> {
        let file = ProbeInputFile::builder().file_url(self.source_url(source)).build();
        let answer = self.client.probe().input_files(file).send().await.map_err(|error| failure::probe(&error))?;
        let result = answer.probe_results.and_then(|results| results.into_iter().next());
        result.ok_or_else(|| failure::engine("the source cannot be probed", "the answer is empty"))
    }

    /// A source as the service is told of it.
    pub(super) fn source_url(&self, source: &StorageKey) -> String {
        format!("s3://{}/{source}", self.options.input_bucket)
    }
}

fn named(job: Option<&Job>) -> Result<String, TranscodeError> {
    let id = job.and_then(Job::id).map(str::to_owned);
    id.ok_or_else(|| failure::engine("MediaConvert's answer cannot be used", "it names no job"))
}

fn can_end_well(job: &Job) -> bool {
    !matches!(job.status(), Some(JobStatus::Error | JobStatus::Canceled))
}

/// When an id of version 7 was made. Of another id nothing is known; the last hour is a guess at a job's age.
fn made_ms(id: Uuid) -> i64 {
    let seconds = id.get_timestamp().map(|at| at.to_unix());
    seconds.map_or_else(
        || now_ms() - 3_600_000,
        |(seconds, nanos)| i64::try_from(seconds).unwrap_or(0).saturating_mul(1000) + i64::from(nanos / 1_000_000),
    )
}
