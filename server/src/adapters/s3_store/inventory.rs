//! What is in the buckets, whoever put it there.

use aws_sdk_s3::primitives::DateTime;
use domain::storage_key::StorageKey;

use super::{S3Store, failure::failed};
use crate::ports::blob_store::{BlobError, Inventory, Listed, Listing, MultipartId, Unfinished};

fn milliseconds(time: Option<&DateTime>) -> i64 {
    time.and_then(|time| time.to_millis().ok()).unwrap_or_default()
}

#[async_trait::async_trait]
impl Inventory for S3Store {
    async fn list_objects(&self, prefix: &str, from: Option<String>) -> Result<Listing, BlobError> {
        let request = self.short.list_objects_v2().bucket(self.bucket_below(prefix)).prefix(prefix).set_continuation_token(from);
        let page = request.send().await.map_err(failed("ListObjectsV2"))?;
        let listed = |object: &aws_sdk_s3::types::Object| {
            let size = object.size().unwrap_or_default().unsigned_abs();
            Some(Listed { path: object.key()?.to_owned(), size, written_ms: milliseconds(object.last_modified()) })
        };
        let objects = page.contents().iter().filter_map(listed).collect();
        Ok(Listing { objects, next: page.next_continuation_token().map(str::to_owned) })
    }

    async fn list_unfinished(&self) -> Result<Vec<Unfinished>, BlobError> {
        let mut found = self.unfinished_below("sources/").await?;
        found.extend(self.unfinished_below("published/").await?);
        Ok(found)
    }
}

impl S3Store {
    async fn unfinished_below(&self, prefix: &str) -> Result<Vec<Unfinished>, BlobError> {
        let (mut found, mut key, mut upload) = (Vec::new(), None, None);
        loop {
            let request = self.short.list_multipart_uploads().bucket(self.bucket_below(prefix)).prefix(prefix);
            let request = request.set_key_marker(key).set_upload_id_marker(upload);
            let page = request.send().await.map_err(failed("ListMultipartUploads"))?;
            found.extend(page.uploads().iter().filter_map(|upload| {
                let id = MultipartId(upload.upload_id()?.to_owned());
                // What has no name of ours is none of our business.
                let key = StorageKey::parse(upload.key()?)?;
                Some(Unfinished { id, key: Some(key), touched_ms: milliseconds(upload.initiated()) })
            }));
            (key, upload) = (page.next_key_marker().map(str::to_owned), page.next_upload_id_marker().map(str::to_owned));
            // A store that says "more" and not from where would be asked the same for ever.
            if page.is_truncated() != Some(true) || key.as_deref().is_none_or(str::is_empty) {
                return Ok(found);
            }
        }
    }
}
