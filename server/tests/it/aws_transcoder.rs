//! The transcoder on MediaConvert, against the emulator: the contract that every transcoder keeps, and what only this one meets, a service that
//! is busy, answers that get lost, and events that come late, twice, in the wrong order or never.

use std::{sync::Arc, time::Duration};

use domain::{failure::FailureCode, ids::GenerationId};
use serde_json::{Value, json};
use server::{
    adapters::{
        aws::sdk_config,
        mediaconvert_transcoder::{MediaConvertOptions, MediaConvertTranscoder},
        s3_store::{S3Encryption, S3Options, S3Store},
        sqs_queue::{SqsOptions, SqsQueue},
    },
    ports::{
        job_queue::{JobQueue, Message},
        transcoder::{TranscodeError, TranscodeId, TranscodeRequest, TranscodeState},
    },
};
use tokio::sync::{Mutex, MutexGuard};

use crate::{
    plain_http::{PlainAnswer, send},
    transcoder_contract::{ORDINARY, Subject, finish, keeps_the_contract, make},
};

/// Faults are ordered for the whole emulator, and its events go to one queue: who does either is alone meanwhile.
pub(crate) static ALONE: Mutex<()> = Mutex::const_new(());
/// Longer than any test: what ends before was told, not asked for.
const NEVER: Duration = Duration::from_secs(3600);
const SOON: Duration = Duration::from_millis(500);

fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set: run this by make test-aws"))
}

/// What is under test. Its jobs' events go past the installation's queue unless it bears the installation's name.
async fn subject(environment: &str, poll_every: Duration) -> Subject {
    let sdk = sdk_config(&variable("AWS_REGION"), &variable("AWS_TEST_ENDPOINT")).await;
    let store = S3Options {
        input_bucket: variable("MILLRACE_S3_INPUT_BUCKET"),
        output_bucket: variable("MILLRACE_S3_OUTPUT_BUCKET"),
        endpoint: String::new(),
        path_style: true,
        encryption: S3Encryption::Bucket,
        presign_for: Duration::from_secs(600),
    };
    let options = MediaConvertOptions {
        role_arn: variable("MILLRACE_MEDIACONVERT_ROLE_ARN"),
        queue_arn: variable("MILLRACE_MEDIACONVERT_QUEUE_ARN"),
        endpoint: variable("AWS_TEST_MEDIACONVERT"),
        environment: environment.to_owned(),
        poll_every,
        input_bucket: store.input_bucket.clone(),
        output_bucket: store.output_bucket.clone(),
        max_duration: Duration::from_secs(12 * 3600),
        max_pixels: 7680 * 4320,
    };
    let store = Arc::new(S3Store::new(&sdk, store));
    let transcoder = || Arc::new(MediaConvertTranscoder::new(&sdk, options.clone(), store.clone()));
    Subject { transcoder: transcoder(), another: transcoder(), store: store.clone() }
}

/// The emulator, to oneself and without faults at first.
struct Emulator {
    _alone: MutexGuard<'static, ()>,
}

impl Emulator {
    async fn alone() -> Self {
        let emulator = Self { _alone: ALONE.lock().await };
        emulator.order(json!({})).await;
        emulator
    }

    /// Orders faults instead of those ordered before.
    async fn order(&self, faults: Value) {
        control("PUT", "faults", &faults).await;
    }
}

async fn control(method: &str, what: &str, body: &Value) -> Value {
    let url = format!("{}/_emulator/{what}", variable("AWS_TEST_MEDIACONVERT"));
    let answer: PlainAnswer = send(method, &url, &[("content-type", "application/json")], body.to_string().as_bytes()).await;
    assert_eq!(answer.status, 200, "{method} {what}");
    serde_json::from_slice(&answer.body).unwrap_or(Value::Null)
}

/// How many jobs were made for a generation.
async fn jobs_of(generation: GenerationId) -> usize {
    let listed = control("GET", "jobs", &json!({})).await;
    let jobs = listed["jobs"].as_array().expect("a list").clone();
    jobs.iter().filter(|job| job.to_string().contains(&generation.to_string())).count()
}

async fn started(subject: &Subject) -> (TranscodeRequest, TranscodeId) {
    let request = subject.request(&make(ORDINARY, "mp4")).await;
    let id = subject.transcoder.start(request.clone()).await.expect("it starts");
    (request, id)
}

#[tokio::test]
#[ignore = "needs the AWS emulators: make test-aws"]
async fn aws_mediaconvert_transcoder_keeps_the_contract() {
    let _alone = Emulator::alone().await;
    keeps_the_contract(&subject("contract", SOON).await).await;
}

#[tokio::test]
#[ignore = "needs the AWS emulators: make test-aws"]
async fn aws_unusual_sources_become_ordinary_renditions() {
    let _alone = Emulator::alone().await;
    let subject = subject("unusual", SOON).await;
    let hdr_and_mono = "-f lavfi -i testsrc2=s=320x568:r=120:d=3 -f lavfi -i sine=d=3 -c:v libx264 -preset ultrafast -pix_fmt yuv420p10le \
        -color_primaries bt2020 -color_trc arib-std-b67 -colorspace bt2020nc -c:a aac -ac 1";
    let fields_and_wide_samples = "-f lavfi -i testsrc2=s=720x576:r=25:d=3 -vf setfield=tff,setsar=64/45 \
        -c:v libx264 -preset ultrafast -pix_fmt yuv420p -flags +ildct+ilme";
    for (source, extension) in [(hdr_and_mono, "mp4"), (fields_and_wide_samples, "mkv")] {
        let request = subject.request(&make(source, extension)).await;
        let video = &request.facts.video;
        assert!(video.high_dynamic_range() != video.interlaced, "{video:?}");
        assert_eq!(request.facts.audio.as_ref().map(|audio| audio.channels), video.high_dynamic_range().then_some(1));
        assert_eq!((video.display_width, video.display_height), if video.interlaced { (1024, 576) } else { (320, 568) });
        let id = subject.transcoder.start(request.clone()).await.expect("it starts");
        subject.check(&request, finish(&*subject.transcoder, &id).await.0.expect("it works")).await;
        subject.clean_up(&request).await;
    }
}

#[tokio::test]
#[ignore = "needs the AWS emulators: make test-aws"]
async fn aws_a_busy_service_is_waited_for() {
    let emulator = Emulator::alone().await;
    let subject = subject("busy", SOON).await;
    let (request, id) = started(&subject).await;
    // More than the SDK repeats by itself.
    emulator.order(json!({ "throttle": 7 })).await;
    subject.check(&request, finish(&*subject.transcoder, &id).await.0.expect("it works")).await;
    subject.clean_up(&request).await;
}

#[tokio::test]
#[ignore = "needs the AWS emulators: make test-aws"]
async fn aws_a_submission_whose_answer_is_lost_makes_one_job() {
    let emulator = Emulator::alone().await;
    let subject = subject("lost", SOON).await;
    // Once, which the SDK mends by asking again, and as often as it asks.
    for lost in [1, 20] {
        let request = subject.request(&make(ORDINARY, "mp4")).await;
        emulator.order(json!({ "lose_response": lost })).await;
        let id = subject.transcoder.start(request.clone()).await.expect("it starts");
        emulator.order(json!({})).await;
        assert_eq!(jobs_of(request.generation).await, 1);
        subject.check(&request, finish(&*subject.transcoder, &id).await.0.expect("it works")).await;
        subject.clean_up(&request).await;
    }
}

#[tokio::test]
#[ignore = "needs the AWS emulators: make test-aws"]
async fn aws_a_job_that_ends_in_error_says_whose_fault_it_is() {
    let emulator = Emulator::alone().await;
    let subject = subject("error", SOON).await;
    for (code, expected) in [(1030, Some(FailureCode::UnsupportedCodec)), (1076, Some(FailureCode::Truncated)), (1999, None)] {
        emulator.order(json!({ "error": { "code": code, "message": "as ordered" } })).await;
        let (request, id) = started(&subject).await;
        let failed = finish(&*subject.transcoder, &id).await.0.expect_err("it failed");
        emulator.order(json!({})).await;
        assert!(failed.to_string().contains("as ordered"), "{failed}");
        let found = match failed {
            TranscodeError::Source { code, .. } => Some(code),
            TranscodeError::Engine(_) | TranscodeError::Passing(_) | TranscodeError::Full(_) => None,
        };
        assert_eq!(found, expected, "{code}");
        subject.clean_up(&request).await;
    }
}

/// Passes on what the queue says of one encode until it is over.
async fn told(subject: &Subject, request: &TranscodeRequest, id: &TranscodeId) -> (Result<TranscodeState, TranscodeError>, usize) {
    let sdk = sdk_config(&variable("AWS_REGION"), &variable("AWS_TEST_ENDPOINT")).await;
    let options = SqsOptions {
        queue_url: variable("MILLRACE_SQS_QUEUE_URL"),
        endpoint: String::new(),
        visibility: Duration::from_secs(5),
        environment: variable("MILLRACE_MEDIACONVERT_ENVIRONMENT"),
    };
    let queue = SqsQueue::new(&sdk, options);
    let listen = async {
        let mut heard = 0;
        loop {
            for delivery in queue.receive(Duration::from_secs(1), 10).await.expect("messages") {
                let Message::Encode(report) = delivery.message else { continue };
                assert_eq!(report.encode == *id, report.job == request.job);
                heard += usize::from(report.encode == *id && report.news.is_last());
                subject.transcoder.hear(&report);
                if let Some(receipt) = &delivery.receipt {
                    queue.acknowledge(receipt).await.expect("acknowledged");
                }
            }
            match subject.transcoder.poll(id).await {
                Ok(TranscodeState::Running { .. }) => {}
                over => return (over, heard),
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(300), listen).await.expect("the events tell of the end")
}

#[tokio::test]
#[ignore = "needs the AWS emulators: make test-aws"]
async fn aws_events_alone_bring_an_encode_to_its_end_in_whatever_order_they_come() {
    let emulator = Emulator::alone().await;
    let subject = subject(&variable("MILLRACE_MEDIACONVERT_ENVIRONMENT"), NEVER).await;
    for fault in [json!({}), json!({ "COMPLETE": "double" }), json!({ "COMPLETE": "before_progress" }), json!({ "COMPLETE": "late" })] {
        emulator.order(json!({ "events": fault })).await;
        let (request, id) = started(&subject).await;
        let (over, heard) = told(&subject, &request, &id).await;
        emulator.order(json!({})).await;
        assert!(heard >= 1, "{fault}");
        subject.check(&request, over.expect("it works")).await;
        subject.clean_up(&request).await;
    }
}

#[tokio::test]
#[ignore = "needs the AWS emulators: make test-aws"]
async fn aws_an_end_that_no_event_tells_of_is_found_by_asking() {
    let emulator = Emulator::alone().await;
    let subject = subject(&variable("MILLRACE_MEDIACONVERT_ENVIRONMENT"), SOON).await;
    emulator.order(json!({ "events": { "COMPLETE": "drop", "STATUS_UPDATE": "drop", "PROGRESSING": "drop" } })).await;
    let (request, id) = started(&subject).await;
    let (over, seen) = finish(&*subject.transcoder, &id).await;
    emulator.order(json!({})).await;
    assert!(seen.iter().any(|percent| *percent > 0), "the service tells how far it is when it is asked: {seen:?}");
    subject.check(&request, over.expect("it works")).await;
    subject.clean_up(&request).await;
}
