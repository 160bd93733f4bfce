//! Files on their way into a backup and out of it: whole or not at all, and with their checksum.

use std::{
    fs::{File, OpenOptions},
    io::{Read, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use sha2::{Digest, Sha256};

use super::{
    BackupError, Result, at,
    manifest::{Entry, MANIFEST, Manifest, hexadecimal},
};

/// The file in the data folder with the key that signs links.
pub const SIGNING_KEY: &str = "signing.key";
/// Says that a folder is for backups, also before there is a whole one in it.
const MARK: &str = ".millrace-backup";
const BUFFER: usize = 1024 * 1024;

/// A file in the backup.
pub(super) struct Copied {
    pub(super) entry: Entry,
    /// Whether it had to be copied.
    pub(super) new: bool,
}

fn private_folder(path: &Path) -> Result<()> {
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(at(path))
}

/// Makes the folder for a backup, for this user alone: it is going to hold password hashes, the signing key and private videos.
pub(super) fn make_folder(folder: &Path, data_dir: &Path) -> Result<PathBuf> {
    private_folder(folder)?;
    let folder = folder.canonicalize().map_err(at(folder))?;
    if data_dir.canonicalize().is_ok_and(|data_dir| folder.starts_with(data_dir)) {
        return Err(BackupError::Refused("the backup must not lie in the data folder, with which it would be lost".into()));
    }
    let mark = folder.join(MARK);
    let empty = std::fs::read_dir(&folder).map_err(at(&folder))?.next().is_none();
    if !empty && !mark.exists() {
        let detail =
            format!("{} holds something that is no backup; name an empty folder, or one that is still to be made", folder.display());
        return Err(BackupError::Refused(detail));
    }
    File::create(&mark).map_err(at(&mark))?;
    Ok(folder)
}

/// Copies a file, unless the one that is there is known and has the same size: objects never change.
pub(super) fn copy(from: &Path, to: &Path, known: Option<&Entry>) -> Result<Copied> {
    let size = std::fs::metadata(from).map_err(at(from))?.len();
    let there = std::fs::metadata(to).ok().map(|metadata| metadata.len());
    if let Some(known) = known.filter(|known| known.size == size && there == Some(size)) {
        return Ok(Copied { entry: known.clone(), new: false });
    }
    Ok(Copied { entry: copy_anew(from, to)?, new: true })
}

/// Copies a file to where it appears whole, readable by this user alone.
pub(super) fn copy_anew(from: &Path, to: &Path) -> Result<Entry> {
    if let Some(folder) = to.parent() {
        private_folder(folder)?;
    }
    let partial = to.with_file_name(format!("{}.partial", to.file_name().unwrap_or_default().to_string_lossy()));
    let entry = write(from, &partial).inspect_err(|_| {
        // On a full disk, half a copy would keep it full. The first error is the one to tell.
        let _ = std::fs::remove_file(&partial);
    })?;
    std::fs::rename(&partial, to).map_err(at(to))?;
    Ok(entry)
}

fn write(from: &Path, to: &Path) -> Result<Entry> {
    let mut source = File::open(from).map_err(at(from))?;
    let mut target = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(to).map_err(at(to))?;
    let (mut sum, mut size, mut buffer) = (Sha256::new(), 0, vec![0; BUFFER]);
    loop {
        let length = source.read(&mut buffer).map_err(at(from))?;
        if length == 0 {
            break;
        }
        size += length as u64;
        sum.update(&buffer[..length]);
        target.write_all(&buffer[..length]).map_err(at(to))?;
    }
    target.sync_all().map_err(at(to))?;
    Ok(Entry { size, sha256: hexadecimal(sum) })
}

/// Removes what an earlier backup had and this one has not.
pub(super) fn remove_others(folder: &Path, manifest: &Manifest) -> Result<()> {
    let mut open = vec![folder.to_path_buf()];
    while let Some(next) = open.pop() {
        for entry in std::fs::read_dir(&next).map_err(at(&next))? {
            let path = entry.map_err(at(&next))?.path();
            let name = path.strip_prefix(folder).ok().and_then(Path::to_str).unwrap_or_default();
            if path.is_dir() {
                // Gone if it is empty; its content is looked at first in the next backup.
                if std::fs::remove_dir(&path).is_err() {
                    open.push(path);
                }
            } else if name != MANIFEST && name != MARK && !manifest.files.contains_key(name) {
                std::fs::remove_file(&path).map_err(at(&path))?;
            }
        }
    }
    Ok(())
}
