//! What Millrace does, one file a noun. Services know ports and the database, never an adapter or a request.

pub mod accounts;
pub mod api_keys;
pub mod audit_log;
pub mod changes;
pub mod embed_hosts;
pub mod grants;
pub mod invites;
pub mod jobs;
pub mod passwords;
pub mod playback;
pub mod private_media;
pub mod publishing;
pub mod removals;
pub mod sessions;
pub mod sources;
pub mod transcodes;
pub mod uploads;
pub mod users;
pub mod videos;
