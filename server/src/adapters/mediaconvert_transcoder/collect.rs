//! From the objects that a job left to renditions: its multivariant playlist names media playlists, those name segments, init segments tell
//! the codec, and the store tells the sizes. The service itself tells none of this when it is asked.

use std::collections::HashMap;

use bytes::{Bytes, BytesMut};
use domain::{ids::GenerationId, playlist::Rendition, storage_key::StorageKey};
use futures::TryStreamExt;

use super::{
    encode::Made,
    failure::{engine, passing},
    job::BASE,
    playlists::{self, Announced},
    poster,
};
use crate::{
    adapters::init_segment,
    ports::{
        blob_store::BlobStore,
        transcoder::{TranscodeError, TranscodeRequest},
    },
};

/// Longest text that is read: twelve hours of segments make about 1 MiB.
const LONGEST_PLAYLIST: u64 = 16 * 1024 * 1024;
/// Largest init segment that is read.
const LARGEST_INIT: u64 = 1024 * 1024;

/// Reads what a finished job left below its generation, and puts the poster where posters are.
pub(super) async fn collect(store: &dyn BlobStore, request: &TranscodeRequest) -> Result<Made, TranscodeError> {
    let generation = request.generation;
    let stored = store.list_generation(generation).await.map_err(|error| passing("what was made cannot be listed", error))?;
    let file = format!("{BASE}.m3u8");
    let text = read(store, generation, &stored, &file, LONGEST_PLAYLIST).await?;
    let announced = playlists::multivariant(&file, &text, &request.facts, &request.ladder)?;
    let mut renditions = Vec::with_capacity(announced.len());
    for each in announced {
        renditions.push(rendition(store, generation, &stored, each).await?);
    }
    let poster = poster::choose(store, generation, &stored).await;
    Ok(Made { renditions, poster })
}

async fn rendition(
    store: &dyn BlobStore,
    generation: GenerationId,
    stored: &HashMap<String, u64>,
    announced: Announced,
) -> Result<Rendition, TranscodeError> {
    let text = read(store, generation, stored, &announced.playlist, LONGEST_PLAYLIST).await?;
    let playlist = playlists::media(&announced.playlist, &text, generation, stored)?;
    let init = read(store, generation, stored, &playlist.init, LARGEST_INIT).await?;
    let codec = init_segment::codec(&init).map_err(|error| engine(&format!("{} cannot be read", playlist.init), error))?;
    Ok(Rendition { name: announced.name, track: announced.track, codec, copied: false, flat: true, generation: None, playlist })
}

/// A small object as a whole.
async fn read(
    store: &dyn BlobStore,
    generation: GenerationId,
    stored: &HashMap<String, u64>,
    file: &str,
    most: u64,
) -> Result<Bytes, TranscodeError> {
    let missing = |why: &str| engine("MediaConvert's output is not complete", format_args!("{file} {why}"));
    let key = StorageKey::published(generation, file).ok_or_else(|| missing("is no name for an object"))?;
    match stored.get(file) {
        None => return Err(missing("is missing")),
        Some(size) if *size > most => return Err(missing("is too large to be what it should be")),
        Some(_) => {}
    }
    // It is there: the job has been paid for, and reading it again later is all it takes.
    let unreadable = |error: &dyn std::fmt::Display| passing(&format!("{file} cannot be read"), error);
    let mut read = store.get(&key, None).await.map_err(|error| unreadable(&error))?;
    let mut bytes = BytesMut::new();
    while let Some(piece) = read.body.try_next().await.map_err(|error| unreadable(&error))? {
        bytes.extend_from_slice(&piece);
    }
    Ok(bytes.freeze())
}
