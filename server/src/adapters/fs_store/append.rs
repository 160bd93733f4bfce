//! Appending to an upload: bytes are written behind one another into the same preallocated file that parts go into, and noted in the same
//! ledger once they are on the disk.

use std::{path::PathBuf, sync::Arc, time::Duration};

use domain::{
    storage_key::StorageKey,
    upload::{PartPlan, PartReceipt},
};
use futures::StreamExt;
use tokio::{sync::watch, time::timeout};

use super::{
    FsStore,
    disk::{Writing, blocking, disk},
    gathering::{Buffers, Gathering, Load},
    ledger::Ledger,
};
use crate::{
    adapters::part_locks::Turn,
    crc32c, failpoints,
    ports::blob_store::{AppendBytes, BlobError, ByteStream, Keep, MultipartId},
};

/// What appenders take turns for, beside the numbers of parts.
const APPENDING: u32 = u32::MAX;
/// How long an appender that was told to stop may take to bring to the disk what it has.
const LETS_GO_WITHIN: Duration = Duration::from_secs(15);
/// How often, and how often again, a file is tried to be locked that seems to be another process's.
const LOCK_TRIES: u32 = 50;
const LOCK_AGAIN: Duration = Duration::from_millis(20);

/// An upload in one appender's hands.
struct Appending {
    writing: Arc<Writing>,
    folder: PathBuf,
    plan: PartPlan,
    /// Parts that were filled and are not noted yet.
    filled: Vec<PartReceipt>,
    /// The part that is being filled, as far as it is written.
    filling: PartReceipt,
    /// Bytes that have arrived and are not written yet.
    gathering: Gathering,
    /// The bytes that are noted.
    noted: u64,
}

impl Appending {
    /// The bytes that are written, with or without a note.
    fn offset(&self) -> u64 {
        // Behind the last part, which is short, there is nothing.
        (u64::from(self.filling.number - 1) * self.plan.part_size + self.filling.size).min(self.plan.file_size)
    }

    /// Writes a load, and accounts for it.
    async fn write(&mut self, load: Load, buffers: &Buffers) -> Result<(), BlobError> {
        let load = load.write(&self.writing, self.offset()).await?;
        self.count(&load);
        buffers.take_back(load);
        Ok(())
    }

    /// Writes what has arrived and was not enough to be written.
    async fn write_rest(&mut self, buffers: &Buffers) -> Result<(), BlobError> {
        match self.gathering.rest() {
            Some(load) => self.write(load, buffers).await,
            None => Ok(()),
        }
    }

    /// Accounts for bytes that are written.
    fn count(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let (_, length) = self.plan.part_range(self.filling.number).unwrap_or_default();
            let room = usize::try_from(length - self.filling.size).unwrap_or(usize::MAX);
            let (piece, rest) = bytes.split_at(room.min(bytes.len()));
            bytes = rest;
            self.filling.size += piece.len() as u64;
            self.filling.crc32c = crc32c::append(self.filling.crc32c, piece);
            if self.filling.size == length {
                let next = PartReceipt { number: self.filling.number + 1, size: 0, crc32c: 0 };
                self.filled.push(std::mem::replace(&mut self.filling, next));
            }
        }
    }

    /// Brings to the disk what is written, then notes it: from now on it is safe.
    async fn note(&mut self) -> Result<u64, BlobError> {
        let (writing, folder) = (Arc::clone(&self.writing), self.folder.clone());
        let (filled, filling) = (std::mem::take(&mut self.filled), self.filling.clone());
        blocking(move || {
            writing.file.sync_data().map_err(disk)?;
            failpoints::pass("upload.append.synced");
            Ledger::record_appended(&folder, &filled, &filling).map_err(disk)?;
            failpoints::pass("upload.append.recorded");
            Ok(())
        })
        .await?;
        self.noted = self.offset();
        Ok(self.noted)
    }

    /// Takes a body until it ends or `evicted` says that somebody else goes on.
    async fn take(
        &mut self,
        mut body: ByteStream,
        keep: Keep,
        evicted: impl Future<Output = ()>,
        safe: &watch::Sender<u64>,
        buffers: &Buffers,
    ) -> Result<(), BlobError> {
        tokio::pin!(evicted);
        let mut room = self.plan.file_size - self.offset();
        loop {
            let piece = tokio::select! {
                () = &mut evicted => return Err(BlobError::BodyInterrupted("somebody else goes on with the upload".into())),
                piece = body.next() => piece.transpose().map_err(|error| BlobError::BodyInterrupted(error.to_string()))?,
            };
            let Some(mut piece) = piece else { return Ok(()) };
            room = room.checked_sub(piece.len() as u64).ok_or(BlobError::SizeMismatch)?;
            while !piece.is_empty() {
                let Some(load) = self.gathering.take(&mut piece, buffers) else { break };
                self.write(load, buffers).await?;
                if keep == Keep::WhatArrives && !self.filled.is_empty() {
                    safe.send_replace(self.note().await?);
                }
            }
        }
    }
}

/// Locks a file for this process. A program that is just being started has, for a moment, all that was open before, and with it a lock that
/// was let go of here: that moment is waited for.
fn lock(file: &std::fs::File) -> Result<(), BlobError> {
    for _ in 0..LOCK_TRIES {
        if rustix::fs::flock(file, rustix::fs::FlockOperation::NonBlockingLockExclusive).is_ok() {
            return Ok(());
        }
        std::thread::sleep(LOCK_AGAIN);
    }
    Err(BlobError::Busy)
}

impl FsStore {
    /// Stops whoever appends and takes its place.
    async fn take_over(&self, upload: &MultipartId) -> Result<Turn, BlobError> {
        timeout(LETS_GO_WITHIN, self.locks.take_turn(&upload.0, APPENDING)).await.map_err(|_| BlobError::Busy)
    }

    async fn open_appended(&self, upload: &MultipartId, plan: PartPlan, turn: Turn) -> Result<(Appending, Ledger), BlobError> {
        let folder = self.incoming(upload);
        blocking(move || {
            let file = std::fs::OpenOptions::new().write(true).open(folder.join("data")).map_err(disk)?;
            // Turns are this process's own; another one may serve the same folder.
            lock(&file)?;
            let ledger = Ledger::open(&folder).map_err(disk)?;
            if !ledger.is_appended() {
                return Err(BlobError::BegunOtherwise);
            }
            ledger.shorten(&folder).map_err(disk)?;
            let (filled, filling, gathering, noted) = (Vec::new(), ledger.reached(), Gathering::default(), ledger.bytes());
            let writing = Arc::new(Writing { file, _turn: Some(turn) });
            Ok((Appending { writing, folder, plan, filled, filling, gathering, noted }, ledger))
        })
        .await
    }
}

#[async_trait::async_trait]
impl AppendBytes for FsStore {
    async fn begin_append(&self, key: &StorageKey, plan: PartPlan) -> Result<MultipartId, BlobError> {
        self.begin(key, plan, Ledger::create_appended).await
    }

    async fn appended(&self, upload: &MultipartId) -> Result<u64, BlobError> {
        let _turn = self.take_over(upload).await?;
        self.safe_so_far(upload).await
    }

    async fn safe_so_far(&self, upload: &MultipartId) -> Result<u64, BlobError> {
        let folder = self.incoming(upload);
        let ledger = blocking(move || Ledger::open(&folder).map_err(disk)).await?;
        if ledger.is_appended() { Ok(ledger.bytes()) } else { Err(BlobError::BegunOtherwise) }
    }

    async fn append(
        &self,
        upload: &MultipartId,
        plan: PartPlan,
        offset: u64,
        keep: Keep,
        body: ByteStream,
        safe: &watch::Sender<u64>,
    ) -> Result<u64, BlobError> {
        let turn = self.take_over(upload).await?;
        // Where it stands is read and written under one turn: of two who go on from the same byte, the second is told to look again.
        let evicted = turn.evicted();
        let (mut appending, ledger) = self.open_appended(upload, plan, turn).await?;
        if ledger.bytes() != offset {
            return Err(BlobError::OffsetMismatch(ledger.bytes()));
        }
        let taken = appending.take(body, keep, evicted, safe, &self.buffers).await;
        if keep == Keep::TheWhole && taken.is_err() {
            return taken.map(|()| offset);
        }
        appending.write_rest(&self.buffers).await?;
        let reached = if appending.offset() > appending.noted { appending.note().await? } else { appending.noted };
        safe.send_replace(reached);
        taken.map(|()| reached)
    }
}
