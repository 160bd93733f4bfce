//! SQS for real, against the emulators: the contract, messages of others, messages that come again, messages that nobody can take, and a
//! thousand jobs of which every message is doubled, late or out of order. Each test has a queue of its own.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use aws_config::SdkConfig;
use aws_sdk_sqs::{
    Client,
    config::{Credentials, SharedCredentialsProvider},
    types::QueueAttributeName,
};
use domain::job::JobState;
use sea_orm::{ColumnTrait, EntityTrait, PaginatorTrait, QueryFilter};
use serde_json::{Value, json};
use server::{
    adapters::{
        aws::sdk_config,
        sqs_queue::{SqsOptions, SqsQueue},
    },
    db::entity::jobs,
    ports::{
        job_queue::{JobQueue, Message, Receipt, WakeUp},
        transcoder::{EncodeNews, TranscodeId},
    },
};

use crate::{
    queue_contract::{self, Nature, is_quiet, wake_up},
    workshop::{
        ELSEWHERE, Workshop,
        engine::Manners,
        eventually,
        flood::{self, Flood},
        report,
    },
};

const OURS: &str = "a-test";

fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set: run this by make test-aws"))
}

/// The emulator with the rights of its root.
async fn root() -> SdkConfig {
    let keys = (variable("AWS_TEST_ADMIN_ACCESS_KEY_ID"), variable("AWS_TEST_ADMIN_SECRET_ACCESS_KEY"));
    let credentials = Credentials::new(keys.0, keys.1, None, None, "the emulators' root");
    let config = sdk_config(&variable("AWS_REGION"), &variable("AWS_TEST_ENDPOINT")).await;
    config.to_builder().credentials_provider(SharedCredentialsProvider::new(credentials)).build()
}

/// A queue for one test.
struct Post {
    sdk: SdkConfig,
    client: Client,
    url: String,
}

impl Post {
    async fn new() -> Self {
        let sdk = root().await;
        let client = Client::new(&sdk);
        let name = format!("test-{:016x}", rand::random::<u64>());
        let url = client.create_queue().queue_name(name).send().await.expect("made").queue_url.expect("a URL");
        Self { sdk, client, url }
    }

    /// The adapter over it, for which a message that nobody works on comes again after so many seconds.
    fn queue(&self, seconds: u64) -> Arc<SqsQueue> {
        let options = SqsOptions {
            queue_url: self.url.clone(),
            endpoint: variable("AWS_TEST_ENDPOINT"),
            visibility: Duration::from_secs(seconds),
            environment: OURS.into(),
        };
        Arc::new(SqsQueue::new(&self.sdk, options))
    }

    async fn put(&self, body: &str) {
        self.client.send_message().queue_url(&self.url).message_body(body).send().await.expect("sent");
    }

    async fn attribute(&self, name: QueueAttributeName) -> String {
        let asked = self.client.get_queue_attributes().queue_url(&self.url).attribute_names(name.clone()).send().await.expect("asked");
        asked.attributes.and_then(|mut all| all.remove(&name)).unwrap_or_default()
    }

    /// Messages that are there, whether somebody is at them or not.
    async fn left(&self) -> u64 {
        let waiting = self.attribute(QueueAttributeName::ApproximateNumberOfMessages).await;
        let taken = self.attribute(QueueAttributeName::ApproximateNumberOfMessagesNotVisible).await;
        waiting.parse::<u64>().expect("a number") + taken.parse::<u64>().expect("a number")
    }
}

/// An event of MediaConvert as EventBridge passes it on.
fn event(job: WakeUp, encode: &TranscodeId, at_ms: i64, status: &str, more: &Value) -> Value {
    let mut event = json!({
        "version": "0", "id": "7", "detail-type": "MediaConvert Job State Change", "source": "aws.mediaconvert",
        "detail": {
            "timestamp": at_ms, "jobId": encode.0, "status": status,
            "userMetadata": { "app": "millrace", "environment": OURS, "job_id": job.job, "video_id": job.video }
        }
    });
    for (name, value) in more.as_object().expect("fields") {
        event["detail"][name] = value.clone();
    }
    event
}

#[tokio::test]
#[ignore = "needs the AWS emulators: make test-aws"]
async fn sqs_holds_to_the_contract() {
    let post = Post::new().await;
    let after = Duration::from_secs(9);
    queue_contract::run(post.queue(after.as_secs()), Nature { comes_again_after: Some(after) }).await;
    assert_eq!(post.left().await, 0);
}

#[tokio::test]
#[ignore = "needs the AWS emulators: make test-aws"]
async fn messages_of_others_are_dropped_and_those_of_newer_processes_left() {
    let post = Post::new().await;
    let queue = post.queue(5);
    let (job, encode) = (wake_up(), TranscodeId("an-encode".into()));
    let at = |status| event(job, &encode, 5, status, &json!({}));
    let mut other_environment = at("COMPLETE");
    other_environment["detail"]["userMetadata"]["environment"] = json!("another");
    let mut other_kind = at("COMPLETE");
    other_kind["detail-type"] = json!("MediaConvert Queue State Change");
    for body in [
        "garbage".to_owned(),
        "[".repeat(10_000),
        json!({ "Event": "s3:TestEvent" }).to_string(),
        json!({ "kind": "wake_up", "version": 1, "job_id": "7" }).to_string(),
        json!({ "kind": "wake_up", "version": 1, "job_id": job.job, "video_id": job.video, "metadata": { "environment": "another" } })
            .to_string(),
        other_environment.to_string(),
        other_kind.to_string(),
        at("INPUT_INFORMATION").to_string(),
        at("NEW_WARNING").to_string(),
    ] {
        post.put(&body).await;
    }
    let newer = json!({ "kind": "wake_up", "version": 2, "jobs": [job.job], "metadata": { "environment": OURS } });
    post.put(&newer.to_string()).await;
    queue.send(job).await.expect("sent");
    post.put(&at("COMPLETE").to_string()).await;

    let mut got = Vec::new();
    for _ in 0..40 {
        if got.len() >= 2 {
            break;
        }
        // Each is ended as it comes: on a slow machine it would come again while the other one is waited for.
        for delivery in queue.receive(Duration::from_secs(1), 10).await.expect("received") {
            queue_contract::end(&*queue, &delivery).await;
            got.push(delivery.message);
        }
    }
    for expected in [Message::WakeUp(job), Message::Encode(report(job, &encode, 5, EncodeNews::Done))] {
        assert!(got.contains(&expected), "{got:?}");
    }
    assert_eq!(got.len(), 2, "{got:?}");
    assert!(is_quiet(&*queue, Duration::from_secs(3)).await);
    assert_eq!(post.left().await, 1, "all are gone but the newer one");
    eventually("a newer process gets it", async || {
        let answer = post.client.receive_message().queue_url(&post.url).wait_time_seconds(1).send().await.expect("received");
        answer.messages().first().and_then(|message| message.body()) == Some(&*newer.to_string())
    })
    .await;
}

#[tokio::test]
#[ignore = "needs the AWS emulators: make test-aws"]
async fn what_nobody_can_take_is_put_aside() {
    let (post, dead) = (Post::new().await, Post::new().await);
    let policy = json!({ "deadLetterTargetArn": dead.attribute(QueueAttributeName::QueueArn).await, "maxReceiveCount": 2 });
    let set = post.client.set_queue_attributes().queue_url(&post.url).attributes(QueueAttributeName::RedrivePolicy, policy.to_string());
    set.send().await.expect("set");
    let queue = post.queue(1);
    let poison = json!({ "kind": "wake_up", "version": 99, "metadata": { "environment": OURS } }).to_string();
    post.put(&poison).await;
    eventually("it is put aside", async || {
        assert_eq!(queue.receive(Duration::from_secs(1), 10).await.expect("received"), []);
        dead.left().await == 1
    })
    .await;
    eventually("nothing is left of it here", async || post.left().await == 0).await;
    let job = wake_up();
    queue.send(job).await.expect("sent");
    assert_eq!(queue_contract::receive(&*queue, 1).await[0].message, Message::WakeUp(job), "others go on");
}

#[tokio::test]
#[ignore = "needs the AWS emulators: make test-aws"]
async fn a_queue_that_is_not_there_and_a_service_that_does_not_answer_are_failures_soon() {
    let post = Post::new().await;
    post.client.delete_queue().queue_url(&post.url).send().await.expect("deleted");
    let queue = post.queue(30);
    assert!(queue.send(wake_up()).await.is_err());
    assert!(queue.receive(Duration::from_secs(1), 1).await.is_err());
    assert!(queue.extend(&Receipt("made-up".into())).await.is_err(), "not the receipt's fault");
    assert!(queue.acknowledge(&Receipt("made-up".into())).await.is_err());
    // It takes connections and says nothing.
    let mute = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let endpoint = format!("http://{}", mute.local_addr().expect("an address"));
    let options = SqsOptions { queue_url: post.url, endpoint, visibility: Duration::from_secs(30), environment: OURS.into() };
    let queue = SqsQueue::new(&post.sdk, options);
    let asked = async { tokio::join!(queue.send(wake_up()), queue.receive(Duration::from_secs(1), 1)) };
    let (sent, received) = tokio::time::timeout(Duration::from_mins(2), asked).await.expect("it gives up");
    assert!(sent.is_err() && received.is_err());
}

#[tokio::test]
#[ignore = "needs the AWS emulators: make test-aws"]
async fn a_running_jobs_message_stays_away_and_comes_again_when_its_worker_dies() {
    let post = Post::new().await;
    let shop = Workshop::open(ELSEWHERE).await;
    let job = shop.video().await;
    // Long enough for a heartbeat that is late on a slow machine.
    post.queue(10).send(job).await.expect("sent");
    let worker = shop.hire(post.queue(10), 2);
    let encode = shop.until_encoding(job).await;
    let taken = async || post.attribute(QueueAttributeName::ApproximateNumberOfMessagesNotVisible).await == "1";
    eventually("the worker has the message", taken).await;
    assert!(is_quiet(&*post.queue(10), Duration::from_secs(22)).await, "much longer than it would stay away by itself");
    worker.kill().await;
    shop.let_lease_run_out(job).await;
    // Without a look at the rows: the message alone brings the job back.
    let again = queue_contract::receive(&*post.queue(10), 1).await.remove(0);
    assert_eq!(again.message, Message::WakeUp(job));
    let next = shop.hire(post.queue(10), 2);
    shop.engine.set(&encode, EncodeNews::Done);
    shop.until(job, JobState::Done).await;
    eventually("the message ends", async || post.left().await == 0).await;
    assert_eq!(shop.engine.starts(job.job), 1);
    next.shut_down().await;
}

#[tokio::test]
#[ignore = "needs the AWS emulators: make test-aws"]
async fn doubled_late_and_foreign_events_do_not_mislead() {
    let post = Post::new().await;
    let shop = Workshop::open(Manners { silent: true, ..ELSEWHERE }).await;
    let job = shop.video().await;
    let workers = [shop.hire(post.queue(5), 2), shop.hire(post.queue(5), 2)];
    let encode = shop.until_encoding(job).await;
    let percent = |percent: u8| json!({ "jobProgress": { "jobPercentComplete": percent } });
    let mut foreign = event(job, &encode, 9_000, "COMPLETE", &json!({}));
    foreign["detail"]["userMetadata"]["environment"] = json!("another");
    for body in [
        foreign,
        event(job, &TranscodeId("an-earlier-try".into()), 9_000, "COMPLETE", &json!({})),
        event(wake_up(), &encode, 9_000, "ERROR", &json!({ "errorCode": 1010, "errorMessage": "no job of ours" })),
        event(job, &encode, 3_000, "STATUS_UPDATE", &percent(60)),
        event(job, &encode, 3_000, "STATUS_UPDATE", &percent(60)),
    ] {
        post.put(&body.to_string()).await;
    }
    eventually("progress is shown", async || shop.progress(job.video).await == 60).await;
    post.put(&event(job, &encode, 2_000, "STATUS_UPDATE", &percent(30)).to_string()).await;
    post.put(&event(job, &encode, 1_000, "PROGRESSING", &json!({})).to_string()).await;
    eventually("all is read", async || post.left().await == 0).await;
    assert_eq!(shop.row(job).await.state, JobState::Running.as_str(), "nobody said that it is over");

    let began = Instant::now();
    for _ in 0..2 {
        post.put(&event(job, &encode, 4_000, "COMPLETE", &json!({})).to_string()).await;
    }
    shop.until(job, JobState::Done).await;
    eprintln!("from the event in the queue to done: {:?}", began.elapsed());
    post.put(&event(job, &encode, 5_000, "CANCELED", &json!({})).to_string()).await;
    eventually("all is read", async || post.left().await == 0).await;
    assert_eq!(shop.row(job).await.state, JobState::Done.as_str());
    assert_eq!(shop.engine.starts(job.job), 1);
    for worker in workers {
        worker.shut_down().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the AWS emulators: make test-aws"]
async fn a_thousand_jobs_with_doubled_and_late_messages_are_done_once_each() {
    const JOBS: usize = 1_000;
    const WORKERS: usize = 4;
    let post = Post::new().await;
    let shop = Workshop::open(Manners { at_once: true, ..ELSEWHERE }).await;
    let queue = post.queue(10);
    let began = Instant::now();
    let workers: Vec<_> = (0..WORKERS).map(|_| shop.hire(post.queue(10), 16)).collect();
    let plan = Flood { jobs: JOBS, copies: 2, stale: &[] };
    let (jobs, messages) = plan.send(&shop, async |job| queue.send(job).await.expect("sent")).await;
    let done = jobs::Entity::find().filter(jobs::Column::State.eq(JobState::Done.as_str()));
    eventually("all are done", async || done.clone().count(&shop.app.db).await.expect("counted") == JOBS as u64).await;
    let took = began.elapsed();
    eventually("all messages have ended", async || post.left().await == 0).await;
    for worker in workers {
        worker.shut_down().await;
    }
    flood::assert_done_once_each(&shop, &jobs).await;
    assert_eq!(jobs::Entity::find().count(&shop.app.db).await.expect("counted"), JOBS as u64);
    let rate = JOBS as f64 / took.as_secs_f64();
    eprintln!("{JOBS} jobs, {messages} messages, {WORKERS} workers: {JOBS} done, each once, in {took:.1?} ({rate:.0} jobs/s)");
}

#[tokio::test]
#[ignore = "needs the AWS emulators: make test-aws"]
async fn the_apps_own_user_may_do_what_it_needs() {
    let options = SqsOptions {
        queue_url: variable("MILLRACE_SQS_QUEUE_URL"),
        endpoint: variable("AWS_TEST_ENDPOINT"),
        visibility: Duration::from_secs(1),
        environment: OURS.into(),
    };
    let queue = SqsQueue::new(&sdk_config(&variable("AWS_REGION"), &variable("AWS_TEST_ENDPOINT")).await, options);
    // Nobody's job: whoever takes this message finds nothing to do.
    queue.send(wake_up()).await.expect("may send");
    // A refused right would be a failure; a made-up receipt is none.
    queue.extend(&Receipt("made-up".into())).await.expect("may extend");
    queue.acknowledge(&Receipt("made-up".into())).await.expect("may end");
}
