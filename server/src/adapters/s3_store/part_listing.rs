//! What S3 has of an upload: `ListParts`, the only truth about it.

use aws_sdk_s3::types::{CompletedPart, Part};
use base64::{Engine, engine::general_purpose::STANDARD};
use domain::{storage_key::StorageKey, upload::PartReceipt};

use super::{
    S3Store,
    failure::{broken, failed},
};
use crate::ports::blob_store::{BlobError, MultipartId};

/// A part that S3 has.
#[derive(Debug, Clone)]
pub(super) struct StoredPart {
    pub(super) receipt: PartReceipt,
    etag: String,
}

impl StoredPart {
    /// What completion says of it.
    pub(super) fn completed(&self) -> CompletedPart {
        CompletedPart::builder()
            .part_number(i32::try_from(self.receipt.number).unwrap_or(i32::MAX))
            .e_tag(&self.etag)
            .checksum_crc32_c(to_base64(self.receipt.crc32c))
            .build()
    }

    fn read(part: &Part) -> Result<Self, BlobError> {
        let number = part.part_number.and_then(|number| u32::try_from(number).ok());
        let size = part.size.and_then(|size| u64::try_from(size).ok());
        let crc32c = part.checksum_crc32_c.as_deref().and_then(from_base64);
        match (number, size, crc32c, &part.e_tag) {
            (Some(number), Some(size), Some(crc32c), Some(etag)) => {
                Ok(Self { receipt: PartReceipt { number, size, crc32c }, etag: etag.clone() })
            }
            _ => Err(broken("the store lists a part without its CRC32C; it must be one that keeps the checksums of parts")),
        }
    }
}

/// A sum as S3 writes it: its four bytes, highest first, in base64.
pub(super) fn to_base64(crc32c: u32) -> String {
    STANDARD.encode(crc32c.to_be_bytes())
}

fn from_base64(text: &str) -> Option<u32> {
    STANDARD.decode(text).ok()?.try_into().ok().map(u32::from_be_bytes)
}

impl S3Store {
    /// All parts, by number. [`BlobError::NotFound`] where the upload is not on its way (any more).
    pub(super) async fn parts(&self, key: &StorageKey, upload: &MultipartId) -> Result<Vec<StoredPart>, BlobError> {
        let request = self.short.list_parts().bucket(self.bucket(key)).key(key.to_string()).upload_id(&upload.0);
        let mut listed = request.into_paginator().items().send();
        let mut parts = Vec::new();
        while let Some(part) = listed.next().await {
            parts.push(StoredPart::read(&part.map_err(failed("ListParts"))?)?);
        }
        parts.sort_unstable_by_key(|part| part.receipt.number);
        Ok(parts)
    }

    /// One part, if S3 has it.
    pub(super) async fn part(&self, key: &StorageKey, upload: &MultipartId, number: u32) -> Result<Option<StoredPart>, BlobError> {
        let request = self.short.list_parts().bucket(self.bucket(key)).key(key.to_string()).upload_id(&upload.0);
        let from = number.saturating_sub(1).to_string();
        let answer = request.part_number_marker(from).max_parts(1).send().await.map_err(failed("ListParts"))?;
        let part = answer.parts().first().map(StoredPart::read).transpose()?;
        Ok(part.filter(|part| part.receipt.number == number))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_written_as_s3_writes_them() {
        // The check value of CRC32C, over "123456789".
        assert_eq!(to_base64(0xe306_9283), "4waSgw==");
        assert_eq!(from_base64("4waSgw=="), Some(0xe306_9283));
        assert_eq!(from_base64("4waS"), None);
        assert_eq!(from_base64("4waSgw==-3"), None);
    }
}
