//! Published bytes on their way to viewers. What is asked for stays in memory, within a limit, and goes out from there without being copied; what
//! finds no room there is read piece by piece. Who may have it was decided before: nothing here knows of rights, so [`Delivery`] is asked only
//! about a request that has been let in.

use std::sync::Arc;

use domain::storage_key::StorageKey;

use crate::{
    ports::blob_store::{BlobError, BlobRead, BlobStore, ByteRange},
    services::packages::{Made, Packages},
};

mod local_file;
pub mod media_cache;
mod newcomers;
mod object;
mod opening;
mod pieces;
mod room;
mod source;

pub use self::object::{Object, etag};
use self::{
    local_file::LocalFile,
    media_cache::{Found, MediaCache, ReadNow},
    pieces::Pieces,
};

/// How an object goes out.
#[derive(Debug)]
pub enum Outgoing {
    /// Out of memory.
    Object(Arc<Object>),
    /// Piece by piece, out of a file: for [`Delivery::pieces`].
    File(OpenFile),
    /// Piece by piece, from elsewhere: for [`Delivery::stream`].
    Stream,
}

/// An object's file, or the source that it is cut out of, open.
#[derive(Debug)]
pub struct OpenFile(LocalFile);

impl OpenFile {
    /// Bytes in it.
    pub const fn size(&self) -> u64 {
        self.0.size()
    }
}

/// Objects of the store, through the memory of this process. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Delivery {
    store: Arc<dyn BlobStore>,
    packages: Packages,
    cache: MediaCache,
    pieces: Pieces,
}

impl Delivery {
    /// Delivers what is in `store`, and what `packages` make of sources there; keeps what is asked for in `cache`.
    pub fn new(store: Arc<dyn BlobStore>, packages: Packages, cache: MediaCache) -> Self {
        Self { store, packages, cache, pieces: Pieces::default() }
    }

    /// What is made of sources.
    pub fn packages(&self) -> &Packages {
        &self.packages
    }

    /// What is kept.
    pub fn cache(&self) -> &MediaCache {
        &self.cache
    }

    /// An object, where nothing has to be waited for: it is in memory, ours or the system's.
    pub fn now(&self, key: &StorageKey) -> Option<Outgoing> {
        if let Some(object) = self.cache.get(key) {
            return Some(Outgoing::Object(object));
        }
        if self.cache.is_coming(key) {
            return None;
        }
        let file = if source::is_made(&self.packages, key) {
            source::cut_now(&*self.store, &self.packages, key)
        } else {
            LocalFile::open_now(&self.store.local_path(key)?)
        };
        self.read_now(key, file?)
    }

    fn read_now(&self, key: &StorageKey, file: LocalFile) -> Option<Outgoing> {
        match self.cache.read_now(key, file) {
            ReadNow::Object(object) => Some(Outgoing::Object(object)),
            ReadNow::NoRoom(file) => Some(Outgoing::File(OpenFile(file))),
            ReadNow::Coming => None,
        }
    }

    /// An object, as it is to be sent: what lies in a file gets a place in memory when it is asked for again.
    ///
    /// # Errors
    /// It cannot be read.
    pub async fn outgoing(&self, key: &StorageKey) -> Result<Outgoing, BlobError> {
        if let Some(now) = self.now(key) {
            return Ok(now);
        }
        if !source::is_made(&self.packages, key)
            && !self.cache.is_coming(key)
            && let Some(path) = self.store.local_path(key)
        {
            match LocalFile::open(path).await {
                Ok(file) => {
                    if let Some(now) = self.read_now(key, file) {
                        return Ok(now);
                    }
                }
                // It may be made.
                Err(BlobError::NotFound) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(self.object(key).await?.map_or(Outgoing::Stream, Outgoing::Object))
    }

    /// An object as a whole: out of memory, or from where it lies, which is asked once however many ask here at once. `None` where it is too large
    /// to be kept, or where slow readers hold all the room there is: then it is for [`Delivery::stream`].
    ///
    /// # Errors
    /// It cannot be read.
    pub async fn object(&self, key: &StorageKey) -> Result<Option<Arc<Object>>, BlobError> {
        let fill = source::obtain(Arc::clone(&self.store), self.packages.clone(), self.cache.clone(), key.clone());
        match self.cache.obtain(key, fill).await? {
            Found::Object(object) => Ok(Some(object)),
            Found::NoRoom => Ok(None),
        }
    }

    /// A file or a range of it, piece by piece.
    ///
    /// # Errors
    /// [`BlobError::RangeNotSatisfiable`].
    pub fn pieces(&self, file: OpenFile, range: Option<ByteRange>) -> Result<BlobRead, BlobError> {
        self.pieces.read(file.0, range)
    }

    /// An object or a range of it, piece by piece and past the cache.
    ///
    /// # Errors
    /// It cannot be read.
    pub async fn stream(&self, key: &StorageKey, range: Option<ByteRange>) -> Result<BlobRead, BlobError> {
        if let Some(made) = self.made(key).await? {
            return made.stream(range).await;
        }
        let stored = match self.store.local_path(key) {
            Some(path) => LocalFile::open(path).await.and_then(|file| self.pieces.read(file, range)),
            None => self.store.get(key, range).await,
        };
        match stored {
            Err(BlobError::NotFound) => source::make(&self.packages, key).await?.stream(range).await,
            stored => stored,
        }
    }

    /// The size of an object in bytes.
    ///
    /// # Errors
    /// It cannot be told.
    pub async fn size(&self, key: &StorageKey) -> Result<u64, BlobError> {
        match self.made(key).await? {
            Some(made) => Ok(made.size()),
            None => match self.store.size(key).await {
                Err(BlobError::NotFound) => Ok(source::make(&self.packages, key).await?.size()),
                size => size,
            },
        }
    }

    /// What is known to be made and not stored.
    async fn made(&self, key: &StorageKey) -> Result<Option<Made>, BlobError> {
        if source::is_made(&self.packages, key) { source::make(&self.packages, key).await.map(Some) } else { Ok(None) }
    }
}
