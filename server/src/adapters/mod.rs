//! What the ports are made of. Named by the composition root only.

pub mod cloudfront_cdn;
pub mod db_queue;
pub mod ffmpeg_transcoder;
pub mod fs_store;
pub mod origin_cdn;
