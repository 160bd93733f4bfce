//! The shape of the settings. What each field means stands in [`super::DEFAULTS`].

use std::{net::SocketAddr, path::PathBuf};

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use super::{AlertSettings, LogFormat, MetricsSettings, Networks, TelemetrySettings};

/// Who may sign up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Registration {
    /// Everybody.
    Open,
    /// The first visitor, who becomes the owner, and then whom an owner invites.
    Invite,
    /// The first visitor, who becomes the owner, and nobody after that.
    Closed,
}

/// How media programs are kept from the rest of the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sandbox {
    /// In bubblewrap where it works, else in Landlock, else not at all.
    Auto,
    /// In bubblewrap or not at all.
    Bubblewrap,
    /// In Landlock or not at all.
    Landlock,
    /// Never isolated.
    Off,
}

/// Where bytes live.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StoreKind {
    /// Files in the data folder.
    Files,
    /// S3 or a store that speaks it.
    S3,
}

/// How workers hear of jobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum QueueKind {
    /// By the database.
    Database,
    /// By SQS.
    Sqs,
}

/// What makes renditions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TranscoderKind {
    /// ffmpeg on this machine.
    Ffmpeg,
    /// AWS Elemental MediaConvert.
    Mediaconvert,
}

/// Who delivers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CdnKind {
    /// This process.
    Origin,
    /// CloudFront.
    Cloudfront,
}

/// How S3 encrypts at rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum Encryption {
    /// As the bucket is set.
    #[serde(rename = "bucket")]
    Bucket,
    /// By S3's own keys.
    #[serde(rename = "AES256")]
    Aes256,
    /// By a key of KMS.
    #[serde(rename = "aws:kms")]
    Kms,
}

/// What the program runs with. Each field's meaning stands in [`super::DEFAULTS`].
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Address and port to listen on.
    pub bind: SocketAddr,
    /// How users reach this server, without a slash at the end.
    pub public_url: String,
    /// Where everything lives that must survive.
    pub data_dir: PathBuf,
    /// Log filter.
    pub log: String,
    /// How log lines are written.
    pub log_format: LogFormat,
    /// What Prometheus reads.
    pub metrics: MetricsSettings,
    /// Traces.
    pub telemetry: TelemetrySettings,
    /// What the operator is told.
    pub alerts: AlertSettings,
    /// Who may sign up.
    pub registration: Registration,
    /// What requests may cost.
    pub http: HttpSettings,
    /// Which adapters are chosen.
    pub ports: PortSettings,
    /// The database.
    pub database: DatabaseSettings,
    /// The key that signs links.
    pub signing: SigningSettings,
    /// Sessions.
    pub session: SessionSettings,
    /// Uploads.
    pub upload: UploadSettings,
    /// What the store may take up.
    pub storage: StorageSettings,
    /// Transcoding.
    pub transcode: TranscodeSettings,
    /// Delivery by this process.
    pub delivery: DeliverySettings,
    /// Playback.
    pub playback: PlaybackSettings,
    /// What is common to the AWS adapters.
    pub aws: AwsSettings,
    /// S3.
    pub s3: S3Settings,
    /// SQS.
    pub sqs: SqsSettings,
    /// MediaConvert.
    pub mediaconvert: MediaConvertSettings,
    /// CloudFront.
    pub cloudfront: CloudFrontSettings,
}

/// The header in which proxies say whom a request is from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ForwardingHeader {
    /// `X-Forwarded-For`.
    XForwardedFor,
    /// `Forwarded` (RFC 7239).
    Forwarded,
}

/// What requests may cost, and who sends them.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HttpSettings {
    /// Proxies whose word about a client's address is taken.
    pub trusted_proxies: Networks,
    /// Where they say it.
    pub client_address_header: ForwardingHeader,
    /// Days that browsers insist on HTTPS; 0 for no such header.
    pub hsts_days: u64,
    /// Connections held open at once.
    pub max_connections: usize,
    /// The same for one address.
    pub max_connections_per_address: usize,
    /// Seconds for a request's headers, and for the next request on a connection.
    pub header_seconds: u64,
    /// Seconds for a whole form or JSON body.
    pub body_seconds: u64,
    /// Seconds in which a part of an upload must go on.
    pub upload_idle_seconds: u64,
    /// Seconds in which an answer must go on being taken.
    pub answer_idle_seconds: u64,
    /// Seconds after the signal to end in which requests are answered still.
    pub drain_seconds: u64,
    /// Requests a minute of one address that nobody is signed in on; 0 for no limit.
    pub requests_per_minute_address: u32,
    /// Requests a minute of one account; 0 for no limit.
    pub requests_per_minute_account: u32,
}

/// Which adapter stands behind each port.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PortSettings {
    /// Where bytes live.
    pub store: StoreKind,
    /// How workers hear of jobs.
    pub queue: QueueKind,
    /// What makes renditions.
    pub transcoder: TranscoderKind,
    /// Who delivers.
    pub cdn: CdnKind,
}

/// The key that signs links.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SigningSettings {
    /// 64 hexadecimal digits, or empty for a file in the data folder.
    pub key: SecretString,
    /// The key before, or empty.
    pub previous_key: SecretString,
}

/// What is common to the AWS adapters.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AwsSettings {
    /// Region, or empty for what the environment of AWS programs says.
    pub region: String,
    /// Base URL for services without their own, or empty for AWS.
    pub endpoint: String,
}

/// S3.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct S3Settings {
    /// Bucket for sources.
    pub input_bucket: String,
    /// Bucket for published objects.
    pub output_bucket: String,
    /// Base URL, or empty.
    pub endpoint: String,
    /// Whether buckets stand in the path.
    pub path_style: bool,
    /// Encryption at rest.
    pub encryption: Encryption,
    /// Key of KMS, or empty.
    pub kms_key_id: String,
    /// Minutes that a presigned URL works.
    pub presign_minutes: u64,
}

/// SQS.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SqsSettings {
    /// The queue.
    pub queue_url: String,
    /// Base URL, or empty.
    pub endpoint: String,
    /// Seconds until an unacknowledged message comes again.
    pub visibility_seconds: u32,
}

/// MediaConvert.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MediaConvertSettings {
    /// The role it takes on.
    pub role_arn: String,
    /// Its queue.
    pub queue_arn: String,
    /// Base URL, or empty.
    pub endpoint: String,
    /// Name of this installation in the metadata of jobs.
    pub environment: String,
    /// Seconds between two looks at a running job.
    pub poll_seconds: u64,
}

/// CloudFront.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CloudFrontSettings {
    /// Base URL of the distribution, without a slash at the end.
    pub url: String,
    /// The distribution.
    pub distribution_id: String,
    /// The id of the public key.
    pub key_id: String,
    /// File with the private key, or empty.
    pub private_key_file: PathBuf,
    /// The private key itself, or empty.
    pub private_key: SecretString,
    /// What the distribution sends in `x-millrace-origin`, or empty; with commas between them where there are several.
    pub origin_secret: SecretString,
    /// Base URL of its control plane, or empty.
    pub endpoint: String,
}

/// The database.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DatabaseSettings {
    /// Connection URL; it may hold a password.
    pub url: SecretString,
    /// Connections held open at most.
    pub max_connections: u32,
    /// Seconds to wait for a free connection.
    pub acquire_timeout_seconds: u64,
    /// Seconds that a statement may take on PostgreSQL; 0 for no limit of ours.
    pub statement_timeout_seconds: u64,
}

/// The secrets in a setting that may name several.
pub fn each_secret(secrets: &str) -> impl Iterator<Item = &str> {
    secrets.split(',').map(str::trim).filter(|secret| !secret.is_empty())
}

impl DatabaseSettings {
    /// Whether it is the file in the data folder.
    pub fn url_is_empty(&self) -> bool {
        self.url.expose_secret().is_empty()
    }

    /// Whether it is a file that one machine has.
    pub fn is_sqlite(&self) -> bool {
        let url = self.url.expose_secret();
        url.is_empty() || url.starts_with("sqlite:")
    }
}

/// Sessions.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SessionSettings {
    /// Days until a session ends.
    pub days: i64,
}

/// Uploads.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UploadSettings {
    /// Largest file taken, in bytes.
    pub max_size_bytes: u64,
    /// Bytes that an account may store; 0 for as many as it likes.
    pub quota_bytes: u64,
    /// Uploads that an account may have begun and not completed; 0 for as many as it likes.
    pub max_unfinished: u64,
    /// Days after which an unfinished upload is given up.
    pub unfinished_days: i64,
    /// Days after which the source of a video that plays is deleted; 0 to keep it.
    pub source_retention_days: i64,
}

/// What the store may take up.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StorageSettings {
    /// Bytes that uploads leave free on a disk; 0 for none.
    pub min_free_bytes: u64,
    /// Hours for which what no row names is left alone.
    pub orphan_grace_hours: i64,
}

/// Transcoding.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TranscodeSettings {
    /// Videos worked on at once; never 0 after loading.
    pub jobs: usize,
    /// Whether `serve` works on videos itself.
    pub in_serve: bool,
    /// The encoder's program.
    pub ffmpeg: PathBuf,
    /// The probe's program.
    pub ffprobe: PathBuf,
    /// Whether they run isolated.
    pub sandbox: Sandbox,
    /// Folder for intermediate files; never empty after loading.
    pub scratch_dir: PathBuf,
    /// Longest video taken, in minutes.
    pub max_duration_minutes: u64,
    /// Most samples in a picture.
    pub max_pixels: u64,
    /// Memory of a child process, in MiB.
    pub memory_mib: u64,
}

/// Delivery by this process.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeliverySettings {
    /// Millions of bytes of memory for media; 0 for none.
    pub cache_mb: u64,
}

/// Playback.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlaybackSettings {
    /// Minutes that links to media work beyond the video's length.
    pub link_lifetime_minutes: u64,
    /// Seconds that links of players that renew them work.
    pub renewal_seconds: u64,
}
