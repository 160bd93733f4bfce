//! Sends one part, to our server or straight to the store behind it, by XMLHttpRequest, because `fetch` reports no upload progress. The bytes are
//! read once: what was summed is what is sent.

use std::{cell::Cell, rc::Rc};

use domain::upload::CHECKSUM_HEADER;
use futures::{
    channel::oneshot,
    future::{Either, select},
};
use gloo_timers::future::TimeoutFuture;
use js_sys::{ArrayBuffer, Uint8Array};
use wasm_bindgen::{JsCast, closure::Closure};
use wasm_bindgen_futures::JsFuture;
use web_sys::{File, ProgressEvent, XmlHttpRequest};

use super::{
    refusal::SendError,
    requests::{refusal, store_refusal},
};

/// A request on which nothing moved for this long is dead, whatever the browser believes (after sleep it believes for minutes).
const STALL_MS: f64 = 60_000.0;
/// How often that is looked at.
const LOOK_MS: u32 = 5_000;
/// Bytes summed at once.
const SUM_STEP: usize = 1024 * 1024;

/// The bytes of one part, and their sum.
#[derive(Debug)]
pub struct PartBytes {
    buffer: ArrayBuffer,
    crc32c: u32,
}

/// Reads one part of a file.
///
/// # Errors
/// The browser cannot read the file any more.
pub async fn read_part(file: &File, start: u64, end: u64) -> Result<PartBytes, SendError> {
    let slice = file.slice_with_f64_and_f64(start as f64, end as f64).map_err(|_| SendError::Unreadable)?;
    let buffer = JsFuture::from(slice.array_buffer()).await.map_err(|_| SendError::Unreadable)?;
    let buffer: ArrayBuffer = buffer.dyn_into().map_err(|_| SendError::Unreadable)?;
    if u64::from(buffer.byte_length()) != end - start {
        return Err(SendError::Unreadable);
    }
    // Piece by piece: our own memory never shrinks again.
    let (whole, mut crc32c) = (Uint8Array::new(&buffer), 0);
    for from in (0..whole.length()).step_by(SUM_STEP) {
        crc32c = crc32c::crc32c_append(crc32c, &whole.subarray(from, from.saturating_add(SUM_STEP as u32)).to_vec());
    }
    Ok(PartBytes { buffer, crc32c })
}

impl PartBytes {
    /// Their sum.
    pub const fn crc32c(&self) -> u32 {
        self.crc32c
    }

    /// A copy of them. For a few; a part stays where it is.
    pub fn to_vec(&self) -> Vec<u8> {
        Uint8Array::new(&self.buffer).to_vec()
    }
}

/// Who takes the part; they differ in what they say when they do not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Taker {
    Server,
    Store,
}

/// A part's request: made first, so that the caller can keep a handle to abort it, then sent.
#[derive(Debug)]
pub struct PartRequest {
    request: XmlHttpRequest,
    taker: Taker,
}

impl PartRequest {
    /// A request to our server that is not sent yet.
    ///
    /// # Errors
    /// The browser makes none.
    pub fn to_server(url: &str, bytes: &PartBytes) -> Result<Self, SendError> {
        let sum = format!("{:08x}", bytes.crc32c);
        Self::new(Taker::Server, url, &[("content-type", "application/octet-stream"), (CHECKSUM_HEADER, &sum)])
    }

    /// A request to the store that is not sent yet, with the headers that were signed and, as it is another host, without cookies.
    ///
    /// # Errors
    /// The browser makes none.
    pub fn to_store(url: &str, headers: &[(String, String)]) -> Result<Self, SendError> {
        let headers: Vec<_> = headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        Self::new(Taker::Store, url, &headers)
    }

    fn new(taker: Taker, url: &str, headers: &[(&str, &str)]) -> Result<Self, SendError> {
        let request = XmlHttpRequest::new().map_err(|_| SendError::Network)?;
        let open = || {
            request.open_with_async("PUT", url, true)?;
            headers.iter().try_for_each(|(name, value)| request.set_request_header(name, value))
        };
        open().map_err(|_| SendError::Network)?;
        Ok(Self { request, taker })
    }

    /// The handle by which the request can be aborted.
    pub fn handle(&self) -> XmlHttpRequest {
        self.request.clone()
    }

    /// Sends, tells `on_progress` how many bytes have gone, and waits for the answer.
    ///
    /// # Errors
    /// Aborted, no answer, or a refusal.
    pub async fn send(self, bytes: &PartBytes, on_progress: impl Fn(u64) + 'static) -> Result<(), SendError> {
        let moved_at = Rc::new(Cell::new(js_sys::Date::now()));
        let progress = {
            let moved_at = Rc::clone(&moved_at);
            Closure::<dyn FnMut(ProgressEvent)>::new(move |event: ProgressEvent| {
                moved_at.set(js_sys::Date::now());
                on_progress(event.loaded() as u64);
            })
        };
        let aborted = Rc::new(Cell::new(false));
        let abort = {
            let aborted = Rc::clone(&aborted);
            Closure::<dyn FnMut()>::new(move || aborted.set(true))
        };
        let (sender, answered) = oneshot::channel();
        let end = Closure::once(move || {
            let _ = sender.send(());
        });

        if let Ok(upload) = self.request.upload() {
            upload.set_onprogress(Some(progress.as_ref().unchecked_ref()));
        }
        self.request.set_onabort(Some(abort.as_ref().unchecked_ref()));
        self.request.set_onloadend(Some(end.as_ref().unchecked_ref()));
        self.request.send_with_opt_buffer_source(Some(&bytes.buffer)).map_err(|_| SendError::Network)?;

        let outcome = match select(answered, Box::pin(stalled(moved_at))).await {
            Either::Left(_) if aborted.get() => Err(SendError::Aborted),
            Either::Left(_) => self.answer(),
            Either::Right(_) => Err(SendError::Network),
        };
        // The closures die with this call; the request must not call them afterwards.
        if let Ok(upload) = self.request.upload() {
            upload.set_onprogress(None);
        }
        self.request.set_onabort(None);
        self.request.set_onloadend(None);
        if outcome == Err(SendError::Network) {
            drop(self.request.abort());
        }
        outcome
    }

    fn answer(&self) -> Result<(), SendError> {
        let text = || self.request.response_text().ok().flatten().unwrap_or_default();
        match (self.request.status().unwrap_or(0), self.taker) {
            (200..=299, _) => Ok(()),
            (status, Taker::Store) => Err(store_refusal(status, &text())),
            (0, Taker::Server) => Err(SendError::Network),
            (status, Taker::Server) => {
                let after = self.request.get_response_header("retry-after").ok().flatten();
                Err(SendError::Refused(refusal(status, &text(), after.as_deref())))
            }
        }
    }
}

/// Ends when nothing has moved for too long.
async fn stalled(moved_at: Rc<Cell<f64>>) {
    while js_sys::Date::now() - moved_at.get() < STALL_MS {
        TimeoutFuture::new(LOOK_MS).await;
    }
}
