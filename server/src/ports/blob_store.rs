//! Where bytes live: sources while they arrive and after, and published objects. Names are [`StorageKey`]s only.

use std::{
    collections::HashMap,
    fmt::{Debug, Display},
    ops::Range,
    path::{Path, PathBuf},
};

use bytes::Bytes;
use domain::{
    ids::{GenerationId, UploadId},
    storage_key::StorageKey,
    upload::{PART_SIZE_MIN, PartPlan, PartReceipt, PartTarget},
};
use futures::stream::BoxStream;
use tokio::sync::watch;
use uuid::Uuid;

/// Bytes in pieces, in order.
pub type ByteStream = BoxStream<'static, std::io::Result<Bytes>>;

/// What a store can fail with. Adapters keep their own details and log them where they map them to this.
#[derive(Debug, thiserror::Error)]
pub enum BlobError {
    /// No such object, upload or part.
    #[error("not found in the store")]
    NotFound,
    /// The bytes differ from the checksum given with them. Nothing was kept.
    #[error("checksum mismatch")]
    ChecksumMismatch,
    /// More or fewer bytes than announced. Nothing was kept.
    #[error("wrong number of bytes")]
    SizeMismatch,
    /// Parts are missing; their numbers.
    #[error("{} parts are missing", .0.len())]
    PartsMissing(Vec<u32>),
    /// The range starts behind the object's end; its size in bytes.
    #[error("range behind the end of {0} bytes")]
    RangeNotSatisfiable(u64),
    /// The sender stopped or its connection broke. Nothing was kept.
    #[error("the body broke off: {0}")]
    BodyInterrupted(String),
    /// An appender is somewhere else than the upload; where the upload is.
    #[error("{0} bytes are safe, which is not where the sender goes on")]
    OffsetMismatch(u64),
    /// The upload was begun in parts and is gone on with by appending, or the other way round.
    #[error("the upload was begun in another way")]
    BegunOtherwise,
    /// Somebody else has the upload and does not let go of it.
    #[error("somebody else has the upload")]
    Busy,
    /// No space left.
    #[error("the store is full")]
    Full,
    /// Anything else; a new try may help.
    #[error("the store failed: {0}")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// A store's own name for an unfinished upload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MultipartId(pub String);

/// First and last byte asked for, both included, as in HTTP; an absent last byte means "to the end".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ByteRange {
    /// First byte.
    pub first: u64,
    /// Last byte, included; may lie behind the end.
    pub last: Option<u64>,
}

/// A read: what comes and what it is a part of.
pub struct BlobRead {
    /// Bytes in the whole object.
    pub size: u64,
    /// First byte of `body` in the object.
    pub offset: u64,
    /// Bytes in `body`.
    pub length: u64,
    /// The bytes.
    pub body: ByteStream,
}

impl Debug for BlobRead {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BlobRead")
            .field("size", &self.size)
            .field("offset", &self.offset)
            .field("length", &self.length)
            .finish_non_exhaustive()
    }
}

/// A store of immutable objects with multipart uploads.
///
/// What a caller may rely on: a part or object that was acknowledged survives a crash; an object is visible whole or not at
/// all; an interrupted write leaves nothing visible.
#[async_trait::async_trait]
pub trait BlobStore: Debug + Display + Send + Sync {
    /// Opens an upload to `key`, cut as `plan` says.
    async fn begin_multipart(&self, key: &StorageKey, plan: PartPlan) -> Result<MultipartId, BlobError>;

    /// The least that a part may have that is not the last one, in bytes.
    fn least_part(&self) -> u64 {
        PART_SIZE_MIN
    }

    /// Takes a part. A part that is safe stays as it is: the same bytes sent again are acknowledged again, others are refused. Of two
    /// senders of one part the later one wins, and their bytes never mix.
    ///
    /// The caller has checked that `number` is in the plan; the store checks length and checksum.
    async fn put_part(
        &self,
        key: &StorageKey,
        upload: &MultipartId,
        plan: PartPlan,
        number: u32,
        crc32c: u32,
        body: ByteStream,
    ) -> Result<PartReceipt, BlobError>;

    /// The parts that are safe, by number.
    async fn list_parts(&self, key: &StorageKey, upload: &MultipartId) -> Result<Vec<PartReceipt>, BlobError>;

    /// Makes the object of its parts. Doing it again after it has worked works again.
    async fn complete_multipart(&self, key: &StorageKey, upload: &MultipartId, plan: PartPlan) -> Result<(), BlobError>;

    /// Forgets an unfinished upload and frees its space. No error where there is none.
    async fn abort_multipart(&self, key: &StorageKey, upload: &MultipartId) -> Result<(), BlobError>;

    /// Stores a body of unknown length, in bounded memory; returns its length. More than `max_size` bytes is [`BlobError::SizeMismatch`].
    async fn put_stream(&self, key: &StorageKey, body: ByteStream, max_size: u64) -> Result<u64, BlobError>;

    /// Stores a finished local file; the file may be moved away.
    async fn put_file(&self, key: &StorageKey, file: &Path) -> Result<(), BlobError>;

    /// Reads an object or a range of it.
    async fn get(&self, key: &StorageKey, range: Option<ByteRange>) -> Result<BlobRead, BlobError>;

    /// The size of an object in bytes.
    async fn size(&self, key: &StorageKey) -> Result<u64, BlobError>;

    /// All objects of a generation: their paths below it, with their sizes in bytes. Empty where there are none.
    async fn list_generation(&self, generation: GenerationId) -> Result<HashMap<String, u64>, BlobError>;

    /// Deletes an object. No error where there is none.
    async fn delete(&self, key: &StorageKey) -> Result<(), BlobError>;

    /// Deletes everything below a prefix that ends in `/`. No error where there is nothing.
    async fn delete_prefix(&self, prefix: &str) -> Result<(), BlobError>;

    /// Whether the store takes what it is given: by writing where that leaves nothing behind, else by asking for an object that nobody has.
    async fn check(&self) -> Result<(), BlobError> {
        match self.size(&StorageKey::Source { upload: UploadId(Uuid::nil()) }).await {
            Ok(_) | Err(BlobError::NotFound) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// The object's URL in the store's own terms (`file:` or `s3:`), for the database.
    fn url(&self, key: &StorageKey) -> String;

    /// The object as a local file, for stores that have one; others are read through [`BlobStore::get`].
    fn local_path(&self, key: &StorageKey) -> Option<PathBuf>;

    /// The ability to say what is there, whoever put it there, for stores that have it.
    fn inventory(&self) -> Option<&dyn Inventory> {
        None
    }

    /// The ability to say how much room is left, for stores that have an end.
    fn measure(&self) -> Option<&dyn MeasureRoom> {
        None
    }

    /// The ability to take parts without us in between, for stores that have it.
    fn presigner(&self) -> Option<&dyn PresignParts> {
        None
    }

    /// The ability to read what has arrived of an upload that is not complete, for stores that have it.
    fn arriving(&self) -> Option<&dyn ReadArriving> {
        None
    }

    /// The ability to take a file from its first byte to its last, cut wherever its sender likes, for stores that have it.
    fn appender(&self) -> Option<&dyn AppendBytes> {
        None
    }
}

/// One object, as it stands in the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its path. Not every path is a [`StorageKey`]: somebody else may have put something there.
    pub path: String,
    /// Its size in bytes.
    pub size: u64,
    /// When it was last written, in milliseconds of the Unix epoch.
    pub written_ms: i64,
}

/// Some of the objects below a prefix.
#[derive(Debug, Default)]
pub struct Listing {
    /// The objects.
    pub objects: Vec<Listed>,
    /// Ask with this for the next ones; `None` where there are no more.
    pub next: Option<String>,
}

/// An upload that was begun and neither completed nor aborted, as it stands in the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unfinished {
    /// The store's name for it.
    pub id: MultipartId,
    /// Where its bytes would go; `None` where the store cannot tell: a body that came in one request.
    pub key: Option<StorageKey>,
    /// When something of it was last written, or when it was begun, in milliseconds of the Unix epoch.
    pub touched_ms: i64,
}

/// An optional ability of a store: it can be looked through.
#[async_trait::async_trait]
pub trait Inventory: Send + Sync {
    /// Objects below `sources/` or `published/`, about a thousand at once, from where `next` of the listing before says.
    async fn list_objects(&self, prefix: &str, from: Option<String>) -> Result<Listing, BlobError>;

    /// All uploads that are on their way, or were and have been forgotten.
    async fn list_unfinished(&self) -> Result<Vec<Unfinished>, BlobError>;
}

/// The room on a disk, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// In all.
    pub total: u64,
    /// What can still be written.
    pub free: u64,
}

/// An optional ability of a store: it knows how much room is left.
#[async_trait::async_trait]
pub trait MeasureRoom: Send + Sync {
    /// The room that is left, less what has been promised to unfinished uploads and not been taken from the disk yet.
    async fn room(&self) -> Result<Room, BlobError>;
}

/// An optional ability of a store: clients send parts straight to it, by URLs that we sign.
#[async_trait::async_trait]
pub trait PresignParts: Send + Sync {
    /// Where a client may PUT a part with this checksum, for a limited time. The store itself refuses other bytes. A part that is safe stays as it
    /// is: [`PartTarget::Safe`] for the same checksum, [`BlobError::ChecksumMismatch`] for another. Of two places that were given out for different
    /// bytes of one part before either was safe, the one used later wins.
    ///
    /// The caller has checked that `number` is in the plan.
    async fn presign_part(
        &self,
        key: &StorageKey,
        upload: &MultipartId,
        plan: PartPlan,
        number: u32,
        crc32c: u32,
    ) -> Result<PartTarget, BlobError>;

    /// What every URL of a part begins with, so that pages may be allowed to reach it; absent where the store cannot tell.
    fn destination(&self) -> Option<String>;
}

/// What has arrived of an upload.
#[derive(Debug, Clone)]
pub struct Arriving {
    /// The file that the parts are written into, at their places.
    pub file: PathBuf,
    /// Ranges of it that are safe, in no order. Nothing else in it means anything.
    pub safe: Vec<Range<u64>>,
}

/// An optional ability of a store: an upload can be read while it arrives.
#[async_trait::async_trait]
pub trait ReadArriving: Send + Sync {
    /// What has arrived of an upload so far. [`BlobError::NotFound`]: it is complete, or was forgotten.
    async fn arrived(&self, upload: &MultipartId, plan: PartPlan) -> Result<Arriving, BlobError>;
}

/// What is kept of a body that breaks off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// What has arrived.
    WhatArrives,
    /// Nothing: only its end shows whether its bytes are right.
    TheWhole,
}

/// An optional ability of a store: bytes are appended to an upload, one sender at a time, however long each request's body is.
///
/// Such an upload has the same plan, list of parts and completion as one that comes in parts: a part is in the list once it is filled.
#[async_trait::async_trait]
pub trait AppendBytes: Send + Sync {
    /// Opens an upload to `key` that is appended to. [`BlobStore::put_part`] refuses it.
    async fn begin_append(&self, key: &StorageKey, plan: PartPlan) -> Result<MultipartId, BlobError>;

    /// How many bytes are safe. Whoever appends is stopped before, and what had arrived is kept and counted.
    async fn appended(&self, upload: &MultipartId) -> Result<u64, BlobError>;

    /// How many bytes were safe a moment ago. Whoever appends goes on.
    async fn safe_so_far(&self, upload: &MultipartId) -> Result<u64, BlobError>;

    /// Appends a body behind the first `offset` bytes, which have to be those that are safe; says how many are safe then. Whoever was
    /// appending is stopped before. `safe` hears of bytes that are safe while more are on their way. At most a part's length of what had
    /// arrived is lost where this process dies.
    async fn append(
        &self,
        upload: &MultipartId,
        plan: PartPlan,
        offset: u64,
        keep: Keep,
        body: ByteStream,
        safe: &watch::Sender<u64>,
    ) -> Result<u64, BlobError>;
}
