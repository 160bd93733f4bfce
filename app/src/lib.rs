//! Millrace's pages, player and uploader, compiled for the server (feature `ssr`) and for the browser (feature `hydrate` for the player alone,
//! `dashboard` for all of it).

// Views of whole pages are deep types.
#![recursion_limit = "256"]

#[cfg(any(feature = "dashboard", not(target_arch = "wasm32")))]
pub mod components;
#[cfg(any(feature = "dashboard", not(target_arch = "wasm32")))]
pub mod icons;
#[cfg(any(feature = "dashboard", not(target_arch = "wasm32")))]
pub mod live;
#[cfg(any(feature = "dashboard", not(target_arch = "wasm32")))]
pub mod pages;
pub mod player;
#[cfg(feature = "ssr")]
mod request;
#[cfg(any(feature = "dashboard", not(target_arch = "wasm32")))]
pub mod server_fns;
#[cfg(any(feature = "dashboard", not(target_arch = "wasm32")))]
pub mod session;
#[cfg(any(feature = "dashboard", not(target_arch = "wasm32")))]
pub mod shell;
#[cfg(any(feature = "dashboard", not(target_arch = "wasm32")))]
pub mod uploader;
pub mod watch;
#[cfg(any(feature = "dashboard", not(target_arch = "wasm32")))]
pub mod wire;

#[cfg(any(feature = "dashboard", not(target_arch = "wasm32")))]
pub use shell::{App, shell};

#[cfg(feature = "ssr")]
use request::answer_status;

/// In the browser there is no response whose status could be set.
#[cfg(all(not(feature = "ssr"), any(feature = "dashboard", not(target_arch = "wasm32"))))]
const fn answer_status(_status: u16) {}
