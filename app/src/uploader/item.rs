//! One file on its way: its state, what a failure means for it, and what of it is shown.

use std::ops::Range;

use domain::{
    account::Account,
    error::{Code, Problem},
    ids::{UploadId, VideoId},
    upload::{UnfinishedUpload, UploadTicket},
};

use super::{backoff, parts::Parts, refusal::SendError, speed::Speed, words};

/// Tells the files of one tab apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ItemKey(pub u64);

/// Where a file stands.
#[derive(Debug, Clone, PartialEq)]
pub enum Phase {
    /// Nobody has told the server about it yet.
    Waiting,
    /// The server is being told.
    Beginning,
    /// Parts are going.
    Sending,
    /// The server is being asked what it has.
    Looking,
    /// Every part arrived; the server is being told so.
    Completing,
    /// The server has the whole file.
    Done,
    /// It ended, for this reason.
    Failed(Problem),
}

/// A part of a file, and where it goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartWay {
    /// Where our server takes it.
    pub url: String,
    /// Where to ask for its place in the store, where the store takes parts itself.
    pub target_url: Option<String>,
    /// Its first byte in the file.
    pub start: u64,
    /// The byte behind its last one.
    pub end: u64,
}

/// What holds a file up, while it goes on by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trouble {
    /// The server cannot be reached.
    Network,
    /// The session ended.
    SignedOut,
    /// Somebody else is signed in now; this one's address is whose upload it is.
    OtherAccount(String),
    /// The server has no room; what it has it keeps.
    StorageFull,
    /// The server said this, and may say otherwise later.
    Refused(String),
}

/// One file on its way.
#[derive(Debug, Clone, PartialEq)]
pub struct Item {
    /// Which one.
    pub key: ItemKey,
    /// Its name on the user's machine.
    pub file_name: String,
    /// Bytes in it.
    pub size: u64,
    /// Where it stands.
    pub phase: Phase,
    /// Whether the user holds it.
    pub paused: bool,
    /// Whose upload it is: it goes on for nobody else.
    pub owner: Option<Account>,
    /// The upload, once begun.
    pub upload_id: Option<UploadId>,
    /// The video it becomes, once begun.
    pub video_id: Option<VideoId>,
    /// What holds it up.
    pub trouble: Option<Trouble>,
    /// Not before this time (milliseconds) is it tried again.
    pub resume_at: Option<f64>,
    /// The last quarter that was announced.
    pub quarter: u8,
    /// The bytes that it cannot be played without.
    pub tables: Option<Range<u64>>,
    part_url: String,
    target_url: Option<String>,
    parts: Option<Parts>,
    /// Whether the server is to be asked what it has before the next part goes.
    stale: bool,
    speed: Speed,
    failures: u32,
    shown_bytes: u64,
}

impl Item {
    /// A file that was just chosen.
    pub fn new(key: ItemKey, file_name: String, size: u64) -> Self {
        Self {
            key,
            file_name,
            size,
            phase: Phase::Waiting,
            paused: false,
            owner: None,
            upload_id: None,
            video_id: None,
            trouble: None,
            resume_at: None,
            quarter: 0,
            tables: None,
            part_url: String::new(),
            target_url: None,
            parts: None,
            stale: false,
            speed: Speed::default(),
            failures: 0,
            shown_bytes: 0,
        }
    }

    /// A file whose upload the server knows already: what it has of it is asked first.
    pub fn continued(key: ItemKey, upload: &UnfinishedUpload) -> Self {
        Self {
            phase: Phase::Sending,
            upload_id: Some(upload.upload_id),
            video_id: Some(upload.video_id),
            shown_bytes: upload.size / 100 * u64::from(upload.percent),
            stale: true,
            ..Self::new(key, upload.file_name.clone(), upload.size)
        }
    }

    /// Whether it still has something to do.
    pub const fn running(&self) -> bool {
        !matches!(self.phase, Phase::Done | Phase::Failed(_))
    }

    /// Whether something may be asked for it at `now_ms`.
    pub fn due(&self, now_ms: f64) -> bool {
        self.running() && !self.paused && self.resume_at.is_none_or(|at| at <= now_ms)
    }

    /// The server knows it, and says what it has of it.
    pub fn begin(&mut self, ticket: UploadTicket) {
        if ticket.plan.file_size != self.size {
            self.phase = Phase::Failed(Problem::new(Code::Conflict, words::NOT_THE_SAME_SIZE));
            return;
        }
        match &mut self.parts {
            Some(parts) if parts.plan() == ticket.plan => parts.match_with(&ticket.received),
            parts => *parts = Some(Parts::new(ticket.plan, &ticket.received)),
        }
        if let (Some(parts), Some(tables)) = (&mut self.parts, &self.tables) {
            parts.send_first(tables);
        }
        self.stale = false;
        self.shown_bytes = self.shown_bytes.max(self.parts.as_ref().map_or(0, Parts::bytes_gone));
        self.upload_id = Some(ticket.upload_id);
        self.video_id = Some(ticket.video_id);
        self.part_url = ticket.part_url;
        self.target_url = ticket.target_url;
        self.phase = Phase::Sending;
        self.recover();
    }

    /// Takes the next part: its number.
    pub fn take_part(&mut self, now_ms: f64) -> Option<u32> {
        self.parts.as_mut()?.take_next(now_ms)
    }

    /// Whether parts may go now.
    pub fn ready_for_parts(&self) -> bool {
        self.phase == Phase::Sending && !self.stale
    }

    /// Whether the server is to be asked what it has before anything else.
    pub const fn to_look(&self) -> bool {
        self.stale
    }

    /// A part and where it goes.
    pub fn part(&self, number: u32) -> Option<PartWay> {
        let (start, length) = self.parts.as_ref()?.range(number)?;
        let numbered = |url: &String| url.replace("{number}", &number.to_string());
        let target_url = self.target_url.as_ref().map(numbered);
        Some(PartWay { url: numbered(&self.part_url), target_url, start, end: start + length })
    }

    /// Parts on their way.
    pub fn in_flight(&self) -> usize {
        self.parts.as_ref().map_or(0, Parts::in_flight)
    }

    /// Whether every part arrived.
    pub fn all_arrived(&self) -> bool {
        self.parts.as_ref().is_some_and(Parts::all_arrived)
    }

    /// Bytes of a part have gone.
    pub fn progress(&mut self, number: u32, bytes: u64, now_ms: f64) {
        if let Some(parts) = &mut self.parts {
            parts.progress(number, bytes);
            let gone = parts.bytes_gone();
            self.speed.record(now_ms, gone);
            self.shown_bytes = self.shown_bytes.max(gone);
        }
    }

    /// A part arrived: its length, and how long it was on its way.
    pub fn arrive(&mut self, number: u32, now_ms: f64) -> Option<(u64, f64)> {
        let mut flight = None;
        if let Some(parts) = &mut self.parts {
            flight = parts.arrive(number, now_ms);
            let gone = parts.bytes_gone();
            self.speed.record(now_ms, gone);
            self.shown_bytes = self.shown_bytes.max(gone);
        }
        // What was on its way when the session ended may still arrive; that lets nothing new in.
        if self.trouble != Some(Trouble::SignedOut) {
            self.recover();
        }
        flight
    }

    /// The server has all of it.
    pub fn complete(&mut self) {
        self.phase = Phase::Done;
        self.shown_bytes = self.size;
        self.recover();
    }

    /// Something asked for it went wrong; `part` says which part, if it was one. Random numbers make the jitter.
    pub fn fail(&mut self, part: Option<u32>, error: SendError, now_ms: f64, random: f64) {
        if let (Some(number), Some(parts)) = (part, &mut self.parts) {
            parts.put_back(number);
        }
        self.phase = match (&self.phase, part) {
            (Phase::Beginning, None) => Phase::Waiting,
            (Phase::Completing | Phase::Looking, None) => Phase::Sending,
            (other, _) => other.clone(),
        };
        match error {
            SendError::Aborted => {}
            SendError::Network => {
                // The part may have arrived, and its answer not.
                self.stale = self.upload_id.is_some();
                self.wait(Trouble::Network, None, now_ms, random);
            }
            SendError::OtherAccount(owner) => {
                // Asked with a question, not with a part that would be sent for nothing.
                self.stale = self.upload_id.is_some();
                self.wait(Trouble::OtherAccount(owner), None, now_ms, random);
            }
            SendError::Store(detail) => self.wait(Trouble::Refused(detail), None, now_ms, random),
            SendError::Unreadable => self.phase = Phase::Failed(unreadable()),
            SendError::Refused(refusal) if refusal.passes() => {
                if let Some(parts) = &mut self.parts {
                    parts.mark_missing(&refusal.missing);
                }
                // The next try asks first, which costs nothing, and sends the part when it is welcome.
                self.stale = self.upload_id.is_some() && matches!(refusal.status, 401 | 500..=599);
                let trouble = match refusal.status {
                    401 => Trouble::SignedOut,
                    507 => Trouble::StorageFull,
                    _ if refusal.detail.is_empty() => Trouble::Network,
                    _ => Trouble::Refused(refusal.detail),
                };
                self.wait(trouble, refusal.retry_after_seconds, now_ms, random);
            }
            SendError::Refused(refusal) if refusal.status == 404 && self.upload_id.is_some() => {
                self.phase = Phase::Failed(Problem::new(Code::NotFound, words::GONE));
            }
            SendError::Refused(refusal) => self.phase = Phase::Failed(refusal.into_problem()),
        }
    }

    fn wait(&mut self, trouble: Trouble, after_seconds: Option<u64>, now_ms: f64, random: f64) {
        // Several parts fail in the same moment; that is one failure, not three.
        if self.resume_at.is_none_or(|at| at <= now_ms) {
            self.failures += 1;
            let delay = match trouble {
                Trouble::StorageFull => backoff::long_delay_ms(self.failures, random),
                _ => backoff::delay_ms(self.failures, random),
            };
            let delay = delay.max(after_seconds.unwrap_or(0) as f64 * 1000.0);
            self.resume_at = Some(now_ms + delay);
        }
        self.trouble = Some(trouble);
        self.speed.reset();
    }

    /// What it waited for may be there: it need not wait longer.
    pub const fn hurry(&mut self) {
        self.resume_at = None;
    }

    fn recover(&mut self) {
        self.failures = 0;
        self.resume_at = None;
        self.trouble = None;
    }

    /// The user holds it or lets it go on.
    pub fn set_paused(&mut self, paused: bool) {
        self.paused = paused;
        self.resume_at = None;
        self.speed.reset();
    }

    /// Bytes as shown: never fewer than before, though a part may go again.
    pub const fn shown_bytes(&self) -> u64 {
        self.shown_bytes
    }

    /// Percent as shown: never less than before, and 100 only when every byte arrived.
    pub fn percent(&self) -> u8 {
        if matches!(self.phase, Phase::Done | Phase::Completing) {
            return 100;
        }
        let percent = self.shown_bytes.saturating_mul(100) / self.size.max(1);
        u8::try_from(percent.min(99)).unwrap_or(99)
    }

    /// Bytes per second, once there is enough to say.
    pub fn bytes_per_second(&self) -> Option<f64> {
        self.speed.per_second()
    }

    /// Seconds until the last byte, at this speed.
    pub fn seconds_left(&self) -> Option<f64> {
        self.speed.seconds_left(self.size.saturating_sub(self.shown_bytes))
    }
}

fn unreadable() -> Problem {
    Problem::new(Code::InvalidInput, words::UNREADABLE)
}

#[cfg(test)]
mod tests;
