//! All files of one tab: who may send next, what is announced, and the totals.

use domain::{
    error::Problem,
    ids::{UploadId, VideoId},
    upload::{BeginUpload, PARTS_IN_FLIGHT, UploadTicket, check_begin},
};

use super::item::{Item, ItemKey, Phase, SendError, Trouble};
use super::words;

/// What the browser is to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Tell the server about a file.
    Begin(ItemKey, BeginUpload),
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
    quarter: u8,
    said: Vec<Announcement>,
}

impl Default for Queue {
    fn default() -> Self {
        Self { items: Vec::new(), next_key: 1, online: true, quarter: 0, said: Vec::new() }
    }
}

impl Queue {
    /// Adds files by name and size; answers with their keys in the same order. A file that cannot be taken (an empty one) fails at once.
    pub fn add(&mut self, files: impl IntoIterator<Item = (String, u64)>) -> Vec<ItemKey> {
        let mut keys = Vec::new();
        for (file_name, size) in files {
            let key = ItemKey(self.next_key);
            self.next_key += 1;
            let mut item = Item::new(key, file_name, size);
            if let Err(problem) = check_begin(&begin_of(&item), u64::MAX) {
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

    /// What to do now, files in the order they were chosen; what is handed out counts as on its way.
    pub fn next_steps(&mut self, now_ms: f64) -> Vec<Step> {
        let mut steps = Vec::new();
        if !self.online {
            return steps;
        }
        let busy: usize = self.items.iter().map(|item| item.in_flight() + usize::from(item.phase == Phase::Beginning)).sum();
        let mut free = PARTS_IN_FLIGHT.saturating_sub(busy);
        for item in self.items.iter_mut().filter(|item| item.due(now_ms)) {
            if item.phase == Phase::Waiting && free > 0 {
                item.phase = Phase::Beginning;
                steps.push(Step::Begin(item.key, begin_of(item)));
                free -= 1;
            }
            while item.phase == Phase::Sending && free > 0 {
                let Some(number) = item.take_part() else { break };
                steps.push(Step::Part(item.key, number));
                free -= 1;
            }
            if let (Phase::Sending, true, Some(upload)) = (&item.phase, item.all_arrived(), item.upload_id) {
                item.phase = Phase::Completing;
                steps.push(Step::Complete(item.key, upload));
            }
        }
        steps
    }

    /// The next time at which something may be tried again, while the network is there.
    pub fn next_wake(&self, now_ms: f64) -> Option<f64> {
        let waiting = self.items.iter().filter(|item| self.online && item.running() && !item.paused);
        waiting.filter_map(|item| item.resume_at).filter(|at| *at > now_ms).min_by(f64::total_cmp)
    }

    /// The server knows a file. False where the user cancelled it meanwhile.
    pub fn began(&mut self, key: ItemKey, ticket: UploadTicket) -> bool {
        self.with(key, |item| item.begin(ticket)).is_some()
    }

    /// Bytes of a part have gone.
    pub fn progress(&mut self, key: ItemKey, number: u32, bytes: u64, now_ms: f64) {
        self.with(key, |item| item.progress(number, bytes, now_ms));
        self.announce_quarters();
    }

    /// A part arrived.
    pub fn arrived(&mut self, key: ItemKey, number: u32, now_ms: f64) {
        self.with(key, |item| item.arrive(number, now_ms));
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
        if online {
            for item in &mut self.items {
                item.resume_at = None;
            }
        }
        if self.running() > 0 {
            self.say(if online { words::NETWORK_BACK.to_owned() } else { words::WAITING_FOR_NETWORK.to_owned() });
        }
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

    /// Percent of the file that becomes this video, while it is on its way from this tab.
    pub fn percent_of(&self, video: VideoId) -> Option<u8> {
        self.items.iter().find(|item| item.video_id == Some(video) && item.running()).map(Item::percent)
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

fn begin_of(item: &Item) -> BeginUpload {
    BeginUpload { file_name: item.file_name.clone(), size: item.size, title: None }
}

/// The problem a file ended with, if it did.
pub fn problem_of(item: &Item) -> Option<&Problem> {
    match &item.phase {
        Phase::Failed(problem) => Some(problem),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use domain::upload::{PART_SIZE, PartPlan};

    use super::*;

    fn ticket(n: u8, size: u64) -> UploadTicket {
        let id = format!("018f4c3e-7b1a-7000-8000-0000000000{n:02}");
        UploadTicket {
            upload_id: id.parse().expect("an id"),
            video_id: id.parse().expect("an id"),
            plan: PartPlan::for_size(size),
            part_url: "/p/{number}".into(),
            received: vec![],
        }
    }

    fn spoken(queue: &mut Queue) -> Vec<String> {
        queue.take_announcements().into_iter().map(|said| said.text).collect()
    }

    /// Two files of two and five parts, both begun.
    fn two_files() -> (Queue, Vec<ItemKey>) {
        let mut queue = Queue::default();
        let keys = queue.add([("a.mp4".to_owned(), 2 * PART_SIZE), ("b.mp4".to_owned(), 5 * PART_SIZE)]);
        assert_eq!(queue.next_steps(0.0).len(), 2);
        assert!(queue.began(keys[0], ticket(1, 2 * PART_SIZE)));
        assert!(queue.began(keys[1], ticket(2, 5 * PART_SIZE)));
        (queue, keys)
    }

    #[test]
    fn never_more_parts_in_flight_than_the_browser_has_connections_for() {
        let (mut queue, keys) = two_files();
        assert_eq!(queue.next_steps(0.0), [Step::Part(keys[0], 1), Step::Part(keys[0], 2), Step::Part(keys[1], 1)]);
        assert_eq!(queue.next_steps(0.0), []);
        queue.arrived(keys[0], 1, 1.0);
        assert_eq!(queue.next_steps(1.0), [Step::Part(keys[1], 2)]);
        queue.arrived(keys[0], 2, 2.0);
        let steps = queue.next_steps(2.0);
        assert!(matches!(steps[..], [Step::Complete(key, _), Step::Part(other, 3)] if key == keys[0] && other == keys[1]), "{steps:?}");
    }

    #[test]
    fn files_wait_in_line_until_there_is_room() {
        let mut queue = Queue::default();
        let keys = queue.add((0..5).map(|n| (format!("{n}.mp4"), PART_SIZE)));
        assert_eq!(queue.next_steps(0.0).len(), PARTS_IN_FLIGHT);
        assert_eq!(queue.get(keys[4]).map(|item| item.phase.clone()), Some(Phase::Waiting));
    }

    #[test]
    fn offline_nothing_is_tried_and_back_online_all_at_once() {
        let (mut queue, keys) = two_files();
        queue.next_steps(0.0);
        queue.set_online(false);
        for number in [1, 2] {
            queue.failed(keys[0], Some(number), SendError::Network, 10.0, 0.5);
        }
        queue.failed(keys[1], Some(1), SendError::Network, 10.0, 0.5);
        assert_eq!(queue.next_steps(1e9), []);
        assert_eq!(queue.next_wake(10.0), None);
        queue.set_online(true);
        assert_eq!(queue.next_steps(11.0).len(), PARTS_IN_FLIGHT);
        let said = spoken(&mut queue);
        assert!(
            said.iter().any(|text| text == words::WAITING_FOR_NETWORK) && said.iter().any(|text| text == words::NETWORK_BACK),
            "{said:?}"
        );
    }

    #[test]
    fn one_failing_file_does_not_hold_up_the_other() {
        let (mut queue, keys) = two_files();
        queue.next_steps(0.0);
        queue.failed(keys[0], Some(1), SendError::Network, 0.0, 0.5);
        let steps = queue.next_steps(1.0);
        assert_eq!(steps, [Step::Part(keys[1], 2)]);
        let wake = queue.next_wake(1.0).expect("a wake-up");
        assert!(queue.next_steps(wake).is_empty(), "no connection is free");
        queue.arrived(keys[1], 1, wake);
        assert_eq!(queue.next_steps(wake), [Step::Part(keys[0], 1)]);
    }

    #[test]
    fn cancelled_while_it_begins_is_taken_back() {
        let mut queue = Queue::default();
        let keys = queue.add([("a.mp4".to_owned(), 5)]);
        queue.next_steps(0.0);
        assert_eq!(queue.remove(keys[0]), None);
        assert!(!queue.began(keys[0], ticket(1, 5)));
    }

    #[test]
    fn quarters_are_said_once() {
        let mut queue = Queue::default();
        let keys = queue.add([("a.mp4".to_owned(), 100)]);
        queue.next_steps(0.0);
        queue.began(keys[0], ticket(1, 100));
        queue.next_steps(0.0);
        for bytes in [10, 26, 30, 60, 80, 100] {
            queue.progress(keys[0], 1, bytes, 0.0);
        }
        queue.arrived(keys[0], 1, 0.0);
        queue.next_steps(0.0);
        queue.completed(keys[0]);
        assert_eq!(
            spoken(&mut queue),
            ["Upload of a.mp4 started.", "a.mp4: 25 percent.", "a.mp4: 50 percent.", "a.mp4: 75 percent.", "a.mp4 is uploaded."]
        );
        assert_eq!(queue.totals().percent, 100);
        assert_eq!(queue.clear_finished(), keys);
    }

    #[test]
    fn an_empty_file_fails_at_once_and_urgently() {
        let mut queue = Queue::default();
        let keys = queue.add([("nothing.mp4".to_owned(), 0)]);
        assert!(queue.get(keys[0]).and_then(problem_of).is_some());
        assert!(queue.take_announcements().iter().all(|said| said.urgent));
        assert_eq!(queue.next_steps(0.0), []);
    }

    #[test]
    fn a_paused_file_lets_the_others_go() {
        let (mut queue, keys) = two_files();
        queue.set_paused(keys[0], true);
        assert_eq!(queue.next_steps(0.0), [Step::Part(keys[1], 1), Step::Part(keys[1], 2), Step::Part(keys[1], 3)]);
        queue.set_paused(keys[0], false);
        queue.arrived(keys[1], 1, 0.0);
        assert_eq!(queue.next_steps(0.0), [Step::Part(keys[0], 1)]);
    }
}
