//! Boxes of the ISO base media file format (ISO/IEC 14496-12, 4.2), read without copying and without trust: a box never reaches
//! beyond what it stands in, and nothing here recurses, so that no nesting of boxes can exhaust the stack.
//!
//! That is why boxes which hold boxes are not decoded by `mp4-atom`: it follows whatever is nested in a sample entry, and descriptors
//! in descriptors, as deep as a file likes. Leaves are decoded by it.

use std::ops::Range;

use mp4_atom::Atom;

use super::refusal::{Refusal, Result};

/// A box's four-letter name.
pub(super) type Kind = [u8; 4];

/// Most bytes of a box's header: size, name and 64-bit size.
pub(super) const LONGEST_HEADER: u64 = 16;

/// The header of a box.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BoxHeader {
    /// Its name.
    pub(super) kind: Kind,
    /// Bytes of the header itself: 8 or 16.
    pub(super) length: u64,
    /// Bytes of the whole box, header included; at least `length`.
    pub(super) size: u64,
}

impl BoxHeader {
    /// Reads the header at the start of `bytes`, of a box in a container that has `left` more bytes. A size of 0 means "to the end".
    pub(super) fn read(bytes: &[u8], left: u64) -> Result<Self> {
        let mut fields = Fields(bytes);
        let (size, kind) = (u64::from(fields.u32()?), fields.array()?);
        let (size, length) = match size {
            0 => (left, 8),
            1 => (fields.u64()?, 16),
            size => (size, 8),
        };
        if size < length || size > left {
            return Err(Refusal::Damaged("a box is longer than what holds it"));
        }
        Ok(Self { kind, length, size })
    }

    /// Where the box's content lies, for a box that begins at `at`.
    pub(super) fn content(&self, at: u64) -> Range<u64> {
        at + self.length..at + self.size
    }
}

/// The boxes in a box's content, one after the other.
#[derive(Debug, Clone)]
pub(super) struct Children<'a>(pub(super) &'a [u8]);

impl<'a> Iterator for Children<'a> {
    type Item = Result<(Kind, &'a [u8])>;

    fn next(&mut self) -> Option<Self::Item> {
        // QuickTime ends some lists of boxes by four zero bytes, or by a box of size 0.
        if self.0.len() < 8 || self.0.starts_with(&[0; 4]) {
            return None;
        }
        let bytes = std::mem::take(&mut self.0);
        let header = match BoxHeader::read(bytes, bytes.len() as u64) {
            Ok(header) => header,
            Err(refusal) => return Some(Err(refusal)),
        };
        // Both fit: the header was checked against the length of `bytes`.
        let (child, rest) = bytes.split_at(header.size as usize);
        self.0 = rest;
        Some(Ok((header.kind, &child[header.length as usize..])))
    }
}

impl<'a> Children<'a> {
    /// The content of the first box of a kind, if there is one.
    pub(super) fn find(&self, kind: &Kind) -> Result<Option<&'a [u8]>> {
        for child in self.clone() {
            let (found, content) = child?;
            if found == *kind {
                return Ok(Some(content));
            }
        }
        Ok(None)
    }

    /// The content of the first box of a kind.
    pub(super) fn need(&self, kind: &Kind) -> Result<&'a [u8]> {
        self.find(kind)?.ok_or(Refusal::Damaged("a box that has to be there is missing"))
    }
}

/// Decodes a box that holds no others.
pub(super) fn leaf<A: Atom>(mut content: &[u8]) -> Result<A> {
    A::decode_body(&mut content).map_err(|_| Refusal::Damaged("a box cannot be read"))
}

/// Big-endian fields, one after the other.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fields<'a>(pub(super) &'a [u8]);

impl<'a> Fields<'a> {
    /// The next `count` bytes.
    pub(super) fn take(&mut self, count: usize) -> Result<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(Refusal::Damaged("a box ends too early"))?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk().ok_or(Refusal::Damaged("a box ends too early"))?;
        self.0 = rest;
        Ok(*taken)
    }

    pub(super) fn u8(&mut self) -> Result<u8> {
        self.array().map(u8::from_be_bytes)
    }

    pub(super) fn u16(&mut self) -> Result<u16> {
        self.array().map(u16::from_be_bytes)
    }

    pub(super) fn u32(&mut self) -> Result<u32> {
        self.array().map(u32::from_be_bytes)
    }

    pub(super) fn u64(&mut self) -> Result<u64> {
        self.array().map(u64::from_be_bytes)
    }

    /// Version and flags of a "full" box.
    pub(super) fn version_and_flags(&mut self) -> Result<(u8, u32)> {
        let word = self.u32()?;
        Ok(((word >> 24) as u8, word & 0x00ff_ffff))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn boxes_are_read_one_after_the_other() {
        let bytes = b"\0\0\0\x0aaaaa12\0\0\0\x01bbbb\0\0\0\0\0\0\0\x13xyz\0\0\0\x08cccc\0\0\0\0";
        let found: Vec<_> = Children(bytes).map(|child| child.expect("whole")).collect();
        assert_eq!(found, [(*b"aaaa", &b"12"[..]), (*b"bbbb", b"xyz"), (*b"cccc", b"")]);
        assert_eq!(Children(bytes).find(b"bbbb"), Ok(Some(&b"xyz"[..])));
        assert_eq!(Children(bytes).find(b"none"), Ok(None));
        assert!(Children(bytes).need(b"none").is_err());
    }

    #[test]
    fn a_box_does_not_reach_beyond_what_holds_it() {
        for bad in [&b"\0\0\0\x09aaaa"[..], b"\0\0\0\x07aaaa", b"\0\0\0\x01aaaa\xff\xff\xff\xff\xff\xff\xff\xff", b"\0\0\0\x01aaaa"] {
            assert!(Children(bad).next().is_some_and(|child| child.is_err()), "{bad:?}");
            assert_eq!(Children(bad).count(), 1, "the first fault ends it");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_walked_to_an_end(bytes: Vec<u8>) {
            let held: usize = Children(&bytes).filter_map(Result::ok).map(|(_, content)| content.len() + 8).sum();
            prop_assert!(held <= bytes.len());
        }
    }
}
