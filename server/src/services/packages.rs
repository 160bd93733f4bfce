//! Videos that play before anything is encoded: a source whose own samples browsers play is served from them, cut and described on request
//! ([`crate::packager`]), as a generation that has no objects. Its id is the upload's, so that whoever asks for one of its files needs no
//! database to know where the bytes are.

use std::{sync::Arc, time::Duration};

use domain::{
    ids::{GenerationId, UploadId, UserId, VideoId},
    playlist::{Rendition, Track},
    storage_key::StorageKey,
    video::Stage,
};
use futures::{StreamExt, TryStreamExt, stream};
use sea_orm::{ColumnTrait, DatabaseConnection, EntityTrait, QueryFilter, sea_query::Expr};
use serde::{Deserialize, Serialize};
use tokio::{sync::Semaphore, time::timeout};

use crate::{
    clock::now_ms,
    db::entity::videos,
    error::{Error, Result},
    packager::{INIT_FILE, Media, Package, ReadError, Refusal, Source, segment_number},
    ports::blob_store::{BlobError, BlobStore},
    services::changes::{Change, Changes},
    telemetry::metrics,
};

mod arriving;
mod gathered;
mod keeping;
mod made;
mod reading;
mod shelf;

use self::{arriving::OnTheirWay, reading::Reading, shelf::Shelf};
pub use self::{
    arriving::There,
    gathered::Gathered,
    keeping::Kept,
    made::{Cut, Made},
};

/// How long whoever has sent the last byte waits for the answer to say that it plays. A local file takes some milliseconds.
const PROMPTLY: Duration = Duration::from_millis(500);
/// Sources opened at once; each may have tables of some megabytes to read.
const OPENED_AT_ONCE: usize = 4;
/// Bytes of a key frame that are looked at, and how many of them at once.
const BEGINNING: u64 = 4 << 10;
const BEGINNINGS_AT_ONCE: usize = 16;

/// What players need to know of a packaged video before anybody has probed its source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PackagedFacts {
    /// Length in milliseconds.
    pub duration_ms: u64,
    /// Width as shown.
    pub width: u32,
    /// Height as shown.
    pub height: u32,
}

impl PackagedFacts {
    /// Those that packaged renditions tell.
    pub fn of(renditions: &[Rendition]) -> Option<Self> {
        renditions.iter().find_map(|rendition| match rendition.track {
            Track::Video { width, height, .. } => Some(Self { duration_ms: rendition.playlist.duration_us() / 1_000, width, height }),
            Track::Audio { .. } => None,
        })
    }

    /// The facts in a row, where it is packaged.
    ///
    /// # Errors
    /// They cannot be read.
    pub fn in_row(row: &videos::Model) -> Result<Option<Self>> {
        let read = |text: &str| serde_json::from_str(text).map_err(|error| Error::broken(format!("packaged facts: {error}")));
        row.packaged_facts.as_deref().map(read).transpose()
    }
}

/// The generation that is packaged from an upload's file.
pub const fn packaged_generation(upload: UploadId) -> GenerationId {
    GenerationId(upload.0)
}

/// Why a source is not served from its own samples.
#[derive(Debug, thiserror::Error)]
enum NotPackaged {
    /// It is for the encoder.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The store fails, or has no such source.
    #[error(transparent)]
    Store(#[from] BlobError),
}

impl From<ReadError<BlobError>> for NotPackaged {
    fn from(error: ReadError<BlobError>) -> Self {
        match error {
            ReadError::Refused(refusal) => Self::Refused(refusal),
            ReadError::Source(error) => Self::Store(error),
            ReadError::WrongLength => Self::Store(BlobError::SizeMismatch),
        }
    }
}

impl From<NotPackaged> for BlobError {
    fn from(reason: NotPackaged) -> Self {
        match reason {
            NotPackaged::Refused(_) => Self::NotFound,
            NotPackaged::Store(error) => error,
        }
    }
}

/// A source that has been opened.
#[derive(Debug)]
struct Ready {
    package: Package,
    renditions: Arc<Vec<Rendition>>,
}

impl Ready {
    fn new(package: Package) -> Self {
        let renditions = Arc::new(package.renditions());
        Self { package, renditions }
    }

    /// Picture or sound, by the name of its rendition.
    fn media(&self, name: &str) -> Option<Media> {
        let rendition = self.renditions.iter().find(|rendition| rendition.name == name)?;
        Some(if matches!(rendition.track, Track::Video { .. }) { Media::Video } else { Media::Audio })
    }

    /// Bytes of memory it takes, about.
    fn memory(&self) -> usize {
        let segments: usize = self.renditions.iter().map(|rendition| rendition.playlist.segments.len()).sum();
        self.package.memory() + segments * 96
    }
}

/// Sources that are served from their own samples. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Packages {
    db: DatabaseConnection,
    store: Arc<dyn BlobStore>,
    changes: Changes,
    shelf: Shelf,
    on_their_way: OnTheirWay,
    turns: Arc<Semaphore>,
    /// Whether whoever delivers can be given what is no object.
    deliverable: bool,
}

impl Packages {
    /// Packages of what is in `store`, noted in `db` where they are `deliverable` at all.
    pub fn new(db: DatabaseConnection, store: Arc<dyn BlobStore>, changes: Changes, deliverable: bool) -> Self {
        let turns = Arc::new(Semaphore::new(OPENED_AT_ONCE));
        Self { db, store, changes, shelf: Shelf::default(), on_their_way: OnTheirWay::default(), turns, deliverable }
    }

    /// Looks whether a complete source can be played as it is, and lets it be played if so. Returns when that is known, but soon in any case;
    /// what takes longer goes on by itself. Doing it again is harmless, and failing costs nothing but time: the encoder has the video anyway.
    pub async fn offer(&self, user: UserId, video: VideoId, upload: UploadId) {
        if !self.deliverable {
            return;
        }
        let packages = self.clone();
        let work = tokio::spawn(async move {
            if let Err(error) = packages.look(user, video, upload).await {
                tracing::warn!(video_id = %video, %error, "cannot look whether the source plays as it is");
            }
        });
        let _ = timeout(PROMPTLY, work).await;
    }

    async fn look(&self, user: UserId, video: VideoId, upload: UploadId) -> Result<()> {
        let generation = packaged_generation(upload);
        self.on_their_way.forget(generation);
        let looked = async {
            let ready = self.opened(generation).await?;
            ready.package.check_ends()?;
            self.check_beginnings(generation, &ready.package).await?;
            Ok::<_, NotPackaged>(ready)
        };
        let ready = match looked.await {
            Ok(ready) => ready,
            Err(NotPackaged::Refused(refusal)) => {
                tracing::info!(video_id = %video, reason = %refusal, "the source does not play as it is; it waits for its encode");
                metrics::packaged("refused");
                self.shelf.forget(generation);
                return self.take_back(user, video, generation).await;
            }
            Err(NotPackaged::Store(BlobError::NotFound)) => return Ok(()),
            Err(NotPackaged::Store(error)) => return Err(error.into()),
        };
        metrics::packaged("packaged");
        self.note(user, video, generation, &ready).await
    }

    /// It has played while it was uploaded, and what came last shows that it does not. What is published stays as it was checked.
    async fn take_back(&self, user: UserId, video: VideoId, generation: GenerationId) -> Result<()> {
        let taken = videos::Entity::update_many()
            .col_expr(videos::Column::PackagedGenerationId, Expr::value(None::<uuid::Uuid>))
            .col_expr(videos::Column::PackagedFacts, Expr::value(None::<String>))
            .col_expr(videos::Column::UpdatedAtMs, Expr::value(now_ms()))
            .filter(videos::Column::Id.eq(video.0))
            .filter(videos::Column::PackagedGenerationId.eq(generation.0))
            .filter(videos::Column::GenerationId.is_null())
            .exec(&self.db)
            .await?;
        if taken.rows_affected > 0 {
            self.changes.tell(Change::Video { user, video });
        }
        Ok(())
    }

    /// Lets it be played.
    async fn note(&self, user: UserId, video: VideoId, generation: GenerationId, ready: &Ready) -> Result<()> {
        let Some(facts) = PackagedFacts::of(&ready.renditions) else { return Ok(()) };
        let facts = serde_json::to_string(&facts).map_err(|error| Error::broken(error.to_string()))?;
        let noted = videos::Entity::update_many()
            .col_expr(videos::Column::PackagedGenerationId, Expr::value(generation.0))
            .col_expr(videos::Column::PackagedFacts, Expr::value(facts))
            .col_expr(videos::Column::UpdatedAtMs, Expr::value(now_ms()))
            .filter(videos::Column::Id.eq(video.0))
            .filter(videos::Column::PackagedGenerationId.is_null())
            .filter(videos::Column::GenerationId.is_null())
            .filter(videos::Column::Stage.ne(Stage::Failed.as_str()))
            .exec(&self.db)
            .await?;
        if noted.rows_affected > 0 {
            tracing::info!(video_id = %video, "the source plays as it is");
            self.changes.tell(Change::Video { user, video });
        }
        Ok(())
    }

    /// The renditions of a packaged generation: the picture, and the sound if there is some. The same each time.
    ///
    /// # Errors
    /// Its source is gone, or the store fails.
    pub async fn renditions(&self, generation: GenerationId) -> Result<Arc<Vec<Rendition>>> {
        Ok(Arc::clone(&self.opened(generation).await.map_err(BlobError::from)?.renditions))
    }

    /// One file of a packaged generation, as [`StorageKey::Published`] names it.
    ///
    /// # Errors
    /// [`BlobError::NotFound`]: there is no such file, or no such package. Anything else: the store fails.
    pub async fn make(&self, generation: GenerationId, file: &str) -> std::result::Result<Made, BlobError> {
        let (rendition, name) = file.split_once('/').ok_or(BlobError::NotFound)?;
        let number = segment_number(name);
        if name != INIT_FILE && number.is_none() {
            return Err(BlobError::NotFound);
        }
        let ready = self.opened(generation).await?;
        let media = ready.media(rendition).ok_or(BlobError::NotFound)?;
        let Some(number) = number else {
            return ready.package.init(media).cloned().map(Made::whole_of).ok_or(BlobError::NotFound);
        };
        let cut = cut(ready, media, number)?;
        let reading = self.reading(generation).await?;
        if reading.has(&cut.segment.ranges) { Ok(Made::segment(cut, reading)) } else { Err(BlobError::NotFound) }
    }

    /// One segment of a source whose tables are in memory, as [`StorageKey::Published`] names it; whether all of the source has arrived is not looked
    /// at. `None` where it takes more than a look: [`Packages::make`] says what there is then.
    pub fn cut(&self, generation: GenerationId, file: &str) -> Option<Cut> {
        let (rendition, name) = file.split_once('/')?;
        let (number, ready) = (segment_number(name)?, self.shelf.get(generation)?);
        let media = ready.media(rendition)?;
        cut(ready, media, number).ok()
    }

    /// Forgets a package whose source is removed.
    pub fn forget(&self, upload: UploadId) {
        self.shelf.forget(packaged_generation(upload));
        self.on_their_way.forget(packaged_generation(upload));
    }

    /// Whether a generation is known to be a packaged one. One that is not known may still be.
    pub fn knows(&self, generation: GenerationId) -> bool {
        self.shelf.knows(generation)
    }

    /// The opened source, read once however many ask for it.
    async fn opened(&self, generation: GenerationId) -> std::result::Result<Arc<Ready>, NotPackaged> {
        self.shelf
            .get_or_open(generation, || async {
                let _turn = self.turns.acquire().await;
                let reading = self.reading(generation).await?;
                let size = match reading.size().await? {
                    Some(size) => size,
                    None => self.store.size(&source_key(generation)).await?,
                };
                Ok(Ready::new(reading.package(size).await?))
            })
            .await
    }

    /// The source, or what has arrived of it.
    async fn reading(&self, generation: GenerationId) -> std::result::Result<Reading, BlobError> {
        match Reading::open(&self.store, generation).await {
            Err(BlobError::NotFound) => {}
            reading => return reading,
        }
        match self.arriving_file(generation).await {
            Ok(arriving) => Reading::arriving(arriving).await,
            // It may have become complete between the two looks.
            Err(BlobError::NotFound) => Reading::open(&self.store, generation).await,
            Err(error) => Err(error),
        }
    }

    /// Looks at the first bytes of each segment of the picture: tables call many pictures key frames that are none.
    async fn check_beginnings(&self, generation: GenerationId, package: &Package) -> std::result::Result<(), NotPackaged> {
        let reading = self.reading(generation).await?;
        let look = |number: usize| {
            let reading = &reading;
            async move {
                let segment = package.segment(Media::Video, number)?;
                let Some(range) = segment.and_then(|segment| segment.ranges.into_iter().next()) else { return Ok(()) };
                let beginning = reading.read(range.start..range.end.min(range.start + BEGINNING)).await?;
                Ok::<_, NotPackaged>(package.check_beginning(&beginning)?)
            }
        };
        stream::iter((0..package.segments(Media::Video)).map(look)).buffer_unordered(BEGINNINGS_AT_ONCE).try_collect::<()>().await
    }
}

fn cut(ready: Arc<Ready>, media: Media, number: usize) -> std::result::Result<Cut, BlobError> {
    let segment = ready.package.segment(media, number).map_err(NotPackaged::from)?.ok_or(BlobError::NotFound)?;
    Ok(Cut { ready, media, segment })
}

/// The source that a generation is packaged from.
pub fn source_key(generation: GenerationId) -> StorageKey {
    StorageKey::Source { upload: UploadId(generation.0) }
}
