//! What is on the disk, and how much more would fit.

use std::{
    io::ErrorKind,
    os::unix::fs::MetadataExt,
    path::Path,
    time::{SystemTime, UNIX_EPOCH},
};

use domain::{ids::UploadId, storage_key::StorageKey};

use super::{
    FsStore, STREAM_PREFIX,
    disk::{blocking, disk, reserve},
};
use crate::{
    disk::room_at,
    ports::blob_store::{BlobError, Inventory, Listed, Listing, MeasureRoom, MultipartId, Room, Unfinished},
};

/// A listing ends behind the first entry with which it has so many objects.
const PAGE: usize = 1_000;
/// Bytes of a block, as `stat` counts them.
const BLOCK: u64 = 512;

#[async_trait::async_trait]
impl Inventory for FsStore {
    async fn list_objects(&self, prefix: &str, from: Option<String>) -> Result<Listing, BlobError> {
        let (root, prefix) = (self.root.join(prefix), prefix.to_owned());
        blocking(move || list(&root, &prefix, from.as_deref()).map_err(disk)).await
    }

    async fn list_unfinished(&self) -> Result<Vec<Unfinished>, BlobError> {
        let incoming = self.root.join("incoming");
        blocking(move || {
            names(&incoming, None).map(|names| names.into_iter().map(|name| unfinished(&incoming, name)).collect()).map_err(disk)
        })
        .await
    }
}

#[async_trait::async_trait]
impl MeasureRoom for FsStore {
    async fn room(&self) -> Result<Room, BlobError> {
        let root = self.root.clone();
        blocking(move || room_below(&root).map_err(disk)).await
    }
}

/// Names in a folder behind `from`, in order.
fn names(folder: &Path, from: Option<&str>) -> std::io::Result<Vec<String>> {
    let entries = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        other => other?,
    };
    let named = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let mut names: Vec<String> = named.filter(|name| from.is_none_or(|from| name.as_str() > from)).collect();
    names.sort_unstable();
    Ok(names)
}

/// Whole entries of a folder, files and what is in folders, until it is enough. What vanishes meanwhile is not there.
fn list(root: &Path, prefix: &str, from: Option<&str>) -> std::io::Result<Listing> {
    let mut listing = Listing::default();
    let mut names = names(root, from)?.into_iter().peekable();
    while let Some(name) = names.next() {
        add(&root.join(&name), format!("{prefix}{name}"), &mut listing.objects)?;
        if listing.objects.len() >= PAGE && names.peek().is_some() {
            listing.next = Some(name);
            break;
        }
    }
    Ok(listing)
}

fn add(at: &Path, path: String, found: &mut Vec<Listed>) -> std::io::Result<()> {
    let mut open = vec![(at.to_path_buf(), path)];
    while let Some((at, path)) = open.pop() {
        let metadata = match std::fs::symlink_metadata(&at) {
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            other => other?,
        };
        if metadata.is_dir() {
            open.extend(names(&at, None)?.into_iter().map(|name| (at.join(&name), format!("{path}/{name}"))));
        } else {
            found.push(Listed { path, size: metadata.len(), written_ms: milliseconds(metadata.modified()) });
        }
    }
    Ok(())
}

fn milliseconds(time: std::io::Result<SystemTime>) -> i64 {
    let since = time.ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    since.and_then(|since| i64::try_from(since.as_millis()).ok()).unwrap_or_default()
}

/// A folder of `incoming/`: of an upload, named after it, or of a body that came in one request.
fn unfinished(incoming: &Path, name: String) -> Unfinished {
    let touched = |file: &str| milliseconds(std::fs::metadata(incoming.join(&name).join(file)).and_then(|metadata| metadata.modified()));
    let touched_ms = touched("data").max(touched("ledger")).max(touched("."));
    // An id has 36 letters.
    let upload = Some(&name).filter(|name| !name.starts_with(STREAM_PREFIX)).and_then(|name| name.get(..36)?.parse::<UploadId>().ok());
    Unfinished { key: upload.map(|upload| StorageKey::Source { upload }), id: MultipartId(name), touched_ms }
}

/// The room that nobody has been promised, on the disk of a store.
fn room_below(root: &Path) -> std::io::Result<Room> {
    let room = room_at(root)?;
    Ok(Room { free: room.free.saturating_sub(promised(&root.join("incoming"))), ..room })
}

/// Keeps room for a file: on the disk where that can be reserved, else in the accounts, where its length stands for what it still lacks.
pub(super) fn promise(file: &std::fs::File, size: u64, root: &Path) -> std::io::Result<()> {
    if reserve(file, size)? {
        return Ok(());
    }
    if room_below(root)?.free < size {
        return Err(ErrorKind::StorageFull.into());
    }
    file.set_len(size)
}

/// Bytes that unfinished uploads have been promised and that the disk has not given yet: none where it can reserve them.
fn promised(incoming: &Path) -> u64 {
    let lacks = |name: String| {
        let metadata = std::fs::metadata(incoming.join(name).join("data")).ok()?;
        Some(metadata.len().saturating_sub(metadata.blocks() * BLOCK))
    };
    // What cannot be looked at is on its way out.
    names(incoming, None).into_iter().flatten().filter_map(lacks).sum()
}

#[cfg(test)]
mod tests {
    use std::{fs::File, os::unix::fs::FileExt};

    use super::*;

    #[test]
    fn room_is_taken_or_promised() {
        // In memory, where there is such a folder: nothing is reserved there.
        let folder = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).expect("a folder");
        let incoming = folder.path().join("incoming");
        let begin = |name: &str| {
            std::fs::create_dir_all(incoming.join(name)).expect("made");
            File::create(incoming.join(name).join("data")).expect("made")
        };
        let size = 8 * 1024 * 1024;
        let file = begin("one");
        promise(&file, size, folder.path()).expect("there is room");
        let kept = || file.metadata().expect("asked").blocks() * BLOCK + promised(&incoming);
        assert_eq!((file.metadata().expect("asked").len(), kept()), (size, size));
        file.write_all_at(&vec![7; 1024 * 1024], 4096).expect("written");
        assert_eq!(kept(), size, "what comes takes up what was promised");
        let large = begin("two");
        promise(&large, room_at(folder.path()).expect("asked").total + 1, folder.path()).expect_err("nobody has that much");
        assert_eq!(kept(), size);
    }
}
