//! Deleting from S3: one object, or all below a prefix.

use aws_sdk_s3::types::{Delete, ObjectIdentifier};
use domain::storage_key::StorageKey;

use super::{
    S3Store,
    failure::{broken, failed},
};
use crate::ports::blob_store::BlobError;

impl S3Store {
    pub(super) async fn delete_one(&self, key: &StorageKey) -> Result<(), BlobError> {
        let request = self.short.delete_object().bucket(self.bucket(key)).key(key.to_string());
        match request.send().await.map_err(failed("DeleteObject")) {
            // S3 itself says nothing where there is nothing; other stores do.
            Ok(_) | Err(BlobError::NotFound) => Ok(()),
            Err(error) => Err(error),
        }
    }

    pub(super) async fn delete_below(&self, prefix: &str) -> Result<(), BlobError> {
        if !prefix.ends_with('/') || prefix.len() < 2 {
            return Err(broken(format!("{prefix:?} is no prefix to delete")));
        }
        // A page of a listing has at most 1000 keys, and so many may be deleted at once.
        let mut pages = self.short.list_objects_v2().bucket(self.bucket_below(prefix)).prefix(prefix).into_paginator().send();
        while let Some(page) = pages.next().await {
            let page = page.map_err(failed("ListObjectsV2"))?;
            let keys: Vec<_> = page.contents().iter().filter_map(|object| object.key().map(str::to_owned)).collect();
            if !keys.is_empty() {
                self.delete_all(self.bucket_below(prefix), keys).await?;
            }
        }
        Ok(())
    }

    async fn delete_all(&self, bucket: &str, keys: Vec<String>) -> Result<(), BlobError> {
        let named: Result<Vec<_>, _> = keys.into_iter().map(|key| ObjectIdentifier::builder().key(key).build()).collect();
        let delete = named.and_then(|named| Delete::builder().set_objects(Some(named)).quiet(true).build());
        let delete = delete.map_err(|error| broken(error.to_string()))?;
        let answer = self.long.delete_objects().bucket(bucket).delete(delete).send().await.map_err(failed("DeleteObjects"))?;
        // Said inside of an answer that says 200.
        match answer.errors().first() {
            None => Ok(()),
            Some(error) => Err(broken(format!(
                "DeleteObjects failed for {} of the objects, the first of them {} ({}: {})",
                answer.errors().len(),
                error.key().unwrap_or("without a name"),
                error.code().unwrap_or("no code"),
                error.message().unwrap_or("no reason")
            ))),
        }
    }
}
