//! A safe hold on one hls.js instance: made for one `<video>` and one playlist, destroyed when dropped, its events as a Rust enum.
//! Fresh playlist, fresh instance: nothing is carried over, so there is no half-reset state to reason about.

use js_sys::{Array, Object, Reflect};
use wasm_bindgen::{JsCast, JsValue, closure::Closure};
use web_sys::{HtmlVideoElement, XmlHttpRequest};

use super::{hls_extern::JsHls, quality::Rung, recovery::Fault, renewal::Signatures, starter::Starter};

/// Seconds to buffer before the viewer has pressed play: the first segment, for the first picture.
const BUFFER_BEFORE_PLAY: f64 = 1.0;
/// Seconds to buffer ahead while playing.
const BUFFER_AHEAD: f64 = 30.0;
/// Seconds to keep behind, for short seeks back.
const BUFFER_BEHIND: f64 = 60.0;
/// What begins earlier begins at the beginning: WebKitGTK, which reads no edit lists, has no picture there yet, and hangs in a seek to its first.
const BEGINNING: f64 = 0.5;

/// What hls.js tells.
#[derive(Debug)]
pub(super) enum HlsEvent {
    /// The multivariant playlist is read.
    Parsed(Vec<Rung>),
    /// This level is on the screen.
    Switched(u32),
    /// The network failed once; hls.js tries again by itself.
    Hindered,
    /// What the page had begun could not be taken over: it has to be opened anew.
    Abandoned,
    /// Something went wrong that the caller has to act on.
    Failed(Fault),
}

type Listener = Closure<dyn FnMut(JsValue, JsValue)>;
type Shared<T> = std::rc::Rc<std::cell::RefCell<T>>;

/// One instance at work.
pub(super) struct Hls {
    inner: JsHls,
    /// Whether the multivariant playlist was read: `startLoad` alone mends nothing before.
    parsed: std::rc::Rc<std::cell::Cell<bool>>,
    /// hls.js calls these until it is destroyed.
    _listeners: Vec<Listener>,
    _sign: Closure<dyn FnMut(XmlHttpRequest, String)>,
    /// Let go of first: what it has not handed over yet ends with this.
    starter: Option<(Starter, Closure<dyn FnMut()>)>,
}

impl Hls {
    /// Whether hls.js can work here. The script must be loaded.
    pub(super) fn is_supported() -> bool {
        JsHls::is_supported()
    }

    /// Plays `url` in `video` from second `at`, or goes on with what `starter` has begun there, asking for everything with the `signatures` of
    /// that moment; `on_event` hears what happens.
    pub(super) fn open(
        video: &HtmlVideoElement,
        url: &str,
        at: f64,
        starter: Option<Starter>,
        signatures: &Shared<Option<Signatures>>,
        on_event: impl Fn(HlsEvent) + 'static,
    ) -> Result<Self, JsValue> {
        let signatures = signatures.clone();
        let sign = Closure::<dyn FnMut(XmlHttpRequest, String)>::new(move |request: XmlHttpRequest, url: String| {
            if let Some(fresh) = signatures.borrow().as_ref().and_then(|signatures| signatures.refresh(&url)) {
                // hls.js opens what was not opened here.
                let _ = request.open("GET", &fresh);
            }
        });
        let config = config(at, starter.as_ref());
        set(&config, "xhrSetup", sign.as_ref());
        let inner = JsHls::new(&config)?;
        let on_event = std::rc::Rc::new(on_event);
        let parsed = std::rc::Rc::new(std::cell::Cell::new(false));
        let mut listeners = Vec::new();
        for name in ["hlsManifestParsed", "hlsLevelSwitched", "hlsError"] {
            let (on_event, parsed) = (on_event.clone(), parsed.clone());
            let listener = Listener::new(move |_event: JsValue, data: JsValue| {
                if name == "hlsManifestParsed" {
                    parsed.set(true);
                }
                if let Some(event) = read_event(name, &data) {
                    on_event(event);
                }
            });
            inner.on(name, listener.as_ref().unchecked_ref());
            listeners.push(listener);
        }
        let starter = starter.map(|starter| {
            let otherwise = Closure::<dyn FnMut()>::new(move || on_event(HlsEvent::Abandoned));
            starter.hand_over(&inner, otherwise.as_ref().unchecked_ref());
            (starter, otherwise)
        });
        inner.load_source(url);
        if starter.is_none() {
            inner.attach_media(video);
        }
        Ok(Self { inner, parsed, _listeners: listeners, _sign: sign, starter })
    }

    /// Loads on after a network fault; `false` where there is nothing to go on from.
    pub(super) fn load_on(&self) -> bool {
        if self.parsed.get() {
            // -1: where it was.
            self.inner.start_load(-1.0);
        }
        self.parsed.get()
    }

    /// Sets the decoder up anew after a media fault.
    pub(super) fn recover(&self) {
        self.inner.recover_media_error();
    }

    /// From here on buffers as far ahead as playing needs.
    pub(super) fn buffer_ahead(&self) {
        let config = self.inner.config();
        set(&config, "maxBufferLength", BUFFER_AHEAD);
        set(&config, "maxMaxBufferLength", BUFFER_AHEAD * 4.0);
    }

    /// Plays this level from the next segment on; `None` is Auto.
    pub(super) fn choose(&self, level: Option<u32>) {
        self.inner.set_next_level(level.map_or(-1, |level| i32::try_from(level).unwrap_or(-1)));
    }
}

impl Drop for Hls {
    fn drop(&mut self) {
        drop(self.starter.take());
        self.inner.destroy();
    }
}

fn config(at: f64, starter: Option<&Starter>) -> Object {
    let config = Object::new();
    // Our segments are fMP4 already: nothing to transmux, so a worker would only cost its start.
    set(&config, "enableWorker", false);
    set(&config, "capLevelToPlayerSize", true);
    set(&config, "startLevel", -1);
    set(&config, "startPosition", if at > BEGINNING && starter.is_none() { at } else { -1.0 });
    set(&config, "backBufferLength", BUFFER_BEHIND);
    set(&config, "maxBufferLength", BUFFER_BEFORE_PLAY);
    set(&config, "maxMaxBufferLength", BUFFER_BEFORE_PLAY);
    if let Some(starter) = starter {
        // It has the element only later, and knows by then what the line can do.
        set(&config, "autoStartLoad", false);
        set(&config, "testBandwidth", false);
        set(&config, "abrEwmaDefaultEstimate", starter.estimate());
    }
    config
}

fn set(object: &Object, key: &str, value: impl Into<JsValue>) {
    // Setting a property of a plain object cannot fail.
    let _ = Reflect::set(object, &key.into(), &value.into());
}

fn get(object: &JsValue, key: &str) -> JsValue {
    Reflect::get(object, &key.into()).unwrap_or(JsValue::UNDEFINED)
}

fn number(object: &JsValue, key: &str) -> u32 {
    get(object, key).as_f64().map_or(0, |number| number as u32)
}

fn read_event(name: &str, data: &JsValue) -> Option<HlsEvent> {
    match name {
        "hlsManifestParsed" => Some(HlsEvent::Parsed(read_rungs(&get(data, "levels").unchecked_into()))),
        "hlsLevelSwitched" => Some(HlsEvent::Switched(number(data, "level"))),
        _ => read_fault(data),
    }
}

fn read_rungs(levels: &Array) -> Vec<Rung> {
    let rung = |(level, data): (u32, JsValue)| Rung {
        level,
        width: number(&data, "width"),
        height: number(&data, "height"),
        bandwidth: number(&data, "bitrate"),
    };
    (0..).zip(levels.iter()).map(rung).collect()
}

/// A refusal is acted on at once, fatal or not: hls.js would try the other levels first, and they are refused alike.
/// Everything else is hls.js's own to mend until it says that it cannot.
fn read_fault(data: &JsValue) -> Option<HlsEvent> {
    let kind = get(data, "type").as_string().unwrap_or_default();
    let status = number(&get(data, "response"), "code");
    let fatal = get(data, "fatal").is_truthy();
    Some(match kind.as_str() {
        "networkError" if matches!(status, 401 | 403 | 404 | 410) => HlsEvent::Failed(Fault::Refused),
        "networkError" if !fatal => HlsEvent::Hindered,
        _ if !fatal => return None,
        "networkError" => HlsEvent::Failed(Fault::Network),
        "mediaError" | "muxError" => HlsEvent::Failed(Fault::Media),
        _ => HlsEvent::Failed(Fault::Fatal),
    })
}
