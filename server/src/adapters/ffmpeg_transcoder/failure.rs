//! From what a program said while it failed to whose fault it is. The only place that reads ffmpeg's messages.

use std::os::unix::process::ExitStatusExt;

use domain::failure::FailureCode;

use super::{
    child::Finished,
    sandbox::exec::{COMPLAINT, NOT_BUILT},
};
use crate::{disk::room_at, ports::transcoder::TranscodeError};

/// The file is to blame.
pub(super) fn source(code: FailureCode, detail: impl Into<String>) -> TranscodeError {
    TranscodeError::Source { code, detail: detail.into() }
}

/// The machinery is to blame, or a full disk.
pub(super) fn engine(what: &str, error: impl std::fmt::Display) -> TranscodeError {
    let detail = format!("{what}: {error}");
    if tells_of_full_disk(&detail) { TranscodeError::Full(detail) } else { TranscodeError::Engine(detail) }
}

/// Less than this left on a disk is nothing: what fails then fails because of it.
const NOTHING_LEFT: u64 = 16 * 1024 * 1024;

/// What went wrong while this disk was full went wrong because of it: half a file looks like a damaged one.
pub(super) fn unless_full(scratch: &std::path::Path, error: TranscodeError) -> TranscodeError {
    match error {
        TranscodeError::Source { .. } | TranscodeError::Engine(_) if room_at(scratch).is_ok_and(|room| room.free < NOTHING_LEFT) => {
            TranscodeError::Full(error.to_string())
        }
        error => error,
    }
}

/// What only a limit of ours can have caused.
const LIMITS: [&str; 4] = ["Cannot allocate memory", "received signal 24", "CPU time limit exceeded", "File too large"];
/// What only the machine can have caused.
const MACHINE: [&str; 2] = ["Read-only file system", "Unknown encoder"];
/// What only a full disk can have caused: the system's words, and those of a store.
const FULL: [&str; 3] = ["No space left on device", "Disk quota exceeded", "the store is full"];
/// A file that stops early.
const CUT_OFF: [&str; 2] = ["partial file", "ended prematurely"];
/// A file that makes no sense.
const NONSENSE: [&str; 11] = [
    "Invalid data found",
    "Error while decoding",
    "Could not find codec parameters",
    "does not contain any stream",
    "matches no streams",
    "nothing was encoded",
    "Error splitting the input",
    // Frames that bear what no filter takes, such as a ratio of samples beyond all numbers.
    "Error while processing the decoded data",
    "Error reinitializing filters",
    "Error while filtering",
    // What a demuxer says that finds nothing in the whole file.
    ": End of file",
];

/// Whether a program that read a file to its end missed some of it.
pub(super) fn tells_of_missing_end(stderr: &str) -> bool {
    CUT_OFF.iter().any(|words| stderr.contains(words))
}

/// Whether there was no room for what was written.
pub(super) fn tells_of_full_disk(said: &str) -> bool {
    FULL.iter().any(|words| said.contains(words))
}

/// Why a program that ended badly did so.
pub(super) fn of_program(name: &str, finished: &Finished) -> TranscodeError {
    let said = finished.stderr.as_str();
    let says = |words: &[&str]| words.iter().any(|word| said.contains(word));
    let detail = format!("{name} ended with {}: {}", finished.status, last_lines(said));

    // The walls could not be built: that is no file's doing.
    if finished.status.code() == Some(i32::from(NOT_BUILT)) && said.starts_with(COMPLAINT) {
        return TranscodeError::Engine(detail);
    }
    // A shell's way of passing a signal on, which bubblewrap follows, is 128 and its number.
    let signal =
        finished.status.signal().or_else(|| finished.status.code().filter(|code| *code > 128 && *code < 192).map(|code| code - 128));
    // 24 is too much processor time, 25 too large a file.
    if matches!(signal, Some(24 | 25)) || says(&LIMITS) {
        return source(FailureCode::LimitExceeded, detail);
    }
    // Somebody killed it: an operator, or the kernel of a machine without memory, which is full for many reasons. Limits of ours end otherwise.
    if signal == Some(9) {
        return TranscodeError::Engine(detail);
    }
    if tells_of_full_disk(said) {
        return TranscodeError::Full(detail);
    }
    if says(&MACHINE) {
        return TranscodeError::Engine(detail);
    }
    if said.contains("not on whitelist") {
        return source(FailureCode::UnsupportedCodec, detail);
    }
    if said.contains("exceeds specified max pixel count") || said.contains("Picture size") {
        return source(FailureCode::PictureTooLarge, detail);
    }
    if tells_of_missing_end(said) {
        return source(FailureCode::Truncated, detail);
    }
    // 69 is ffmpeg's own "more than two thirds could not be decoded". A crash of the decoder is the file's doing as well.
    if says(&NONSENSE) || finished.status.code() == Some(69) || matches!(signal, Some(4 | 6 | 7 | 8 | 11)) {
        return source(FailureCode::Damaged, detail);
    }
    // It only reads, and the self-test has shown that it can here: what it gives up at is the file, in words that nobody can list.
    if name == "ffprobe" && finished.status.code() == Some(1) && !said.starts_with("bwrap: ") {
        return source(FailureCode::Damaged, detail);
    }
    TranscodeError::Engine(detail)
}

/// A file's own texts stand in messages, and a terminal obeys some letters.
fn plain(letter: char) -> char {
    if letter.is_control() { ' ' } else { letter }
}

/// The end of a message, short enough for a log line.
fn last_lines(text: &str) -> String {
    let mut lines: Vec<String> =
        text.lines().filter(|line| !line.trim().is_empty()).rev().take(6).map(|line| line.chars().map(plain).take(160).collect()).collect();
    lines.reverse();
    lines.join(" | ")
}

#[cfg(test)]
mod tests {
    use std::process::ExitStatus;

    use super::*;

    fn verdict(raw_status: i32, stderr: &str) -> Option<FailureCode> {
        let finished = Finished { status: ExitStatus::from_raw(raw_status), stderr: stderr.to_owned() };
        match of_program("ffmpeg", &finished) {
            TranscodeError::Source { code, .. } => Some(code),
            TranscodeError::Engine(_) | TranscodeError::Passing(_) | TranscodeError::Full(_) => None,
        }
    }

    #[test]
    fn a_full_disk_is_told_from_a_broken_machine() {
        assert!(matches!(engine("x", std::io::Error::from_raw_os_error(28)), TranscodeError::Full(_)));
        assert!(matches!(engine("x", crate::ports::blob_store::BlobError::Full), TranscodeError::Full(_)));
        assert!(matches!(engine("x", std::io::Error::from_raw_os_error(5)), TranscodeError::Engine(_)));
        let finished =
            Finished { status: ExitStatus::from_raw(1 << 8), stderr: "Error muxing a packet: No space left on device".to_owned() };
        assert!(matches!(of_program("ffmpeg", &finished), TranscodeError::Full(_)));
    }

    #[test]
    fn blame_goes_where_it_belongs() {
        assert_eq!(verdict(1 << 8, "x: Invalid data found when processing input"), Some(FailureCode::Damaged));
        assert_eq!(verdict(1 << 8, "stream 0, offset 0xeed9: partial file"), Some(FailureCode::Truncated));
        assert_eq!(verdict(1 << 8, "Picture size 16000x16000 exceeds specified max pixel count"), Some(FailureCode::PictureTooLarge));
        assert_eq!(verdict(9, ""), None, "killed from outside: another try helps");
        assert_eq!(verdict(137 << 8, ""), None);
        assert_eq!(verdict(9, "Exiting normally, received signal 24."), Some(FailureCode::LimitExceeded));
        assert_eq!(verdict(24, ""), Some(FailureCode::LimitExceeded));
        assert_eq!(verdict(255 << 8, "Exiting normally, received signal 24."), Some(FailureCode::LimitExceeded));
        assert_eq!(verdict(1 << 8, "Cannot allocate memory"), Some(FailureCode::LimitExceeded));
        assert_eq!(verdict(11, ""), Some(FailureCode::Damaged));
        assert_eq!(verdict(1 << 8, "av_interleaved_write_frame(): No space left on device"), None);
        assert_eq!(verdict(1 << 8, "Unknown encoder 'libx264'"), None);
        assert_eq!(verdict(1 << 8, "Codec (magicyuv) not on whitelist 'h264'"), Some(FailureCode::UnsupportedCodec));
        assert_eq!(verdict(1 << 8, "[ogg @ 0x1] CRC mismatch!\nfile:/in/source: End of file"), Some(FailureCode::Damaged));
        let ratio = "Error setting option pixel_aspect to value -33554431/1.\nError reinitializing filters!";
        assert_eq!(verdict(1 << 8, ratio), Some(FailureCode::Damaged));
        assert_eq!(verdict(1 << 8, "Error while filtering: No space left on device"), None);
        assert_eq!(verdict(126 << 8, "sandbox: Landlock: Invalid data found"), None);
        assert_eq!(verdict(1 << 8, "something new"), None);
        assert_eq!(last_lines("a\x1b[2Jb\rc\n\nd\x07"), "a [2Jb c | d ");
    }
}
