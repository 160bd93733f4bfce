//! Objects that come in one piece: a body of unknown length, or a local file. Small ones go in one request, large ones in parts, in bounded
//! memory; an upload that does not come to its end is aborted, and what even that cannot reach (the process died) the bucket's lifecycle rule
//! clears away.

use std::{
    io::{Read, Seek, SeekFrom},
    path::Path,
};

use aws_sdk_s3::{
    primitives::{ByteStream as SdkStream, Length},
    types::CompletedPart,
};
use bytes::{Bytes, BytesMut};
use domain::{
    storage_key::StorageKey,
    upload::{PART_SIZE, PartPlan},
};
use futures::{StreamExt, TryStreamExt};
use tokio::task::{JoinSet, spawn_blocking};

use super::{
    S3Store,
    failure::{broken, failed},
    multipart::{check_limits, part_number, signed},
    part_listing::to_base64,
};
use crate::ports::blob_store::{BlobError, ByteStream, MultipartId};

/// Parts of one body on their way to S3 while the next one is gathered.
const PARTS_ON_THEIR_WAY: usize = 2;
/// Files up to this size go in one request.
const ONE_REQUEST: u64 = 64 * 1024 * 1024;
/// Bytes of a file summed at once.
const SUM_BUFFER: usize = 256 * 1024;

/// Bytes of a part of a body whose length nobody knows. They double with every thousandth part: a small body costs little memory, and the
/// number of parts that S3 takes is enough for 8 TiB.
fn piece_size(number: u32) -> usize {
    const FIRST: usize = PART_SIZE as usize;
    FIRST << (number.saturating_sub(1) / 1_000).min(9)
}

/// Bytes to send, with their length and sum. The SDK can read them again for another try.
struct Piece {
    body: SdkStream,
    length: u64,
    crc32c: u32,
}

impl From<Bytes> for Piece {
    fn from(bytes: Bytes) -> Self {
        Self { length: bytes.len() as u64, crc32c: crate::crc32c::append(0, &bytes), body: SdkStream::from(bytes) }
    }
}

/// A body that is cut into pieces of one size.
struct Cutter {
    body: ByteStream,
    rest: BytesMut,
    taken: u64,
    max_size: u64,
}

impl Cutter {
    /// The next `size` bytes; fewer only at the end.
    async fn next(&mut self, size: usize) -> Result<Bytes, BlobError> {
        while self.rest.len() < size {
            let Some(chunk) = self.body.next().await else { break };
            let chunk = chunk.map_err(|error| BlobError::BodyInterrupted(error.to_string()))?;
            self.taken += chunk.len() as u64;
            if self.taken > self.max_size {
                return Err(BlobError::SizeMismatch);
            }
            self.rest.extend_from_slice(&chunk);
        }
        let at = size.min(self.rest.len());
        Ok(self.rest.split_to(at).freeze())
    }
}

/// An upload that is aborted unless it is completed, also where whoever waited for it has gone away.
struct Unfinished {
    store: S3Store,
    key: StorageKey,
    id: Option<MultipartId>,
}

impl Unfinished {
    async fn begin(store: &S3Store, key: &StorageKey) -> Result<Self, BlobError> {
        Ok(Self { store: store.clone(), key: key.clone(), id: Some(store.begin(key).await?) })
    }

    async fn finish(mut self, sent: Result<Vec<CompletedPart>, BlobError>) -> Result<(), BlobError> {
        let Some(id) = self.id.take() else { return Err(BlobError::NotFound) };
        let outcome = match sent {
            Ok(parts) => self.store.join(&self.key, &id, parts).await,
            Err(error) => Err(error),
        };
        if outcome.is_err() {
            self.abort(id).await;
        }
        outcome
    }

    async fn abort(&self, id: MultipartId) {
        if let Err(error) = self.store.abort(&self.key, &id).await {
            tracing::warn!(%error, key = %self.key, "cannot abort an upload; the bucket's lifecycle rule will");
        }
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        let (Some(id), Ok(runtime)) = (self.id.take(), tokio::runtime::Handle::try_current()) else { return };
        let left = Self { store: self.store.clone(), key: self.key.clone(), id: None };
        runtime.spawn(async move { left.abort(id).await });
    }
}

impl S3Store {
    pub(super) async fn take_stream(&self, key: &StorageKey, body: ByteStream, max_size: u64) -> Result<u64, BlobError> {
        let mut cutter = Cutter { body, rest: BytesMut::new(), taken: 0, max_size };
        let first = cutter.next(piece_size(1)).await?;
        if first.len() < piece_size(1) {
            self.put_whole(key, first.into()).await?;
            return Ok(cutter.taken);
        }
        let upload = Unfinished::begin(self, key).await?;
        let sent = self.send_parts(&upload, first, &mut cutter).await;
        upload.finish(sent).await?;
        Ok(cutter.taken)
    }

    async fn send_parts(&self, upload: &Unfinished, first: Bytes, cutter: &mut Cutter) -> Result<Vec<CompletedPart>, BlobError> {
        let Some(id) = &upload.id else { return Err(BlobError::NotFound) };
        // Tasks, so that parts go on while the body is read; they end with the set.
        let (mut going, mut sent) = (JoinSet::new(), Vec::new());
        let (mut piece, mut number) = (first, 1);
        while !piece.is_empty() {
            if going.len() == PARTS_ON_THEIR_WAY {
                sent.extend(joined(going.join_next().await)?);
            }
            let (store, key, id) = (self.clone(), upload.key.clone(), id.clone());
            going.spawn(async move { store.send_piece(&key, &id, number, piece.into()).await });
            number += 1;
            piece = cutter.next(piece_size(number)).await?;
        }
        while !going.is_empty() {
            sent.extend(joined(going.join_next().await)?);
        }
        sent.sort_unstable_by_key(CompletedPart::part_number);
        Ok(sent)
    }

    pub(super) async fn take_file(&self, key: &StorageKey, file: &Path) -> Result<(), BlobError> {
        let size = tokio::fs::metadata(file).await.map_err(unreadable)?.len();
        if size <= ONE_REQUEST {
            return self.put_whole(key, piece_of(file, 0, size).await?).await;
        }
        let plan = PartPlan::for_size(size);
        check_limits(plan)?;
        let upload = Unfinished::begin(self, key).await?;
        let sent = self.send_file(&upload, file, plan).await;
        upload.finish(sent).await
    }

    async fn send_file(&self, upload: &Unfinished, file: &Path, plan: PartPlan) -> Result<Vec<CompletedPart>, BlobError> {
        let Some(id) = &upload.id else { return Err(BlobError::NotFound) };
        let ranges = (1..=plan.part_count()).filter_map(|number| Some((number, plan.part_range(number)?)));
        let parts = ranges
            .map(async |(number, (offset, length))| self.send_piece(&upload.key, id, number, piece_of(file, offset, length).await?).await);
        futures::stream::iter(parts).buffered(PARTS_ON_THEIR_WAY).try_collect().await
    }

    async fn put_whole(&self, key: &StorageKey, piece: Piece) -> Result<(), BlobError> {
        let encryption = &self.options.encryption;
        self.long
            .put_object()
            .bucket(self.bucket(key))
            .key(key.to_string())
            .content_length(signed(piece.length))
            .checksum_crc32_c(to_base64(piece.crc32c))
            .content_type(key.content_type())
            .cache_control(key.cache_control())
            .set_server_side_encryption(encryption.algorithm())
            .set_ssekms_key_id(encryption.key())
            .body(piece.body)
            .send()
            .await
            .map_err(failed("PutObject"))?;
        Ok(())
    }

    async fn send_piece(&self, key: &StorageKey, upload: &MultipartId, number: u32, piece: Piece) -> Result<CompletedPart, BlobError> {
        let request = self.upload_part(&self.long, key, upload, (number, piece.length, piece.crc32c));
        let answer = request.body(piece.body).send().await.map_err(failed("UploadPart"))?;
        let etag = answer.e_tag.ok_or_else(|| broken("the store took a part without an ETag"))?;
        Ok(CompletedPart::builder().part_number(part_number(number)).e_tag(etag).checksum_crc32_c(to_base64(piece.crc32c)).build())
    }
}

fn joined(ended: Option<Result<Result<CompletedPart, BlobError>, tokio::task::JoinError>>) -> Result<Option<CompletedPart>, BlobError> {
    ended.map(|ended| ended.unwrap_or_else(|error| Err(broken(error.to_string())))).transpose()
}

fn unreadable(error: std::io::Error) -> BlobError {
    BlobError::Unavailable(Box::new(error))
}

/// A piece of a local file: read twice, once for its sum, which has to go first.
async fn piece_of(file: &Path, offset: u64, length: u64) -> Result<Piece, BlobError> {
    let path = file.to_path_buf();
    let sum = spawn_blocking(move || sum_of(&path, offset, length)).await.map_err(|error| broken(error.to_string()))?;
    let body = SdkStream::read_from().path(file).offset(offset).length(Length::Exact(length)).build().await;
    Ok(Piece { body: body.map_err(|error| broken(error.to_string()))?, length, crc32c: sum.map_err(unreadable)? })
}

fn sum_of(file: &Path, offset: u64, length: u64) -> std::io::Result<u32> {
    let mut file = std::fs::File::open(file)?;
    file.seek(SeekFrom::Start(offset))?;
    let (mut bytes, mut buffer, mut sum) = (file.take(length), vec![0; SUM_BUFFER], 0);
    loop {
        match bytes.read(&mut buffer)? {
            0 => return Ok(sum),
            count => sum = crate::crc32c::append(sum, buffer.get(..count).unwrap_or_default()),
        }
    }
}
