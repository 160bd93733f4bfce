//! Millrace's pages, player and uploader, compiled for the server (feature `ssr`) and for the browser (feature `hydrate`).

// Views of whole pages are deep types.
#![recursion_limit = "256"]

pub mod components;
pub mod icons;
pub mod live;
pub mod pages;
pub mod player;
#[cfg(feature = "ssr")]
mod request;
pub mod server_fns;
pub mod session;
pub mod shell;
pub mod uploader;
pub mod watch;
pub mod wire;

pub use shell::{App, shell};

#[cfg(feature = "ssr")]
use request::answer_status;

/// In the browser there is no response whose status could be set.
#[cfg(not(feature = "ssr"))]
const fn answer_status(_status: u16) {}
