//! Integration tests: the server as a library, with a real database, real files and real ffmpeg.

mod access;
mod accounts;
mod app;
mod aws_cdn;
mod aws_queue;
mod aws_store;
mod aws_transcoder;
mod cdn_contract;
mod database;
mod plain_http;
mod playlists_origin;
mod processing;
mod queue;
mod queue_contract;
mod sources;
mod store_contract;
mod transcoder;
mod transcoder_contract;
mod uploads;
mod worker;
mod worker_faults;
mod workshop;
