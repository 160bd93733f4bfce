//! What S3 says in unusual ways, from a small server that says it; what it says usually, the contract suite hears from an emulator.

use std::sync::Mutex;

use aws_config::{BehaviorVersion, Region, retry::RetryConfig};
use aws_sdk_s3::config::{Credentials, SharedCredentialsProvider};
use domain::ids::UploadId;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use uuid::Uuid;

use super::*;

/// A server that gives its answers in turn, the last one for ever, and remembers the heads of the requests.
struct FakeS3 {
    address: String,
    heads: Arc<Mutex<Vec<String>>>,
}

impl FakeS3 {
    async fn start(answers: &[(u16, &str)]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = format!("http://{}", listener.local_addr().expect("an address"));
        let heads = Arc::<Mutex<Vec<String>>>::default();
        let answers: Vec<_> = answers.iter().map(|(status, body)| (*status, (*body).to_owned())).collect();
        tokio::spawn({
            let heads = Arc::clone(&heads);
            async move {
                while let Ok((connection, _)) = listener.accept().await {
                    let at = heads.lock().expect("whole").len().min(answers.len() - 1);
                    let (status, body) = &answers[at];
                    let head = answer(connection, *status, body).await;
                    heads.lock().expect("whole").push(head);
                }
            }
        });
        Self { address, heads }
    }

    fn store(&self, encryption: S3Encryption) -> S3Store {
        let sdk = SdkConfig::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .region(Region::new("us-east-1"))
            .retry_config(RetryConfig::standard().with_max_attempts(2))
            .credentials_provider(SharedCredentialsProvider::new(Credentials::new("id", "secret", None, None, "test")))
            .build();
        let options = S3Options {
            input_bucket: "in".into(),
            output_bucket: "out".into(),
            endpoint: self.address.clone(),
            path_style: true,
            encryption,
            presign_for: Duration::from_secs(60),
        };
        S3Store::new(&sdk, options)
    }

    fn heads(&self) -> Vec<String> {
        self.heads.lock().expect("whole").clone()
    }
}

/// Reads a request and answers it; gives its head.
async fn answer(mut connection: TcpStream, status: u16, body: &str) -> String {
    let mut bytes = Vec::new();
    let end = loop {
        let mut buffer = [0; 4096];
        let count = connection.read(&mut buffer).await.expect("a request");
        assert!(count > 0, "a whole request");
        bytes.extend_from_slice(&buffer[..count]);
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break end + 4;
        }
    };
    let head = String::from_utf8_lossy(&bytes[..end]).to_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).map_or(0, |text| text.parse().expect("a number"));
    let mut rest = vec![0; end + length - bytes.len()];
    connection.read_exact(&mut rest).await.expect("a whole body");
    let answer = format!("HTTP/1.1 {status} X\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    connection.write_all(answer.as_bytes()).await.expect("answered");
    head
}

const PARTS: &str = r#"<?xml version="1.0"?><ListPartsResult><IsTruncated>false</IsTruncated>
    <Part><PartNumber>1</PartNumber><ETag>"a"</ETag><Size>6</Size><ChecksumCRC32C>4waSgw==</ChecksumCRC32C></Part></ListPartsResult>"#;
/// As S3 says it when joining the parts fails after it has said 200: spaces to keep the connection open, then the error.
const LATE_ERROR: &str =
    "<?xml version=\"1.0\"?>\n  \n   \n<Error><Code>InternalError</Code><Message>We encountered an internal error.</Message></Error>";
const JOINED: &str = r#"<?xml version="1.0"?><CompleteMultipartUploadResult><ETag>"b"</ETag></CompleteMultipartUploadResult>"#;
const PLAN: PartPlan = PartPlan { file_size: 6, part_size: 6 };

fn source() -> StorageKey {
    StorageKey::Source { upload: UploadId(Uuid::nil()) }
}

fn upload() -> MultipartId {
    MultipartId("u".into())
}

#[tokio::test]
async fn a_failure_that_says_200_first_is_a_failure_and_is_tried_again() {
    let fake = FakeS3::start(&[(200, PARTS), (200, LATE_ERROR)]).await;
    let outcome = fake.store(S3Encryption::Bucket).complete_multipart(&source(), &upload(), PLAN).await;
    let Err(BlobError::Unavailable(reason)) = outcome else { panic!("completed by an error: {outcome:?}") };
    assert_eq!(reason.to_string(), "CompleteMultipartUpload failed: InternalError: We encountered an internal error");

    let fake = FakeS3::start(&[(200, PARTS), (200, LATE_ERROR), (200, JOINED)]).await;
    let outcome = fake.store(S3Encryption::Bucket).complete_multipart(&source(), &upload(), PLAN).await;
    assert!(outcome.is_ok(), "{outcome:?}");
    assert_eq!(fake.heads().len(), 3);
}

#[tokio::test]
async fn an_answer_that_breaks_off_or_cannot_be_read_is_no_completion() {
    let misplaced = format!("  \n{LATE_ERROR}");
    for body in ["", "<?xml version=\"1.0\"?>\n<CompleteMultipartUploadRes", "    \n", &misplaced] {
        let fake = FakeS3::start(&[(200, PARTS), (200, body)]).await;
        let outcome = fake.store(S3Encryption::Bucket).complete_multipart(&source(), &upload(), PLAN).await;
        assert!(outcome.is_err(), "completed by {body:?}");
    }
}

#[tokio::test]
async fn objects_that_could_not_be_deleted_are_an_error_though_the_answer_says_200() {
    let listing =
        "<ListBucketResult><IsTruncated>false</IsTruncated><Contents><Key>published/x/a</Key><Size>1</Size></Contents></ListBucketResult>";
    let refused = "<DeleteResult><Error><Key>published/x/a</Key><Code>AccessDenied</Code><Message>No</Message></Error></DeleteResult>";
    let fake = FakeS3::start(&[(200, listing), (200, refused)]).await;
    let outcome = fake.store(S3Encryption::Bucket).delete_prefix("published/x/").await;
    assert!(
        matches!(&outcome, Err(BlobError::Unavailable(reason)) if reason.to_string().contains("published/x/a (AccessDenied: No)")),
        "{outcome:?}"
    );
    assert!(fake.store(S3Encryption::Bucket).delete_prefix("/").await.is_err(), "nobody deletes a whole bucket");
}

#[tokio::test]
async fn a_refusal_says_what_to_do() {
    let refused = "<Error><Code>AccessDenied</Code><Message>Access Denied.</Message></Error>";
    let fake = FakeS3::start(&[(403, refused)]).await;
    let outcome = fake.store(S3Encryption::Bucket).begin_multipart(&source(), PLAN).await;
    let Err(error) = outcome else { panic!("begun") };
    assert_eq!(
        error.to_string(),
        "the store failed: CreateMultipartUpload failed: AccessDenied: Access Denied (the credentials lack this right: compare their policy \
         with the one in deploy/terraform)"
    );
}

#[tokio::test]
async fn an_upload_declares_its_checksum_and_what_the_object_will_be() {
    let begun = "<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>";
    let fake = FakeS3::start(&[(200, begun)]).await;
    fake.store(S3Encryption::Kms(Some("key-1".into()))).begin_multipart(&source(), PLAN).await.expect("begun");
    let head = fake.heads().remove(0);
    for header in [
        "x-amz-checksum-algorithm: crc32c",
        "x-amz-server-side-encryption: aws:kms",
        "x-amz-server-side-encryption-aws-kms-key-id: key-1",
        "content-type: application/octet-stream",
        "cache-control: private, no-store",
    ] {
        assert!(head.lines().any(|line| line == header), "{header} is not in {head}");
    }
    assert!(!head.contains("x-amz-checksum-type"));
}

#[tokio::test]
async fn a_signed_part_is_bound_to_its_bytes_and_names_no_header_that_browsers_do_not_let_set() {
    let none = "<ListPartsResult><IsTruncated>false</IsTruncated></ListPartsResult>";
    let fake = FakeS3::start(&[(200, none)]).await;
    let store = fake.store(S3Encryption::Bucket);
    let presigner = store.presigner().expect("it can sign");
    let target = presigner.presign_part(&source(), &upload(), PLAN, 1, 0xe306_9283).await.expect("signed");
    let domain::upload::PartTarget::Put { url, headers } = target else { panic!("nothing is safe") };
    assert_eq!(headers, [("x-amz-checksum-crc32c".to_owned(), "4waSgw==".to_owned())]);
    assert!(url.contains("X-Amz-SignedHeaders=content-length%3Bhost%3Bx-amz-checksum-crc32c"), "{url}");
    assert!(url.contains("X-Amz-Expires=60") && url.contains("partNumber=1") && url.contains("uploadId=u"), "{url}");
}
