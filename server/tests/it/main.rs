//! Integration tests: the server as a library, with a real database, real files and real ffmpeg.

mod access;
mod accounts;
mod app;
mod processing;
mod queue;
mod sources;
mod store_contract;
mod transcoder;
mod uploads;
