//! The four ports: what the services need from the outside. One file each; adapters stand in `adapters/` and are named only in
//! the composition root.

pub mod blob_store;
pub mod cdn;
pub mod job_queue;
pub mod transcoder;
