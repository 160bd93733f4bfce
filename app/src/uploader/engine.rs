//! Does in the browser what the queue says. One handle, [`Uploader`], is in the context of the whole app; on the server it is there too,
//! empty, because effects never run there.

use std::collections::HashMap;

use domain::{
    ids::{UploadId, VideoId},
    upload::{BeginUpload, PartTarget},
};
use gloo_timers::future::TimeoutFuture;
use leptos::{ev, prelude::*, task::spawn_local};
use send_wrapper::SendWrapper;
use web_sys::{File, FileList, XmlHttpRequest};

use super::{
    item::ItemKey,
    queue::{Queue, Step},
    refusal::SendError,
    requests,
    send_part::{PartRequest, read_part},
};
use crate::components::announcer::Announcer;

/// All uploads of this tab.
#[derive(Debug, Clone, Copy)]
pub struct Uploader {
    /// What is to do and how far it is.
    pub queue: RwSignal<Queue>,
    files: StoredValue<HashMap<ItemKey, SendWrapper<File>>>,
    ids: StoredValue<HashMap<ItemKey, UploadId>>,
    requests: StoredValue<HashMap<(ItemKey, u32), SendWrapper<XmlHttpRequest>>>,
    wake_at: StoredValue<Option<f64>>,
    announcer: Announcer,
}

impl Uploader {
    /// An uploader with nothing to do, put into the context; in the browser it follows the network and asks before the page is left.
    pub fn provide(announcer: Announcer) -> Self {
        let uploader = Self {
            queue: RwSignal::new(Queue::default()),
            files: StoredValue::new(HashMap::new()),
            ids: StoredValue::new(HashMap::new()),
            requests: StoredValue::new(HashMap::new()),
            wake_at: StoredValue::new(None),
            announcer,
        };
        provide_context(uploader);
        Effect::new(move |_| uploader.listen());
        uploader
    }

    /// Takes files up, as chosen, dropped or pasted.
    pub fn add(self, list: Option<FileList>) {
        let Some(list) = list else { return };
        let files: Vec<File> = (0..list.length()).filter_map(|at| list.item(at)).collect();
        let keys = self.change(|queue| queue.add(files.iter().map(|file| (file.name(), file.size() as u64)))).unwrap_or_default();
        self.files.update_value(|known| {
            known.extend(keys.into_iter().zip(files).map(|(key, file)| (key, SendWrapper::new(file))));
        });
        self.pump();
    }

    /// Stops an upload and takes it back, or clears a finished one away.
    pub fn remove(self, key: ItemKey) {
        let upload = self.change(|queue| queue.remove(key)).flatten();
        self.abort(key);
        self.files.update_value(|files| drop(files.remove(&key)));
        if let Some(upload) = upload {
            spawn_local(requests::take_back(upload));
        }
        self.pump();
    }

    /// Clears away everything that has ended.
    pub fn clear_finished(self) {
        let keys = self.change(Queue::clear_finished).unwrap_or_default();
        self.files.update_value(|files| files.retain(|key, _| !keys.contains(key)));
    }

    /// Holds an upload, or lets it go on.
    pub fn set_paused(self, key: ItemKey, paused: bool) {
        self.change(|queue| queue.set_paused(key, paused));
        if paused {
            self.abort(key);
        }
        self.pump();
    }

    /// Percent of the file that becomes this video, while it is on its way from this tab.
    pub fn percent_of(self, video: VideoId) -> Option<u8> {
        self.queue.with(|queue| queue.percent_of(video))
    }

    fn listen(self) {
        self.queue.update(|queue| queue.set_online(window().navigator().on_line()));
        let online = move |online| {
            move |_: web_sys::Event| {
                self.change(|queue| queue.set_online(online));
                self.pump();
            }
        };
        let _ = window_event_listener(ev::online, online(true));
        let _ = window_event_listener(ev::offline, online(false));
        let _ = window_event_listener(ev::beforeunload, move |event| {
            if self.queue.with_untracked(Queue::running) > 0 {
                event.prevent_default();
                // Older browsers ask only when there is a text, which none of them shows.
                event.set_return_value("Uploads are still running.");
            }
        });
    }

    /// Hands out what may be done now, and comes back when something may be tried again.
    fn pump(self) {
        let now = js_sys::Date::now();
        let steps = self.queue.try_update(|queue| queue.next_steps(now)).unwrap_or_default();
        for step in steps {
            spawn_local(async move {
                match step {
                    Step::Begin(key, begin) => self.begin(key, begin).await,
                    Step::Part(key, number) => self.part(key, number).await,
                    Step::Complete(key, upload) => self.complete(key, upload).await,
                }
                self.pump();
            });
        }
        let Some(at) = self.queue.with_untracked(|queue| queue.next_wake(now)) else { return };
        if self.wake_at.get_value().is_none_or(|planned| planned <= now || planned > at) {
            self.wake_at.set_value(Some(at));
            spawn_local(async move {
                TimeoutFuture::new((at - now).ceil() as u32).await;
                self.pump();
            });
        }
    }

    async fn begin(self, key: ItemKey, mut begin: BeginUpload) {
        // The same on every try, so that a lost answer does not begin a second upload.
        begin.upload_id = self.ids.try_update_value(|ids| *ids.entry(key).or_insert_with(random_id));
        match requests::begin(&begin).await {
            Ok(ticket) => {
                let upload = ticket.upload_id;
                if self.change(|queue| queue.began(key, ticket)) == Some(false) {
                    requests::take_back(upload).await;
                }
            }
            Err(error) => self.fail(key, None, error),
        }
    }

    async fn part(self, key: ItemKey, number: u32) {
        let sent = self.send(key, number).await;
        self.requests.update_value(|requests| drop(requests.remove(&(key, number))));
        match sent {
            Ok(()) => {
                self.change(|queue| queue.arrived(key, number, js_sys::Date::now()));
            }
            Err(error) => self.fail(key, Some(number), error),
        }
    }

    async fn send(self, key: ItemKey, number: u32) -> Result<(), SendError> {
        let file = self.files.with_value(|files| files.get(&key).cloned()).ok_or(SendError::Aborted)?;
        let part = self.queue.with_untracked(|queue| queue.get(key).and_then(|item| item.part(number)));
        let way = part.ok_or(SendError::Aborted)?;
        let bytes = read_part(&file, way.start, way.end).await?;
        let request = match &way.target_url {
            None => PartRequest::to_server(&way.url, &bytes)?,
            Some(url) => match requests::target(url, bytes.crc32c()).await? {
                PartTarget::Safe { .. } => return Ok(()),
                PartTarget::Put { url, headers } => PartRequest::to_store(&url, &headers)?,
            },
        };
        // Paused or cancelled while the file was read or the place asked for.
        if self.queue.with_untracked(|queue| queue.get(key).is_none_or(|item| item.paused)) {
            return Err(SendError::Aborted);
        }
        self.requests.update_value(|requests| drop(requests.insert((key, number), SendWrapper::new(request.handle()))));
        let on_progress = move |gone| {
            let _ = self.change(|queue| queue.progress(key, number, gone, js_sys::Date::now()));
        };
        request.send(&bytes, on_progress).await
    }

    async fn complete(self, key: ItemKey, upload: UploadId) {
        match requests::complete(upload).await {
            Ok(()) => {
                self.change(|queue| queue.completed(key));
                self.files.update_value(|files| drop(files.remove(&key)));
            }
            Err(error) => self.fail(key, None, error),
        }
    }

    fn fail(self, key: ItemKey, part: Option<u32>, error: SendError) {
        let random = js_sys::Math::random();
        let ended = self.change(|queue| queue.failed(key, part, error, js_sys::Date::now(), random)).flatten();
        if let Some(upload) = ended {
            self.abort(key);
            spawn_local(requests::take_back(upload));
        }
    }

    fn abort(self, key: ItemKey) {
        let mut handles = Vec::new();
        self.requests.update_value(|requests| {
            requests.retain(|(of, _), handle| {
                if *of == key {
                    handles.push(handle.clone());
                }
                *of != key
            });
        });
        // Outside of the update: aborting calls back into us at once.
        for handle in handles {
            drop(handle.abort());
        }
    }

    /// Changes the queue and says what it has to say.
    fn change<T>(self, act: impl FnOnce(&mut Queue) -> T) -> Option<T> {
        let (result, said) = self.queue.try_update(|queue| (act(queue), queue.take_announcements()))?;
        for announcement in said {
            self.announcer.say(&announcement.text, announcement.urgent);
        }
        Some(result)
    }
}

/// A random UUID (version 4, RFC 9562). It only has to differ from other uploads' ids; nobody gets anything by guessing it.
fn random_id() -> UploadId {
    let random = || (js_sys::Math::random() * f64::from(u32::MAX)) as u32;
    let mut bytes = [0; 16];
    for part in bytes.chunks_exact_mut(4) {
        part.copy_from_slice(&random().to_be_bytes());
    }
    UploadId::from_random(bytes)
}
