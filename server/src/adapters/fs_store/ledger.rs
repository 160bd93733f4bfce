//! The list of parts that are safe: a text file to which lines are only ever appended, `+ number size crc32c`. A line
//! that a crash cut short does not end in a line feed and does not count.

use std::{
    collections::BTreeMap,
    io::{Read, Write},
    path::Path,
};

use domain::upload::PartReceipt;

const FILE: &str = "ledger";

/// The ledger as read at one moment.
#[derive(Debug)]
pub(super) struct Ledger {
    parts: BTreeMap<u32, PartReceipt>,
}

impl Ledger {
    /// Makes an empty ledger in `folder`.
    pub(super) fn create(folder: &Path) -> std::io::Result<()> {
        std::fs::File::create(folder.join(FILE))?.sync_all()
    }

    /// Reads the ledger in `folder`.
    pub(super) fn open(folder: &Path) -> std::io::Result<Self> {
        let mut text = String::new();
        std::fs::File::open(folder.join(FILE))?.read_to_string(&mut text)?;
        Ok(Self { parts: parse(&text) })
    }

    /// The part, if it is safe.
    pub(super) fn part(&self, number: u32) -> Option<PartReceipt> {
        self.parts.get(&number).cloned()
    }

    /// All parts that are safe, by number.
    pub(super) fn parts(&self) -> Vec<PartReceipt> {
        self.parts.values().cloned().collect()
    }

    /// Notes that a part is safe. Its bytes must be on the disk already.
    pub(super) fn record(folder: &Path, part: &PartReceipt) -> std::io::Result<()> {
        append(folder, &format!("+ {} {} {:08x}\n", part.number, part.size, part.crc32c))
    }
}

/// One write call a line: appends of this length do not interleave.
fn append(folder: &Path, line: &str) -> std::io::Result<()> {
    let path = folder.join(FILE);
    let mut file = std::fs::OpenOptions::new().append(true).read(true).open(&path)?;
    let torn = {
        let text = std::fs::read(&path)?;
        !text.is_empty() && !text.ends_with(b"\n")
    };
    // A line torn by a crash is closed first, so that it cannot swallow this one.
    let line = if torn { format!("\n{line}") } else { line.to_owned() };
    file.write_all(line.as_bytes())?;
    file.sync_data()
}

fn parse(text: &str) -> BTreeMap<u32, PartReceipt> {
    let mut parts = BTreeMap::new();
    for line in text.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n')) {
        let words: Vec<&str> = line.split(' ').collect();
        match words[..] {
            ["+", number, size, crc32c] if crc32c.len() == 8 => {
                if let (Ok(number), Ok(size), Ok(crc32c)) = (number.parse(), size.parse(), u32::from_str_radix(crc32c, 16)) {
                    parts.insert(number, PartReceipt { number, size, crc32c });
                }
            }
            _ => {}
        }
    }
    parts
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
}
