//! What a process that died in the middle of a body left behind, removed at the next start.

use std::{path::Path, time::Duration};

/// Start of the names under `incoming/` of bodies that come in one piece.
pub(super) const STREAM_PREFIX: &str = "stream-";
/// Start of the name of a file that stands for a moment, in which it is seen that files can be written.
const CHECK_PREFIX: &str = ".check-";
/// A body in one piece into which nothing was written for this long belongs to a process that died.
const STREAM_SILENCE: Duration = Duration::from_secs(3600);

/// Removes what `put_stream` left behind in a process that died. Multipart uploads are not touched: they have rows.
pub(super) fn sweep(incoming: &Path) {
    let dead = |file: &Path| {
        let touched = std::fs::metadata(file).and_then(|metadata| metadata.modified()).ok();
        touched.and_then(|time| time.elapsed().ok()).is_some_and(|age| age > STREAM_SILENCE)
    };
    for entry in std::fs::read_dir(incoming).into_iter().flatten().flatten() {
        let streamed = entry.file_name().to_string_lossy().starts_with(STREAM_PREFIX);
        if streamed && dead(&entry.path().join("data")) {
            // What cannot be removed now is tried again at the next start.
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}

/// Writes a file below `root` and takes it away again.
pub(super) fn try_writing(root: &Path) -> std::io::Result<()> {
    let file = root.join(format!("{CHECK_PREFIX}{}", std::process::id()));
    let written = std::fs::write(&file, b"a check whether files can be written\n");
    let removed = std::fs::remove_file(&file);
    written.and(removed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_bodies_that_went_silent_are_swept() {
        let folder = tempfile::tempdir().expect("a folder");
        let make = |name: &str, age: Duration| {
            std::fs::create_dir(folder.path().join(name)).expect("made");
            let file = std::fs::File::create(folder.path().join(name).join("data")).expect("made");
            file.set_modified(std::time::SystemTime::now() - age).expect("aged");
        };
        make("stream-dead", STREAM_SILENCE * 2);
        make("stream-alive", Duration::ZERO);
        make("a-multipart-upload", STREAM_SILENCE * 100);
        sweep(folder.path());
        let mut left: Vec<_> = std::fs::read_dir(folder.path()).expect("listed").flatten().map(|entry| entry.file_name()).collect();
        left.sort();
        assert_eq!(left, ["a-multipart-upload", "stream-alive"]);
    }
}
