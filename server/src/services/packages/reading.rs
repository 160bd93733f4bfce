//! How a packaged source is read: by position where it is a local file, by ranged reads from any other store.

use std::{fs::File, io::ErrorKind, ops::Range, os::unix::fs::FileExt, path::PathBuf, sync::Arc};

use bytes::{Bytes, BytesMut};
use domain::ids::GenerationId;
use futures::TryStreamExt;
use tokio::task::spawn_blocking;

use super::{NotPackaged, source_key};
use crate::{
    packager::{Arrived, Limits, Opening, Package, Source},
    ports::blob_store::{Arriving, BlobError, BlobStore, ByteRange},
};

/// Bytes that are read over between two ranges rather than asking twice: the sound between the samples of a picture.
const LOCAL_GAP: u64 = 64 << 10;
/// A request over a network costs as much as a megabyte.
const REMOTE_GAP: u64 = 1 << 20;
/// Reads of one source's tables over a network: a film in thousands of fragments goes to the encoder.
const REMOTE_READS: u32 = 64;

/// A source that is being read.
#[derive(Debug, Clone)]
pub(super) enum Reading {
    /// A local file.
    Local(Arc<File>),
    /// A local file of which this much has arrived.
    Arriving(Arc<File>, Arrived),
    /// An object somewhere else.
    Remote(Arc<dyn BlobStore>, GenerationId),
}

impl Reading {
    /// Opens the source that a generation is packaged from.
    pub(super) async fn open(store: &Arc<dyn BlobStore>, generation: GenerationId) -> Result<Self, BlobError> {
        let Some(path) = store.local_path(&source_key(generation)) else { return Ok(Self::Remote(Arc::clone(store), generation)) };
        let open = move |path: PathBuf| match File::open(path) {
            Ok(file) => Ok(Self::Local(Arc::new(file))),
            Err(error) if error.kind() == ErrorKind::NotFound => Err(BlobError::NotFound),
            Err(error) => Err(unavailable(error)),
        };
        spawn_blocking(move || open(path)).await.map_err(unavailable)?
    }

    /// Opens what has arrived of an upload.
    pub(super) async fn arriving(arriving: Arriving) -> Result<Self, BlobError> {
        let arrived = arriving.safe.into_iter().collect();
        spawn_blocking(move || match File::open(arriving.file) {
            Ok(file) => Ok(Self::Arriving(Arc::new(file), arrived)),
            Err(error) if error.kind() == ErrorKind::NotFound => Err(BlobError::NotFound),
            Err(error) => Err(unavailable(error)),
        })
        .await
        .map_err(unavailable)?
    }

    /// Bytes of the whole source, where the file says so: an upload's has its whole length from the beginning.
    pub(super) async fn size(&self) -> Result<Option<u64>, BlobError> {
        match self {
            Self::Local(file) | Self::Arriving(file, _) => {
                let file = Arc::clone(file);
                let size = spawn_blocking(move || file.metadata().map(|metadata| metadata.len())).await.map_err(unavailable)?;
                size.map(Some).map_err(unavailable)
            }
            Self::Remote(..) => Ok(None),
        }
    }

    /// The file, where it is a local one.
    pub(super) fn file(&self) -> Option<Arc<File>> {
        match self {
            Self::Local(file) | Self::Arriving(file, _) => Some(Arc::clone(file)),
            Self::Remote(..) => None,
        }
    }

    /// Whether all of these ranges are there.
    pub(super) fn has(&self, ranges: &[Range<u64>]) -> bool {
        match self {
            Self::Local(_) | Self::Remote(..) => true,
            Self::Arriving(_, arrived) => ranges.iter().all(|range| arrived.covers(range)),
        }
    }

    /// Reads the tables. That takes time with long films, so it keeps no thread from others' requests.
    pub(super) async fn package(&self, size: u64) -> Result<Package, NotPackaged> {
        let mut limits = Limits::default();
        if matches!(self, Self::Remote(..)) {
            limits.reads = REMOTE_READS;
        }
        let mut opening = Opening::new(size, limits);
        loop {
            let bytes = self.read(opening.wants()).await?;
            let step = move || {
                let taken = opening.take(&bytes);
                (opening, taken)
            };
            let (next, taken) = spawn_blocking(step).await.map_err(unavailable)?;
            if let Some(package) = taken? {
                return Ok(package);
            }
            opening = next;
        }
    }

    /// Bytes to read over between two ranges.
    pub(super) const fn gap(&self) -> u64 {
        match self {
            Self::Local(_) | Self::Arriving(..) => LOCAL_GAP,
            Self::Remote(..) => REMOTE_GAP,
        }
    }
}

impl Source for Reading {
    type Error = BlobError;

    async fn read(&self, range: Range<u64>) -> Result<Bytes, BlobError> {
        if range.is_empty() {
            return Ok(Bytes::new());
        }
        match self {
            Self::Local(file) | Self::Arriving(file, _) => {
                let file = Arc::clone(file);
                spawn_blocking(move || pread(&file, range)).await.map_err(unavailable)?
            }
            Self::Remote(store, generation) => {
                let length = range.end - range.start;
                let asked = ByteRange { first: range.start, last: Some(range.end - 1) };
                let mut read = store.get(&source_key(*generation), Some(asked)).await?;
                let mut bytes = BytesMut::with_capacity(usize::try_from(length).unwrap_or_default());
                while let Some(piece) = read.body.try_next().await.map_err(unavailable)? {
                    bytes.extend_from_slice(&piece);
                }
                Ok(bytes.freeze())
            }
        }
    }
}

pub(super) fn pread(file: &File, range: Range<u64>) -> Result<Bytes, BlobError> {
    let length = usize::try_from(range.end - range.start).map_err(unavailable)?;
    let mut bytes = vec![0; length];
    file.read_exact_at(&mut bytes, range.start).map_err(unavailable)?;
    Ok(bytes.into())
}

pub(super) fn unavailable(error: impl std::error::Error + Send + Sync + 'static) -> BlobError {
    BlobError::Unavailable(Box::new(error))
}
