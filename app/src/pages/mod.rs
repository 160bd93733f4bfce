//! One file a page, and beside it the plain logic it has.

pub mod activity;
pub mod ahead;
pub mod coming;
pub mod door;
pub mod embed_hosts;
pub mod jobs;
pub mod later;
pub mod library;
pub mod not_fetched;
pub mod not_found;
pub mod people;
pub mod people_invites;
pub mod settings;
pub mod settings_keys;
pub mod settings_sessions;
pub mod shelf;
pub mod sign_in;
pub mod sign_up;
pub mod steps;
pub mod storage;
pub mod video;
pub mod video_grants;
pub mod video_head;
pub mod video_side;
