//! Which container a file is, by its first bytes and nothing else: names and declared types lie. What is recognised here
//! names the only demuxer that may open the file, so a text playlist called `clip.mp4` never reaches a playlist demuxer.

use serde::{Deserialize, Serialize};

/// First bytes that [`sniff`] wants to see. Fewer are fine where the file is shorter.
pub const SNIFF_LENGTH: usize = 1024;

/// A container that may be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Container {
    /// MPEG-4 (ISO base media file format).
    Mp4,
    /// QuickTime.
    Mov,
    /// Matroska.
    Matroska,
    /// WebM, Matroska's subset for the web.
    Webm,
    /// Audio Video Interleave.
    Avi,
    /// MPEG-2 transport stream, plain or with the four time-code bytes of cameras (M2TS).
    MpegTs,
    /// Flash Video.
    Flv,
    /// Ogg.
    Ogg,
}

impl Container {
    /// All of them.
    pub const ALL: [Self; 8] = [Self::Mp4, Self::Mov, Self::Matroska, Self::Webm, Self::Avi, Self::MpegTs, Self::Flv, Self::Ogg];

    /// ffmpeg's demuxer for it: to be forced, and the only one allowed.
    pub const fn demuxer(self) -> &'static str {
        match self {
            Self::Mp4 | Self::Mov => "mov",
            Self::Matroska | Self::Webm => "matroska",
            Self::Avi => "avi",
            Self::MpegTs => "mpegts",
            Self::Flv => "flv",
            Self::Ogg => "ogg",
        }
    }

    /// What people call it.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Mp4 => "MP4",
            Self::Mov => "MOV",
            Self::Matroska => "MKV",
            Self::Webm => "WebM",
            Self::Avi => "AVI",
            Self::MpegTs => "MPEG-TS",
            Self::Flv => "FLV",
            Self::Ogg => "Ogg",
        }
    }
}

/// The container that a file with these first bytes is, or `None` where it is none that may be opened.
pub fn sniff(first_bytes: &[u8]) -> Option<Container> {
    match first_bytes {
        [b'R', b'I', b'F', b'F', _, _, _, _, b'A', b'V', b'I', b' ', ..] => Some(Container::Avi),
        [b'F', b'L', b'V', 1, ..] => Some(Container::Flv),
        [b'O', b'g', b'g', b'S', 0, ..] => Some(Container::Ogg),
        _ => iso_base_media(first_bytes).or_else(|| ebml(first_bytes)).or_else(|| transport_stream(first_bytes)),
    }
}

/// Brands of files that are built like MP4 but hold pictures.
const PICTURE_BRANDS: [&[u8; 4]; 8] = [b"heic", b"heix", b"heim", b"heis", b"mif1", b"avif", b"crx ", b"jpx "];

fn iso_base_media(bytes: &[u8]) -> Option<Container> {
    let size = u32::from_be_bytes(bytes.get(..4)?.try_into().ok()?);
    match bytes.get(4..8)? {
        // Size, kind, major brand, minor version and a list of four-byte brands.
        b"ftyp" => {
            let brand: &[u8; 4] = bytes.get(8..12)?.try_into().ok()?;
            let plausible = (16..=1024).contains(&size) && size % 4 == 0 && !PICTURE_BRANDS.contains(&brand);
            plausible.then_some(if brand == b"qt  " { Container::Mov } else { Container::Mp4 })
        }
        // QuickTime may go without `ftyp`. A size of 1 means that a 64-bit size follows, 0 that the box fills the file.
        b"mdat" => (size <= 1 || size >= 8).then_some(Container::Mov),
        b"moov" => (size == 1 || size >= 16).then_some(Container::Mov),
        b"wide" | b"free" | b"skip" | b"pnot" => (8..=16 * 1024 * 1024).contains(&size).then_some(Container::Mov),
        _ => None,
    }
}

const EBML_HEADER: [u8; 4] = [0x1a, 0x45, 0xdf, 0xa3];
const EBML_DOC_TYPE: u64 = 0x4282;

fn ebml(bytes: &[u8]) -> Option<Container> {
    let rest = bytes.strip_prefix(&EBML_HEADER)?;
    let (size, mut rest) = ebml_number(rest, false)?;
    rest = rest.get(..usize::try_from(size).ok()?).unwrap_or(rest);
    loop {
        let (id, after_id) = ebml_number(rest, true)?;
        let (size, body) = ebml_number(after_id, false)?;
        let (body, next) = body.split_at_checked(usize::try_from(size).ok()?)?;
        if id == EBML_DOC_TYPE {
            return match body.split(|byte| *byte == 0).next()? {
                b"webm" => Some(Container::Webm),
                b"matroska" => Some(Container::Matroska),
                _ => None,
            };
        }
        rest = next;
    }
}

/// Reads a number whose leading zero bits say how many bytes it has. An id keeps its length marker.
fn ebml_number(bytes: &[u8], keep_marker: bool) -> Option<(u64, &[u8])> {
    let first = *bytes.first()?;
    let length = first.leading_zeros() as usize + 1;
    if length > 8 {
        return None;
    }
    let (number, rest) = bytes.split_at_checked(length)?;
    let first = if keep_marker { u64::from(first) } else { u64::from(first) & (0xff_u64 >> length) };
    Some((number[1..].iter().fold(first, |value, byte| (value << 8) | u64::from(*byte)), rest))
}

fn transport_stream(bytes: &[u8]) -> Option<Container> {
    let synced = |start: usize, step: usize| (0..3).all(|packet| bytes.get(start + packet * step) == Some(&0x47));
    (synced(0, 188) || synced(4, 192)).then_some(Container::MpegTs)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ebml_file(doc_type: &[u8]) -> Vec<u8> {
        // EBMLVersion 1, then DocType.
        let mut body = vec![0x42, 0x86, 0x81, 1, 0x42, 0x82, 0x80 | doc_type.len() as u8];
        body.extend_from_slice(doc_type);
        let mut file = EBML_HEADER.to_vec();
        // The size in eight bytes, as ffmpeg writes it.
        file.extend_from_slice(&[1, 0, 0, 0, 0, 0, 0, body.len() as u8]);
        file.extend(body);
        file
    }

    #[test]
    fn containers_are_known_by_their_first_bytes() {
        assert_eq!(sniff(b"\0\0\0\x20ftypisom\0\0\x02\0isomiso2avc1mp41"), Some(Container::Mp4));
        assert_eq!(sniff(b"\0\0\0\x14ftypqt  \0\0\x02\0qt  "), Some(Container::Mov));
        assert_eq!(sniff(b"\0\0\0\x08wide\0\0\0\x10mdat"), Some(Container::Mov));
        assert_eq!(sniff(b"\0\0\0\x01mdat\0\0\0\0\0\0\x10\0"), Some(Container::Mov));
        assert_eq!(sniff(&ebml_file(b"webm")), Some(Container::Webm));
        assert_eq!(sniff(&ebml_file(b"matroska")), Some(Container::Matroska));
        assert_eq!(sniff(b"RIFF\x10\0\0\0AVI LIST"), Some(Container::Avi));
        assert_eq!(sniff(b"FLV\x01\x05\0\0\0\x09"), Some(Container::Flv));
        assert_eq!(sniff(b"OggS\0\x02"), Some(Container::Ogg));
        let mut stream = vec![0; 400];
        for sync in [0, 188, 376] {
            stream[sync] = 0x47;
        }
        assert_eq!(sniff(&stream), Some(Container::MpegTs));
        stream[188] = 0;
        assert_eq!(sniff(&stream), None);
    }

    #[test]
    fn texts_pictures_and_pieces_are_nothing() {
        let refused: [&[u8]; 14] = [
            b"",
            b"\0",
            b"#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXTINF:4,\n/etc/passwd\n",
            b"ffconcat version 1.0\nfile clip.mp4\n",
            b"<?xml version=\"1.0\"?><MPD></MPD>",
            b"RIFF\x10\0\0\0WAVEfmt ",
            b"\0\0\0\x18ftypheic\0\0\0\0mif1heic",
            b"\0\0\0\x02ftypisom\0\0\0\0isom",
            b"\x7f\xff\xff\xffftypisom\0\0\0\0isom",
            b"\x89PNG\r\n\x1a\n",
            b"\xff\xd8\xff\xe0\0\x10JFIF",
            b"%PDF-1.7",
            b"PK\x03\x04",
            &EBML_HEADER,
        ];
        for bytes in refused {
            assert_eq!(sniff(bytes), None, "{}", bytes.escape_ascii());
        }
        assert_eq!(sniff(&ebml_file(b"something")), None);
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600), magic in 0_usize..5) {
            let prefixes: [&[u8]; 5] = [b"", &EBML_HEADER, b"\0\0\0\x20ftyp", b"RIFF", b"G"];
            let _ = sniff(&[prefixes[magic], &bytes].concat());
        }
    }
}
