//! Does in the browser what the queue says. One handle, [`Uploader`], is in the context of the whole app; on the server it is there too,
//! empty, because effects never run there.

use std::collections::HashMap;

use domain::{
    account::Account,
    ids::UploadId,
    upload::{BeginUpload, PartTarget, UploadTicket},
};
use gloo_timers::future::TimeoutFuture;
use leptos::{ev, prelude::*, task::spawn_local};
use send_wrapper::SendWrapper;
use web_sys::{File, XmlHttpRequest};

use super::{
    desk::Uploads,
    fingerprint,
    item::{ItemKey, Trouble},
    locks::{self, Lock},
    pace::Pace,
    queue::{Queue, Step},
    refusal::SendError,
    requests,
    resume::Unfinished,
    send_part::{PartRequest, read_part},
    tables,
};
use crate::{components::announcer::Announcer, server_fns::accounts::current_account, session::Session};

/// All uploads of this tab.
#[derive(Debug, Clone, Copy)]
pub struct Uploader {
    /// What is to do and how far it is.
    pub queue: RwSignal<Queue>,
    /// What began before and is not complete.
    pub unfinished: RwSignal<Unfinished>,
    pub(super) files: StoredValue<HashMap<ItemKey, SendWrapper<File>>>,
    pub(super) locks: StoredValue<HashMap<ItemKey, SendWrapper<Lock>>>,
    pub(super) account: StoredValue<Option<Account>>,
    pub(super) watching: StoredValue<bool>,
    ids: StoredValue<HashMap<ItemKey, UploadId>>,
    requests: StoredValue<HashMap<(ItemKey, u32), SendWrapper<XmlHttpRequest>>>,
    wake_at: StoredValue<Option<f64>>,
    pub(super) announcer: Announcer,
}

impl Uploader {
    /// An uploader with nothing to do, put into the context, that tells the desk how far it is; it follows the network and asks before the page is
    /// left. For the browser alone.
    pub fn provide(desk: Uploads, announcer: Announcer, session: Session) -> Self {
        // Files may have waited for this and are added at once, so both are right from the beginning.
        let pace = speed_before().map_or_else(Pace::default, Pace::remembered);
        let account = session.account.get_untracked().and_then(Result::ok).flatten();
        let uploader = Self {
            queue: RwSignal::new(Queue::with_pace(pace)),
            unfinished: RwSignal::new(Unfinished::default()),
            files: StoredValue::new(HashMap::new()),
            locks: StoredValue::new(HashMap::new()),
            account: StoredValue::new(account),
            watching: StoredValue::new(false),
            ids: StoredValue::new(HashMap::new()),
            requests: StoredValue::new(HashMap::new()),
            wake_at: StoredValue::new(None),
            announcer,
        };
        provide_context(uploader);
        Effect::new(move |_| uploader.listen());
        let percents = Memo::new(move |_| uploader.queue.with(Queue::percents));
        Effect::new(move |_| desk.percents.set(percents.get()));
        Effect::new(move |_| uploader.meet(session.account.get().and_then(Result::ok).flatten()));
        uploader
    }

    /// Takes files up, as chosen, dropped or pasted. One that an unfinished upload began with goes on with that.
    pub fn add(self, files: Vec<File>) {
        let (known, new): (Vec<_>, Vec<_>) =
            files.into_iter().map(|file| (self.offer_for(&file), file)).partition(|(offer, _)| offer.is_some());
        for (offer, file) in known {
            spawn_local(async move {
                let Some(offer) = offer else { return };
                if self.go_on(offer, file.clone()).await.is_err() {
                    self.add_new(vec![file]);
                }
            });
        }
        self.add_new(new.into_iter().map(|(_, file)| file).collect());
    }

    fn add_new(self, files: Vec<File>) {
        if files.is_empty() {
            return;
        }
        let owner = self.account.get_value();
        let described: Vec<_> = files.iter().map(|file| (file.name(), file.size() as u64)).collect();
        let keys = self.change(|queue| queue.add(described, owner.as_ref())).unwrap_or_default();
        self.files.update_value(|known| {
            known.extend(keys.into_iter().zip(files).map(|(key, file)| (key, SendWrapper::new(file))));
        });
        self.pump();
    }

    /// Stops an upload and takes it back, or clears a finished one away.
    pub fn remove(self, key: ItemKey) {
        let upload = self.change(|queue| queue.remove(key)).flatten();
        self.abort(key);
        self.let_go(key);
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

    fn listen(self) {
        self.queue.update(|queue| queue.set_online(window().navigator().on_line()));
        // Back from sleep or from another tab: what waited for the network need not wait longer.
        let _ = window_event_listener(ev::visibilitychange, move |_| {
            if !document().hidden() {
                self.change(|queue| queue.hurry(|item| item.trouble == Some(Trouble::Network)));
                self.pump();
            }
        });
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
    pub(super) fn pump(self) {
        let now = js_sys::Date::now();
        let steps = self.queue.try_update(|queue| queue.next_steps(now)).unwrap_or_default();
        for step in steps {
            spawn_local(async move {
                match step {
                    Step::Begin(key, begin) => self.begin(key, begin).await,
                    Step::Look(key, upload) => self.look(key, upload).await,
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
        match self.tell_of(key, &mut begin).await {
            Ok(ticket) => {
                let upload = ticket.upload_id;
                if self.change(|queue| queue.began(key, ticket)) == Some(false) {
                    requests::take_back(upload).await;
                } else if let Some(lock) = locks::take(upload).await {
                    self.locks.update_value(|locks| drop(locks.insert(key, SendWrapper::new(lock))));
                }
            }
            Err(error) => self.fail(key, None, error).await,
        }
    }

    async fn tell_of(self, key: ItemKey, begin: &mut BeginUpload) -> Result<UploadTicket, SendError> {
        let file = self.files.with_value(|files| files.get(&key).cloned()).ok_or(SendError::Aborted)?;
        begin.fingerprint = Some(fingerprint::of(&file).await?);
        let tables = tables::find(&file).await;
        self.change(|queue| queue.found(key, tables));
        // Nothing of one account's becomes another's because somebody else signed in meanwhile.
        self.check_owner(key).await?;
        requests::begin(begin).await
    }

    async fn look(self, key: ItemKey, upload: UploadId) {
        match requests::look(upload).await {
            Ok(ticket) => drop(self.change(|queue| queue.began(key, ticket))),
            Err(error) => self.fail(key, None, error).await,
        }
    }

    /// Whether the one whose file this is is the one who is signed in.
    async fn check_owner(self, key: ItemKey) -> Result<(), SendError> {
        let owner = self.queue.with_untracked(|queue| queue.get(key).and_then(|item| item.owner.clone()));
        let now = current_account().await.map_err(|_| SendError::Network)?;
        match (owner, now) {
            (Some(owner), Some(now)) if owner.id != now.id => Err(SendError::OtherAccount(owner.email)),
            (_, None) => Err(SendError::Refused(requests::refusal(401, "", None))),
            _ => Ok(()),
        }
    }

    async fn part(self, key: ItemKey, number: u32) {
        let sent = self.send(key, number).await;
        self.requests.update_value(|requests| drop(requests.remove(&(key, number))));
        match sent {
            Ok(()) => {
                self.change(|queue| queue.arrived(key, number, js_sys::Date::now()));
                self.queue.with_untracked(|queue| queue.pace().bytes_per_second().map(remember_speed));
            }
            Err(error) => self.fail(key, Some(number), error).await,
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
                self.let_go(key);
            }
            Err(error) => self.fail(key, None, error).await,
        }
    }

    /// What is done with is read no more, and free for other tabs.
    fn let_go(self, key: ItemKey) {
        self.files.update_value(|files| drop(files.remove(&key)));
        self.locks.update_value(|locks| drop(locks.remove(&key)));
    }

    /// What is somebody else's is not there: it may be ours, and somebody else at the door. Who was at the door when the answer was given
    /// nobody knows any more, so it is asked again, by whom is known now.
    async fn look_as_known(self, key: ItemKey, upload: UploadId) -> Result<UploadTicket, SendError> {
        self.check_owner(key).await?;
        requests::look(upload).await
    }

    async fn fail(self, key: ItemKey, part: Option<u32>, mut error: SendError) {
        let upload = self.queue.with_untracked(|queue| queue.get(key).and_then(|item| item.upload_id));
        if let (SendError::Refused(refusal), Some(upload)) = (&error, upload)
            && refusal.status == 404
        {
            match self.look_as_known(key, upload).await {
                Ok(ticket) => {
                    self.change(|queue| queue.failed(key, part, SendError::Aborted, js_sys::Date::now(), 0.0));
                    self.change(|queue| queue.began(key, ticket));
                    return;
                }
                Err(why) => error = why,
            }
        }
        let random = js_sys::Math::random();
        let ended = self.change(|queue| queue.failed(key, part, error, js_sys::Date::now(), random)).flatten();
        if let Some(upload) = ended {
            self.abort(key);
            self.let_go(key);
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
    pub(super) fn change<T>(self, act: impl FnOnce(&mut Queue) -> T) -> Option<T> {
        let (result, said) = self.queue.try_update(|queue| (act(queue), queue.take_announcements()))?;
        for announcement in said {
            self.announcer.say(&announcement.text, announcement.urgent);
        }
        Some(result)
    }
}

/// Where the browser keeps how fast the line was.
const SPEED_KEY: &str = "millrace-upload-speed";

fn speed_before() -> Option<f64> {
    window().local_storage().ok()??.get_item(SPEED_KEY).ok()??.parse::<u32>().ok().map(f64::from)
}

fn remember_speed(bytes_per_second: f64) {
    if let Ok(Some(storage)) = window().local_storage() {
        drop(storage.set_item(SPEED_KEY, &(bytes_per_second as u32).to_string()));
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
