//! The uploader. It lives above the router, so uploads go on while the user moves between pages.
//!
//! Plain structs decide and are tested on the host ([`backoff`], [`speed`], [`pace`], [`parts`], [`refusal`], [`item`], [`queue`], [`fingerprint`], [`resume`], [`words`]); thin glue
//! does what they say in the browser ([`engine`], [`locks`], [`requests`], [`send_part`]); components show it ([`tray`], [`resume_card`], [`sign_in_again`],
//! [`drop_overlay`]). The rest of the app knows the [`desk`] alone: what is behind it comes after the first page.

pub mod backoff;
pub mod desk;
pub mod drop_overlay;
pub mod engine;
pub mod fingerprint;
pub mod item;
pub mod locks;
pub mod pace;
pub mod parts;
pub mod queue;
pub mod refusal;
pub mod requests;
pub mod resume;
pub mod resume_card;
pub mod send_part;
pub mod sign_in_again;
pub mod speed;
pub mod tables;
pub mod tray;
pub mod words;
