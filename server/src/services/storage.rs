//! Room: what is left on the disks, who has taken it up, and when to say no before a disk is full. Uploads are refused while there is still room
//! for what was begun; videos wait.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
};

use domain::{
    error::{Code, Problem},
    ladder::{AudioPlan, Ladder, VideoPlan},
    source::SourceFacts,
    upload::{PART_SIZE, bytes_in_words},
};
use futures::{StreamExt, TryStreamExt};
use sea_orm::DatabaseConnection;
use tokio::{
    sync::{Mutex, OwnedMutexGuard},
    task::spawn_blocking,
};

use crate::{
    disk::room_at,
    error::{Error, Result},
    ports::{
        blob_store::{BlobStore, ByteStream, Room},
        transcoder::TranscodeError,
    },
    services::store_audit::StoreAudit,
};

mod usage;

pub use usage::{account_query, accounts_query};

/// Seconds after which it is worth to ask for room again: somebody has to make some first.
pub const ASK_AGAIN_SECONDS: u64 = 60;
/// The mark is never more than this part of a disk, so that small ones can be used.
const LARGEST_SHARE: u64 = 10;
/// Bits a second of what is copied and has no rate of its own: a good picture, and any sound.
const COPIED_PICTURE: u64 = 20_000_000;
const COPIED_SOUND: u64 = 400_000;

/// What there is to know about room.
#[derive(Debug, Clone)]
pub struct Storage {
    db: DatabaseConnection,
    store: Arc<dyn BlobStore>,
    audit: StoreAudit,
    limits: StorageLimits,
    /// Whoever begins an upload has looked whether there is room and not taken it yet.
    turn: Arc<Mutex<()>>,
}

/// What may be taken up, and where else there has to be room.
#[derive(Debug, Clone)]
pub struct StorageLimits {
    /// Bytes that uploads leave free on each disk; 0 for none.
    pub min_free: u64,
    /// Bytes that an account may store; 0 for as many as it likes.
    pub quota: u64,
    /// The folder of the database.
    pub data_dir: PathBuf,
    /// The folder of intermediate files.
    pub scratch_dir: PathBuf,
}

/// Held until the room that was asked for has been taken.
pub type RoomTurn = Option<OwnedMutexGuard<()>>;

/// The answer where there is no room.
pub fn no_room() -> Problem {
    let detail = "This server is almost full, so it takes no new files at the moment. Nothing that you have sent is lost. Delete videos that \
                  you do not need, or tell whoever runs it, and try again.";
    Problem { retry_after_seconds: Some(ASK_AGAIN_SECONDS), ..Problem::new(Code::StorageFull, detail) }
}

async fn room_of(folder: &Path) -> Option<Room> {
    let folder = folder.to_path_buf();
    let asked = spawn_blocking(move || room_at(&folder).map_err(|error| (folder, error))).await.ok()?;
    asked.inspect_err(|(folder, error)| tracing::warn!(%error, folder = %folder.display(), "cannot ask how full a disk is")).ok()
}

impl Storage {
    /// Room in `store` and beside it, for the accounts of `db`.
    pub fn new(db: DatabaseConnection, store: Arc<dyn BlobStore>, audit: StoreAudit, limits: StorageLimits) -> Self {
        Self { db, store, audit, limits, turn: Arc::default() }
    }

    /// What uploads leave free on a disk.
    fn low_water(&self, room: Room) -> u64 {
        self.limits.min_free.min(room.total / LARGEST_SHARE)
    }

    fn is_low(&self, room: Option<Room>, more: u64) -> bool {
        room.is_some_and(|room| room.free < self.low_water(room).saturating_add(more))
    }

    async fn room_of_store(&self) -> Option<Room> {
        let measured = self.store.measure()?.room().await;
        measured.inspect_err(|error| tracing::warn!(%error, "cannot ask how full the store is")).ok()
    }

    /// Refuses an upload of so many bytes that would not leave enough room. Nobody else gets a turn until the caller has taken the room.
    ///
    /// # Errors
    /// There is not enough room.
    pub async fn make_room(&self, size: u64) -> Result<RoomTurn> {
        if self.limits.min_free == 0 {
            return Ok(None);
        }
        let turn = Arc::clone(&self.turn).lock_owned().await;
        if self.is_low(self.room_of_store().await, size) {
            return Err(no_room().into());
        }
        for folder in [&self.limits.data_dir, &self.limits.scratch_dir] {
            if self.is_low(room_of(folder).await, 0) {
                return Err(no_room().into());
            }
        }
        Ok(Some(turn))
    }

    /// A body of unknown length, which ends in an error where it would take up too much; then the refusal is there.
    pub fn watched(&self, body: ByteStream) -> (ByteStream, Arc<OnceLock<Problem>>) {
        let refusal = Arc::new(OnceLock::new());
        let (storage, said, mut taken) = (self.clone(), Arc::clone(&refusal), 0_u64);
        let body = body.and_then(move |piece| {
            let before = taken;
            taken += piece.len() as u64;
            let look = before / PART_SIZE != taken / PART_SIZE;
            let (storage, said) = (storage.clone(), Arc::clone(&said));
            async move {
                if look && storage.make_room(0).await.is_err() {
                    let _ = said.set(no_room());
                    return Err(std::io::Error::other("there is no room for more of it"));
                }
                Ok(piece)
            }
        });
        (body.boxed(), refusal)
    }

    /// Says that a job has to wait where what it makes finds no room.
    ///
    /// # Errors
    /// There is not enough room.
    pub async fn check_job(&self, facts: &SourceFacts, ladder: &Ladder) -> Result<()> {
        let needed = expected_bytes(facts, ladder);
        let store = self.room_of_store().await;
        let scratch = room_of(&self.limits.scratch_dir).await;
        let free = store.into_iter().chain(scratch).map(|room| room.free).min();
        match free.filter(|free| *free < needed) {
            None => Ok(()),
            Some(free) => {
                let detail = format!("it may need {}, and {} are free", bytes_in_words(needed), bytes_in_words(free));
                Err(Error::from(TranscodeError::Full(detail)))
            }
        }
    }

    /// Whether there is little room on any of the disks just now.
    pub async fn is_scarce(&self) -> bool {
        let rooms = [self.room_of_store().await, room_of(&self.limits.data_dir).await, room_of(&self.limits.scratch_dir).await];
        rooms.into_iter().any(|room| self.is_low(room, 0) || room.is_some_and(|room| room.free < PART_SIZE))
    }
}

/// About as many bytes as an encode makes at most: what its plan's bit rates add up to.
fn expected_bytes(facts: &SourceFacts, ladder: &Ladder) -> u64 {
    let pictures = ladder.rungs.iter().map(|rung| match &rung.video {
        VideoPlan::Encode { max_bitrate, .. } => *max_bitrate,
        VideoPlan::Copy => facts.video.bit_rate.unwrap_or(COPIED_PICTURE),
    });
    let sound = match &ladder.audio {
        Some(AudioPlan::Encode { bitrate, .. }) => *bitrate,
        Some(AudioPlan::Copy) => COPIED_SOUND,
        None => 0,
    };
    let bits = (pictures.sum::<u64>() + sound) as f64 * facts.duration_ms as f64 / 1_000.0;
    (bits / 8.0) as u64
}
