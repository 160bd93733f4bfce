//! Millrace's back end, which knows no Leptos. `ports` says what is needed from the outside and `adapters` supply it;
//! `services` do the work; `http` is the REST surface and `worker` the one behind the queue. The composition root (the binary)
//! chooses the adapters.

pub mod adapters;
pub mod assembly;
pub mod clock;
pub mod config;
mod crc32c;
pub mod db;
pub mod delivery;
pub mod disk;
pub mod error;
pub mod failpoints;
pub mod http;
mod lane;
pub mod packager;
pub mod ports;
pub mod process_name;
pub mod services;
pub mod signing;
pub mod telemetry;
pub mod worker;
