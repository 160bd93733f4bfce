//! Objects in memory, as many as fit.
//!
//! * What is in here was published and never changes, so it is right for as long as it is here. Whether somebody may have it is asked before, at each
//!   request; whether it still exists at all is what [`MediaCache::forget`] is for.
//! * However many ask for an object at once, it is fetched once. The fetching is nobody's: askers may go away, and what fails or dies is told to all
//!   who wait and is kept by nobody.
//! * What lies in a file of ours is read on the spot where the system has it in memory. Nothing is thrown out for it before it was asked for twice:
//!   from there it is sent in pieces almost as fast ([`super::pieces`]).
//! * What has not been asked for again goes first, the oldest before the others; what is being sent to somebody stays, for throwing it out
//!   would free nothing.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use bytes::Bytes;
use domain::{ids::GenerationId, storage_key::StorageKey};
use tokio::{sync::watch, task::spawn_blocking};

use super::{
    local_file::{LocalFile, from_disk},
    newcomers::Newcomers,
    object::Object,
    room::{Place, Room},
};
use crate::ports::blob_store::BlobError;

/// An object takes at most such a part of all the room, so that one of them never throws out many.
const PARTS: u64 = 16;
/// What an object costs beside its bytes: its name, its headers, its place in the lists.
const OVERHEAD: u64 = 1024;
/// Bytes that are read on the spot: what takes no longer than writing as much to a socket.
const AT_ONCE: u64 = 4 * 1024 * 1024;

/// The memory. Cheap to clone.
#[derive(Debug, Clone)]
pub struct MediaCache(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    room: Arc<Room>,
    newcomers: Newcomers,
    shelf: Mutex<Shelf>,
    hits: AtomicU64,
    misses: AtomicU64,
    evictions: AtomicU64,
}

#[derive(Debug, Default)]
struct Shelf {
    entries: HashMap<StorageKey, Entry>,
    /// Whoever is first goes first, unless there is something to be said for it.
    order: VecDeque<Arc<Object>>,
}

#[derive(Debug)]
enum Entry {
    Coming(watch::Receiver<Option<Outcome>>),
    Here(Arc<Object>),
}

/// What was found of an object.
#[derive(Debug, Clone)]
pub(super) enum Found {
    /// The object. Where it has a place, it is kept.
    Object(Arc<Object>),
    /// It is too large, or all the room is in use.
    NoRoom,
}

type Outcome = Result<Found, Arc<BlobError>>;

/// What became of a file that was to be read on the spot.
#[derive(Debug)]
pub(super) enum ReadNow {
    /// It was.
    Object(Arc<Object>),
    /// It is on its way: [`MediaCache::obtain`] waits for it.
    Coming,
    /// It has no place.
    NoRoom(LocalFile),
}

/// What the cache has done so far, and what it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tally {
    /// Objects that were asked for and were there.
    pub hits: u64,
    /// Those that were not.
    pub misses: u64,
    /// Objects that had to make room.
    pub evictions: u64,
    /// Bytes taken, by what is kept and by what is still being sent.
    pub bytes: u64,
}

impl MediaCache {
    /// A cache of at most so many bytes; 0 for none at all.
    pub fn new(limit: u64) -> Self {
        let (hits, misses, evictions) = Default::default();
        let (room, newcomers) = (Room::new(limit), Newcomers::new(limit));
        Self(Arc::new(Inner { room, newcomers, shelf: Mutex::default(), hits, misses, evictions }))
    }

    /// An object that is here.
    pub fn get(&self, key: &StorageKey) -> Option<Arc<Object>> {
        let object = match self.shelf().entries.get(key)? {
            Entry::Here(object) => Arc::clone(object),
            Entry::Coming(_) => return None,
        };
        self.0.hits.fetch_add(1, Ordering::Relaxed);
        object.ask();
        Some(object)
    }

    /// Whether an object is on its way here.
    pub(super) fn is_coming(&self, key: &StorageKey) -> bool {
        matches!(self.shelf().entries.get(key), Some(Entry::Coming(_)))
    }

    /// The bytes of an object: out of memory, or by `fill`, which runs once however many ask for the object at once, to its end even when all of them
    /// have gone away. What it gives is kept where there is room, and given to all who wait in any case; its failure is told to all and not kept.
    ///
    /// # Errors
    /// `fill` failed.
    pub async fn read<F>(&self, key: &StorageKey, fill: F) -> Result<Bytes, BlobError>
    where
        F: Future<Output = Result<Bytes, BlobError>> + Send + 'static,
    {
        let (cache, named) = (self.clone(), key.clone());
        let filling = async move { Ok(cache.hold(named, fill.await?)) };
        match self.obtain(key, filling).await? {
            Found::Object(object) => Ok(object.bytes()),
            Found::NoRoom => Err(BlobError::Unavailable("the object is too large to be had at once".into())),
        }
    }

    /// Lets go of all objects of a generation, and of what is on its way here. Who is being sent one gets the rest of it.
    pub fn forget(&self, generation: GenerationId) {
        let gone = |key: &StorageKey| matches!(key, StorageKey::Published { generation: of, .. } if *of == generation);
        let mut shelf = self.shelf();
        shelf.entries.retain(|key, _| !gone(key));
        shelf.order.retain(|object| !gone(&object.key));
    }

    /// Generations of which something is here.
    pub fn generations(&self) -> HashSet<GenerationId> {
        let shelf = self.shelf();
        let of = |key: &StorageKey| match key {
            StorageKey::Published { generation, .. } => Some(*generation),
            StorageKey::Source { .. } => None,
        };
        shelf.entries.keys().filter_map(of).collect()
    }

    /// What it has done and what it holds.
    pub fn tally(&self) -> Tally {
        let Inner { room, hits, misses, evictions, .. } = &*self.0;
        let read = |number: &AtomicU64| number.load(Ordering::Relaxed);
        Tally { hits: read(hits), misses: read(misses), evictions: read(evictions), bytes: room.taken() }
    }

    /// An object out of memory, or by `fill`: see [`MediaCache::read`].
    pub(super) async fn obtain<F>(&self, key: &StorageKey, fill: F) -> Result<Found, BlobError>
    where
        F: Future<Output = Result<Found, BlobError>> + Send + 'static,
    {
        let mut coming = {
            let mut shelf = self.shelf();
            match shelf.entries.get(key) {
                Some(Entry::Here(object)) => {
                    self.0.hits.fetch_add(1, Ordering::Relaxed);
                    object.ask();
                    return Ok(Found::Object(Arc::clone(object)));
                }
                Some(Entry::Coming(coming)) => coming.clone(),
                None => {
                    let (filling, coming) = self.begin(&mut shelf, key);
                    tokio::spawn(filling.run(fill));
                    coming
                }
            }
        };
        self.0.misses.fetch_add(1, Ordering::Relaxed);
        let outcome = coming.wait_for(Option::is_some).await.ok().and_then(|outcome| outcome.clone());
        match outcome {
            Some(Ok(found)) => Ok(found),
            Some(Err(error)) => Err(again(&error)),
            None => Err(BlobError::Unavailable("what fetched the object has died".into())),
        }
    }

    /// An object of the file it is in, read here as far as that needs no waiting; a thread that may wait reads the rest.
    pub(super) fn read_now(&self, key: &StorageKey, file: LocalFile) -> ReadNow {
        let filling = {
            let mut shelf = self.shelf();
            if shelf.entries.contains_key(key) {
                return ReadNow::Coming;
            }
            self.begin(&mut shelf, key).0
        };
        let place = self.place_for_file(key, file.size());
        let Some((mut place, length)) = place.and_then(|place| Some((place, usize::try_from(file.size()).ok()?))) else {
            self.0.misses.fetch_add(1, Ordering::Relaxed);
            filling.settle(Ok(Found::NoRoom));
            return ReadNow::NoRoom(file);
        };
        let (key, mut bytes) = (key.clone(), place.memory(length));
        let read = if file.size() <= AT_ONCE { file.read_now(&mut bytes, 0) } else { 0 };
        if read == length {
            self.0.misses.fetch_add(1, Ordering::Relaxed);
            let object = Arc::new(Object::held(key, bytes, place));
            filling.settle(Ok(Found::Object(Arc::clone(&object))));
            return ReadNow::Object(object);
        }
        spawn_blocking(move || {
            let rest = file.read(&mut bytes[read..], read as u64).map_err(from_disk);
            filling.settle(rest.map(|()| Found::Object(Arc::new(Object::held(key, bytes, place)))));
        });
        ReadNow::Coming
    }

    /// Room for what can be read again from where it is: made only where it was asked for before.
    fn place_for_file(&self, key: &StorageKey, bytes: u64) -> Option<Place> {
        let weight = self.weight(bytes)?;
        let free = self.0.room.take(weight);
        if free.is_some() || !self.0.newcomers.knows(key, weight) { free } else { self.place_for(bytes) }
    }

    /// What an object of so many bytes takes, if it is not too large.
    fn weight(&self, bytes: u64) -> Option<u64> {
        bytes.checked_add(OVERHEAD).filter(|weight| *weight <= self.0.room.limit() / PARTS)
    }

    /// Room for an object of so many bytes, made where it has to be.
    pub(super) fn place_for(&self, bytes: u64) -> Option<Place> {
        let Inner { room, evictions, .. } = &*self.0;
        let weight = self.weight(bytes)?;
        if let Some(place) = room.take(weight) {
            return Some(place);
        }
        let mut shelf = self.shelf();
        let mut looks = 2 * shelf.order.len();
        loop {
            if let Some(place) = room.take(weight) {
                return Some(place);
            }
            looks = looks.checked_sub(1)?;
            let object = shelf.order.pop_front()?;
            // Two are ours, in the list and in the map.
            if object.was_asked() || Arc::strong_count(&object) > 2 {
                shelf.order.push_back(object);
            } else {
                shelf.entries.remove(&object.key);
                evictions.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// An object of bytes that are here already: it is kept where there is room, and is as good as any other where there is none.
    pub(super) fn hold(&self, key: StorageKey, bytes: Bytes) -> Found {
        let place = self.place_for(bytes.len() as u64);
        Found::Object(Arc::new(Object::new(key, bytes, place)))
    }

    /// Notes that an object is on its way.
    fn begin(&self, shelf: &mut Shelf, key: &StorageKey) -> (Filling, watch::Receiver<Option<Outcome>>) {
        let (tell, coming) = watch::channel(None);
        shelf.entries.insert(key.clone(), Entry::Coming(coming.clone()));
        (Filling { cache: self.clone(), key: key.clone(), tell }, coming)
    }

    fn shelf(&self) -> MutexGuard<'_, Shelf> {
        self.0.shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An object on its way. Its end, good or bad, is its drop.
#[derive(Debug)]
struct Filling {
    cache: MediaCache,
    key: StorageKey,
    tell: watch::Sender<Option<Outcome>>,
}

impl Filling {
    async fn run<F>(self, fill: F)
    where
        F: Future<Output = Result<Found, BlobError>>,
    {
        self.settle(fill.await);
    }

    fn settle(self, outcome: Result<Found, BlobError>) {
        let outcome = outcome.map_err(Arc::new);
        if let Ok(Found::Object(object)) = &outcome
            && object.has_place()
        {
            let mut shelf = self.cache.shelf();
            if self.is_ours(shelf.entries.get(&self.key)) {
                shelf.entries.insert(self.key.clone(), Entry::Here(Arc::clone(object)));
                shelf.order.push_back(Arc::clone(object));
            }
        }
        self.tell.send_replace(Some(outcome));
    }

    /// Whether we are still waited for: what was forgotten meanwhile is not to be kept.
    fn is_ours(&self, entry: Option<&Entry>) -> bool {
        matches!(entry, Some(Entry::Coming(coming)) if coming.same_channel(&self.tell.subscribe()))
    }
}

impl Drop for Filling {
    fn drop(&mut self) {
        let mut shelf = self.cache.shelf();
        if self.is_ours(shelf.entries.get(&self.key)) {
            shelf.entries.remove(&self.key);
        }
    }
}

/// The same failure for somebody else who waited.
fn again(error: &BlobError) -> BlobError {
    match error {
        BlobError::NotFound => BlobError::NotFound,
        BlobError::Full => BlobError::Full,
        BlobError::Busy => BlobError::Busy,
        other => BlobError::Unavailable(other.to_string().into()),
    }
}
