//! The pieces that pages are made of.

pub mod alerts;
pub mod announcer;
pub mod card;
pub mod chips;
pub mod clock;
pub mod confirm;
pub mod copy_field;
pub mod fields;
pub mod header;
pub mod shortcuts;
pub mod words;
