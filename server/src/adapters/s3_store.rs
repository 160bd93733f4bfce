//! The store on S3, or on another store that speaks its language.
//!
//! Sources stand as `sources/{upload}` in the input bucket, published objects as `published/{generation}/…` in the output bucket. What is
//! safe of an upload is what `ListParts` says, never what we remember. Every byte that we send carries its CRC32C in a header, parts that
//! others send carry it in the signature of their URL; so S3 itself refuses wrong bytes, and nothing is kept of a request that broke off.
//!
//! One thing S3 cannot do: refuse to replace a part. Nobody is given a URL for a part that is safe, but of two URLs that were given out
//! before, for different bytes, the one used later wins. The plan and the sum of each part are checked again at completion.

use std::{
    collections::HashMap,
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use aws_config::{SdkConfig, timeout::TimeoutConfig};
use aws_sdk_s3::{
    Client,
    config::{Builder, RequestChecksumCalculation},
    types::ServerSideEncryption,
};
use domain::{
    ids::GenerationId,
    storage_key::StorageKey,
    upload::{PartPlan, PartReceipt},
};

use super::{aws::CONNECT_PATIENCE, part_locks::PartLocks};
use crate::ports::blob_store::{BlobError, BlobRead, BlobStore, ByteRange, ByteStream, Inventory, MultipartId, PresignParts};

mod deletion;
mod failure;
mod inventory;
mod multipart;
mod part_body;
mod part_listing;
mod presign;
mod reads;
mod whole;

/// How long one try of a request may take that carries up to 64 MiB, or that joins parts. A connection that died without a word must not hold
/// up a worker for ever.
const LONG_REQUEST: Duration = Duration::from_secs(900);

/// Where the objects go, and how.
#[derive(Debug, Clone)]
pub struct S3Options {
    /// Bucket for sources.
    pub input_bucket: String,
    /// Bucket for published objects.
    pub output_bucket: String,
    /// Base URL of another store; empty means what the SDK's configuration says.
    pub endpoint: String,
    /// Whether the bucket's name stands in the path instead of the host name.
    pub path_style: bool,
    /// Encryption at rest.
    pub encryption: S3Encryption,
    /// How long a part's URL is good for.
    pub presign_for: Duration,
}

/// Encryption at rest, as asked for with each object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum S3Encryption {
    /// As the bucket is set.
    Bucket,
    /// With S3's own keys.
    Aes256,
    /// With a key in KMS; the account's own where none is named.
    Kms(Option<String>),
}

impl S3Encryption {
    fn algorithm(&self) -> Option<ServerSideEncryption> {
        match self {
            Self::Bucket => None,
            Self::Aes256 => Some(ServerSideEncryption::Aes256),
            Self::Kms(_) => Some(ServerSideEncryption::AwsKms),
        }
    }

    fn key(&self) -> Option<String> {
        match self {
            Self::Kms(key) => key.clone(),
            _ => None,
        }
    }
}

/// A store in two buckets. Clones are the same store.
#[derive(Debug, Clone)]
pub struct S3Store {
    /// For requests that carry no object: each has little time.
    short: Client,
    /// For requests that carry bytes, or whose answer may take minutes.
    long: Client,
    options: Arc<S3Options>,
    /// Base URL that the clients have been given, or empty.
    endpoint: Arc<str>,
    locks: Arc<PartLocks>,
}

impl S3Store {
    /// A store with the SDK's configuration and credentials. No request is made.
    pub fn new(sdk: &SdkConfig, options: S3Options) -> Self {
        // Sums go as headers that we compute ourselves; the SDK's own default would be trailers in a chunked body, which not every store that
        // speaks S3 understands. It still adds the sum where S3 demands one (DeleteObjects).
        let mut shared =
            Builder::from(sdk).force_path_style(options.path_style).request_checksum_calculation(RequestChecksumCalculation::WhenRequired);
        if !options.endpoint.is_empty() {
            shared = shared.endpoint_url(&options.endpoint);
        }
        let endpoint = if options.endpoint.is_empty() { sdk.endpoint_url().unwrap_or_default() } else { &options.endpoint }.into();
        let patient = TimeoutConfig::builder().connect_timeout(CONNECT_PATIENCE).operation_attempt_timeout(LONG_REQUEST).build();
        let short = Client::from_conf(shared.clone().build());
        let long = Client::from_conf(shared.timeout_config(patient).build());
        Self { short, long, options: Arc::new(options), endpoint, locks: Arc::default() }
    }

    fn bucket(&self, key: &StorageKey) -> &str {
        match key {
            StorageKey::Source { .. } => &self.options.input_bucket,
            StorageKey::Published { .. } => &self.options.output_bucket,
        }
    }

    /// The same for a prefix of keys.
    fn bucket_below(&self, prefix: &str) -> &str {
        if prefix.starts_with("sources/") { &self.options.input_bucket } else { &self.options.output_bucket }
    }
}

impl fmt::Display for S3Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the S3 buckets {} and {}", self.options.input_bucket, self.options.output_bucket)
    }
}

#[async_trait::async_trait]
impl BlobStore for S3Store {
    async fn begin_multipart(&self, key: &StorageKey, plan: PartPlan) -> Result<MultipartId, BlobError> {
        multipart::check_limits(plan)?;
        self.begin(key).await
    }

    fn least_part(&self) -> u64 {
        multipart::SMALLEST_PART
    }

    async fn put_part(
        &self,
        key: &StorageKey,
        upload: &MultipartId,
        plan: PartPlan,
        number: u32,
        crc32c: u32,
        body: ByteStream,
    ) -> Result<PartReceipt, BlobError> {
        self.take_part(key, upload, plan, number, crc32c, body).await
    }

    async fn list_parts(&self, key: &StorageKey, upload: &MultipartId) -> Result<Vec<PartReceipt>, BlobError> {
        match self.parts(key, upload).await {
            Ok(parts) => Ok(parts.into_iter().map(|part| part.receipt).collect()),
            // Completed: its parts are the object now.
            Err(BlobError::NotFound) if self.exists(key).await? => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }

    async fn complete_multipart(&self, key: &StorageKey, upload: &MultipartId, plan: PartPlan) -> Result<(), BlobError> {
        self.complete(key, upload, plan).await
    }

    async fn abort_multipart(&self, key: &StorageKey, upload: &MultipartId) -> Result<(), BlobError> {
        self.abort(key, upload).await
    }

    async fn put_stream(&self, key: &StorageKey, body: ByteStream, max_size: u64) -> Result<u64, BlobError> {
        self.take_stream(key, body, max_size).await
    }

    async fn put_file(&self, key: &StorageKey, file: &Path) -> Result<(), BlobError> {
        self.take_file(key, file).await
    }

    async fn get(&self, key: &StorageKey, range: Option<ByteRange>) -> Result<BlobRead, BlobError> {
        self.read(key, range).await
    }

    async fn size(&self, key: &StorageKey) -> Result<u64, BlobError> {
        self.head(key).await
    }

    async fn list_generation(&self, generation: GenerationId) -> Result<HashMap<String, u64>, BlobError> {
        self.sizes_below(&StorageKey::generation_prefix(generation)).await
    }

    async fn delete(&self, key: &StorageKey) -> Result<(), BlobError> {
        self.delete_one(key).await
    }

    async fn delete_prefix(&self, prefix: &str) -> Result<(), BlobError> {
        self.delete_below(prefix).await
    }

    fn url(&self, key: &StorageKey) -> String {
        format!("s3://{}/{key}", self.bucket(key))
    }

    fn local_path(&self, _key: &StorageKey) -> Option<PathBuf> {
        None
    }

    fn inventory(&self) -> Option<&dyn Inventory> {
        Some(self)
    }

    fn presigner(&self) -> Option<&dyn PresignParts> {
        Some(self)
    }
}

#[cfg(test)]
mod tests;
