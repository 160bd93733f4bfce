//! A segment as if it were a file of its own: its header, and behind that the ranges of a local source that belong to it.

use std::{
    fs::File,
    io::{self, IoSliceMut},
    ops::Range,
    sync::Arc,
};

use bytes::Bytes;
use rustix::io::{ReadWriteFlags, preadv2};

use crate::packager::Segment;

/// Bytes between two ranges that are read along rather than asking the system twice: copying them takes as long. It is the sound between the
/// pictures.
const GAP: u64 = 4 << 10;
/// Bytes that one call reads along at most.
const READ_ALONG: usize = 16 << 10;
/// Pieces of one call; the system takes 1,024.
const BUFFERS: usize = 512;

/// The segment.
#[derive(Debug)]
pub struct Gathered {
    file: Arc<File>,
    header: Bytes,
    ranges: Vec<Range<u64>>,
    /// Where each range ends in the segment.
    ends: Vec<u64>,
}

impl Gathered {
    pub(super) fn new(file: Arc<File>, segment: Segment) -> Self {
        let Segment { header, ranges, .. } = segment;
        let mut end = header.len() as u64;
        let ends = ranges.iter().map(|range| {
            end += range.end - range.start;
            end
        });
        Self { file, ends: ends.collect(), header, ranges }
    }

    /// Bytes in it.
    pub fn size(&self) -> u64 {
        self.ends.last().copied().unwrap_or(self.header.len() as u64)
    }

    /// Fills the beginning of a buffer with what lies in the segment at `offset`, as [`preadv2`] with these flags does: how much that was; 0 behind
    /// the end of the segment or the source.
    ///
    /// # Errors
    /// The source cannot be read, or not in the way that the flags say.
    pub fn read_some(&self, buffer: &mut [u8], offset: u64, flags: ReadWriteFlags) -> io::Result<usize> {
        // A header has at most some hundred kilobytes.
        if let Some(header) = self.header.get(offset as usize..).filter(|header| !header.is_empty()) {
            let length = header.len().min(buffer.len());
            buffer[..length].copy_from_slice(&header[..length]);
            return Ok(length);
        }
        let number = self.ends.partition_point(|end| *end <= offset);
        let Some((range, end)) = self.ranges.get(number).zip(self.ends.get(number)) else { return Ok(0) };
        let start = range.end - (end - offset);
        let mut between = vec![0; self.between(number, buffer.len())];
        let (mut buffers, wanted) = self.buffers(number, start, buffer, &mut between);
        let read = preadv2(&self.file, &mut buffers, start, flags)?;
        Ok(wanted_of(&wanted, read))
    }

    /// Fills a buffer, with a thread that may wait.
    ///
    /// # Errors
    /// The source cannot be read, or ends too early.
    pub fn read(&self, mut buffer: &mut [u8], mut offset: u64) -> io::Result<()> {
        while !buffer.is_empty() {
            match self.read_some(buffer, offset, ReadWriteFlags::empty()) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(read) => (buffer, offset) = (&mut buffer[read..], offset + read as u64),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// How many bytes one call reads along: what lies between the ranges that it reaches, or less, so that a range is left to the next call.
    fn between(&self, number: usize, length: usize) -> usize {
        let mut left = length as u64;
        let mut between = 0;
        for pair in self.ranges[number..].windows(2).take(BUFFERS / 2) {
            left = left.saturating_sub(pair[0].end - pair[0].start);
            let gap = pair[1].start.checked_sub(pair[0].end).filter(|gap| *gap <= GAP);
            let Some(sum) = gap.map(|gap| between + gap as usize).filter(|sum| left > 0 && *sum <= READ_ALONG) else { break };
            between = sum;
        }
        between
    }

    /// Where one call puts the source's bytes from `start`, which lies in range `number`, on: into `buffer` those of the segment, into `between`
    /// those that are not. With how many of each come, in turn.
    fn buffers<'a>(
        &self,
        number: usize,
        start: u64,
        buffer: &'a mut [u8],
        between: &'a mut [u8],
    ) -> (Vec<IoSliceMut<'a>>, Vec<(usize, bool)>) {
        let (mut left, mut between) = (buffer, between);
        let (mut buffers, mut wanted, mut at) = (Vec::new(), Vec::new(), start);
        for range in &self.ranges[number..] {
            let Some(gap) = range.start.max(start).checked_sub(at).filter(|gap| *gap <= GAP.min(between.len() as u64)) else { break };
            if left.is_empty() || buffers.len() + 2 > BUFFERS {
                break;
            }
            if gap > 0 {
                let (along, rest) = between.split_at_mut(gap as usize);
                between = rest;
                wanted.push((along.len(), false));
                buffers.push(IoSliceMut::new(along));
            }
            at += gap;
            let length = usize::try_from(range.end - at).unwrap_or(usize::MAX).min(left.len());
            let (part, rest) = left.split_at_mut(length);
            left = rest;
            wanted.push((length, true));
            buffers.push(IoSliceMut::new(part));
            at += length as u64;
        }
        (buffers, wanted)
    }
}

/// How many of the bytes that were read belong to the segment.
fn wanted_of(turns: &[(usize, bool)], mut read: usize) -> usize {
    let mut wanted = 0;
    for (length, belongs) in turns {
        let of_it = read.min(*length);
        read -= of_it;
        wanted += if *belongs { of_it } else { 0 };
    }
    wanted
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A source of so many bytes that tell where they lie, and what a segment of these ranges is.
    fn gathered(size: usize, ranges: Vec<Range<u64>>) -> (Gathered, Vec<u8>) {
        let source: Vec<u8> = (0..size as u32).map(|at| (at ^ (at >> 8) ^ (at >> 16)) as u8).collect();
        let file = tempfile::tempfile().expect("a file");
        std::io::Write::write_all(&mut &file, &source).expect("written");
        let header = Bytes::from_static(b"header");
        let mut whole = header.to_vec();
        ranges.iter().for_each(|range| whole.extend(&source[range.start as usize..range.end as usize]));
        let segment = Segment { header, ranges, length: whole.len() as u64 };
        (Gathered::new(Arc::new(file), segment), whole)
    }

    #[test]
    fn it_reads_as_what_it_is_whatever_lies_between() {
        let near: Vec<_> = (0..700).map(|number| number * 700..number * 700 + 500).collect();
        let far: Vec<_> = (0..20).map(|number| number * 40_000..number * 40_000 + 7_000).collect();
        let behind_one_another = vec![10..20, 20..30, 30..40_000];
        let back = vec![90_000..95_000, 10..5_000, 4_000..6_000];
        let with_much_between: Vec<_> = (0..50).map(|number| number * 4_100..number * 4_100 + 10).collect();
        for ranges in [near, far, behind_one_another, back, with_much_between, Vec::new()] {
            let (segment, whole) = gathered(800_000, ranges);
            assert_eq!(segment.size(), whole.len() as u64);
            for (first, end) in [(0, whole.len()), (0, 3), (3, 9), (7, whole.len()), (whole.len() / 2, whole.len() / 2 + 1_000)] {
                let (first, end) = (first.min(whole.len()), end.min(whole.len()));
                let mut buffer = vec![0; end - first];
                segment.read(&mut buffer, first as u64).expect("all of it is there");
                assert!(buffer == whole[first..end], "{first} to {end} of {}", whole.len());
            }
            let behind = segment.read_some(&mut [0; 9], whole.len() as u64, ReadWriteFlags::empty());
            assert_eq!(behind.expect("nothing is no error"), 0);
        }
    }

    #[test]
    fn many_ranges_are_one_call() {
        let (segment, whole) = gathered(800_000, (0..70).map(|number| number * 10_000..number * 10_000 + 9_800).collect());
        let mut buffer = vec![0; whole.len() - 6];
        let read = segment.read_some(&mut buffer, 6, ReadWriteFlags::empty()).expect("it is there");
        assert!(read == buffer.len() && buffer == whole[6..]);
    }

    #[test]
    fn a_source_that_ends_too_early_is_no_segment() {
        let (segment, whole) = gathered(1_000, vec![0..100, 200..300, 400..500]);
        segment.file.set_len(450).expect("cut");
        let mut buffer = vec![0; whole.len()];
        let mut read = 0;
        while let Ok(more @ 1..) = segment.read_some(&mut buffer[read..], read as u64, ReadWriteFlags::empty()) {
            read += more;
        }
        assert!(read == 6 + 250 && buffer[..read] == whole[..read]);
        assert_eq!(segment.read(&mut buffer, 0).expect_err("not all").kind(), io::ErrorKind::UnexpectedEof);
    }
}
