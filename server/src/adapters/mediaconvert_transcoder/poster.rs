//! Chooses the poster among the pictures that a job took. A black or flat picture is a small file, so its size says enough and none has to be
//! looked at.

use std::collections::HashMap;

use domain::{ids::GenerationId, storage_key::StorageKey};

use super::job::CAPTURE;
use crate::ports::{
    blob_store::{BlobError, BlobStore},
    transcoder::POSTER_FILE,
};

/// Largest picture that is copied.
const LARGEST: u64 = 16 * 1024 * 1024;

/// Puts the best picture where posters are; whether there is one. A video without a poster is still a video.
pub(super) async fn choose(store: &dyn BlobStore, generation: GenerationId, stored: &HashMap<String, u64>) -> bool {
    if stored.contains_key(POSTER_FILE) {
        return true;
    }
    let Some(picture) = best(stored) else {
        tracing::warn!(generation_id = %generation, "MediaConvert took no picture that makes a poster");
        return false;
    };
    match copy(store, generation, picture).await {
        Ok(()) => true,
        Err(error) => {
            tracing::warn!(%error, generation_id = %generation, "the poster could not be stored");
            false
        }
    }
}

/// The earliest picture with at least half as much to see as the one with most, the first frame last.
fn best(stored: &HashMap<String, u64>) -> Option<&str> {
    let is_picture = |file: &str| file.starts_with(CAPTURE) && (file.ends_with(".jpg") || file.ends_with(".jpeg"));
    let mut pictures: Vec<(&str, u64)> =
        stored.iter().map(|(file, size)| (file.as_str(), *size)).filter(|(file, _)| is_picture(file)).collect();
    // Numbered with leading zeros, in the order they were taken.
    pictures.sort_unstable();
    if pictures.len() > 1 {
        pictures.rotate_left(1);
    }
    let most = pictures.iter().map(|(_, size)| *size).max()?;
    pictures.into_iter().find(|(_, size)| *size > 0 && size * 2 >= most).map(|(file, _)| file)
}

async fn copy(store: &dyn BlobStore, generation: GenerationId, picture: &str) -> Result<(), BlobError> {
    let key = |file| StorageKey::published(generation, file).ok_or(BlobError::NotFound);
    let read = store.get(&key(picture)?, None).await?;
    store.put_stream(&key(POSTER_FILE)?, read.body, LARGEST).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neither_black_pictures_nor_the_first_frame_are_posters_where_there_is_another() {
        let best_of = |sizes: &[u64]| {
            let stored: HashMap<String, u64> = sizes
                .iter()
                .enumerate()
                .map(|(number, size)| (format!("capture.{number:07}.jpg"), *size))
                .chain([("index.m3u8".into(), 9_999)])
                .collect();
            best(&stored).map(str::to_owned)
        };
        assert_eq!(best_of(&[90_000, 5_000, 60_000, 80_000]).as_deref(), Some("capture.0000002.jpg"));
        assert_eq!(best_of(&[90_000, 5_000, 6_000]).as_deref(), Some("capture.0000000.jpg"));
        assert_eq!(best_of(&[700]).as_deref(), Some("capture.0000000.jpg"));
        assert_eq!(best_of(&[0]), None);
        assert_eq!(best_of(&[]), None);
    }
}
