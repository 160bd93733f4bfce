//! Uploads whose bytes come from the first to the last, cut wherever the client likes, as the protocol tus has them. They have the rows, limits,
//! expiry and completion of all others; the last byte completes them.

use std::sync::atomic::Ordering;

use domain::{
    error::{Code, Problem},
    ids::{UploadId, UserId, VideoId},
    storage_key::StorageKey,
    upload::{BeginUpload, bytes_in_words, check_begin},
};
use futures::StreamExt;
use tokio::sync::watch;
use tracing::Instrument;
use uuid::Uuid;

pub use super::checksum::{ALGORITHMS, Checksum};
use super::{Uploads, Way, goes_on::GoesOn, plan};
use crate::{
    clock::now_ms,
    db::entity::uploads,
    error::Result,
    ports::blob_store::{AppendBytes, BlobError, ByteStream, Keep, MultipartId},
    telemetry::{metrics, traces::Span},
};

const DAY_MS: i64 = 86_400_000;
/// What the rows of these uploads have in place of a client's fingerprint: nobody who sends parts can go on with them.
pub(super) const FINGERPRINT: &str = "tus";

/// Where an upload stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// The upload.
    pub upload: UploadId,
    /// The video it becomes.
    pub video: VideoId,
    /// Bytes in the file.
    pub size: u64,
    /// Bytes that are safe.
    pub offset: u64,
    /// Milliseconds of the Unix epoch at which it is given up, unless somebody goes on before. Nothing where it is complete.
    pub expires_at_ms: Option<i64>,
}

/// Bytes of a file, as one request brings them.
pub struct Piece {
    /// Where the client goes on.
    pub offset: u64,
    /// How many bytes there are, where the request says so.
    pub length: Option<u64>,
    /// What the bytes should come to, where the request says so.
    pub checksum: Option<Checksum>,
    /// The bytes.
    pub body: ByteStream,
}

impl std::fmt::Debug for Piece {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Piece").field("offset", &self.offset).field("length", &self.length).finish_non_exhaustive()
    }
}

impl Uploads {
    /// Whether uploads can be appended to here.
    ///
    /// # Errors
    /// The store takes parts alone.
    pub fn check_appending(&self) -> Result<()> {
        self.appender().map(|_| ())
    }

    pub(super) fn appender(&self) -> Result<&dyn AppendBytes> {
        let refusal =
            "tus works with the file store alone. This server stores uploads elsewhere: send the file in parts (/api/v1/uploads).";
        Ok(self.store.appender().ok_or_else(|| Problem::new(Code::NotOffered, refusal))?)
    }

    /// Begins an upload that is appended to.
    ///
    /// # Errors
    /// As [`Uploads::begin`], and where the store takes parts alone.
    pub async fn begin_appending(&self, user: UserId, begin: &BeginUpload) -> Result<Standing> {
        self.check_appending()?;
        check_begin(begin, self.limits.max_size)?;
        let begin = BeginUpload { fingerprint: Some(FINGERPRINT.to_owned()), ..begin.clone() };
        let ticket = self.begin_as(user, UploadId(Uuid::now_v7()), &begin, Way::Appending).await?;
        let expires_at_ms = Some(self.expiry(now_ms()));
        Ok(Standing { upload: ticket.upload_id, video: ticket.video_id, size: begin.size, offset: 0, expires_at_ms })
    }

    /// Where an upload stands. Whoever is sending to it is stopped before, and what had arrived counts. An upload of which all is there, whose
    /// completion was interrupted, is completed.
    ///
    /// # Errors
    /// The upload is not there, not the user's, or comes in parts.
    pub async fn standing(&self, user: UserId, upload: UploadId) -> Result<Standing> {
        let appender = self.appender()?;
        let row = self.row(user, upload).await?;
        if row.complete {
            return Ok(self.standing_at(&row, row.size_bytes.unsigned_abs()));
        }
        let offset = appender.appended(&MultipartId(row.multipart_id.clone())).await;
        self.reached(user, row, offset).await
    }

    /// Whether a piece from `offset` on may be the last one of its upload, so that it completes it. `length` is what the request says it has, where
    /// it says so.
    ///
    /// # Errors
    /// The upload is not there or not the user's.
    pub async fn may_complete(&self, user: UserId, upload: UploadId, offset: u64, length: Option<u64>) -> Result<bool> {
        let size = self.row_for_piece(user, upload).await?.size_bytes.unsigned_abs();
        Ok(length.is_none_or(|length| offset.saturating_add(length) >= size))
    }

    /// Appends bytes. What has arrived is kept where the body breaks off, unless it came with a checksum.
    ///
    /// # Errors
    /// The upload is not there, not the user's or comes in parts; it stands at another byte; there are more bytes than it has; they differ from
    /// their checksum, or break off.
    pub async fn append(&self, user: UserId, upload: UploadId, piece: Piece) -> Result<Standing> {
        // A connection that breaks takes its handler with it; what has arrived is kept all the same.
        let uploads = self.clone();
        GoesOn::new(async move { uploads.append_here(user, upload, piece).await }.in_current_span()).await
    }

    async fn append_here(&self, user: UserId, upload: UploadId, mut piece: Piece) -> Result<Standing> {
        let appender = self.appender()?;
        let mut row = self.row_for_piece(user, upload).await?;
        let (plan, offset) = (plan(&row), piece.offset);
        if row.complete && offset != plan.file_size {
            return Err(BlobError::OffsetMismatch(plan.file_size).into());
        }
        if piece.length.is_some_and(|length| offset.saturating_add(length) > plan.file_size) {
            return Err(too_many(plan.file_size).into());
        }
        if row.complete {
            let nothing_more = piece.body.next().await.is_none();
            return if nothing_more { Ok(self.standing_at(&row, plan.file_size)) } else { Err(too_many(plan.file_size).into()) };
        }
        let (keep, body, differs) = match piece.checksum {
            None => (Keep::WhatArrives, piece.body, None),
            Some(checksum) => {
                let (body, differs) = checksum.verified(piece.body);
                (Keep::TheWhole, body, Some(differs))
            }
        };
        let multipart = MultipartId(row.multipart_id.clone());
        let _span = Span::begin("upload.append", row.trace_parent.as_deref());
        let (told, mut safe) = watch::channel(offset);
        let appending = appender.append(&multipart, plan, offset, keep, body, &told);
        tokio::pin!(appending);
        let outcome = loop {
            tokio::select! {
                outcome = &mut appending => break outcome,
                Ok(()) = safe.changed() => {
                    self.note_soon(user, &row);
                    self.look_at(user, &row);
                }
            }
        };
        let arrived = *safe.borrow();
        metrics::received(arrived.saturating_sub(offset));
        if differs.is_some_and(|differs| differs.load(Ordering::Relaxed)) {
            let detail = "The bytes differ from their checksum, and nothing of them was kept. Send them again.";
            return Err(Problem::new(Code::PieceMismatch, detail).into());
        }
        if arrived > offset && arrived < plan.file_size {
            // How far the file has come is for people and for the expiry; what is safe stands in the store.
            self.note_soon(user, &row);
            self.look_at(user, &row);
            row.updated_at_ms = now_ms();
        }
        match outcome {
            Err(BlobError::SizeMismatch) => Err(too_many(plan.file_size).into()),
            // Whoever is still there to hear it was stopped by another request: asking where the upload stands, then going on, is right.
            Err(BlobError::BodyInterrupted(_)) => Err(BlobError::Busy.into()),
            outcome => self.reached(user, row, outcome).await,
        }
    }

    /// Looks whether the video plays by now.
    fn look_at(&self, user: UserId, row: &uploads::Model) {
        let (video, upload) = (VideoId(row.video_id), UploadId(row.id));
        self.next.packages.part_arrived(user, video, upload, &MultipartId(row.multipart_id.clone()), plan(row));
    }

    /// Completes an upload of which all is there.
    async fn reached(&self, user: UserId, row: uploads::Model, offset: std::result::Result<u64, BlobError>) -> Result<Standing> {
        let (upload, size) = (UploadId(row.id), row.size_bytes.unsigned_abs());
        match offset {
            Ok(offset) if offset < size => Ok(self.standing_at(&row, offset)),
            Ok(_) => {
                self.complete(user, upload).await?;
                Ok(self.standing_at(&uploads::Model { complete: true, ..row }, size))
            }
            // Another request has completed it since the row was read, and what was appended to is an object now.
            Err(BlobError::NotFound) if self.store.size(&StorageKey::Source { upload }).await.is_ok() => {
                self.complete(user, upload).await?;
                Ok(self.standing_at(&uploads::Model { complete: true, ..row }, size))
            }
            Err(error) => Err(error.into()),
        }
    }

    fn standing_at(&self, row: &uploads::Model, offset: u64) -> Standing {
        let expires_at_ms = (!row.complete).then(|| self.expiry(row.updated_at_ms));
        Standing { upload: UploadId(row.id), video: VideoId(row.video_id), size: row.size_bytes.unsigned_abs(), offset, expires_at_ms }
    }

    fn expiry(&self, active_at_ms: i64) -> i64 {
        active_at_ms + self.limits.unfinished_days * DAY_MS
    }
}

fn too_many(size: u64) -> Problem {
    Problem::new(Code::TooLarge, format!("The upload was begun with {}, and these are more.", bytes_in_words(size)))
}
