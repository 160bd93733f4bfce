//! What is fuzzed, taken out of the server by path, so that the rest of it need not be built.

#[path = "../../server/src/packager/mod.rs"]
pub mod packager;
