//! The adapter against a service on loopback that answers as it is told, and a store in a temporary folder.

mod job_body;
mod lost_answers;
mod polling;
mod reading;

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex},
    time::Duration,
};

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_mediaconvert::config::{Credentials, SharedCredentialsProvider, retry::RetryConfig};
use axum::{Router, body::Bytes, extract::State, http::Method, http::StatusCode, http::Uri, response::IntoResponse};
use domain::{
    container::Container,
    ids::{GenerationId, JobId, UploadId, VideoId},
    ladder,
    source::{AudioFacts, FrameRate, SourceFacts, VideoFacts},
    storage_key::StorageKey,
};
use futures::StreamExt;
use serde_json::{Value, json};
use tempfile::TempDir;
use uuid::Uuid;

use super::{MediaConvertOptions, MediaConvertTranscoder};
use crate::{
    adapters::fs_store::FsStore,
    ports::{
        blob_store::BlobStore,
        transcoder::{EncodeNews, EncodeReport, TranscodeError, TranscodeId, TranscodeRequest, TranscodeState, Transcoder},
    },
};

/// Options for tests.
pub(super) fn options(endpoint: &str) -> MediaConvertOptions {
    MediaConvertOptions {
        role_arn: "arn:aws:iam::123456789012:role/millrace-mediaconvert".into(),
        queue_arn: "arn:aws:mediaconvert:eu-central-1:123456789012:queues/millrace".into(),
        endpoint: endpoint.into(),
        environment: "test".into(),
        poll_every: Duration::from_millis(40),
        input_bucket: "millrace-input".into(),
        output_bucket: "millrace-output".into(),
        max_duration: Duration::from_secs(12 * 3600),
        max_pixels: 7680 * 4320,
    }
}

/// What the service is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Operation {
    Create,
    Get,
    List,
    Cancel,
}

/// Answers to come, by operation; the last one stays.
#[derive(Debug, Default)]
struct Service {
    answers: Mutex<HashMap<Operation, VecDeque<(u16, Value)>>>,
    calls: Mutex<Vec<(Operation, String, Value)>>,
}

async fn answer(State(service): State<Arc<Service>>, method: Method, uri: Uri, body: Bytes) -> impl IntoResponse {
    let has_id = uri.path().starts_with("/2017-08-29/jobs/");
    let operation = match (method.as_str(), has_id) {
        ("POST", false) => Operation::Create,
        ("GET", false) => Operation::List,
        ("GET", true) => Operation::Get,
        ("DELETE", true) => Operation::Cancel,
        other => panic!("{other:?} {uri}"),
    };
    let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
    service.calls.lock().expect("unpoisoned").push((operation, uri.to_string(), body));
    let mut answers = service.answers.lock().expect("unpoisoned");
    let queue = answers.get_mut(&operation).unwrap_or_else(|| panic!("no answer to {operation:?}"));
    let (status, body) = if queue.len() > 1 { queue.pop_front().expect("more than one") } else { queue[0].clone() };
    let kind = body["__type"].as_str().unwrap_or_default().to_owned();
    (StatusCode::from_u16(status).expect("a status"), [("x-amzn-errortype", kind)], body.to_string())
}

fn refusal(kind: &str) -> Value {
    json!({ "__type": kind, "message": "in words" })
}

fn job(id: &str, status: &str, generation: GenerationId) -> Value {
    let made = generation.0.get_timestamp().map_or(0, |at| at.to_unix().0);
    json!({
        "id": id, "status": status, "role": "r", "settings": {}, "createdAt": made,
        "userMetadata": { "app": "millrace", "generation": generation.to_string() },
    })
}

/// A transcoder, what it talks to, and where its results lie.
struct Bench {
    _folder: TempDir,
    service: Arc<Service>,
    store: Arc<FsStore>,
    transcoder: MediaConvertTranscoder,
}

impl Bench {
    async fn new() -> Self {
        let service = Arc::new(Service::default());
        let router = Router::new().fallback(answer).with_state(Arc::clone(&service));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let endpoint = format!("http://{}", listener.local_addr().expect("an address"));
        tokio::spawn(async move { axum::serve(listener, router).await });
        let folder = tempfile::tempdir().expect("a temporary folder");
        let store = Arc::new(FsStore::open(folder.path().join("store")).await.expect("a store"));
        let sdk = SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("eu-central-1"))
            .credentials_provider(SharedCredentialsProvider::new(Credentials::new("key", "secret", None, None, "tests")))
            // What the SDK repeats by itself is not what is tested.
            .retry_config(RetryConfig::disabled())
            .build();
        let transcoder = MediaConvertTranscoder::new(&sdk, options(&endpoint), store.clone());
        Self { _folder: folder, service, store, transcoder }
    }

    fn answers(&self, operation: Operation, answers: impl IntoIterator<Item = (u16, Value)>) {
        self.service.answers.lock().expect("unpoisoned").insert(operation, answers.into_iter().collect());
    }

    /// The bodies of all calls of an operation.
    fn calls(&self, operation: Operation) -> Vec<(String, Value)> {
        let calls = self.service.calls.lock().expect("unpoisoned");
        calls.iter().filter(|(each, _, _)| *each == operation).map(|(_, uri, body)| (uri.clone(), body.clone())).collect()
    }

    async fn put(&self, generation: GenerationId, file: &str, bytes: &[u8]) {
        let key = StorageKey::published(generation, file).expect("a name");
        let body = futures::stream::iter([Ok(bytes::Bytes::copy_from_slice(bytes))]).boxed();
        self.store.put_stream(&key, body, 1 << 20).await.expect("stored");
    }

    /// What a job leaves of a source of 320x180 and eight seconds.
    async fn put_output(&self, generation: GenerationId) {
        for (file, bytes) in reading::OUTPUT {
            self.put(generation, file, bytes).await;
        }
    }

    async fn start(&self, request: &TranscodeRequest) -> TranscodeId {
        self.answers(Operation::Create, [(201, json!({ "job": job("1-a", "SUBMITTED", request.generation) }))]);
        self.transcoder.start(request.clone()).await.expect("it starts")
    }

    /// Asks until it is over; how far it was on the way.
    async fn finish(&self, id: &TranscodeId) -> (Result<TranscodeState, TranscodeError>, Vec<u8>) {
        let mut seen = Vec::new();
        loop {
            match self.transcoder.poll(id).await {
                Ok(TranscodeState::Running { percent, .. }) => seen.push(percent),
                over => return (over, seen),
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

fn facts(width: u32, height: u32) -> SourceFacts {
    SourceFacts {
        container: Container::Mp4,
        duration_ms: 8_000,
        video: VideoFacts {
            stream_index: 0,
            codec: "h264".into(),
            profile: Some("High".into()),
            pixel_format: "yuv420p".into(),
            coded_width: width,
            coded_height: height,
            display_width: width,
            display_height: height,
            square_samples: true,
            rotation: 0,
            frame_rate: FrameRate { numerator: 25, denominator: 1 },
            variable_frame_rate: false,
            full_range: false,
            interlaced: false,
            transfer: None,
            bit_rate: Some(1_000_000),
            longest_gop_ms: 2_000,
            open_gop: false,
            stands_ms: 0,
            lively_interval_ms: 0,
        },
        audio: Some(AudioFacts {
            stream_index: 1,
            codec: "aac".into(),
            profile: Some("LC".into()),
            channels: 2,
            sample_rate: 48_000,
            offset_ms: 0,
            cut_off_ms: 0,
        }),
    }
}

fn request(facts: SourceFacts) -> TranscodeRequest {
    TranscodeRequest {
        job: JobId(Uuid::now_v7()),
        video: VideoId(Uuid::now_v7()),
        generation: GenerationId(Uuid::now_v7()),
        source: StorageKey::Source { upload: UploadId(Uuid::nil()) },
        ladder: ladder::plan(&facts),
        facts,
    }
}

fn report(request: &TranscodeRequest, encode: &TranscodeId, at_ms: i64, news: EncodeNews) -> EncodeReport {
    EncodeReport { job: request.job, encode: encode.clone(), at_ms, news }
}
