//! What the ports are made of. Named by the composition root only.

pub mod alert_mail;
pub mod alert_webhook;
pub mod aws;
pub mod aws_doctor;
pub mod check;
pub mod cloudfront_cdn;
pub mod db_queue;
pub mod ffmpeg_transcoder;
pub mod fs_store;
mod init_segment;
pub mod mediaconvert_transcoder;
pub mod origin_cdn;
pub mod otlp;
pub mod outgoing;
mod part_locks;
mod resent_part;
pub mod s3_store;
pub mod sqs_queue;
pub mod web;
