//! Reading from S3: an object or a range of it, sizes, and what is below a prefix.

use std::collections::HashMap;

use aws_sdk_s3::error::ProvideErrorMetadata;
use domain::storage_key::StorageKey;
use futures::StreamExt;

use super::{
    S3Store,
    failure::{broken, failed},
};
use crate::ports::blob_store::{BlobError, BlobRead, ByteRange};

impl S3Store {
    pub(super) async fn read(&self, key: &StorageKey, range: Option<ByteRange>) -> Result<BlobRead, BlobError> {
        let request = self.long.get_object().bucket(self.bucket(key)).key(key.to_string()).set_range(range.map(header));
        let answer = match request.send().await {
            Err(error) if error.code() == Some("InvalidRange") => return Err(BlobError::RangeNotSatisfiable(self.head(key).await?)),
            other => other.map_err(failed("GetObject"))?,
        };
        let length = answer.content_length.and_then(|length| u64::try_from(length).ok());
        let length = length.ok_or_else(|| broken("the store answered without a length"))?;
        // A store that ignores the range sends the whole object, without this header.
        let (offset, size) = match &answer.content_range {
            Some(text) => content_range(text).ok_or_else(|| broken(format!("the store answered with the range {text:?}")))?,
            None => (0, length),
        };
        let pieces = futures::stream::unfold(Some(answer.body), |body| async move {
            let mut body = body?;
            let piece = body.next().await?;
            // An error ends the body: nobody takes half an object for a whole one.
            let next = piece.is_ok().then_some(body);
            Some((piece.map_err(std::io::Error::other), next))
        });
        Ok(BlobRead { size, offset, length, body: pieces.boxed() })
    }

    /// The size of an object.
    pub(super) async fn head(&self, key: &StorageKey) -> Result<u64, BlobError> {
        let request = self.short.head_object().bucket(self.bucket(key)).key(key.to_string());
        let answer = request.send().await.map_err(failed("HeadObject"))?;
        let size = answer.content_length.and_then(|length| u64::try_from(length).ok());
        size.ok_or_else(|| broken("the store answered without a length"))
    }

    /// Whether there is an object.
    pub(super) async fn exists(&self, key: &StorageKey) -> Result<bool, BlobError> {
        match self.head(key).await {
            Ok(_) => Ok(true),
            Err(BlobError::NotFound) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Sizes of the objects below a prefix, by path below it.
    pub(super) async fn sizes_below(&self, prefix: &str) -> Result<HashMap<String, u64>, BlobError> {
        let request = self.short.list_objects_v2().bucket(self.bucket_below(prefix)).prefix(prefix);
        let mut pages = request.into_paginator().send();
        let mut found = HashMap::new();
        while let Some(page) = pages.next().await {
            for object in page.map_err(failed("ListObjectsV2"))?.contents() {
                if let (Some(name), Some(size)) = (object.key().and_then(|key| key.strip_prefix(prefix)), object.size()) {
                    found.insert(name.to_owned(), size.unsigned_abs());
                }
            }
        }
        Ok(found)
    }
}

/// A range as the header says it. Numbers that no object reaches mean "to the end"; not every store can read them.
fn header(range: ByteRange) -> String {
    match range.last.filter(|last| *last < 1 << 53) {
        Some(last) => format!("bytes={}-{last}", range.first),
        None => format!("bytes={}-", range.first),
    }
}

/// First byte and size of the whole, of `bytes 0-9/100`.
fn content_range(text: &str) -> Option<(u64, u64)> {
    let (range, size) = text.strip_prefix("bytes ")?.split_once('/')?;
    Some((range.split_once('-')?.0.parse().ok()?, size.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_written_and_read() {
        assert_eq!(header(ByteRange { first: 5, last: Some(9) }), "bytes=5-9");
        assert_eq!(header(ByteRange { first: 5, last: Some(u64::MAX) }), "bytes=5-");
        assert_eq!(header(ByteRange { first: 0, last: None }), "bytes=0-");
        assert_eq!(content_range("bytes 5-9/100"), Some((5, 100)));
        assert_eq!(content_range("bytes */100"), None);
    }
}
