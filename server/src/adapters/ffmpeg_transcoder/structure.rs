//! What can be said of a file before any program of somebody else's opens it: its container, by its first bytes, and for MP4
//! and MOV whether its index is there at all.

use std::path::Path;

use domain::{
    container::{Container, SNIFF_LENGTH, sniff},
    failure::FailureCode,
};
use tokio::{
    fs::File,
    io::{AsyncReadExt, AsyncSeekExt, SeekFrom},
};

use super::failure::{engine, source};
use crate::ports::transcoder::TranscodeError;

/// Most top-level boxes that are looked at.
const MOST_BOXES: u32 = 100_000;

/// The container of a file that may be opened.
pub(super) async fn identify(path: &Path) -> Result<Container, TranscodeError> {
    let unreadable = |error| engine("the source cannot be read", error);
    let mut file = File::open(path).await.map_err(unreadable)?;
    let mut first_bytes = Vec::with_capacity(SNIFF_LENGTH);
    (&mut file).take(SNIFF_LENGTH as u64).read_to_end(&mut first_bytes).await.map_err(unreadable)?;
    let Some(container) = sniff(&first_bytes) else {
        return Err(source(FailureCode::NotAVideo, format!("starts with {}", first_bytes[..first_bytes.len().min(16)].escape_ascii())));
    };
    if matches!(container, Container::Mp4 | Container::Mov) && !has_index(&mut file).await.map_err(unreadable)? {
        return Err(source(FailureCode::Truncated, "there is no moov box"));
    }
    Ok(container)
}

/// Whether there is a whole `moov` box, whose place in the file is the writer's choice.
async fn has_index(file: &mut File) -> std::io::Result<bool> {
    let length = file.metadata().await?.len();
    let mut offset = 0_u64;
    for _ in 0..MOST_BOXES {
        if offset.saturating_add(8) > length {
            return Ok(false);
        }
        file.seek(SeekFrom::Start(offset)).await?;
        let mut header = [0; 8];
        file.read_exact(&mut header).await?;
        let [a, b, c, d, kind @ ..] = header;
        let size = match u32::from_be_bytes([a, b, c, d]) {
            0 => length - offset,
            1 if offset.saturating_add(16) <= length => file.read_u64().await?,
            size => u64::from(size),
        };
        if &kind == b"moov" {
            return Ok(offset.saturating_add(size) <= length);
        }
        if size < 8 {
            return Ok(false);
        }
        offset = offset.saturating_add(size);
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn verdict(bytes: &[u8]) -> Result<Container, FailureCode> {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("clip.mp4");
        std::fs::write(&path, bytes).expect("a file");
        match identify(&path).await {
            Ok(container) => Ok(container),
            Err(TranscodeError::Source { code, .. }) => Err(code),
            Err(error) => panic!("{error}"),
        }
    }

    #[tokio::test]
    async fn an_index_may_stand_anywhere_but_has_to_be_whole() {
        let start = b"\0\0\0\x10ftypisom\0\0\x02\0";
        let data = b"\0\0\0\x0cmdatabcd";
        let wide = b"\0\0\0\x01mdat\0\0\0\0\0\0\0\x14abcd";
        let index = b"\0\0\0\x10moov\0\0\0\x08free";
        assert_eq!(verdict(&[&start[..], index, data].concat()).await, Ok(Container::Mp4));
        assert_eq!(verdict(&[&start[..], data, index].concat()).await, Ok(Container::Mp4));
        assert_eq!(verdict(&[&start[..], wide, index].concat()).await, Ok(Container::Mp4));
        assert_eq!(verdict(&[&start[..], data].concat()).await, Err(FailureCode::Truncated));
        assert_eq!(verdict(&[&start[..], &index[..12]].concat()).await, Err(FailureCode::Truncated));
        assert_eq!(verdict(&[&start[..], b"\0\0\0\x00mdat", index].concat()).await, Err(FailureCode::Truncated));
        assert_eq!(verdict(b"").await, Err(FailureCode::NotAVideo));
        assert_eq!(verdict(b"#EXTM3U\nsegment.ts\n").await, Err(FailureCode::NotAVideo));
    }
}
