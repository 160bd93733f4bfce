//! Reading from the disk: pieces of a file, and what is below a folder.

use std::{collections::HashMap, io::ErrorKind, os::unix::fs::FileExt, path::Path, sync::Arc};

use bytes::Bytes;
use futures::StreamExt;
use tokio::task::spawn_blocking;

use crate::ports::blob_store::ByteStream;

/// Bytes read from the disk at once.
const READ_BUFFER: usize = 1024 * 1024;

/// The bytes from `offset` to `end` in pieces of [`READ_BUFFER`], each read when the one before has been taken.
pub(super) fn read_pieces(file: Arc<std::fs::File>, offset: u64, end: u64) -> ByteStream {
    futures::stream::unfold((file, offset), move |(file, offset)| async move {
        if offset >= end {
            return None;
        }
        let length = usize::try_from(end - offset).unwrap_or(READ_BUFFER).min(READ_BUFFER);
        let reader = Arc::clone(&file);
        let piece = spawn_blocking(move || {
            let mut buffer = vec![0; length];
            reader.read_exact_at(&mut buffer, offset).map(|()| Bytes::from(buffer))
        })
        .await
        .unwrap_or_else(|error| Err(std::io::Error::other(error)));
        // An error ends the body: the connection is cut, so that nobody takes half a segment for a whole one.
        let next = if piece.is_ok() { offset + length as u64 } else { end };
        Some((piece, (file, next)))
    })
    .boxed()
}

/// Sizes of the files in a folder and in the folders below it, by path relative to it.
pub(super) fn sizes_below(root: &Path) -> std::io::Result<HashMap<String, u64>> {
    let (mut found, mut open) = (HashMap::new(), vec![root.to_path_buf()]);
    while let Some(folder) = open.pop() {
        let entries = match std::fs::read_dir(&folder) {
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            other => other?,
        };
        for entry in entries {
            let (entry, path) = entry.map(|entry| (entry.metadata(), entry.path()))?;
            if entry.as_ref().is_ok_and(std::fs::Metadata::is_dir) {
                open.push(path);
            } else if let Some(name) = path.strip_prefix(root).ok().and_then(Path::to_str) {
                found.insert(name.to_owned(), entry?.len());
            }
        }
    }
    Ok(found)
}
