//! What Millrace does, one file a noun. Services know ports and the database, never an adapter or a request.

pub mod accounts;
pub mod api_keys;
pub mod changes;
pub mod jobs;
pub mod passwords;
pub mod playback;
pub mod private_media;
pub mod publishing;
pub mod removals;
pub mod sources;
pub mod transcodes;
pub mod uploads;
pub mod videos;
