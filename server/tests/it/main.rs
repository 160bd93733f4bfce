//! Integration tests: the server as a library, with a real database, real files and real ffmpeg.

mod access;
mod app;
mod queue;
mod store_contract;
mod transcoder;
mod uploads;
mod accounts;
mod processing;
