//! Sources that are still being uploaded: as soon as the tables and the first segments are among what has arrived, the video plays from that,
//! and its playlists grow with it.

use std::{
    collections::HashMap,
    fs::File,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use domain::{
    ids::{GenerationId, UploadId, UserId, VideoId},
    upload::PartPlan,
};
use sea_orm::EntityTrait;
use tokio::{task::spawn_blocking, time::timeout};

use super::{NotPackaged, Packages, Ready, packaged_generation, reading::pread};
use crate::{
    db::entity::uploads,
    error::Result,
    packager::{Arrived, Limits, Media, Opening},
    ports::blob_store::{Arriving, BlobError, MultipartId},
};

/// Uploads remembered at most: more than anybody sends at once. What is forgotten plays when it is complete.
const REMEMBERED: usize = 10_000;
/// How long the database has to say where an upload is that somebody watches.
const ASKED_WITHIN: Duration = Duration::from_secs(1);

/// The uploads that are on their way, as far as this process has to do with them. Clones remember together.
#[derive(Debug, Clone, Default)]
pub(super) struct OnTheirWay(Arc<Mutex<HashMap<GenerationId, Arc<OnItsWay>>>>);

/// One of them.
#[derive(Debug)]
struct OnItsWay {
    multipart: MultipartId,
    plan: PartPlan,
    /// Held by whoever looks at it.
    look: tokio::sync::Mutex<Look>,
}

/// How far it has been looked at.
#[derive(Debug)]
enum Look {
    /// Its tables are being found and read.
    Opening(Box<Opening>),
    /// They are read. How many segments of picture and sound have been there, and whether it is noted that it can be played.
    Open { video: usize, audio: usize, noted: bool },
    /// Nothing more is to be done before it is complete.
    Over,
}

impl OnTheirWay {
    fn get(&self, generation: GenerationId) -> Option<Arc<OnItsWay>> {
        self.entries().get(&generation).cloned()
    }

    /// The entry of an upload, made where there is none yet.
    fn enter(&self, generation: GenerationId, multipart: &MultipartId, plan: PartPlan) -> Option<Arc<OnItsWay>> {
        let mut entries = self.entries();
        if entries.len() >= REMEMBERED && !entries.contains_key(&generation) {
            return None;
        }
        let entry = entries.entry(generation).or_insert_with(|| {
            let look = Look::Opening(Box::new(Opening::new(plan.file_size, Limits::default())));
            Arc::new(OnItsWay { multipart: multipart.clone(), plan, look: tokio::sync::Mutex::new(look) })
        });
        Some(Arc::clone(entry))
    }

    /// It is complete, or given up.
    pub(super) fn forget(&self, generation: GenerationId) {
        self.entries().remove(&generation);
    }

    fn entries(&self) -> MutexGuard<'_, HashMap<GenerationId, Arc<OnItsWay>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The segments of a packaged generation that can be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum There {
    /// All of them.
    All,
    /// So many, from the first one on; more are on their way.
    First(usize),
}

impl Packages {
    /// A part of an upload is safe: looks whether the video can be played by now. Nobody waits for it, and one look at a time is enough: the
    /// next part brings the next.
    pub fn part_arrived(&self, user: UserId, video: VideoId, upload: UploadId, multipart: &MultipartId, plan: PartPlan) {
        if !self.deliverable || self.store.arriving().is_none() {
            return;
        }
        let generation = packaged_generation(upload);
        let Some(entry) = self.on_their_way.enter(generation, multipart, plan) else { return };
        let packages = self.clone();
        tokio::spawn(async move {
            if let Err(error) = packages.look_at_arriving(user, video, generation, &entry).await {
                tracing::warn!(video_id = %video, %error, "cannot look whether an upload plays already");
            }
        });
    }

    async fn look_at_arriving(&self, user: UserId, video: VideoId, generation: GenerationId, entry: &OnItsWay) -> Result<()> {
        let Ok(mut look) = entry.look.try_lock() else { return Ok(()) };
        if matches!(*look, Look::Over | Look::Open { noted: true, .. }) {
            // How much is there is counted for whoever plays it.
            return Ok(());
        }
        let arriving = match self.arrived(entry).await {
            Ok(arriving) => arriving,
            // Complete: whoever completed it looks as well.
            Err(BlobError::NotFound) => {
                *look = Look::Over;
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        };
        let arrived: Arrived = arriving.safe.iter().cloned().collect();
        if let Look::Opening(opening) = &mut *look {
            match open_from(opening, &arriving, &arrived).await {
                Ok(None) => return Ok(()),
                Ok(Some(ready)) => {
                    self.shelf.put(generation, ready);
                    *look = Look::Open { video: 0, audio: 0, noted: false };
                }
                Err(NotPackaged::Refused(refusal)) => {
                    tracing::info!(video_id = %video, reason = %refusal, "the upload does not play as it is; it waits for its encode");
                    *look = Look::Over;
                    return Ok(());
                }
                Err(NotPackaged::Store(error)) => return Err(error.into()),
            }
        }
        let ready = self.opened(generation).await.map_err(BlobError::from)?;
        if count(&mut look, &ready, &arrived) {
            self.note(user, video, generation, &ready).await?;
            if let Look::Open { noted, .. } = &mut *look {
                *noted = true;
            }
        }
        Ok(())
    }

    /// How many segments of a rendition can be had by now, of a video whose upload is on its way.
    ///
    /// # Errors
    /// There is no such rendition, or the store or the database fails.
    pub async fn there(&self, generation: GenerationId, rendition: &str) -> Result<There> {
        let ready = self.opened(generation).await.map_err(BlobError::from)?;
        let media = ready.media(rendition).ok_or(BlobError::NotFound)?;
        let Some(entry) = self.entry(generation).await? else { return Ok(There::All) };
        let arriving = match self.arrived(&entry).await {
            Ok(arriving) => arriving,
            Err(BlobError::NotFound) => return Ok(There::All),
            Err(error) => return Err(error.into()),
        };
        let arrived: Arrived = arriving.safe.into_iter().collect();
        let mut look = entry.look.lock().await;
        if matches!(*look, Look::Opening(_)) {
            *look = Look::Open { video: 0, audio: 0, noted: false };
        }
        count(&mut look, &ready, &arrived);
        Ok(match (&*look, media) {
            (Look::Open { video, .. }, Media::Video) => There::First(*video),
            (Look::Open { audio, .. }, Media::Audio) => There::First(*audio),
            _ => There::First(0),
        })
    }

    /// The file that an upload's parts are written into, where it is on its way. Where this process has had nothing to do with it, the database
    /// is asked, once and not for long. What is stored never comes here.
    pub(super) async fn arriving_file(&self, generation: GenerationId) -> std::result::Result<Arriving, BlobError> {
        if self.store.arriving().is_none() {
            return Err(BlobError::NotFound);
        }
        let entry = timeout(ASKED_WITHIN, self.entry(generation)).await;
        let entry = entry.ok().and_then(std::result::Result::ok).flatten().ok_or(BlobError::NotFound)?;
        self.arrived(&entry).await
    }

    async fn arrived(&self, entry: &OnItsWay) -> std::result::Result<Arriving, BlobError> {
        let store = self.store.arriving().ok_or(BlobError::NotFound)?;
        store.arrived(&entry.multipart, entry.plan).await
    }

    /// What is remembered of an upload, else what its row says: another process may take its parts.
    async fn entry(&self, generation: GenerationId) -> Result<Option<Arc<OnItsWay>>> {
        if let Some(entry) = self.on_their_way.get(generation) {
            return Ok(Some(entry));
        }
        let row = uploads::Entity::find_by_id(generation.0).one(&self.db).await?;
        let entered = row.filter(|row| !row.complete && !row.multipart_id.is_empty()).and_then(|row| {
            let plan = PartPlan { file_size: row.size_bytes.unsigned_abs(), part_size: row.part_size.unsigned_abs() };
            self.on_their_way.enter(generation, &MultipartId(row.multipart_id), plan)
        });
        Ok(entered)
    }
}

/// Takes an opening as far as what has arrived goes.
async fn open_from(opening: &mut Opening, arriving: &Arriving, arrived: &Arrived) -> std::result::Result<Option<Ready>, NotPackaged> {
    if !arrived.covers(&opening.wants()) {
        return Ok(None);
    }
    let (file, known) = (arriving.file.clone(), arrived.clone());
    let taken = std::mem::replace(opening, Opening::new(0, Limits::default()));
    let step = move || {
        let mut opening = taken;
        let opened = go_on(&mut opening, &file, &known);
        (opening, opened)
    };
    let (next, opened) = spawn_blocking(step).await.map_err(|error| BlobError::Unavailable(Box::new(error)))?;
    *opening = next;
    opened
}

fn go_on(opening: &mut Opening, file: &std::path::Path, arrived: &Arrived) -> std::result::Result<Option<Ready>, NotPackaged> {
    let file = File::open(file).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => BlobError::NotFound,
        _ => BlobError::Unavailable(Box::new(error)),
    })?;
    while arrived.covers(&opening.wants()) {
        let bytes: Bytes = pread(&file, opening.wants())?;
        if let Some(package) = opening.take(&bytes)? {
            package.check_ends()?;
            return Ok(Some(Ready::new(package)));
        }
    }
    Ok(None)
}

/// Counts the segments that are there. Whether there are enough to begin with.
fn count(look: &mut Look, ready: &Ready, arrived: &Arrived) -> bool {
    let Look::Open { video, audio, .. } = look else { return false };
    *video = ready.package.arrived(Media::Video, *video, arrived);
    *audio = ready.package.arrived(Media::Audio, *audio, arrived);
    *video > 0 && (*audio > 0 || ready.package.segments(Media::Audio) == 0)
}
