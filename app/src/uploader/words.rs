//! What the uploader says: plain sentences that say what happens next.

use domain::{error::Problem, upload::bytes_in_words};

use super::item::{Item, Phase, Trouble};
use super::{fingerprint, queue::Totals, resume::Offer};

/// While there is no network.
pub const WAITING_FOR_NETWORK: &str = "Waiting for the network; will go on by itself";
/// When it is back.
pub const NETWORK_BACK: &str = "The network is back; uploads go on";
/// When the store that takes the parts does not answer this browser.
pub const STORE_OUT_OF_REACH: &str = "The storage cannot be reached from here.";
/// When the session ended under an upload.
pub const SIGNED_OUT: &str = "You are signed out; sign in again, and it goes on by itself";
/// When the server has no room for a file that it has a part of.
pub const STORAGE_FULL: &str = "Storage is full – your upload is kept and goes on by itself";
/// When the server has no room for a file that it has nothing of.
pub const NO_ROOM_YET: &str = "Storage is full – the upload begins by itself when there is room";
/// When an upload that was under way is not there any more.
pub const GONE: &str = "This upload was discarded or kept for too long. Choose the file again to upload it anew.";
/// When the server expects a file of another size.
pub const NOT_THE_SAME_SIZE: &str = "This is not the file that the upload began with: its size differs. Choose the same file as before.";
/// When a file is not the one that an upload began with.
pub const NOT_THE_SAME: &str = "This is not the file that the upload began with: its bytes differ. Choose the same file as before.";
/// When a file has another name than the one of which nothing else is known.
pub const NOT_THE_SAME_NAME: &str = "This file has another name than the one that the upload began with. Choose the same file as before.";
/// When the browser cannot read a file.
pub const UNREADABLE: &str =
    "The browser cannot read this file any more: it was changed, moved, or is a folder. Choose the file itself again.";
/// When an upload runs elsewhere in this browser.
pub const IN_ANOTHER_TAB: &str = "This upload is running in another tab.";

/// A failure as announced.
pub fn failed(file_name: &str, problem: &Problem) -> String {
    format!("Upload of {file_name} failed. {}", problem.detail)
}

/// The heading over what can be continued.
pub fn can_be_continued(offers: &[Offer]) -> String {
    match offers.len() {
        1 => "1 upload can be continued".to_owned(),
        many => format!("{many} uploads can be continued"),
    }
}

/// The line of an upload that can be continued; `kept_until` is a date.
pub fn offer_line(offer: &Offer, kept_until: &str) -> String {
    let known = if offer.elsewhere || fingerprint::expected(&offer.upload).is_some() { "" } else { ", known by name and size only" };
    format!("{} % of {}{known}, kept until {kept_until}", offer.upload.percent, bytes_in_words(offer.upload.size))
}

/// The line under a file's name.
pub fn item_line(item: &Item, online: bool) -> String {
    match &item.phase {
        Phase::Failed(problem) => return problem.detail.clone(),
        Phase::Done => return format!("Uploaded, {}", bytes_in_words(item.size)),
        Phase::Completing if item.trouble.is_none() => return "Everything is up; the server puts it together".to_owned(),
        _ => {}
    }
    if item.paused {
        return format!("Paused at {} %", item.percent());
    }
    if !online {
        return WAITING_FOR_NETWORK.to_owned();
    }
    match &item.trouble {
        Some(Trouble::Network) => WAITING_FOR_NETWORK.to_owned(),
        Some(Trouble::SignedOut) => SIGNED_OUT.to_owned(),
        Some(Trouble::OtherAccount(owner)) => format!("Waits until {owner} signs in again"),
        Some(Trouble::StorageFull) => if item.upload_id.is_some() { STORAGE_FULL } else { NO_ROOM_YET }.to_owned(),
        Some(Trouble::Refused(detail)) => format!("{detail} Trying again by itself."),
        None if item.phase == Phase::Waiting => format!("In line, {}", bytes_in_words(item.size)),
        None if item.phase == Phase::Beginning => "Starting".to_owned(),
        None if item.phase == Phase::Looking => "Asking the server what has arrived".to_owned(),
        None => sending_line(item),
    }
}

fn sending_line(item: &Item) -> String {
    let mut line = format!("{} %, {} of {}", item.percent(), bytes_in_words(item.shown_bytes()), bytes_in_words(item.size));
    if let Some(speed) = item.bytes_per_second() {
        line.push_str(&format!(", {}", speed_in_words(speed)));
    }
    if let Some(left) = item.seconds_left() {
        line.push_str(&format!(", {} left", time_in_words(left)));
    }
    line
}

/// The progress bar's text for people who do not see it.
pub fn item_value_text(item: &Item) -> String {
    match item.seconds_left() {
        Some(left) if item.running() => format!("{} percent, about {} left", item.percent(), time_in_words(left)),
        _ => format!("{} percent", item.percent()),
    }
}

/// The tray's heading.
pub fn heading(totals: &Totals) -> String {
    let files = |n: usize| if n == 1 { "1 upload".to_owned() } else { format!("{n} uploads") };
    if totals.running > 0 {
        return files(totals.running);
    }
    match (totals.done, totals.failed) {
        (done, 0) => format!("{done} uploaded"),
        (0, failed) => format!("{failed} failed"),
        (done, failed) => format!("{done} uploaded, {failed} failed"),
    }
}

/// The words beside the heading.
pub fn summary(totals: &Totals) -> String {
    match (totals.running, totals.bytes_per_second, totals.seconds_left) {
        (0, _, _) => String::new(),
        (_, Some(speed), Some(left)) => format!("{} %, {}, {} left", totals.percent, speed_in_words(speed), time_in_words(left)),
        _ => format!("{} %", totals.percent),
    }
}

/// A speed for people: `11.2 MB/s`.
pub fn speed_in_words(bytes_per_second: f64) -> String {
    format!("{}/s", bytes_in_words(bytes_per_second.max(0.0).round() as u64))
}

/// A time for people, rounded so that it does not flicker: `20 s`, `3 min`, `2 h`.
pub fn time_in_words(seconds: f64) -> String {
    match seconds.max(0.0).ceil() as u64 {
        0..=5 => "a few seconds".to_owned(),
        s @ 6..=55 => format!("{} s", s.div_ceil(5) * 5),
        s @ 56..=5400 => format!("{} min", s.div_ceil(60)),
        s => format!("{} h", s.div_ceil(3600)),
    }
}

#[cfg(test)]
mod tests {
    use super::super::item::ItemKey;
    use super::*;

    #[test]
    fn times_are_rounded_to_what_people_say() {
        let said: Vec<String> = [0.0, 5.0, 6.0, 21.0, 56.0, 61.0, 3600.0, 5401.0, 100_000.0].into_iter().map(time_in_words).collect();
        assert_eq!(said, ["a few seconds", "a few seconds", "10 s", "25 s", "1 min", "2 min", "60 min", "2 h", "28 h"]);
    }

    #[test]
    fn a_line_says_what_happens_next() {
        let mut item = Item::new(ItemKey(1), "a.mp4".into(), 3_100_000_000);
        assert_eq!(item_line(&item, true), "In line, 3.1 GB");
        assert_eq!(item_line(&item, false), WAITING_FOR_NETWORK);
        item.trouble = Some(Trouble::SignedOut);
        assert_eq!(item_line(&item, true), SIGNED_OUT);
        item.phase = Phase::Failed(Problem::not_found());
        assert_eq!(item_line(&item, true), Problem::not_found().detail);
    }

    #[test]
    fn an_offer_says_how_much_is_there_and_for_how_long() {
        let id = "018f4c3e-7b1a-7000-8000-000000000001";
        let upload = domain::upload::UnfinishedUpload {
            upload_id: id.parse().expect("an id"),
            video_id: id.parse().expect("an id"),
            file_name: "a.mp4".into(),
            size: 1_200_000_000,
            percent: 62,
            fingerprint: Some("c1-0011223344556677".into()),
            updated_at_ms: 0,
            expires_at_ms: 1,
        };
        let mut offer = Offer { upload, elsewhere: false };
        assert_eq!(offer_line(&offer, "30 Nov 2026"), "62 % of 1.2 GB, kept until 30 Nov 2026");
        offer.upload.fingerprint = None;
        assert_eq!(offer_line(&offer, "30 Nov 2026"), "62 % of 1.2 GB, known by name and size only, kept until 30 Nov 2026");
        assert_eq!(can_be_continued(&[offer.clone(), offer]), "2 uploads can be continued");
    }

    #[test]
    fn the_heading_counts_what_is_on_its_way_first() {
        let totals = Totals { running: 2, done: 1, ..Totals::default() };
        assert_eq!(heading(&totals), "2 uploads");
        assert_eq!(heading(&Totals { done: 3, failed: 1, ..Totals::default() }), "3 uploaded, 1 failed");
        assert_eq!(speed_in_words(11_200_000.4), "11.2 MB/s");
    }
}
