//! The transcoder that AWS Elemental MediaConvert runs for us: sources and results stay in the store's buckets, and this process only asks.
//!
//! Its one rule: no answer and no event is relied on. A report says early what the poller finds out a moment later, an answer that was lost is
//! looked for by the job's own metadata, and what was made is read from the objects that are there. It needs the store that the service
//! writes to and, of MediaConvert, `CreateJob`, `GetJob`, `ListJobs`, `CancelJob`, `Probe` and `TagResource`; it leaves objects below the
//! request's generation and nothing else.

mod calls;
mod collect;
mod encode;
mod failure;
mod job;
mod picture;
mod playlists;
mod poster;
mod probe;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use aws_config::SdkConfig;
use aws_sdk_mediaconvert::Client;
use domain::{ids::GenerationId, ladder, source::SourceFacts, storage_key::StorageKey};

use self::{calls::Desk, encode::Encode};
use crate::ports::{
    blob_store::BlobStore,
    transcoder::{EncodeReport, TranscodeError, TranscodeId, TranscodeRequest, TranscodeState, Transcoder},
};

/// What the adapter is told.
#[derive(Debug, Clone)]
pub struct MediaConvertOptions {
    /// ARN of the role that the service takes on to read sources and write results.
    pub role_arn: String,
    /// ARN of the queue that jobs are put into.
    pub queue_arn: String,
    /// Where the service is; empty for AWS's own place.
    pub endpoint: String,
    /// Told apart from other installations in the same account by this name, which every job carries.
    pub environment: String,
    /// How often the service is asked about an encode that no report speaks of.
    pub poll_every: Duration,
    /// Bucket of the sources.
    pub input_bucket: String,
    /// Bucket of what is published.
    pub output_bucket: String,
    /// Longest video that is taken.
    pub max_duration: Duration,
    /// Most samples in one picture.
    pub max_pixels: u64,
}

/// Transcodes by MediaConvert.
#[derive(Debug)]
pub struct MediaConvertTranscoder {
    desk: Arc<Desk>,
    encodes: Mutex<HashMap<String, Encode>>,
}

impl MediaConvertTranscoder {
    /// A transcoder whose service reads and writes what `store` holds.
    pub fn new(sdk: &SdkConfig, options: MediaConvertOptions, store: Arc<dyn BlobStore>) -> Self {
        let mut config = aws_sdk_mediaconvert::config::Builder::from(sdk);
        if !options.endpoint.is_empty() {
            config = config.endpoint_url(&options.endpoint);
        }
        let client = Client::from_conf(config.build());
        Self { desk: Arc::new(Desk { client, options, store }), encodes: Mutex::default() }
    }

    fn encodes(&self) -> MutexGuard<'_, HashMap<String, Encode>> {
        // Nothing that can panic happens under the lock, and a map of encodes is never half changed.
        self.encodes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn remember(&self, id: &str, encode: Encode) -> TranscodeId {
        self.encodes().insert(id.to_owned(), encode);
        TranscodeId(id.to_owned())
    }
}

/// The request as this engine can do it: it keeps no samples as they are.
fn without_copies(mut request: TranscodeRequest) -> TranscodeRequest {
    if request.ladder.copies() {
        request.ladder = ladder::encode_all(&request.facts);
    }
    request
}

#[async_trait::async_trait]
impl Transcoder for MediaConvertTranscoder {
    async fn probe(&self, source: &StorageKey) -> Result<SourceFacts, TranscodeError> {
        probe::probe(&self.desk, source).await
    }

    async fn start(&self, request: TranscodeRequest) -> Result<TranscodeId, TranscodeError> {
        let request = without_copies(request);
        let id = self.desk.create(&request).await?;
        tracing::info!(video_id = %request.video, job_id = %request.job, encode_id = id, "encode submitted");
        Ok(self.remember(&id, Encode::submitted(request, self.desk.options.poll_every)))
    }

    fn outlives_process(&self) -> bool {
        true
    }

    async fn resume(&self, request: &TranscodeRequest, known: Option<&TranscodeId>) -> Result<Option<TranscodeId>, TranscodeError> {
        let found = match known {
            Some(id) => self.desk.still_good(&id.0).await?.then(|| id.0.clone()),
            None => self.desk.find(request.generation).await?,
        };
        Ok(found.map(|id| {
            tracing::info!(video_id = %request.video, job_id = %request.job, encode_id = id, "going on with an encode");
            self.remember(&id, Encode::resumed(without_copies(request.clone())))
        }))
    }

    fn hear(&self, report: &EncodeReport) {
        if let Some(encode) = self.encodes().get_mut(&report.encode.0) {
            encode.hear(report, self.desk.options.poll_every);
        }
    }

    async fn poll(&self, id: &TranscodeId) -> Result<TranscodeState, TranscodeError> {
        let mut encodes = self.encodes();
        let Some(encode) = encodes.get_mut(&id.0) else {
            return Err(TranscodeError::Engine("there is no such encode in this process".to_owned()));
        };
        let Some(result) = encode.advance(&self.desk, &id.0) else {
            return Ok(TranscodeState::Running { percent: encode.percent(), poster: false, grown: Vec::new() });
        };
        encodes.remove(&id.0);
        result.map(|made| TranscodeState::Done { renditions: made.renditions, poster: made.poster })
    }

    async fn cancel(&self, id: &TranscodeId) -> Result<(), TranscodeError> {
        self.encodes().remove(&id.0);
        self.desk.cancel(&id.0).await
    }

    async fn cancel_generation(&self, generation: GenerationId) -> Result<(), TranscodeError> {
        self.desk.cancel_generation(generation).await
    }
}

#[cfg(test)]
mod tests;
