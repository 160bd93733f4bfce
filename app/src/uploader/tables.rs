//! Where an MP4 or MOV keeps its tables. They go right behind the first part, so that the video plays while the rest is on its way; most cameras
//! write them last.

use std::ops::Range;

use web_sys::File;

use super::send_part::read_part;

/// Bytes of a box's header, with a long length.
const HEADER: u64 = 16;
/// Boxes looked at: an ordinary file has less than ten, a fragmented one has its tables all over.
const BOXES: usize = 32;
/// Tables that are longer are not waited for.
const LONGEST: u64 = 64 << 20;

/// The place of `moov` in a file, where it has one; `None` for everything else, and for a file that cannot be read.
pub async fn find(file: &File) -> Option<Range<u64>> {
    let size = file.size() as u64;
    let mut at = 0;
    for _ in 0..BOXES {
        let header = read_part(file, at, size.min(at + HEADER)).await.ok()?.to_vec();
        let (kind, length) = read_header(&header, size - at)?;
        if &kind == b"moov" {
            return (length <= LONGEST).then_some(at..at + length);
        }
        at += length;
    }
    None
}

/// Kind and length of the box whose header this is, `left` bytes before the end of the file (ISO/IEC 14496-12, 4.2).
fn read_header(header: &[u8], left: u64) -> Option<([u8; 4], u64)> {
    let short = u32::from_be_bytes(header.get(..4)?.try_into().ok()?);
    let kind: [u8; 4] = header.get(4..8)?.try_into().ok()?;
    let length = match short {
        0 => left,
        1 => u64::from_be_bytes(header.get(8..16)?.try_into().ok()?),
        short => u64::from(short),
    };
    let plain = kind.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b' ');
    (plain && (8..=left).contains(&length)).then_some((kind, length))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_read_as_the_standard_says() {
        assert_eq!(read_header(b"\0\0\0\x18ftypisom\0\0\0\0", 1_000), Some((*b"ftyp", 24)));
        assert_eq!(read_header(b"\0\0\0\0mdat........", 1_000), Some((*b"mdat", 1_000)));
        assert_eq!(read_header(b"\0\0\0\x01mdat\0\0\0\x02\0\0\0\0", 1 << 40), Some((*b"mdat", 1 << 33)));
        assert_eq!(read_header(b"\0\0\0\x08free", 8), Some((*b"free", 8)));
    }

    #[test]
    fn what_is_no_box_ends_the_search() {
        // Matroska, a length beyond the end, one that goes nowhere, and half a header.
        for header in [&b"\x1a\x45\xdf\xa3\x01\0\0\0\0\0\0\x23"[..], b"\0\0\xff\xffmdat", b"\0\0\0\x04moov", b"\0\0\0"] {
            assert_eq!(read_header(header, 1_000), None, "{header:?}");
        }
    }
}
