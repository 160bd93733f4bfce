//! The list of what is safe: a text file to which lines are only ever appended. `+ number size crc32c` is a part; `~ number size crc32c` is
//! the beginning of one, in an upload that is appended to, whose first line is `appended`. A line that a crash cut short does not end in a
//! line feed and does not count.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    io::{Read, Write},
    os::unix::fs::FileExt,
    path::Path,
};

use domain::upload::PartReceipt;

use super::disk::sync_folder;

const FILE: &str = "ledger";
/// First line of an upload that is appended to.
const APPENDED: &str = "appended";
/// So many lines about beginnings of parts are more than are worth reading each time.
const MANY_BEGINNINGS: usize = 1_000;

/// The ledger as read at one moment.
#[derive(Debug)]
pub(super) struct Ledger {
    parts: BTreeMap<u32, PartReceipt>,
    /// The last beginning of a part that was noted.
    beginning: Option<PartReceipt>,
    beginnings: usize,
    appended: bool,
}

impl Ledger {
    /// Makes an empty ledger in `folder`.
    pub(super) fn create(folder: &Path) -> std::io::Result<()> {
        std::fs::File::create(folder.join(FILE))?.sync_all()
    }

    /// Makes the ledger of an upload that is appended to.
    pub(super) fn create_appended(folder: &Path) -> std::io::Result<()> {
        let mut file = std::fs::File::create(folder.join(FILE))?;
        writeln!(file, "{APPENDED}")?;
        file.sync_all()
    }

    /// Reads the ledger in `folder`.
    pub(super) fn open(folder: &Path) -> std::io::Result<Self> {
        let mut text = String::new();
        std::fs::File::open(folder.join(FILE))?.read_to_string(&mut text)?;
        Ok(parse(&text))
    }

    /// The part, if it is safe.
    pub(super) fn part(&self, number: u32) -> Option<PartReceipt> {
        self.parts.get(&number).cloned()
    }

    /// All parts that are safe, by number.
    pub(super) fn parts(&self) -> Vec<PartReceipt> {
        self.parts.values().cloned().collect()
    }

    /// Whether the upload is appended to.
    pub(super) fn is_appended(&self) -> bool {
        self.appended
    }

    /// How far an upload that is appended to has come: the part that is next, with what is safe of it.
    pub(super) fn reached(&self) -> PartReceipt {
        let number = self.parts.last_key_value().map_or(0, |(number, _)| *number) + 1;
        let begun = self.beginning.clone().filter(|beginning| beginning.number == number);
        begun.unwrap_or(PartReceipt { number, size: 0, crc32c: 0 })
    }

    /// Bytes that are safe of an upload that is appended to.
    pub(super) fn bytes(&self) -> u64 {
        self.parts.values().map(|part| part.size).sum::<u64>() + self.reached().size
    }

    /// Notes that a part is safe. Its bytes must be on the disk already.
    pub(super) fn record(folder: &Path, part: &PartReceipt) -> std::io::Result<()> {
        append(folder, &line('+', part))
    }

    /// Notes in one go that parts are safe and how far the one after them is. Their bytes must be on the disk already.
    pub(super) fn record_appended(folder: &Path, parts: &[PartReceipt], beginning: &PartReceipt) -> std::io::Result<()> {
        let mut lines: String = parts.iter().map(|part| line('+', part)).collect();
        if beginning.size > 0 {
            lines.push_str(&line('~', beginning));
        }
        append(folder, &lines)
    }

    /// Writes the ledger anew where a sender of many small pieces has made it long. Its upload must be appended to, by the caller alone.
    pub(super) fn shorten(&self, folder: &Path) -> std::io::Result<()> {
        if self.beginnings < MANY_BEGINNINGS {
            return Ok(());
        }
        let mut text = format!("{APPENDED}\n");
        for part in self.parts.values() {
            text.push_str(&line('+', part));
        }
        text.push_str(&line('~', &self.reached()));
        let new = folder.join("ledger-new");
        let mut file = std::fs::File::create(&new)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        std::fs::rename(&new, folder.join(FILE))?;
        sync_folder(folder)
    }
}

fn line(kind: char, part: &PartReceipt) -> String {
    let mut line = String::new();
    let _ = writeln!(line, "{kind} {} {} {:08x}", part.number, part.size, part.crc32c);
    line
}

/// One write call for all: appends of this length do not interleave.
fn append(folder: &Path, lines: &str) -> std::io::Result<()> {
    let path = folder.join(FILE);
    let mut file = std::fs::OpenOptions::new().append(true).read(true).open(&path)?;
    let (length, mut last) = (file.metadata()?.len(), [b'\n']);
    if length > 0 {
        file.read_exact_at(&mut last, length - 1)?;
    }
    let torn = last != *b"\n";
    // A line torn by a crash is closed first, so that it cannot swallow the next one.
    let lines = if torn { format!("\n{lines}") } else { lines.to_owned() };
    file.write_all(lines.as_bytes())?;
    file.sync_data()
}

fn parse(text: &str) -> Ledger {
    let mut ledger = Ledger { parts: BTreeMap::new(), beginning: None, beginnings: 0, appended: false };
    for line in text.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n')) {
        let words: Vec<&str> = line.split(' ').collect();
        match words[..] {
            [APPENDED] => ledger.appended = true,
            [kind @ ("+" | "~"), number, size, crc32c] if crc32c.len() == 8 => {
                let (Ok(number), Ok(size), Ok(crc32c)) = (number.parse(), size.parse(), u32::from_str_radix(crc32c, 16)) else { continue };
                let part = PartReceipt { number, size, crc32c };
                if kind == "+" {
                    ledger.parts.insert(number, part);
                } else {
                    ledger.beginning = Some(part);
                    ledger.beginnings += 1;
                }
            }
            _ => {}
        }
    }
    ledger
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_torn_line_does_not_count_and_swallows_nothing() {
        let folder = tempfile::tempdir().expect("a folder");
        Ledger::create(folder.path()).expect("made");
        let part = |number| PartReceipt { number, size: 5, crc32c: 0xabc };
        Ledger::record(folder.path(), &part(1)).expect("written");
        let mut file = std::fs::OpenOptions::new().append(true).open(folder.path().join(FILE)).expect("there");
        file.write_all(b"+ 2 5 00000").expect("torn");
        assert_eq!(Ledger::open(folder.path()).expect("read").parts(), [part(1)]);
        Ledger::record(folder.path(), &part(3)).expect("written");
        let ledger = Ledger::open(folder.path()).expect("read");
        assert_eq!(ledger.parts(), [part(1), part(3)]);
        assert_eq!((ledger.part(1), ledger.part(2)), (Some(part(1)), None));
    }

    #[test]
    fn an_upload_that_is_appended_to_goes_on_where_its_last_whole_line_says() {
        let folder = tempfile::tempdir().expect("a folder");
        Ledger::create_appended(folder.path()).expect("made");
        let part = |number, size| PartReceipt { number, size, crc32c: 7 };
        let read = || Ledger::open(folder.path()).expect("read");
        assert!(read().is_appended() && read().bytes() == 0);
        Ledger::record_appended(folder.path(), &[], &part(1, 3)).expect("written");
        Ledger::record_appended(folder.path(), &[part(1, 5), part(2, 5)], &part(3, 0)).expect("written");
        assert_eq!((read().bytes(), read().reached().number), (10, 3), "a beginning ends with its part");
        Ledger::record_appended(folder.path(), &[], &part(3, 2)).expect("written");
        let mut file = std::fs::OpenOptions::new().append(true).open(folder.path().join(FILE)).expect("there");
        file.write_all(b"~ 3 4 00000007").expect("torn");
        assert_eq!((read().bytes(), read().reached()), (12, part(3, 2)));
        read().shorten(folder.path()).expect("short enough");
        for size in 0..MANY_BEGINNINGS as u64 {
            append(folder.path(), &line('~', &part(3, size % 4 + 1))).expect("written");
        }
        read().shorten(folder.path()).expect("shortened");
        let text = std::fs::read_to_string(folder.path().join(FILE)).expect("read");
        assert_eq!(text, "appended\n+ 1 5 00000007\n+ 2 5 00000007\n~ 3 4 00000007\n");
    }
}
