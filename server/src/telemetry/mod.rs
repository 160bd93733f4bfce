//! What the operator sees of a running process: numbers, traces, log lines. None of it holds what is a user's: no title, no address, no key.

pub mod logs;
pub mod metrics;
pub mod process;
pub mod stages;
pub mod traces;
