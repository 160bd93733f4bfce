//! One file on its way: its state, what a failure means for it, and what of it is shown.

use domain::{
    error::{Code, Problem},
    ids::{UploadId, VideoId},
    upload::UploadTicket,
};

use super::{backoff, parts::Parts, refusal::SendError, speed::Speed};

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
    part_url: String,
    target_url: Option<String>,
    parts: Option<Parts>,
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
            upload_id: None,
            video_id: None,
            trouble: None,
            resume_at: None,
            quarter: 0,
            part_url: String::new(),
            target_url: None,
            parts: None,
            speed: Speed::default(),
            failures: 0,
            shown_bytes: 0,
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

    /// The server knows it.
    pub fn begin(&mut self, ticket: UploadTicket) {
        self.parts = Some(Parts::new(ticket.plan, &ticket.received));
        self.upload_id = Some(ticket.upload_id);
        self.video_id = Some(ticket.video_id);
        self.part_url = ticket.part_url;
        self.target_url = ticket.target_url;
        self.phase = Phase::Sending;
        self.recover();
    }

    /// Takes the next part: its number. Moves on to completing when none is left.
    pub fn take_part(&mut self) -> Option<u32> {
        self.parts.as_mut()?.take_next()
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

    /// A part arrived.
    pub fn arrive(&mut self, number: u32, now_ms: f64) {
        if let Some(parts) = &mut self.parts {
            parts.arrive(number);
            let gone = parts.bytes_gone();
            self.speed.record(now_ms, gone);
            self.shown_bytes = self.shown_bytes.max(gone);
        }
        self.recover();
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
            (Phase::Completing, None) => Phase::Sending,
            (other, _) => other.clone(),
        };
        match error {
            SendError::Aborted => {}
            SendError::Network => self.wait(Trouble::Network, None, now_ms, random),
            SendError::Store(detail) => self.wait(Trouble::Refused(detail), None, now_ms, random),
            SendError::Unreadable => self.phase = Phase::Failed(unreadable()),
            SendError::Refused(refusal) if refusal.passes() => {
                if let Some(parts) = &mut self.parts {
                    parts.mark_missing(&refusal.missing);
                }
                let trouble = match refusal.status {
                    401 => Trouble::SignedOut,
                    _ if refusal.detail.is_empty() => Trouble::Network,
                    _ => Trouble::Refused(refusal.detail),
                };
                self.wait(trouble, refusal.retry_after_seconds, now_ms, random);
            }
            SendError::Refused(refusal) => self.phase = Phase::Failed(refusal.into_problem()),
        }
    }

    fn wait(&mut self, trouble: Trouble, after_seconds: Option<u64>, now_ms: f64, random: f64) {
        // Several parts fail in the same moment; that is one failure, not three.
        if self.resume_at.is_none_or(|at| at <= now_ms) {
            self.failures += 1;
            let delay = backoff::delay_ms(self.failures, random).max(after_seconds.unwrap_or(0) as f64 * 1000.0);
            self.resume_at = Some(now_ms + delay);
        }
        self.trouble = Some(trouble);
        self.speed.reset();
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
    Problem::new(
        Code::InvalidInput,
        "The browser cannot read this file any more: it was changed, moved, or is a folder. Choose the file itself again.",
    )
}

#[cfg(test)]
mod tests {
    use domain::upload::{PART_SIZE, PartPlan};

    use super::*;
    use crate::uploader::refusal::Refusal;

    fn sending(parts: u64) -> Item {
        let size = PART_SIZE * parts;
        let mut item = Item::new(ItemKey(1), "clip.mp4".into(), size);
        let id = "018f4c3e-7b1a-7000-8000-000000000001";
        item.begin(UploadTicket {
            upload_id: id.parse().expect("an id"),
            video_id: id.parse().expect("an id"),
            plan: PartPlan::for_size(size),
            part_url: "/api/v1/uploads/x/parts/{number}".into(),
            target_url: None,
            received: vec![],
        });
        item
    }

    fn refused(status: u16, code: Code) -> SendError {
        SendError::Refused(Refusal { status, code: Some(code), detail: "So it is.".into(), retry_after_seconds: None, missing: vec![] })
    }

    #[test]
    fn the_percent_never_goes_backwards_and_is_100_only_at_the_end() {
        let mut item = sending(2);
        assert_eq!(item.take_part(), Some(1));
        assert_eq!(item.take_part(), Some(2));
        item.progress(1, PART_SIZE, 0.0);
        item.progress(2, PART_SIZE, 100.0);
        assert_eq!(item.percent(), 99);
        item.fail(Some(2), SendError::Network, 200.0, 0.5);
        item.arrive(1, 300.0);
        assert_eq!(item.percent(), 99);
        item.phase = Phase::Completing;
        assert_eq!(item.percent(), 100);
    }

    #[test]
    fn the_network_never_ends_an_upload() {
        let mut item = sending(1);
        let mut now = 0.0;
        for _ in 0..100 {
            assert!(item.due(now));
            let number = item.take_part();
            item.fail(number, SendError::Network, now, 0.5);
            assert_eq!(item.trouble, Some(Trouble::Network));
            assert!(!item.due(now + 1.0));
            now += 30_000.0;
        }
        assert!(item.running());
        let number = item.take_part().expect("the part is there again");
        item.arrive(number, now);
        assert_eq!((item.trouble.clone(), item.resume_at), (None, None));
        assert!(item.all_arrived());
    }

    #[test]
    fn three_parts_that_fail_together_are_one_failure() {
        let mut item = sending(3);
        for number in [item.take_part(), item.take_part(), item.take_part()] {
            item.fail(number, SendError::Network, 0.0, 1.0);
        }
        assert_eq!(item.resume_at, Some(500.0));
    }

    #[test]
    fn signed_out_waits_and_what_cannot_be_cured_ends_with_the_servers_sentence() {
        let mut item = sending(1);
        let number = item.take_part();
        item.fail(number, refused(401, Code::Unauthenticated), 0.0, 0.0);
        assert_eq!(item.trouble, Some(Trouble::SignedOut));
        let number = item.take_part();
        item.fail(number, refused(507, Code::StorageFull), 60_000.0, 0.0);
        assert_eq!(item.trouble, Some(Trouble::Refused("So it is.".into())));
        let number = item.take_part();
        item.fail(number, refused(422, Code::ChecksumMismatch), 120_000.0, 0.0);
        assert!(item.running());
        let number = item.take_part();
        item.fail(number, refused(422, Code::PartSizeMismatch), 180_000.0, 0.0);
        assert_eq!(item.phase, Phase::Failed(Problem::new(Code::PartSizeMismatch, "So it is.")));
    }

    #[test]
    fn a_server_that_says_when_is_believed() {
        let mut item = sending(1);
        let number = item.take_part();
        let refusal = Refusal {
            status: 429,
            code: Some(Code::RateLimited),
            detail: "Slowly.".into(),
            retry_after_seconds: Some(12),
            missing: vec![],
        };
        item.fail(number, SendError::Refused(refusal), 0.0, 0.0);
        assert_eq!(item.resume_at, Some(12_000.0));
    }

    #[test]
    fn parts_that_the_server_lacks_go_again() {
        let mut item = sending(2);
        while let Some(number) = item.take_part() {
            item.arrive(number, 0.0);
        }
        item.phase = Phase::Completing;
        let refusal = Refusal {
            status: 409,
            code: Some(Code::PartsMissing),
            detail: "Some are missing.".into(),
            retry_after_seconds: None,
            missing: vec![2],
        };
        item.fail(None, SendError::Refused(refusal), 0.0, 0.0);
        assert_eq!(item.phase, Phase::Sending);
        assert_eq!(item.take_part(), Some(2));
    }

    #[test]
    fn a_part_goes_by_its_number() {
        let mut item = sending(2);
        let url = "/api/v1/uploads/x/parts/2".to_owned();
        let way = PartWay { url: url.clone(), target_url: None, start: PART_SIZE, end: 2 * PART_SIZE };
        assert_eq!(item.part(2), Some(way.clone()));
        assert_eq!(item.part(3), None);
        item.target_url = Some("/api/v1/uploads/x/parts/{number}/target".into());
        assert_eq!(item.part(2), Some(PartWay { target_url: Some(format!("{url}/target")), ..way }));
    }

    #[test]
    fn a_store_that_does_not_take_a_part_is_asked_again_for_ever() {
        let mut item = sending(2);
        let mut now = 0.0;
        for _ in 0..50 {
            let number = item.take_part();
            assert_eq!(number, Some(1));
            item.fail(number, SendError::Store("The storage did not take a part (403, AccessDenied).".into()), now, 0.5);
            assert!(matches!(&item.trouble, Some(Trouble::Refused(text)) if text.contains("403")));
            assert!(item.running() && !item.due(now + 1.0));
            now += 30_000.0;
        }
    }
}
