//! Parts that clients send straight to S3, by URLs that we sign.
//!
//! The signature covers the part's number, its length and its CRC32C: with other bytes S3 refuses, whoever holds the URL. A signature is made
//! from the clock of this machine; one that is wrong by more than the URL's lifetime gives URLs that never work.

use aws_sdk_s3::{
    config::endpoint::{DefaultResolver, Params, ResolveEndpoint},
    presigning::PresigningConfig,
};
use domain::{
    storage_key::StorageKey,
    upload::{PartPlan, PartReceipt, PartTarget},
};
use futures::FutureExt;

use super::{
    S3Store,
    failure::{broken, failed},
};
use crate::ports::blob_store::{BlobError, MultipartId, PresignParts};

/// Headers under the signature that whoever sends sets by itself; browsers let nobody else set them.
const SET_BY_THE_SENDER: [&str; 2] = ["host", "content-length"];

#[async_trait::async_trait]
impl PresignParts for S3Store {
    async fn presign_part(
        &self,
        key: &StorageKey,
        upload: &MultipartId,
        plan: PartPlan,
        number: u32,
        crc32c: u32,
    ) -> Result<PartTarget, BlobError> {
        let (_, size) = plan.part_range(number).ok_or(BlobError::NotFound)?;
        match self.part(key, upload, number).await {
            // A part of another length than planned is none: it is to be sent again.
            Ok(Some(known)) if known.receipt.size == size => {
                return if known.receipt.crc32c == crc32c {
                    Ok(PartTarget::Safe { receipt: known.receipt })
                } else {
                    Err(BlobError::ChecksumMismatch)
                };
            }
            Ok(_) => {}
            // Completed meanwhile: its bytes are in the object already.
            Err(BlobError::NotFound) if self.exists(key).await? => {
                return Ok(PartTarget::Safe { receipt: PartReceipt { number, size, crc32c } });
            }
            Err(error) => return Err(error),
        }
        let lifetime = PresigningConfig::expires_in(self.options.presign_for).map_err(|error| broken(error.to_string()))?;
        let request = self.upload_part(&self.short, key, upload, (number, size, crc32c));
        let request = request.presigned(lifetime).await.map_err(failed("UploadPart (signing)"))?;
        let headers = request.headers().filter(|(name, _)| !SET_BY_THE_SENDER.contains(name));
        let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        Ok(PartTarget::Put { url: request.uri().to_owned(), headers })
    }

    fn destination(&self) -> Option<String> {
        let region = self.short.config().region()?.to_string();
        bucket_url(&region, &self.endpoint, self.options.path_style, &self.options.input_bucket)
    }
}

/// Where a bucket is, by the rules that the SDK itself goes by. A bucket in the path ends in a slash, so that no other begins alike.
fn bucket_url(region: &str, endpoint: &str, path_style: bool, bucket: &str) -> Option<String> {
    let mut asked = Params::builder().region(region).force_path_style(path_style).bucket(bucket);
    if !endpoint.is_empty() {
        asked = asked.endpoint(endpoint);
    }
    let asked = asked.build().ok()?;
    let resolver = DefaultResolver::new();
    let url = ResolveEndpoint::resolve_endpoint(&resolver, &asked).now_or_never()?.ok()?.url().to_owned();
    let in_path = url.split("://").nth(1).is_some_and(|rest| rest.contains('/'));
    Some(if in_path && !url.ends_with('/') { format!("{url}/") } else { url })
}

#[cfg(test)]
mod tests {
    use super::bucket_url;

    #[test]
    fn a_bucket_is_where_the_sdk_sends_parts() {
        for (region, endpoint, path_style, url) in [
            ("eu-central-1", "", false, "https://own.s3.eu-central-1.amazonaws.com"),
            ("eu-central-1", "", true, "https://s3.eu-central-1.amazonaws.com/own/"),
            ("cn-north-1", "", false, "https://own.s3.cn-north-1.amazonaws.com.cn"),
            ("eu-central-1", "https://store.example", false, "https://own.store.example"),
            ("eu-central-1", "https://store.example:9000", true, "https://store.example:9000/own/"),
            ("eu-central-1", "http://127.0.0.1:9000", false, "http://127.0.0.1:9000/own/"),
        ] {
            assert_eq!(bucket_url(region, endpoint, path_style, "own").as_deref(), Some(url));
        }
    }
}
