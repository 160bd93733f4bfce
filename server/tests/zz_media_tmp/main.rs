//! temporary
mod transcoder;
