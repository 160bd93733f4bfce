//! The four ports: what the services need from the outside, and the way on which the operator is told of what needs a person. One file each;
//! adapters stand in `adapters/` and are named only in the composition root.

pub mod alert_channel;
pub mod blob_store;
pub mod cdn;
pub mod job_queue;
pub mod transcoder;
