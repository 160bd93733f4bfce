//! The list of what is in a backup: a line a file with its checksum, and a last line, so that half a list is known as one.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs::File,
    io::{Read, Write},
    path::Path,
};

use sha2::{Digest, Sha256};

use super::{BackupError, Result, at};

/// Its name.
pub(super) const MANIFEST: &str = "manifest.txt";
const FIRST_LINE: &str = "millrace backup 1";
const BUFFER: usize = 1024 * 1024;

/// What a file in the backup is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) size: u64,
    /// SHA-256 in hexadecimal.
    pub(super) sha256: String,
}

impl Entry {
    /// Reads a whole file.
    pub(super) fn of(path: &Path) -> Result<Self> {
        let mut file = File::open(path).map_err(at(path))?;
        let (mut sum, mut size, mut buffer) = (Sha256::new(), 0, vec![0; BUFFER]);
        loop {
            let length = file.read(&mut buffer).map_err(at(path))?;
            if length == 0 {
                return Ok(Self { size, sha256: hexadecimal(sum) });
            }
            size += length as u64;
            sum.update(&buffer[..length]);
        }
    }
}

/// A checksum as it stands in the list.
pub(super) fn hexadecimal(sum: Sha256) -> String {
    sum.finalize().iter().fold(String::with_capacity(64), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// What is in a backup, by path below its folder.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Manifest {
    pub(super) made_at_ms: i64,
    /// Which of the files is the database.
    pub(super) database: String,
    pub(super) files: BTreeMap<String, Entry>,
}

impl Manifest {
    /// The list in a folder; `None` where there is none.
    pub(super) fn read(folder: &Path) -> Result<Option<Self>> {
        let path = folder.join(MANIFEST);
        match std::fs::read_to_string(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(at(&path)(error)),
            Ok(text) => Self::parse(&text).map(Some).ok_or_else(|| BackupError::Damaged(format!("{MANIFEST} cannot be read"))),
        }
    }

    fn parse(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        if lines.next()? != FIRST_LINE {
            return None;
        }
        let made_at_ms = lines.next()?.strip_prefix("made ")?.parse().ok()?;
        let database = lines.next()?.strip_prefix("database ")?.to_owned();
        let mut files = BTreeMap::new();
        for line in lines {
            if let Some(count) = line.strip_prefix("end ") {
                let whole = count.parse() == Ok(files.len()) && files.contains_key(&database);
                return whole.then_some(Self { made_at_ms, database, files });
            }
            let (sha256, rest) = line.split_once(' ')?;
            let (size, path) = rest.split_once(' ')?;
            // Whoever wrote into the list must not make us write beside the data folder.
            if path.split('/').any(|part| matches!(part, "" | "." | "..")) {
                return None;
            }
            files.insert(path.to_owned(), Entry { size: size.parse().ok()?, sha256: sha256.to_owned() });
        }
        None
    }

    fn text(&self) -> String {
        let mut text = format!("{FIRST_LINE}\nmade {}\ndatabase {}\n", self.made_at_ms, self.database);
        for (path, Entry { size, sha256 }) in &self.files {
            let _ = writeln!(text, "{sha256} {size} {path}");
        }
        let _ = writeln!(text, "end {}", self.files.len());
        text
    }

    /// Puts the list in the place of the one before: from now on the backup is this one.
    pub(super) fn write(&self, folder: &Path) -> Result<()> {
        let (new, path) = (folder.join(format!("{MANIFEST}.new")), folder.join(MANIFEST));
        let written = File::create(&new).and_then(|mut file| {
            file.write_all(self.text().as_bytes())?;
            file.sync_all()
        });
        written.map_err(at(&new))?;
        std::fs::rename(&new, &path).map_err(at(&path))?;
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(at(folder))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_a_list_is_none() {
        let entry = Entry { size: 5, sha256: "ab".repeat(32) };
        let files = [("database-1.db".to_owned(), entry.clone()), ("store/sources/x".to_owned(), entry)].into();
        let manifest = Manifest { made_at_ms: 7, database: "database-1.db".to_owned(), files };
        let text = manifest.text();
        assert_eq!(Manifest::parse(&text), Some(manifest));
        for end in 0..text.len() - 1 {
            assert_eq!(Manifest::parse(&text[..end]), None, "{end}");
        }
        assert_eq!(Manifest::parse(&text.replace("store/sources/x", "../x")), None);
    }
}
