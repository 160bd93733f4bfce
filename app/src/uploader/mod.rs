//! The uploader. It lives above the router, so uploads go on while the user moves between pages.
//!
//! Plain structs decide and are tested on the host ([`backoff`], [`speed`], [`parts`], [`refusal`], [`item`], [`queue`], [`words`]); thin glue
//! does what they say in the browser ([`engine`], [`requests`], [`send_part`]); components show it ([`tray`], [`drop_overlay`]).

pub mod backoff;
pub mod drop_overlay;
pub mod engine;
pub mod item;
pub mod parts;
pub mod queue;
pub mod refusal;
pub mod requests;
pub mod send_part;
pub mod speed;
pub mod tray;
pub mod words;
