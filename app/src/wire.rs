//! How what the server found out for a page comes with the page: JSON, read by the one reader that answers to requests are read by as well. serde
//! makes code for each type and each kind of reader, so a second kind would be all of it a second time in what the browser loads.

use std::future::Future;

use leptos::{
    prelude::Resource,
    server::codee::{Decoder, Encoder},
};
use serde::{Serialize, de::DeserializeOwned};

/// The form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wire;

impl<T: Serialize> Encoder<T> for Wire {
    type Error = serde_json::Error;
    type Encoded = String;

    fn encode(value: &T) -> Result<String, serde_json::Error> {
        serde_json::to_string(value)
    }
}

impl<T: DeserializeOwned> Decoder<T> for Wire {
    type Error = serde_json::Error;
    type Encoded = str;

    fn decode(text: &str) -> Result<T, serde_json::Error> {
        read(text)
    }
}

/// Something that the server finds out for a page.
pub type Asked<T> = Resource<T, Wire>;

/// Asks `fetch` for what `about` is about, anew whenever that changes. The page is sent once the answer is there.
pub fn ask<S, T, F>(about: impl Fn() -> S + Send + Sync + 'static, fetch: impl Fn(S) -> F + Send + Sync + 'static) -> Asked<T>
where
    S: PartialEq + Clone + Send + Sync + 'static,
    T: Serialize + DeserializeOwned + Send + Sync + 'static,
    F: Future<Output = T> + Send + 'static,
{
    Resource::new_with_options(about, fetch, true)
}

/// Reads JSON.
///
/// # Errors
/// It is none, or of something else.
pub fn read<T: DeserializeOwned>(text: &str) -> Result<T, serde_json::Error> {
    serde_json::from_slice(text.as_bytes())
}
