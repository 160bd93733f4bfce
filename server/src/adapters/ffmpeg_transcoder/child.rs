//! Runs one program to its end: bounded time, bounded memory for what it says, and its death where nobody waits for it any more.

use std::{ops::ControlFlow, process::ExitStatus, process::Stdio, time::Duration};

use domain::failure::FailureCode;
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    process::Command,
};

use super::failure;
use crate::ports::transcoder::TranscodeError;

/// How a program ended.
#[derive(Debug)]
pub(super) struct Finished {
    /// Its exit status.
    pub(super) status: ExitStatus,
    /// The first and last of its complaints.
    pub(super) stderr: String,
}

/// Runs `command`, hands its standard output to `on_output` in pieces, and returns how it ended.
///
/// It is killed when the time is over, when `on_output` breaks off, and when the returned future is dropped. Killing the one
/// process is enough: our helper becomes the program, and bubblewrap takes its whole process namespace with it.
///
/// Call it from a task, never from a blocking thread: what bubblewrap calls the parent's death is the death of the *thread* that
/// started it, and blocking threads come and go.
pub(super) async fn run(
    mut command: Command,
    name: &str,
    time_limit: Duration,
    mut on_output: impl FnMut(&[u8]) -> ControlFlow<TranscodeError>,
) -> Result<Finished, TranscodeError> {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true).process_group(0);
    let mut child = command.spawn().map_err(|error| failure::engine(&format!("{name} cannot be started"), error))?;
    let mut stdout = child.stdout.take().ok_or_else(|| TranscodeError::Engine(format!("{name} has no output")))?;
    let stderr = child.stderr.take().ok_or_else(|| TranscodeError::Engine(format!("{name} has no error output")))?;

    let output = async {
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let length = stdout.read(&mut buffer).await.map_err(|error| failure::engine(&format!("reading from {name}"), error))?;
            if length == 0 {
                return Ok(());
            }
            if let ControlFlow::Break(error) = on_output(&buffer[..length]) {
                return Err(error);
            }
        }
    };
    let work = async {
        let ((), stderr) = tokio::try_join!(output, async { Ok(keep_ends(stderr).await) })?;
        let status = child.wait().await.map_err(|error| failure::engine(&format!("waiting for {name}"), error))?;
        Ok(Finished { status, stderr })
    };
    let result = match tokio::time::timeout(time_limit, work).await {
        Ok(result) => result,
        Err(_) => Err(failure::source(FailureCode::LimitExceeded, format!("{name} ran for more than {} s", time_limit.as_secs()))),
    };
    if result.is_err() {
        // Gone before the caller removes the folder it writes to. An error here means that it is gone already.
        let _ = child.kill().await;
    }
    result
}

/// Runs `command` and returns its whole standard output, which must not be longer than `limit`; a bad end is an error.
pub(super) async fn output(command: Command, name: &str, time_limit: Duration, limit: usize) -> Result<Vec<u8>, TranscodeError> {
    let mut collected = Vec::new();
    let finished = run(command, name, time_limit, |bytes| {
        if collected.len() + bytes.len() > limit {
            return ControlFlow::Break(failure::source(FailureCode::Damaged, format!("{name} has too much to say about the file")));
        }
        collected.extend_from_slice(bytes);
        ControlFlow::Continue(())
    })
    .await?;
    if finished.status.success() { Ok(collected) } else { Err(failure::of_program(name, &finished)) }
}

/// Cuts a stream of bytes into lines. A line longer than any we ask for loses its end.
#[derive(Debug, Default)]
pub(super) struct Lines {
    unfinished: Vec<u8>,
}

impl Lines {
    const LONGEST: usize = 4096;

    /// Takes the next bytes and hands over each line that they finish.
    pub(super) fn feed(&mut self, bytes: &[u8], mut on_line: impl FnMut(&str)) {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            let room = Self::LONGEST.saturating_sub(self.unfinished.len());
            let text = piece.strip_suffix(b"\n").unwrap_or(piece);
            self.unfinished.extend_from_slice(&text[..text.len().min(room)]);
            if text.len() < piece.len() {
                on_line(String::from_utf8_lossy(&self.unfinished).trim_end());
                self.unfinished.clear();
            }
        }
    }
}

/// Reads to the end and keeps the first 2 KiB, where the cause stands, and the last 6 KiB, where the verdict does.
async fn keep_ends(mut stream: impl AsyncRead + Unpin) -> String {
    const FIRST: usize = 2 * 1024;
    const LAST: usize = 6 * 1024;
    let (mut first, mut last) = (Vec::new(), Vec::new());
    let mut buffer = [0; 4096];
    // A broken pipe ends it like an end: what matters is the exit status.
    while let Ok(length @ 1..) = stream.read(&mut buffer).await {
        let (start, rest) = buffer[..length].split_at(length.min(FIRST - first.len()));
        first.extend_from_slice(start);
        last.extend_from_slice(rest);
        if last.len() > LAST {
            last.drain(..last.len() - LAST);
        }
    }
    first.extend(last);
    String::from_utf8_lossy(&first).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_whole_however_the_bytes_arrive() {
        let (mut lines, mut seen) = (Lines::default(), Vec::new());
        for piece in ["fra", "me=1\nout", "_time_us=40\n\nx"] {
            lines.feed(piece.as_bytes(), |line| seen.push(line.to_owned()));
        }
        assert_eq!(seen, ["frame=1", "out_time_us=40", ""]);
        lines.feed(&vec![b'a'; 1_000_000], |_| ());
        assert!(lines.unfinished.len() <= Lines::LONGEST);
    }

    #[tokio::test]
    async fn a_talkative_program_is_cut_in_the_middle() {
        let text = format!("cause{}verdict", " ".repeat(100_000));
        let kept = keep_ends(text.as_bytes()).await;
        assert!(kept.starts_with("cause") && kept.ends_with("verdict") && kept.len() <= 8 * 1024);
    }

    #[tokio::test]
    async fn a_program_that_takes_too_long_is_ended() {
        let mut command = Command::new("sleep");
        command.arg("60");
        let result = run(command, "sleep", Duration::from_millis(50), |_| ControlFlow::Continue(())).await;
        assert!(matches!(result, Err(TranscodeError::Source { code: FailureCode::LimitExceeded, .. })), "{result:?}");
    }
}
