//! How numbers, times and states are said. Pure, and the same on the server and in the browser.

use domain::source::{AudioFacts, FrameRate, SourceFacts, VideoFacts};

/// A length: `0:04`, `12:31`, `1:12:08`.
pub fn duration(ms: u64) -> String {
    let seconds = (ms + 500) / 1000;
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if hours > 0 { format!("{hours}:{minutes:02}:{seconds:02}") } else { format!("{minutes}:{seconds:02}") }
}

/// Year, month and day of a moment, in UTC (days to civil date after Howard Hinnant).
fn civil(at_ms: i64) -> (i64, i64, i64) {
    let days = at_ms.div_euclid(86_400_000) + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// A date for people: `22 Nov 2026`, in UTC.
pub fn date(at_ms: i64) -> String {
    let (year, month, day) = civil(at_ms);
    let name = usize::try_from(month - 1).ok().and_then(|month| MONTHS.get(month)).unwrap_or(&"");
    format!("{day} {name} {year}")
}

/// A date and time for people, in UTC.
pub fn date_and_time(at_ms: i64) -> String {
    let minutes = at_ms.div_euclid(60_000).rem_euclid(1440);
    format!("{}, {:02}:{:02} UTC", date(at_ms), minutes / 60, minutes % 60)
}

/// A moment for programs: RFC 3339 to the second.
pub fn timestamp(at_ms: i64) -> String {
    let (year, month, day) = civil(at_ms);
    let seconds = at_ms.div_euclid(1000).rem_euclid(86_400);
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

/// How long ago something was; a date where that is more than a week.
pub fn age(at_ms: i64, now_ms: i64) -> String {
    let ago = |n: i64, unit: &str| format!("{n} {unit}{} ago", if n == 1 { "" } else { "s" });
    let minutes = (now_ms - at_ms) / 60_000;
    match minutes {
        ..=0 => "just now".to_owned(),
        1..=59 => ago(minutes, "minute"),
        60..=1439 => ago(minutes / 60, "hour"),
        1440..=2879 => "yesterday".to_owned(),
        2880..=10_079 => ago(minutes / 1440, "day"),
        _ => date(at_ms),
    }
}

/// When something is going to end, as the rest of a sentence that begins with “Ends”; a date where that is more than a month.
pub fn until(at_ms: i64, now_ms: i64) -> String {
    let within = |n: i64, unit: &str| format!("in {n} {unit}{}", if n == 1 { "" } else { "s" });
    let minutes = (at_ms - now_ms + 59_999) / 60_000;
    match minutes {
        ..=1 => within(1, "minute"),
        2..=59 => within(minutes, "minute"),
        60..=2879 => within((minutes + 30) / 60, "hour"),
        2880..=44_640 => within((minutes + 720) / 1440, "day"),
        _ => format!("on {}", date(at_ms)),
    }
}

/// Frames per second: `25 fps`, `29.97 fps`.
pub fn frame_rate(rate: FrameRate) -> String {
    // In whole numbers: how to write fractions of any size is a lot of code for a browser to load.
    let denominator = u64::from(rate.denominator.max(1));
    let hundredths = (u64::from(rate.numerator) * 100 + denominator / 2) / denominator;
    let text = format!("{}.{:02}", hundredths / 100, hundredths % 100);
    format!("{} fps", text.trim_end_matches('0').trim_end_matches('.'))
}

/// Bits per second: `4.2 Mbit/s`.
pub fn bit_rate(bits: u64) -> String {
    let tenths = (bits + 50_000) / 100_000;
    if bits >= 1_000_000 { format!("{}.{} Mbit/s", tenths / 10, tenths % 10) } else { format!("{} kbit/s", bits / 1000) }
}

/// A codec by the name people know.
pub fn codec(name: &str) -> String {
    let known = match name {
        "h264" => "H.264",
        "hevc" => "H.265",
        "av1" => "AV1",
        "vp8" => "VP8",
        "vp9" => "VP9",
        "mpeg4" => "MPEG-4",
        "mpeg2video" => "MPEG-2",
        "prores" => "ProRes",
        "mjpeg" => "Motion JPEG",
        "aac" => "AAC",
        "mp3" => "MP3",
        "opus" => "Opus",
        "vorbis" => "Vorbis",
        "flac" => "FLAC",
        "ac3" => "AC-3",
        "eac3" => "E-AC-3",
        other if other.starts_with("pcm_") => "PCM",
        other => return other.to_uppercase(),
    };
    known.to_owned()
}

/// The picture: `1920 × 1080, 25 fps`.
pub fn picture(video: &VideoFacts) -> String {
    let turned = if video.rotation == 0 { String::new() } else { format!(", turned {}°", video.rotation) };
    format!("{} × {}, {}{turned}", video.display_width, video.display_height, frame_rate(video.frame_rate))
}

/// The codecs: `H.264 High, AAC stereo`.
pub fn codecs(source: &SourceFacts) -> String {
    let video = source
        .video
        .profile
        .as_ref()
        .map_or_else(|| codec(&source.video.codec), |profile| format!("{} {profile}", codec(&source.video.codec)));
    let sound = source.audio.as_ref().map_or_else(|| "no sound".to_owned(), sound);
    format!("{video}, {sound}")
}

fn sound(audio: &AudioFacts) -> String {
    let channels = match audio.channels {
        1 => "mono".to_owned(),
        2 => "stereo".to_owned(),
        6 => "5.1".to_owned(),
        8 => "7.1".to_owned(),
        n => format!("{n} channels"),
    };
    format!("{} {channels}", codec(&audio.codec))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_right_around_leap_days_and_the_epoch() {
        let day = 86_400_000;
        assert_eq!(date(0), "1 Jan 1970");
        assert_eq!(date(-1), "31 Dec 1969");
        assert_eq!(date(951_782_400_000), "29 Feb 2000");
        assert_eq!(date(951_782_400_000 + day), "1 Mar 2000");
        assert_eq!(date(1_795_305_600_000), "22 Nov 2026");
        assert_eq!(timestamp(1_795_305_600_000 + 3_723_000), "2026-11-22T01:02:03Z");
        assert_eq!(date_and_time(1_795_305_600_000 + 3_723_000), "22 Nov 2026, 01:02 UTC");
    }

    #[test]
    fn ages_are_said_as_people_say_them() {
        let minute = 60_000;
        let said: Vec<String> = [-5, 0, 1, 59, 60, 150, 1500, 4000].into_iter().map(|ago| age(0, ago * minute)).collect();
        let expected = ["just now", "just now", "1 minute ago", "59 minutes ago", "1 hour ago", "2 hours ago", "yesterday", "2 days ago"];
        assert_eq!(said, expected);
        assert_eq!(age(0, 30 * 24 * 60 * minute), "1 Jan 1970");
    }

    #[test]
    fn what_is_to_come_is_said_as_people_say_it() {
        let minute = 60_000;
        let said: Vec<String> = [-5, 1, 59, 90, 1440, 2880, 10_080, 43_200].into_iter().map(|left| until(left * minute, 0)).collect();
        let expected = ["in 1 minute", "in 1 minute", "in 59 minutes", "in 2 hours", "in 24 hours", "in 2 days", "in 7 days", "in 30 days"];
        assert_eq!(said, expected);
        assert_eq!(until(365 * 1440 * minute, 0), "on 1 Jan 1971");
        assert_eq!(until(1440 * minute, 30_000), "in 24 hours", "also a moment later");
    }

    #[test]
    fn lengths_and_rates_read_well() {
        assert_eq!([duration(0), duration(4_400), duration(751_000), duration(4_328_000)], ["0:00", "0:04", "12:31", "1:12:08"]);
        assert_eq!(frame_rate(FrameRate { numerator: 30_000, denominator: 1001 }), "29.97 fps");
        assert_eq!(frame_rate(FrameRate { numerator: 100, denominator: 4 }), "25 fps");
        assert_eq!(frame_rate(FrameRate { numerator: 25, denominator: 2 }), "12.5 fps");
        assert_eq!((bit_rate(4_210_000), bit_rate(96_400)), ("4.2 Mbit/s".to_owned(), "96 kbit/s".to_owned()));
        assert_eq!([codec("h264"), codec("pcm_s16le"), codec("theora")], ["H.264", "PCM", "THEORA"]);
    }
}
