//! What S3 answers, mapped once to what the port says.

use std::error::Error;

use aws_sdk_s3::{
    config::http::HttpResponse,
    error::{ProvideErrorMetadata, SdkError},
};

use crate::{adapters::aws::ServiceError, ports::blob_store::BlobError};

/// Gives a failed request its meaning.
pub(super) fn failed<E>(operation: &'static str) -> impl FnOnce(SdkError<E, HttpResponse>) -> BlobError
where
    E: ProvideErrorMetadata + Error + Send + Sync + 'static,
{
    move |error| meaning(ServiceError::new(operation, error))
}

/// A failure of our own making, in the port's words.
pub(super) fn broken(text: impl Into<String>) -> BlobError {
    BlobError::Unavailable(text.into().into())
}

fn meaning(error: ServiceError) -> BlobError {
    match (error.code.as_deref(), error.status) {
        (Some("NoSuchKey" | "NoSuchUpload" | "NotFound"), _) => BlobError::NotFound,
        // The answer to HEAD has no body, hence no code.
        (None, Some(404)) => BlobError::NotFound,
        (Some("BadDigest" | "XAmzContentChecksumMismatch"), _) => BlobError::ChecksumMismatch,
        (Some("IncompleteBody" | "RequestTimeout"), _) => BlobError::BodyInterrupted(error.to_string()),
        // S3 itself is never full; stores that speak its language are.
        (Some("QuotaExceeded" | "XMinioStorageFull" | "InsufficientCapacity"), _) | (_, Some(507)) => BlobError::Full,
        _ => BlobError::Unavailable(Box::new(error)),
    }
}
