//! All files of one tab: who may send next, what is announced, and the totals.

use domain::{
    account::Account,
    error::Problem,
    ids::{UploadId, VideoId},
    upload::{BeginUpload, UnfinishedUpload, UploadTicket, check_begin},
};

use super::{
    item::{Item, ItemKey, Phase, Trouble},
    pace::Pace,
    refusal::SendError,
    words,
};

/// What the browser is to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Tell the server about a file.
    Begin(ItemKey, BeginUpload),
    /// Ask the server what it has of a file.
    Look(ItemKey, UploadId),
    /// Send a part of a file.
    Part(ItemKey, u32),
    /// Tell the server that all parts of a file have gone.
    Complete(ItemKey, UploadId),
}

/// Something for people who do not see the screen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Announcement {
    /// What is said.
    pub text: String,
    /// Whether it interrupts: failures only.
    pub urgent: bool,
}

/// The sums over all files that are on their way.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Totals {
    /// Files still on their way.
    pub running: usize,
    /// Files that arrived.
    pub done: usize,
    /// Files that failed.
    pub failed: usize,
    /// Percent of the bytes of those on their way and those that arrived.
    pub percent: u8,
    /// Bytes per second of all together.
    pub bytes_per_second: Option<f64>,
    /// Seconds until the last byte of the last one.
    pub seconds_left: Option<f64>,
}

/// All files of one tab.
#[derive(Debug, Clone, PartialEq)]
pub struct Queue {
    items: Vec<Item>,
    next_key: u64,
    online: bool,
    /// While the browser says that there is no network: when it is not believed next.
    probe_at: Option<f64>,
    pace: Pace,
    quarter: u8,
    said: Vec<Announcement>,
}

impl Default for Queue {
    fn default() -> Self {
        Self { items: Vec::new(), next_key: 1, online: true, probe_at: None, pace: Pace::default(), quarter: 0, said: Vec::new() }
    }
}

impl Queue {
    /// A queue that knows the line from before.
    pub fn with_pace(pace: Pace) -> Self {
        Self { pace, ..Self::default() }
    }

    /// How fast the line is.
    pub const fn pace(&self) -> &Pace {
        &self.pace
    }

    /// Adds a file whose upload has begun before, in another tab or long ago.
    pub fn go_on(&mut self, upload: &UnfinishedUpload, owner: Option<Account>) -> ItemKey {
        let key = self.take_key();
        let mut item = Item::continued(key, upload);
        item.owner = owner;
        item.quarter = item.percent() / 25;
        self.say(format!("Upload of {} goes on where it was.", item.file_name));
        self.items.push(item);
        key
    }

    /// Whether an upload is in this queue.
    pub fn holds(&self, upload: UploadId) -> bool {
        self.items.iter().any(|item| item.upload_id == Some(upload) && item.running())
    }

    fn take_key(&mut self) -> ItemKey {
        let key = ItemKey(self.next_key);
        self.next_key += 1;
        key
    }

    /// Adds files by name and size; answers with their keys in the same order. A file that cannot be taken (an empty one) fails at once.
    pub fn add(&mut self, files: impl IntoIterator<Item = (String, u64)>, owner: Option<&Account>) -> Vec<ItemKey> {
        let mut keys = Vec::new();
        for (file_name, size) in files {
            let key = self.take_key();
            let mut item = Item::new(key, file_name, size);
            item.owner = owner.cloned();
            if let Err(problem) = check_begin(&begin_of(&item, None), u64::MAX) {
                self.said.push(urgent(words::failed(&item.file_name, &problem)));
                item.phase = Phase::Failed(problem);
            }
            self.items.push(item);
            keys.push(key);
        }
        match self.running() {
            0 => {}
            1 => self
                .say(format!("Upload of {} started.", self.items.iter().rfind(|item| item.running()).map_or("", |item| &item.file_name))),
            many => self.say(format!("{many} uploads on their way.")),
        }
        self.quarter = 0;
        keys
    }

    /// Where a file has the bytes that it cannot be played without, if it has such.
    pub fn found(&mut self, key: ItemKey, tables: Option<std::ops::Range<u64>>) {
        self.with(key, |item| item.tables = tables);
    }

    /// The server knows a file. False where the user cancelled it meanwhile.
    pub fn began(&mut self, key: ItemKey, ticket: UploadTicket) -> bool {
        // The server answered: there is a network, whatever the browser says.
        self.set_online(true);
        let began = self.with(key, |item| {
            item.begin(ticket);
            (item.file_name.clone(), item.phase.clone())
        });
        if let Some((name, Phase::Failed(problem))) = &began {
            self.said.push(urgent(words::failed(name, problem)));
        }
        began.is_some()
    }

    /// Bytes of a part have gone.
    pub fn progress(&mut self, key: ItemKey, number: u32, bytes: u64, now_ms: f64) {
        self.with(key, |item| item.progress(number, bytes, now_ms));
        self.announce_quarters();
    }

    /// A part arrived.
    pub fn arrived(&mut self, key: ItemKey, number: u32, now_ms: f64) {
        self.set_online(true);
        let together = self.items.iter().map(Item::in_flight).sum();
        if let Some((bytes, took_ms)) = self.with(key, |item| item.arrive(number, now_ms)).flatten() {
            self.pace.arrived(bytes, took_ms, together);
        }
        self.announce_quarters();
    }

    /// The server has all of a file.
    pub fn completed(&mut self, key: ItemKey) {
        if let Some(name) = self.with(key, |item| {
            item.complete();
            item.file_name.clone()
        }) {
            let left = self.running();
            let rest = if left == 0 { String::new() } else { format!(" {left} still on their way.") };
            self.say(format!("{name} is uploaded.{rest}"));
        }
    }

    /// Something asked for a file went wrong. Answers with the upload to take back where that ended it.
    pub fn failed(&mut self, key: ItemKey, part: Option<u32>, error: SendError, now_ms: f64, random: f64) -> Option<UploadId> {
        if error == SendError::Network {
            self.pace.broke();
        }
        let (name, phase, before, trouble, upload) = self.with(key, |item| {
            let before = item.trouble.clone();
            item.fail(part, error, now_ms, random);
            (item.file_name.clone(), item.phase.clone(), before, item.trouble.clone(), item.upload_id)
        })?;
        if let Phase::Failed(problem) = &phase {
            self.said.push(urgent(words::failed(&name, problem)));
            return upload;
        }
        if before.is_none() && trouble == Some(Trouble::SignedOut) {
            self.said.push(urgent(words::SIGNED_OUT.to_owned()));
        }
        None
    }

    /// Takes a file out of the list; answers with the upload to take back, where the server knows of one that is not complete.
    pub fn remove(&mut self, key: ItemKey) -> Option<UploadId> {
        let at = self.items.iter().position(|item| item.key == key)?;
        let item = self.items.remove(at);
        if item.running() {
            self.say(format!("Upload of {} cancelled.", item.file_name));
        }
        item.upload_id.filter(|_| item.running())
    }

    /// Takes everything out of the list that has nothing to do any more; answers with the keys.
    pub fn clear_finished(&mut self) -> Vec<ItemKey> {
        let finished = self.items.iter().filter(|item| !item.running()).map(|item| item.key).collect();
        self.items.retain(Item::running);
        finished
    }

    /// The user holds a file or lets it go on.
    pub fn set_paused(&mut self, key: ItemKey, paused: bool) {
        let name = self.with(key, |item| {
            item.set_paused(paused);
            item.file_name.clone()
        });
        if let Some(name) = name {
            self.say(format!("Upload of {name} {}.", if paused { "paused" } else { "goes on" }));
        }
    }

    /// The browser says that the network went or came back. Whoever waited for it need not wait longer.
    pub fn set_online(&mut self, online: bool) {
        if self.online == online {
            return;
        }
        self.online = online;
        self.probe_at = None;
        if online {
            self.hurry(|item| item.trouble != Some(Trouble::StorageFull));
        }
        if self.running() > 0 {
            self.say(if online { words::NETWORK_BACK.to_owned() } else { words::WAITING_FOR_NETWORK.to_owned() });
        }
    }

    /// Those of the files that wait for something need not wait longer.
    pub fn hurry(&mut self, which: impl Fn(&Item) -> bool) {
        self.items.iter_mut().filter(|item| which(item)).for_each(Item::hurry);
    }

    /// Whose sign-in files wait for, if they do.
    pub fn waits_for(&self) -> Option<Account> {
        let waits = |item: &&Item| item.running() && matches!(item.trouble, Some(Trouble::SignedOut | Trouble::OtherAccount(_)));
        self.items.iter().find(waits).and_then(|item| item.owner.clone())
    }

    /// Whether the browser believes in the network.
    pub const fn online(&self) -> bool {
        self.online
    }

    /// A file.
    pub fn get(&self, key: ItemKey) -> Option<&Item> {
        self.items.iter().find(|item| item.key == key)
    }

    /// The keys of all files, in the order they were chosen.
    pub fn keys(&self) -> Vec<ItemKey> {
        self.items.iter().map(|item| item.key).collect()
    }

    /// Percent of the files that are on their way, by the videos they become.
    pub fn percents(&self) -> Vec<(VideoId, u8)> {
        self.items.iter().filter(|item| item.running()).filter_map(|item| Some((item.video_id?, item.percent()))).collect()
    }

    /// Number of files still on their way.
    pub fn running(&self) -> usize {
        self.items.iter().filter(|item| item.running()).count()
    }

    /// The sums.
    pub fn totals(&self) -> Totals {
        let (mut size, mut gone, mut left, mut speed) = (0_u64, 0_u64, 0_u64, 0.0);
        let mut totals = Totals::default();
        for item in &self.items {
            match item.phase {
                Phase::Done => totals.done += 1,
                Phase::Failed(_) => {
                    totals.failed += 1;
                    continue;
                }
                _ => {
                    totals.running += 1;
                    left += item.size.saturating_sub(item.shown_bytes());
                }
            }
            size += item.size;
            gone += item.shown_bytes();
            speed += item.bytes_per_second().unwrap_or(0.0);
        }
        totals.percent = u8::try_from(gone.saturating_mul(100) / size.max(1)).unwrap_or(100);
        if totals.running > 0 && speed > 0.0 {
            totals.bytes_per_second = Some(speed);
            totals.seconds_left = Some(left as f64 / speed);
        }
        totals
    }

    /// What is to be announced now.
    pub fn take_announcements(&mut self) -> Vec<Announcement> {
        std::mem::take(&mut self.said)
    }

    fn announce_quarters(&mut self) {
        if self.running() > 1 {
            let quarter = self.totals().percent / 25;
            if quarter > self.quarter && quarter < 4 {
                self.quarter = quarter;
                self.say(format!("{} uploads, {} percent.", self.running(), quarter * 25));
            }
            return;
        }
        let Some(item) = self.items.iter_mut().find(|item| item.running()) else { return };
        let quarter = item.percent() / 25;
        if quarter > item.quarter && quarter < 4 {
            item.quarter = quarter;
            let text = format!("{}: {} percent.", item.file_name, quarter * 25);
            self.say(text);
        }
    }

    fn say(&mut self, text: String) {
        self.said.push(Announcement { text, urgent: false });
    }

    fn with<T>(&mut self, key: ItemKey, act: impl FnOnce(&mut Item) -> T) -> Option<T> {
        self.items.iter_mut().find(|item| item.key == key).map(act)
    }
}

const fn urgent(text: String) -> Announcement {
    Announcement { text, urgent: true }
}

fn begin_of(item: &Item, part_size: Option<u64>) -> BeginUpload {
    BeginUpload { file_name: item.file_name.clone(), size: item.size, part_size, ..BeginUpload::default() }
}

/// The problem a file ended with, if it did.
pub fn problem_of(item: &Item) -> Option<&Problem> {
    match &item.phase {
        Phase::Failed(problem) => Some(problem),
        _ => None,
    }
}

mod steps;
#[cfg(test)]
mod tests;
