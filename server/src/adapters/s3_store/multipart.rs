//! Multipart uploads: begin, take parts through us, complete, abort.

use aws_config::timeout::TimeoutConfig;
use aws_sdk_s3::{
    Client,
    config::Builder,
    operation::upload_part::builders::UploadPartFluentBuilder,
    types::{ChecksumAlgorithm, CompletedMultipartUpload, CompletedPart},
};
use domain::{
    storage_key::StorageKey,
    upload::{MAX_PARTS, PartPlan, PartReceipt},
};

use super::{
    S3Store,
    failure::{broken, failed},
    part_body::checked,
    part_listing::{StoredPart, to_base64},
};
use crate::{
    adapters::resent_part,
    ports::blob_store::{BlobError, ByteStream, MultipartId},
};

/// S3 takes no smaller part, but for the last one.
pub(super) const SMALLEST_PART: u64 = 5 * 1024 * 1024;
/// S3 takes no larger part.
const LARGEST_PART: u64 = 5 * 1024 * 1024 * 1024;

/// Refuses at the beginning what S3 would refuse at the end.
pub(super) fn check_limits(plan: PartPlan) -> Result<(), BlobError> {
    let count = u64::from(plan.part_count());
    if count > MAX_PARTS || plan.part_size > LARGEST_PART || (count > 1 && plan.part_size < SMALLEST_PART) {
        return Err(broken(format!(
            "S3 takes at most {MAX_PARTS} parts of 5 MiB to 5 GiB, but the plan has {count} parts of {} bytes",
            plan.part_size
        )));
    }
    Ok(())
}

/// A part that comes through us may be large and its sender slow: it ends when nothing moves any more, not by the clock.
fn as_slow_as_the_sender() -> Builder {
    Builder::new().timeout_config(TimeoutConfig::builder().disable_operation_attempt_timeout().build())
}

/// A part's number as the SDK wants it.
pub(super) fn part_number(number: u32) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

/// A length as the SDK wants it.
pub(super) fn signed(length: u64) -> i64 {
    i64::try_from(length).unwrap_or(i64::MAX)
}

impl S3Store {
    /// A part of so many bytes with this CRC32C, all of which S3 holds against what arrives.
    pub(super) fn upload_part(
        &self,
        client: &Client,
        key: &StorageKey,
        upload: &MultipartId,
        (number, size, crc32c): (u32, u64, u32),
    ) -> UploadPartFluentBuilder {
        let request = client.upload_part().bucket(self.bucket(key)).key(key.to_string()).upload_id(&upload.0);
        request.part_number(part_number(number)).content_length(signed(size)).checksum_crc32_c(to_base64(crc32c))
    }

    /// Opens an upload. The algorithm is declared, so that S3 checks each part's sum, keeps it and lists it. The type of checksum stays the
    /// one that S3 takes for CRC32C by itself, COMPOSITE: it is made of the sums of the parts, which completion has to name, with numbers
    /// from 1 without a gap, and it needs no header that stores of before 2025 do not know. FULL_OBJECT would work with the same parts
    /// ("Checking object integrity" in S3's user guide, "Full object and composite checksum types").
    pub(super) async fn begin(&self, key: &StorageKey) -> Result<MultipartId, BlobError> {
        let encryption = &self.options.encryption;
        let answer = self
            .short
            .create_multipart_upload()
            .bucket(self.bucket(key))
            .key(key.to_string())
            .checksum_algorithm(ChecksumAlgorithm::Crc32C)
            .content_type(key.content_type())
            .cache_control(key.cache_control())
            .set_server_side_encryption(encryption.algorithm())
            .set_ssekms_key_id(encryption.key())
            .send()
            .await
            .map_err(failed("CreateMultipartUpload"))?;
        answer.upload_id.map(MultipartId).ok_or_else(|| broken("the store began an upload without a name"))
    }

    pub(super) async fn take_part(
        &self,
        key: &StorageKey,
        upload: &MultipartId,
        plan: PartPlan,
        number: u32,
        crc32c: u32,
        body: ByteStream,
    ) -> Result<PartReceipt, BlobError> {
        let (_, size) = plan.part_range(number).ok_or(BlobError::NotFound)?;
        let receipt = PartReceipt { number, size, crc32c };
        let turn = self.locks.take_turn(&upload.0, number).await;
        match self.part(key, upload, number).await {
            // A part of another length than planned is none: it is to be sent again.
            Ok(Some(known)) if known.receipt.size == size => return resent_part::compare(known.receipt, crc32c, body).await,
            Ok(_) => {}
            // The last part sent again after the upload was completed: its bytes are in the object already.
            Err(BlobError::NotFound) if self.exists(key).await? => return Ok(receipt),
            Err(error) => return Err(error),
        }
        // The body cannot be read twice, so the SDK tries once; the sender tries again.
        let (body, verdict) = checked(body, size, crc32c);
        let request = self
            .upload_part(&self.long, key, upload, (number, size, crc32c))
            .body(body)
            .customize()
            .config_override(as_slow_as_the_sender())
            .send();
        tokio::select! {
            // What is dropped with this closes its connection: S3 keeps nothing of it.
            () = turn.evicted() => Err(BlobError::BodyInterrupted("the part was sent again".into())),
            answer = request => match answer {
                Ok(_) => Ok(receipt),
                Err(error) => Err(verdict.blame().unwrap_or_else(|| failed("UploadPart")(error))),
            },
        }
    }

    pub(super) async fn complete(&self, key: &StorageKey, upload: &MultipartId, plan: PartPlan) -> Result<(), BlobError> {
        let parts = match self.parts(key, upload).await {
            Ok(parts) => parts,
            Err(BlobError::NotFound) => return self.expect_whole(key, plan).await,
            Err(error) => return Err(error),
        };
        let planned = |part: &PartReceipt| plan.part_range(part.number).is_some_and(|(_, size)| size == part.size);
        let there: Vec<u32> = parts.iter().map(|part| &part.receipt).filter(|part| planned(part)).map(|part| part.number).collect();
        let missing = plan.missing(&there);
        if !missing.is_empty() {
            return Err(BlobError::PartsMissing(missing));
        }
        let completed = parts.iter().filter(|part| planned(&part.receipt)).map(StoredPart::completed).collect();
        match self.join(key, upload, completed).await {
            // Of two completions at once, or of one whose answer was lost, the later one finds the upload gone.
            Err(BlobError::NotFound) => self.expect_whole(key, plan).await,
            other => other,
        }
    }

    /// Makes an object of parts. S3 may say 200 first and then, minutes later, that it failed: the SDK reads the body of the answer and makes
    /// that an error, which a test holds it to.
    pub(super) async fn join(&self, key: &StorageKey, upload: &MultipartId, parts: Vec<CompletedPart>) -> Result<(), BlobError> {
        self.long
            .complete_multipart_upload()
            .bucket(self.bucket(key))
            .key(key.to_string())
            .upload_id(&upload.0)
            .multipart_upload(CompletedMultipartUpload::builder().set_parts(Some(parts)).build())
            .send()
            .await
            .map_err(failed("CompleteMultipartUpload"))?;
        Ok(())
    }

    async fn expect_whole(&self, key: &StorageKey, plan: PartPlan) -> Result<(), BlobError> {
        if self.head(key).await? == plan.file_size { Ok(()) } else { Err(BlobError::NotFound) }
    }

    pub(super) async fn abort(&self, key: &StorageKey, upload: &MultipartId) -> Result<(), BlobError> {
        let request = self.short.abort_multipart_upload().bucket(self.bucket(key)).key(key.to_string()).upload_id(&upload.0);
        match request.send().await.map_err(failed("AbortMultipartUpload")) {
            Ok(_) | Err(BlobError::NotFound) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_that_s3_would_refuse_at_the_end_is_refused_at_the_beginning() {
        let takes = |file_size, part_size| check_limits(PartPlan { file_size, part_size }).is_ok();
        assert!(takes(SMALLEST_PART * 2 + 1, SMALLEST_PART) && takes(10, 10));
        assert!(!takes(SMALLEST_PART * 2, SMALLEST_PART - 1));
        assert!(takes(SMALLEST_PART * MAX_PARTS, SMALLEST_PART) && !takes(SMALLEST_PART * MAX_PARTS + 1, SMALLEST_PART));
        assert!(!takes(LARGEST_PART * 2, LARGEST_PART + 1));
    }

    #[test]
    fn every_plan_of_ours_up_to_s3s_largest_object_is_taken() {
        for file_size in [1, SMALLEST_PART, 1 << 30, 50_000_000_000, 1 << 40, 48_800 << 30] {
            assert!(check_limits(PartPlan::for_size(file_size)).is_ok(), "{file_size}");
        }
    }
}
