//! Reads from our own fMP4 files what playlists have to say about them.

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use domain::{failure::FailureCode, playlist::MediaPlaylist, source::FrameRate};
use mp4_atom::{Moof, Moov, TrunSamples};
use tokio::{io::AsyncReadExt, task::spawn_blocking};

use super::failure::{engine, source};
use crate::{
    adapters::init_segment::{self, find},
    ports::transcoder::TranscodeError,
};

/// Bytes in which the description of samples stands: in front of them, and some sixteen bytes each.
const DESCRIPTION: u64 = 8 * 1024 * 1024;

/// The RFC 6381 codec string of an init segment's one track.
pub(super) async fn codec(init: &Path) -> Result<String, TranscodeError> {
    init_segment::codec(&read(init).await?).map_err(|error| engine("an init segment cannot be read", error))
}

/// What the samples of one segment say of themselves, in units of the track's timescale.
#[derive(Debug, Default)]
struct Samples {
    length: u64,
    shortest: Option<u32>,
}

impl Samples {
    async fn read(segment: &Path) -> Result<Self, TranscodeError> {
        let bytes = read(segment).await?;
        // Written so by a muxer that could make nothing of the times in the source.
        let moof: Moof = find(&bytes).ok_or_else(|| source(FailureCode::Damaged, "a segment came out empty"))?;
        let mut samples = Self::default();
        for track in &moof.traf {
            let usual = track.tfhd.default_sample_duration;
            for run in &track.trun {
                match &run.samples {
                    TrunSamples::Explicit(entries) => {
                        entries.iter().filter_map(|entry| entry.duration.or(usual)).for_each(|each| samples.add(each, 1));
                    }
                    TrunSamples::Inherited { count, .. } => samples.add(usual.unwrap_or(0), *count),
                }
            }
        }
        Ok(samples)
    }

    fn add(&mut self, duration: u32, count: u32) {
        self.length = self.length.saturating_add(u64::from(duration) * u64::from(count));
        self.shortest = self.shortest.into_iter().chain([duration]).filter(|each| *each > 0).min();
    }
}

async fn timescale(init: &Path) -> Result<u32, TranscodeError> {
    let bytes = read(init).await?;
    let moov: Moov = find(&bytes).ok_or_else(|| engine("an init segment cannot be read", "no moov box"))?;
    Ok(moov.trak.first().map_or(1, |track| track.mdia.mdhd.timescale).max(1))
}

/// Length of a segment in microseconds, by its samples.
pub(super) async fn duration_us(init: &Path, segment: &Path) -> Result<u64, TranscodeError> {
    let timescale = u64::from(timescale(init).await?);
    Ok((Samples::read(segment).await?.length.saturating_mul(1_000_000).saturating_add(timescale / 2)) / timescale)
}

/// The shortest distance between two frames, as a rate. Only asked where frames have no common distance.
pub(super) async fn largest_frame_rate(folder: &Path, playlist: &MediaPlaylist) -> Result<Option<FrameRate>, TranscodeError> {
    let timescale = timescale(&folder.join(&playlist.init)).await?;
    let mut shortest: Option<u32> = None;
    for segment in &playlist.segments {
        let samples = Samples::read(&folder.join(&segment.file)).await?;
        shortest = samples.shortest.into_iter().chain(shortest).min();
    }
    Ok(shortest.map(|duration| FrameRate { numerator: timescale, denominator: duration }))
}

async fn read(path: &Path) -> Result<Vec<u8>, TranscodeError> {
    head(path, DESCRIPTION).await.map_err(|error| engine("a media file cannot be read", error))
}

/// The first bytes of a file. What a program wrote that may have been taken over is never read to its end.
pub(super) async fn head(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let path = path.to_owned();
    let file = spawn_blocking(move || open_plain(&path)).await.map_err(io::Error::other)??;
    tokio::fs::File::from_std(file).take(most).read_to_end(&mut bytes).await?;
    Ok(bytes)
}

/// Opens a file that such a program may still replace: neither by a link to something else, nor by a pipe that nobody writes into.
fn open_plain(path: &Path) -> io::Result<File> {
    let file = File::options().read(true).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK).open(path)?;
    if file.metadata()?.is_file() { Ok(file) } else { Err(io::Error::other("no plain file")) }
}

/// Copies a file of whole boxes, and nothing that is added meanwhile. Gives its size. Blocks.
///
/// # Errors
/// It is empty, or its last box has another end than the file: on a full disk files are cut.
pub(super) fn copy_whole(from: &Path, to: &Path) -> io::Result<u64> {
    let source = open_plain(from)?;
    let size = source.metadata()?.len();
    let mut copy = File::options().read(true).write(true).create(true).truncate(true).open(to)?;
    let copied = io::copy(&mut source.take(size), &mut copy)?;
    let mut end = 0;
    while end < copied {
        copy.seek(SeekFrom::Start(end))?;
        end = end.saturating_add(box_size(&mut copy)?);
    }
    if copied == 0 || copied != size || end != copied {
        return Err(io::Error::other("it is cut"));
    }
    Ok(size)
}

/// The size of the box that begins here.
fn box_size(file: &mut File) -> io::Result<u64> {
    let (mut head, mut large) = ([0; 8], [0; 8]);
    file.read_exact(&mut head)?;
    let size = u64::from(u32::from_be_bytes([head[0], head[1], head[2], head[3]]));
    if size == 1 {
        file.read_exact(&mut large)?;
        return Ok(u64::from_be_bytes(large).max(16));
    }
    // Nothing is shorter than its own head; one without a size, which would go to the end, is none of ours.
    if size < 8 { Err(io::Error::other("no box")) } else { Ok(size) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_files_of_whole_boxes_are_copied() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (from, to) = (folder.path().join("from"), folder.path().join("to"));
        let whole = [&[0, 0, 0, 12][..], b"moofmore", &[0, 0, 0, 8], b"mdat"].concat();
        std::fs::write(&from, &whole).expect("a file");
        assert_eq!(copy_whole(&from, &to).expect("copied"), 20);
        assert_eq!(std::fs::read(&to).expect("a copy"), whole);
        for bad in [&whole[..19], &whole[..10], &[][..], &[0; 16]] {
            std::fs::write(&from, bad).expect("a file");
            assert!(copy_whole(&from, &to).is_err(), "{bad:?}");
        }
        std::fs::remove_file(&from).expect("removed");
        std::os::unix::fs::symlink("/etc/hostname", &from).expect("a link");
        assert!(copy_whole(&from, &to).is_err(), "a link may lead anywhere");
    }
}
