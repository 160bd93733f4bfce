//! From ffmpeg's folders to stored renditions: which segments there are, how long and large they are, and which codec string
//! their init segment asks for. The files move into the store; ffmpeg's playlists are not kept.

use std::path::Path;

use domain::{
    failure::FailureCode,
    ids::GenerationId,
    ladder::{AudioPlan, Ladder, Rung, VideoPlan},
    playlist::{MediaPlaylist, Rendition, Segment, Track},
    source::{AudioFacts, FrameRate, SourceFacts},
};
use futures::{StreamExt, TryStreamExt, stream};
use m3u8_rs::MediaSegment;

use super::{
    command::{AUDIO, INIT, PLAYLIST},
    failure::{engine, source},
    grow::{Growth, Kept, LONGEST_INIT},
    media_file,
    storing::Storing,
};
use crate::ports::transcoder::TranscodeError;

/// Files that wait for their turn to be stored.
const STORE_AT_ONCE: usize = 4;
/// A segment of sound shorter than this is a few frames: one has 21 ms. Microseconds.
const SCRAP_US: u64 = 100_000;
/// A segment lasts less than a day.
const LONGEST_SEGMENT_US: f64 = 86_400e6;
/// Most bytes of a playlist of ffmpeg's: a day in segments of a second is a third of it.
pub(super) const LONGEST_PLAYLIST: u64 = 8 * 1024 * 1024;

/// Reads what was made of each rung and of the sound; `growth` says what of it is stored.
pub(super) async fn read(
    folder: &Path,
    facts: &SourceFacts,
    ladder: &Ladder,
    growth: &Growth<'_>,
) -> Result<Vec<Rendition>, TranscodeError> {
    let mut renditions = Vec::with_capacity(ladder.rungs.len() + 1);
    for rung in &ladder.rungs {
        let folder = folder.join(&rung.name);
        let playlist = read_playlist(&folder, growth.kept(&rung.name)).await?;
        let frame_rate = match &rung.video {
            VideoPlan::Encode { frame_rate: None, .. } | VideoPlan::Copy if facts.video.variable_frame_rate => {
                media_file::largest_frame_rate(&folder, &playlist).await?.unwrap_or(facts.video.frame_rate)
            }
            _ => planned_rate(rung, facts),
        };
        let codec = media_file::codec(&folder.join(&playlist.init)).await?;
        renditions.push(picture(rung, frame_rate, codec, playlist));
    }
    if let (Some(plan), Some(audio)) = (&ladder.audio, &facts.audio) {
        let folder = folder.join(AUDIO);
        let kept = growth.kept(AUDIO);
        let mut playlist = read_playlist(&folder, kept).await?;
        let told = kept.map_or(0, |kept| kept.segments.len());
        let pictures_us = renditions.iter().map(|picture| picture.playlist.duration_us()).max();
        if playlist.segments.len() > told.max(1) && pictures_us.is_some_and(|end_us| ends_with_a_scrap(&playlist, end_us)) {
            playlist.segments.pop();
        }
        let codec = media_file::codec(&folder.join(&playlist.init)).await?;
        renditions.push(sound(plan, audio, codec, playlist));
    }
    check_length(&renditions, facts)?;
    Ok(renditions)
}

/// What a rung has become.
pub(super) fn picture(rung: &Rung, frame_rate: FrameRate, codec: String, playlist: MediaPlaylist) -> Rendition {
    let track = Track::Video { width: rung.width, height: rung.height, frame_rate };
    Rendition { name: rung.name.clone(), track, codec, copied: rung.video == VideoPlan::Copy, flat: false, generation: None, playlist }
}

/// What the sound has become.
pub(super) fn sound(plan: &AudioPlan, audio: &AudioFacts, codec: String, playlist: MediaPlaylist) -> Rendition {
    let (channels, copied) = match plan {
        AudioPlan::Copy => (audio.channels, true),
        AudioPlan::Encode { channels, .. } => (*channels, false),
    };
    Rendition { name: AUDIO.to_owned(), track: Track::Audio { channels }, codec, copied, flat: false, generation: None, playlist }
}

/// Whether the last segment of the sound is less than a few frames that begin when all pictures are over. Nobody misses them, but hls.js loads them and then waits for
/// ever to be told of the end. Films whose length is a multiple of a segment's have such a scrap.
fn ends_with_a_scrap(sound: &MediaPlaylist, pictures_us: u64) -> bool {
    let last_us = sound.segments.last().map_or(0, |last| last.duration_us);
    last_us < SCRAP_US && sound.duration_us() - last_us >= pictures_us
}

/// The frame rate that a rung is to have, as far as that is known before it is made.
pub(super) const fn planned_rate(rung: &Rung, facts: &SourceFacts) -> FrameRate {
    match &rung.video {
        VideoPlan::Encode { frame_rate: Some(rate), .. } => *rate,
        VideoPlan::Encode { frame_rate: None, .. } | VideoPlan::Copy => facts.video.frame_rate,
    }
}

/// The length of a segment by its playlist.
pub(super) fn duration_us(segment: &MediaSegment) -> u64 {
    (f64::from(segment.duration) * 1e6).round().clamp(1.0, LONGEST_SEGMENT_US) as u64
}

/// A picture that ends clearly before the source does: its last part could not be decoded.
fn check_length(renditions: &[Rendition], facts: &SourceFacts) -> Result<(), TranscodeError> {
    let wanted_us = facts.duration_ms.saturating_mul(1000);
    for rendition in renditions.iter().filter(|rendition| matches!(rendition.track, Track::Video { .. })) {
        let made_us = rendition.playlist.duration_us();
        if made_us + 1_000_000 < wanted_us && made_us < wanted_us / 100 * 95 {
            let detail = format!("{} is {} ms long, the source {} ms", rendition.name, made_us / 1000, facts.duration_ms);
            return Err(source(FailureCode::Truncated, detail));
        }
    }
    Ok(())
}

async fn read_playlist(folder: &Path, kept: Option<&Kept>) -> Result<MediaPlaylist, TranscodeError> {
    let text = match media_file::head(&folder.join(PLAYLIST), LONGEST_PLAYLIST).await {
        Ok(text) => text,
        // ffmpeg ends well and writes nothing where not one frame could be decoded.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(source(FailureCode::Damaged, format!("{} came out empty", name_of(folder))));
        }
        Err(error) => return Err(engine("a playlist cannot be read", error)),
    };
    let parsed = m3u8_rs::parse_media_playlist_res(&text).map_err(|_| engine("a playlist cannot be read", name_of(folder)))?;
    let mut segments = match kept {
        Some(kept) => go_on(folder, kept, &parsed.segments).await?,
        None => Vec::with_capacity(parsed.segments.len()),
    };
    let stored = segments.len();
    for segment in parsed.segments.into_iter().skip(stored) {
        // Whoever took ffmpeg over writes what he likes here, such as the name of a file that is not in this folder.
        if !is_segment(&segment.uri) {
            return Err(source(FailureCode::Damaged, format!("{} names what is no segment", name_of(folder))));
        }
        let size = tokio::fs::metadata(folder.join(&segment.uri)).await.map_err(|error| engine("a segment is missing", error))?.len();
        let duration_us = duration_us(&segment);
        segments.push(Segment { file: segment.uri, duration_us, bytes: size });
    }
    let many = segments.len();
    let Some(last) = segments.last_mut() else {
        return Err(source(FailureCode::Damaged, format!("{} came out empty", name_of(folder))));
    };
    if many > stored {
        // ffmpeg takes the last frame to be as long as the first.
        last.duration_us = media_file::duration_us(&folder.join(INIT), &folder.join(&last.file)).await?.max(1);
    }
    Ok(MediaPlaylist { init: INIT.to_owned(), segments })
}

/// The segments that are stored already, if the playlist of the end says the same of them as the one that grew: somebody may be watching them.
async fn go_on(folder: &Path, kept: &Kept, segments: &[MediaSegment]) -> Result<Vec<Segment>, TranscodeError> {
    let same = |(stored, named): (&Segment, &MediaSegment)| stored.file == named.uri && stored.duration_us == duration_us(named);
    let goes_on = segments.len() >= kept.segments.len() && kept.segments.iter().zip(segments).all(same);
    let init = if kept.init.is_empty() { Vec::new() } else { media_file::head(&folder.join(INIT), LONGEST_INIT).await.unwrap_or_default() };
    if goes_on && init == kept.init {
        return Ok(kept.segments.clone());
    }
    Err(source(FailureCode::Damaged, format!("{} ends as something else than it was", name_of(folder))))
}

/// Whether a name is one that `%05d.m4s` gives.
fn is_segment(name: &str) -> bool {
    name.strip_suffix(".m4s").is_some_and(|number| (5..=9).contains(&number.len()) && number.bytes().all(|byte| byte.is_ascii_digit()))
}

fn name_of(folder: &Path) -> std::borrow::Cow<'_, str> {
    folder.file_name().unwrap_or_default().to_string_lossy()
}

/// Moves all files of these renditions into the store that are not there yet.
pub(super) async fn store(
    storing: &Storing,
    generation: GenerationId,
    folder: &Path,
    renditions: &[Rendition],
    growth: &Growth<'_>,
) -> Result<(), TranscodeError> {
    let mut files = Vec::new();
    for rendition in renditions {
        let kept = growth.kept(&rendition.name);
        if kept.is_none_or(|kept| kept.init.is_empty()) {
            files.push(format!("{}/{}", rendition.name, rendition.playlist.init));
        }
        let left = rendition.playlist.segments.iter().skip(kept.map_or(0, |kept| kept.segments.len()));
        files.extend(left.map(|segment| format!("{}/{}", rendition.name, segment.file)));
    }
    stream::iter(files)
        .map(|file| async move { storing.put(generation, &file, &folder.join(&file)).await })
        .buffer_unordered(STORE_AT_ONCE)
        .try_collect::<()>()
        .await
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder as a program leaves it that a file has taken over.
    async fn verdict(playlist: &[u8]) -> Result<(), FailureCode> {
        let folder = tempfile::tempdir().expect("a temporary folder");
        std::fs::write(folder.path().join(PLAYLIST), playlist).expect("a file");
        match read_playlist(folder.path(), None).await {
            Ok(_) => Ok(()),
            Err(TranscodeError::Source { code, .. }) => Err(code),
            Err(error) => panic!("{error}"),
        }
    }

    #[tokio::test]
    async fn a_playlist_names_segments_of_its_own_folder_or_nothing_is_read() {
        for name in ["/dev/zero", "/etc/passwd", "../00000.m4s", "audio/00000.m4s", "00000.mp4", "0.m4s", ".m4s", "index.m3u8", "init.mp4"]
        {
            let playlist = format!("#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXTINF:4,\n{name}\n#EXT-X-ENDLIST\n");
            assert_eq!(verdict(playlist.as_bytes()).await, Err(FailureCode::Damaged), "{name}");
        }
        assert!(is_segment("00000.m4s") && is_segment("123456.m4s"));
    }

    #[test]
    fn a_scrap_of_sound_behind_the_last_picture_is_none_that_anybody_misses() {
        let sound = |durations: &[u64]| {
            let segment = |duration_us: &u64| Segment { file: String::new(), duration_us: *duration_us, bytes: 1 };
            MediaPlaylist { init: INIT.to_owned(), segments: durations.iter().map(segment).collect() }
        };
        assert!(ends_with_a_scrap(&sound(&[4_010_667, 3_989_333, 10_667]), 8_000_000));
        assert!(!ends_with_a_scrap(&sound(&[4_010_667, 3_989_333, 10_667]), 8_005_000), "there is something to see");
        assert!(!ends_with_a_scrap(&sound(&[4_000_000, 4_000_000, 2_000_000]), 8_000_000), "there is something to hear");
        assert!(!ends_with_a_scrap(&sound(&[]), 1));
    }

    #[tokio::test]
    async fn an_endless_playlist_is_not_read_to_its_end() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join(PLAYLIST);
        // A hole of a gigabyte.
        std::fs::File::create(&path).and_then(|file| file.set_len(1 << 30)).expect("a file");
        assert_eq!(media_file::head(&path, 1000).await.expect("read").len(), 1000);
    }
}
