//! The store on S3, against the emulator: the contract that every store keeps, and what only this one can, parts sent straight to it.

use std::{sync::Arc, time::Duration};

use aws_sdk_s3::config::Credentials;
use domain::{
    ids::GenerationId,
    storage_key::StorageKey,
    upload::{PartReceipt, PartTarget},
};
use futures::{FutureExt, StreamExt};
use server::{
    adapters::{
        aws::sdk_config,
        s3_store::{S3Encryption, S3Options, S3Store},
    },
    ports::blob_store::{BlobError, BlobStore, MultipartId, PresignParts},
};
use uuid::Uuid;

use crate::{
    plain_http::{PlainAnswer, send},
    store_contract::{PLAN, body, file, keeps_the_contract, part, read, source},
    store_model::agrees_with_the_model,
    workshop::eventually,
};

/// An origin that the emulated buckets were told is the application's.
const OUR_ORIGIN: &str = "http://127.0.0.1:3000";
const FOREIGN_ORIGIN: &str = "http://evil.example";

fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set: run this by make test-aws"))
}

async fn store_that_signs_for(presign_for: Duration) -> S3Store {
    let sdk = sdk_config(&variable("AWS_REGION"), &variable("AWS_TEST_ENDPOINT")).await;
    let options = S3Options {
        input_bucket: variable("MILLRACE_S3_INPUT_BUCKET"),
        output_bucket: variable("MILLRACE_S3_OUTPUT_BUCKET"),
        endpoint: String::new(),
        path_style: true,
        encryption: S3Encryption::Aes256,
        presign_for,
    };
    S3Store::new(&sdk, options)
}

async fn store() -> S3Store {
    store_that_signs_for(Duration::from_secs(600)).await
}

/// S3 as its owner sees it.
async fn admin() -> aws_sdk_s3::Client {
    let (id, secret) = (variable("AWS_TEST_ADMIN_ACCESS_KEY_ID"), variable("AWS_TEST_ADMIN_SECRET_ACCESS_KEY"));
    let config = aws_sdk_s3::config::Builder::from(&sdk_config(&variable("AWS_REGION"), &variable("AWS_TEST_ENDPOINT")).await)
        .credentials_provider(Credentials::new(id, secret, None, None, "the emulators' root"))
        .force_path_style(true)
        .build();
    aws_sdk_s3::Client::from_conf(config)
}

/// An upload on its way, and what a client may do with it.
struct Sending {
    store: S3Store,
    key: StorageKey,
    upload: MultipartId,
    bytes: Vec<u8>,
}

impl Sending {
    async fn begin(store: S3Store) -> Self {
        let key = source();
        let upload = store.begin_multipart(&key, PLAN).await.expect("begun");
        Self { store, key, upload, bytes: file() }
    }

    fn part(&self, number: u32) -> &[u8] {
        part(&self.bytes, number)
    }

    async fn ask(&self, number: u32, crc32c: u32) -> Result<PartTarget, BlobError> {
        self.store.presign_part(&self.key, &self.upload, PLAN, number, crc32c).await
    }

    /// Where to put the right bytes of a part, and its headers.
    async fn target(&self, number: u32) -> (String, Vec<(String, String)>) {
        match self.ask(number, crc32c::crc32c(self.part(number))).await.expect("signed") {
            PartTarget::Put { url, headers } => (url, headers),
            PartTarget::Safe { .. } => panic!("part {number} was not sent yet"),
        }
    }

    async fn arrived(&self) -> Vec<u32> {
        self.store.list_parts(&self.key, &self.upload).await.expect("listed").iter().map(|part| part.number).collect()
    }
}

async fn put(url: &str, headers: &[(String, String)], bytes: &[u8]) -> PlainAnswer {
    let mut headers: Vec<_> = headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    headers.push(("origin", OUR_ORIGIN));
    send("PUT", url, &headers, bytes).await
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the AWS emulators: make test-aws"]
async fn s3_store_keeps_the_contract() {
    keeps_the_contract(Arc::new(store().await)).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the AWS emulators: make test-aws"]
async fn s3_store_agrees_with_the_model() {
    let open = || async { Arc::new(store().await) as Arc<dyn BlobStore> }.boxed();
    agrees_with_the_model(&open, PLAN.part_size, 6, 25).await;
    assert!(store().await.appender().is_none(), "S3 takes parts alone");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the AWS emulators: make test-aws"]
async fn parts_go_straight_to_the_store_and_become_the_object() {
    let sending = Sending::begin(store().await).await;
    for number in [3, 1, 2] {
        let (url, headers) = sending.target(number).await;
        let answer = put(&url, &headers, sending.part(number)).await;
        assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
        assert_eq!(answer.header("access-control-allow-origin").unwrap_or_default(), OUR_ORIGIN);
    }
    let first = sending.part(1);
    let receipt = PartReceipt { number: 1, size: PLAN.part_size, crc32c: crc32c::crc32c(first) };
    assert_eq!(sending.ask(1, receipt.crc32c).await.expect("known"), PartTarget::Safe { receipt: receipt.clone() });
    assert!(matches!(sending.ask(1, receipt.crc32c ^ 1).await, Err(BlobError::ChecksumMismatch)), "what is safe is not replaced");
    sending.store.complete_multipart(&sending.key, &sending.upload, PLAN).await.expect("completed");
    assert!(read(&sending.store, &sending.key, None).await == sending.bytes);
    assert_eq!(sending.ask(1, receipt.crc32c).await.expect("known"), PartTarget::Safe { receipt });
    sending.store.delete(&sending.key).await.expect("deleted");
    assert!(matches!(sending.ask(1, 5).await, Err(BlobError::NotFound)));
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the AWS emulators: make test-aws"]
async fn a_signed_part_takes_its_bytes_and_no_others() {
    let sending = Sending::begin(store().await).await;
    let (url, headers) = sending.target(1).await;
    let right = sending.part(1).to_vec();
    let mut wrong = right.clone();
    wrong[77] ^= 1;
    assert_eq!(put(&url, &headers, &wrong).await.status, 400, "a flipped bit");
    assert_eq!(put(&url, &headers, &right[1..]).await.status, 403, "another length");
    let other_sum = [("x-amz-checksum-crc32c".to_owned(), "AAAAAA==".to_owned())];
    assert_eq!(put(&url, &other_sum, &right).await.status, 403, "another checksum");
    assert_eq!(put(&url, &[], &right).await.status, 403, "no checksum");
    assert_eq!(put(&url.replace("partNumber=1", "partNumber=2"), &headers, &right).await.status, 403, "another part");
    assert_eq!(put(&url.replace("uploadId=", "uploadId=x"), &headers, &right).await.status, 403, "another upload");
    assert_eq!(put(&url.replace("X-Amz-Expires=600", "X-Amz-Expires=6000"), &headers, &right).await.status, 403, "a longer life");
    let unsigned = url.split('?').next().expect("a URL");
    assert_eq!(send("GET", unsigned, &[], b"").await.status, 403, "and nobody reads it");
    assert_eq!(sending.arrived().await, Vec::<u32>::new(), "nothing of that was kept");
    assert_eq!(put(&url, &headers, &right).await.status, 200);
    assert_eq!(sending.arrived().await, [1]);
    sending.store.abort_multipart(&sending.key, &sending.upload).await.expect("aborted");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the AWS emulators: make test-aws"]
async fn a_target_ends_with_its_time() {
    let mut sending = Sending::begin(store_that_signs_for(Duration::from_secs(1)).await).await;
    let (url, headers) = sending.target(3).await;
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    assert_eq!(put(&url, &headers, sending.part(3)).await.status, 403);
    // One that lasts, since a busy machine may take longer than a second to send it.
    sending.store = store().await;
    let (url, headers) = sending.target(3).await;
    assert_eq!(put(&url, &headers, sending.part(3)).await.status, 200, "a new one works");
    sending.store.abort_multipart(&sending.key, &sending.upload).await.expect("aborted");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the AWS emulators: make test-aws"]
async fn browsers_may_send_from_our_pages_alone() {
    let sending = Sending::begin(store().await).await;
    let (url, headers) = sending.target(1).await;
    let names = headers.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(",");
    let preflight = |origin| {
        let (url, names) = (url.clone(), names.clone());
        async move {
            let headers =
                [("origin", origin), ("access-control-request-method", "PUT"), ("access-control-request-headers", names.as_str())];
            send("OPTIONS", &url, &headers, b"").await
        }
    };
    let ours = preflight(OUR_ORIGIN).await;
    assert_eq!(ours.status, 200);
    assert_eq!(ours.header("access-control-allow-origin"), Some(OUR_ORIGIN));
    let allowed = ours.header("access-control-allow-headers").unwrap_or_default().to_lowercase();
    assert!(allowed == "*" || allowed.contains("x-amz-checksum-crc32c"), "{allowed}");
    let foreign = preflight(FOREIGN_ORIGIN).await;
    assert_eq!((foreign.status, foreign.header("access-control-allow-origin")), (403, None));
    sending.store.abort_multipart(&sending.key, &sending.upload).await.expect("aborted");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the AWS emulators: make test-aws"]
async fn objects_carry_what_browsers_and_caches_need_and_nothing_unfinished_stays() {
    let (store, admin, bytes) = (store().await, admin().await, file());
    let generation = GenerationId(Uuid::now_v7());
    let segment = StorageKey::published(generation, "720p/00001.m4s").expect("a good name");
    let small = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(small.path(), b"segment").expect("written");
    store.put_file(&segment, small.path()).await.expect("stored");
    let large = StorageKey::published(generation, "720p/large.m4s").expect("a good name");
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), bytes.repeat(7)).expect("written");
    store.put_file(&large, file.path()).await.expect("stored in parts");
    let streamed = source();
    store.put_stream(&streamed, body(&bytes), 1 << 30).await.expect("stored");
    let (input, output) = (variable("MILLRACE_S3_INPUT_BUCKET"), variable("MILLRACE_S3_OUTPUT_BUCKET"));
    for (key, bucket) in [(&segment, &output), (&large, &output), (&streamed, &input)] {
        let head = admin.head_object().bucket(bucket).key(key.to_string()).send().await.expect("there");
        assert_eq!(head.content_type(), Some(key.content_type()), "{key}");
        assert_eq!(head.cache_control(), Some(key.cache_control()), "{key}");
        assert_eq!(store.url(key), format!("s3://{bucket}/{key}"));
    }
    assert_eq!(store.size(&large).await.expect("there"), bytes.len() as u64 * 7);

    let broken = body(&bytes).chain(futures::stream::iter([Err(std::io::Error::other("gone"))])).boxed();
    let key = source();
    assert!(matches!(store.put_stream(&key, broken, 1 << 30).await, Err(BlobError::BodyInterrupted(_))));
    // A sender whom we stop waiting for: the request was dropped.
    let stalled = body(&bytes).chain(futures::stream::pending()).boxed();
    let dropped = source();
    assert!(tokio::time::timeout(Duration::from_secs(8), store.put_stream(&dropped, stalled, 1 << 30)).await.is_err());
    tokio::time::sleep(Duration::from_secs(2)).await;
    for key in [key, dropped] {
        eventually("nothing unfinished stays", async || {
            let left = admin.list_multipart_uploads().bucket(&input).prefix(key.to_string()).send().await.expect("listed");
            left.uploads().is_empty()
        })
        .await;
    }
    store.delete_prefix(&StorageKey::generation_prefix(generation)).await.expect("deleted");
    store.delete(&streamed).await.expect("deleted");
}
