//! What the uploader says: plain sentences that say what happens next.

use domain::{error::Problem, upload::bytes_in_words};

use super::item::{Item, Phase, Trouble};
use super::queue::Totals;

/// While there is no network.
pub const WAITING_FOR_NETWORK: &str = "Waiting for the network; will go on by itself";
/// When it is back.
pub const NETWORK_BACK: &str = "The network is back; uploads go on";
/// When the store that takes the parts does not answer this browser.
pub const STORE_OUT_OF_REACH: &str = "The storage cannot be reached from here.";
/// When the session ended under an upload.
pub const SIGNED_OUT: &str = "Sign in again in another tab; the upload goes on by itself";

/// A failure as announced.
pub fn failed(file_name: &str, problem: &Problem) -> String {
    format!("Upload of {file_name} failed. {}", problem.detail)
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
        Some(Trouble::Refused(detail)) => format!("{detail} Trying again by itself."),
        None if item.phase == Phase::Waiting => format!("In line, {}", bytes_in_words(item.size)),
        None if item.phase == Phase::Beginning => "Starting".to_owned(),
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
    fn the_heading_counts_what_is_on_its_way_first() {
        let totals = Totals { running: 2, done: 1, ..Totals::default() };
        assert_eq!(heading(&totals), "2 uploads");
        assert_eq!(heading(&Totals { done: 3, failed: 1, ..Totals::default() }), "3 uploaded, 1 failed");
        assert_eq!(speed_in_words(11_200_000.4), "11.2 MB/s");
    }
}
