//! One tab for one upload: the browser's Web Locks, which end with the tab however it ends. Where there are none (a page that is not on HTTPS or
//! on this machine), uploads work all the same: the server refuses parts that differ from those it has.

use domain::ids::UploadId;
use futures::channel::oneshot;
use js_sys::{Array, Function, Object, Promise, Reflect};
use leptos::prelude::window;
use wasm_bindgen::{JsCast, JsValue, closure::Closure, prelude::wasm_bindgen};
use wasm_bindgen_futures::JsFuture;

const PREFIX: &str = "millrace-upload-";

#[wasm_bindgen]
extern "C" {
    /// `navigator.locks`; web-sys has it among its unstable interfaces only.
    type LockManager;
    #[wasm_bindgen(method)]
    fn request(this: &LockManager, name: &str, options: &JsValue, granted: &Function) -> Promise;
    #[wasm_bindgen(method)]
    fn query(this: &LockManager) -> Promise;
}

/// A lock that this tab holds until it is dropped.
#[derive(Debug)]
pub struct Lock {
    release: Option<Function>,
}

impl Drop for Lock {
    fn drop(&mut self) {
        if let Some(release) = &self.release {
            drop(release.call0(&JsValue::NULL));
        }
    }
}

fn manager() -> Option<LockManager> {
    let locks = Reflect::get(&window().navigator(), &"locks".into()).ok()?;
    (!locks.is_undefined()).then(|| locks.unchecked_into())
}

/// Takes an upload for this tab; `None` where another tab has it.
pub async fn take(upload: UploadId) -> Option<Lock> {
    let Some(manager) = manager() else { return Some(Lock { release: None }) };
    let (sender, answered) = oneshot::channel();
    let granted = Closure::once_into_js(move |lock: JsValue| -> JsValue {
        if lock.is_null() {
            drop(sender.send(None));
            return JsValue::UNDEFINED;
        }
        // The lock is held until this promise is kept.
        let mut release = None;
        let held = Promise::new(&mut |keep, _| release = Some(keep));
        drop(sender.send(Some(Lock { release })));
        held.into()
    });
    let options = Object::new();
    drop(Reflect::set(&options, &"ifAvailable".into(), &JsValue::TRUE));
    let _held = manager.request(&format!("{PREFIX}{upload}"), &options, granted.unchecked_ref());
    answered.await.unwrap_or(Some(Lock { release: None }))
}

/// The uploads that tabs of this browser have, this one among them.
pub async fn taken() -> Vec<UploadId> {
    let Some(manager) = manager() else { return Vec::new() };
    let Ok(snapshot) = JsFuture::from(manager.query()).await else { return Vec::new() };
    let held = Reflect::get(&snapshot, &"held".into()).unwrap_or_default();
    let name_of = |lock: JsValue| Reflect::get(&lock, &"name".into()).ok()?.as_string()?.strip_prefix(PREFIX)?.parse().ok();
    Array::from(&held).iter().filter_map(name_of).collect()
}
