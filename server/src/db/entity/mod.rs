//! One file a table. What is asked of a table often, and always with its owner, is a function on its entity.

pub mod alert_notices;
pub mod alerts;
pub mod api_keys;
pub mod audit_log;
pub mod grants;
pub mod growing_renditions;
pub mod growing_segments;
pub mod holds;
pub mod invites;
pub mod jobs;
pub mod removals;
pub mod renditions;
pub mod sessions;
pub mod store_audits;
pub mod titles;
pub mod turns;
pub mod uploads;
pub mod users;
pub mod videos;
