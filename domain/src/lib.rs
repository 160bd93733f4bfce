//! The words and rules of Millrace, with no I/O: what a video, an upload, a job, a ladder, a playlist and a grant
//! are, and which steps between their states are legal. Compiles for the server and for the browser alike.

pub mod account;
pub mod alert;
pub mod audit;
pub mod backlog;
pub mod container;
pub mod device;
pub mod embed_hosts;
pub mod error;
pub mod failure;
pub mod grant;
pub mod ids;
pub mod job;
pub mod ladder;
pub mod playlist;
pub mod source;
pub mod start;
pub mod storage_key;
pub mod storage_use;
pub mod store_audit;
pub mod upload;
pub mod video;
