//! Uploads that began before: in another tab, before a crash, on another machine. The server knows them; the user has the file.

use domain::{
    ids::{UploadId, VideoId},
    upload::UnfinishedUpload,
    video::{Stage, Video},
};
use gloo_timers::future::TimeoutFuture;
use leptos::{prelude::*, task::spawn_local};
use send_wrapper::SendWrapper;
use web_sys::File;

use super::{engine::Uploader, fingerprint, item::Item, locks, queue::Queue, refusal::SendError, requests, words};

/// How often is looked whether another tab has let go of an upload.
const LOOK_MS: u32 = 3_000;

/// What the server knows as unfinished, as far as this tab has heard.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Unfinished {
    uploads: Vec<UnfinishedUpload>,
    /// Those that tabs of this browser have.
    taken: Vec<UploadId>,
}

/// An upload as it is offered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// The upload.
    pub upload: UnfinishedUpload,
    /// Whether another tab of this browser has it.
    pub elsewhere: bool,
}

impl Unfinished {
    /// What can be offered beside what this tab is at already.
    pub fn offers(&self, queue: &Queue) -> Vec<Offer> {
        let others = self.uploads.iter().filter(|upload| !queue.holds(upload.upload_id));
        others.map(|upload| Offer { upload: upload.clone(), elsewhere: self.taken.contains(&upload.upload_id) }).collect()
    }

    /// A video is gone, or its file is there now.
    pub fn forget(&mut self, video: VideoId) {
        self.uploads.retain(|upload| upload.video_id != video);
    }

    /// A video has changed: more of its file has arrived, or all of it.
    pub fn follow(&mut self, video: &Video) {
        if video.stage != Stage::Uploading {
            return self.forget(video.id);
        }
        self.uploads.iter_mut().filter(|upload| upload.video_id == video.id).for_each(|upload| upload.percent = video.progress);
    }
}

impl Uploader {
    /// What can be continued.
    pub fn offers(self) -> Vec<Offer> {
        self.queue.with(|queue| self.unfinished.with(|unfinished| unfinished.offers(queue)))
    }

    /// Asks the server what is unfinished. What cannot be had now is not shown; the next look comes with the next chance.
    pub async fn look_for_unfinished(self) {
        let (uploads, taken) = (requests::unfinished().await, locks::taken().await);
        if let Ok(uploads) = uploads {
            self.unfinished.try_set(Unfinished { uploads, taken });
            self.watch_other_tabs();
        }
    }

    /// While another tab has one of the uploads, looks now and then whether it still has.
    fn watch_other_tabs(self) {
        let waits = move || self.offers_untracked().iter().any(|offer| offer.elsewhere);
        if !waits() || self.watching.get_value() {
            return;
        }
        self.watching.set_value(true);
        spawn_local(async move {
            while waits() {
                TimeoutFuture::new(LOOK_MS).await;
                let before = self.offers_untracked();
                let taken = locks::taken().await;
                let freed = before.iter().any(|offer| offer.elsewhere && !taken.contains(&offer.upload.upload_id));
                // Freed because it arrived, or because the tab was closed: the server knows.
                match requests::unfinished().await {
                    Ok(uploads) if freed => drop(self.unfinished.try_set(Unfinished { uploads, taken })),
                    _ => drop(self.unfinished.try_update(|unfinished| unfinished.taken = taken)),
                }
            }
            self.watching.set_value(false);
        });
    }

    fn offers_untracked(self) -> Vec<Offer> {
        self.queue.with_untracked(|queue| self.unfinished.with_untracked(|unfinished| unfinished.offers(queue)))
    }

    /// The upload that a file which was dropped or chosen may belong to.
    pub(super) fn offer_for(self, file: &File) -> Option<UnfinishedUpload> {
        let fits = |offer: &Offer| !offer.elsewhere && fingerprint::may_be(&offer.upload, &file.name(), file.size() as u64);
        self.offers_untracked().into_iter().find(fits).map(|offer| offer.upload)
    }

    /// Goes on with an upload, if this is its file.
    ///
    /// # Errors
    /// A sentence that says why not. Nothing was sent then.
    pub async fn go_on(self, upload: UnfinishedUpload, file: File) -> Result<(), &'static str> {
        let print = match fingerprint::expected(&upload) {
            Some(_) if upload.size == file.size() as u64 => Some(fingerprint::of(&file).await.map_err(|_| words::UNREADABLE)?),
            _ => None,
        };
        if let Some(refusal) = fingerprint::refuse(&upload, &file.name(), file.size() as u64, print.as_deref()) {
            return Err(refusal);
        }
        let lock = locks::take(upload.upload_id).await.ok_or(words::IN_ANOTHER_TAB)?;
        if self.queue.with_untracked(|queue| queue.holds(upload.upload_id)) {
            return Ok(());
        }
        let owner = self.account.get_value();
        if let Some(key) = self.change(|queue| queue.go_on(&upload, owner)) {
            self.files.update_value(|files| drop(files.insert(key, SendWrapper::new(file))));
            self.locks.update_value(|locks| drop(locks.insert(key, SendWrapper::new(lock))));
        }
        self.pump();
        Ok(())
    }

    /// Gives an upload up, with what the server has of it.
    ///
    /// # Errors
    /// The server does not do it, or does not answer.
    pub async fn discard(self, upload: UnfinishedUpload) -> Result<(), SendError> {
        match requests::discard(upload.upload_id).await {
            Err(SendError::Refused(refusal)) if refusal.status == 404 => {}
            other => other?,
        }
        self.unfinished.try_update(|unfinished| unfinished.forget(upload.video_id));
        self.announcer.say(&format!("Upload of {} discarded.", upload.file_name), false);
        Ok(())
    }

    /// Whose uploads these are, when the session changes. Those that waited for their owner go on.
    pub(super) fn meet(self, account: Option<domain::account::Account>) {
        let Some(account) = account else { return };
        let mine = |item: &Item| item.owner.as_ref().is_none_or(|owner| owner.id == account.id);
        self.change(|queue| queue.hurry(mine));
        if self.account.get_value().as_ref() != Some(&account) {
            self.unfinished.set(Unfinished::default());
            self.account.set_value(Some(account));
        }
        spawn_local(self.look_for_unfinished());
        self.pump();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn upload(n: u8) -> UnfinishedUpload {
        let id = format!("018f4c3e-7b1a-7000-8000-0000000000{n:02}");
        UnfinishedUpload {
            upload_id: id.parse().expect("an id"),
            video_id: id.parse().expect("an id"),
            file_name: format!("{n}.mp4"),
            size: 1000,
            percent: 10,
            fingerprint: None,
            updated_at_ms: 0,
            expires_at_ms: 1,
        }
    }

    #[test]
    fn what_runs_here_is_not_offered_and_what_runs_in_another_tab_is_named() {
        let mut queue = Queue::default();
        let unfinished =
            Unfinished { uploads: vec![upload(1), upload(2), upload(3)], taken: vec![upload(1).upload_id, upload(2).upload_id] };
        let key = queue.go_on(&upload(1), None);
        let shown = |queue: &Queue| -> Vec<_> {
            unfinished.offers(queue).into_iter().map(|offer| (offer.upload.file_name, offer.elsewhere)).collect()
        };
        assert_eq!(shown(&queue), [("2.mp4".to_owned(), true), ("3.mp4".to_owned(), false)]);
        queue.remove(key);
        assert_eq!(shown(&queue).len(), 3);
    }

    #[test]
    fn news_of_a_video_is_news_of_its_upload() {
        let mut unfinished = Unfinished { uploads: vec![upload(1), upload(2)], taken: Vec::new() };
        unfinished.forget(upload(1).video_id);
        let left = unfinished.offers(&Queue::default());
        assert_eq!(left.iter().map(|offer| (offer.upload.file_name.as_str(), offer.upload.percent)).collect::<Vec<_>>(), [("2.mp4", 10)]);
    }
}
