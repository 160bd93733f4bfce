//! Looks at a source: which streams it has, and whether they may and can be used. Refuses early and cheaply; what is left is
//! read once from end to end by [`super::packets`], without decoding.

use std::{ffi::OsString, path::Path, time::Duration};

use domain::{
    container::Container,
    failure::FailureCode,
    source::{AudioFacts, FrameRate, SourceFacts, VideoFacts},
};

use super::{
    codecs,
    engine::Engine,
    failure::source,
    ffprobe::{Probed, Stream},
    packets::{self, Scan, Timeline},
    settings::Limits,
};
use crate::ports::transcoder::TranscodeError;

/// Sound that goes on for longer than this after the last frame is not cut off: the frame stands until it has ended. What is published may be so
/// much longer than its source, and a packet.
const STANDS: Duration = Duration::from_millis(800);

/// All that is known of the file, or why it cannot be used.
pub(super) async fn probe(engine: &Engine, file: &Path) -> Result<SourceFacts, TranscodeError> {
    let container = super::structure::identify(file).await?;
    let probed = engine.look(file, container).await?;
    let chosen = choose(&probed, &engine.limits)?;
    let mut scan = packets::scan(engine, file, container, chosen.video.index, chosen.audio.map(|audio| audio.index)).await?;
    scan.video.settle_end(chosen.video.declared_duration());
    facts(container, &probed, &chosen, &scan, &engine.limits)
}

/// Options that hold for every opening of a source, before its `-i`.
pub(super) fn input_options(container: Container, limits: &Limits) -> Vec<OsString> {
    let max_pixels = limits.max_pixels.to_string();
    let demuxer = container.demuxer();
    let words = ["-f", demuxer, "-format_whitelist", demuxer, "-protocol_whitelist", "file", "-max_pixels", &max_pixels];
    words.into_iter().map(OsString::from).chain(codecs::whitelist_options().into_iter().map(OsString::from)).collect()
}

/// The streams that are used.
#[derive(Debug)]
struct Chosen<'a> {
    video: &'a Stream,
    audio: Option<&'a Stream>,
}

/// Picks one stream of each kind: the default one, else the first. A stream that we do not decode is passed over for one that
/// we do, as phones put a second sound track for their own players beside the usual one; but a file whose every sound track is
/// foreign is refused rather than published silent.
fn choose<'a>(probed: &'a Probed, limits: &Limits) -> Result<Chosen<'a>, TranscodeError> {
    let pictures: Vec<&Stream> = probed.streams.iter().filter(|stream| stream.codec_type == "video" && !stream.is_still()).collect();
    let sounds: Vec<&Stream> = probed.streams.iter().filter(|stream| stream.codec_type == "audio").collect();
    if pictures.is_empty() {
        return Err(source(FailureCode::NoVideoStream, "no stream of pictures"));
    }
    let names = |streams: &[&Stream]| streams.iter().map(|stream| stream.codec_name.as_str()).collect::<Vec<_>>().join(", ");
    let Some(video) = preferred(&pictures, |stream| codecs::is_video_allowed(&stream.codec_name)) else {
        return Err(source(FailureCode::UnsupportedCodec, format!("pictures in {}", names(&pictures))));
    };
    let audio = preferred(&sounds, |stream| codecs::is_audio_allowed(&stream.codec_name) && stream.channels > 0);
    if audio.is_none() && sounds.iter().any(|stream| !codecs::is_audio_allowed(&stream.codec_name)) {
        return Err(source(FailureCode::UnsupportedCodec, format!("sound in {}", names(&sounds))));
    }
    if u64::from(video.width) * u64::from(video.height) > limits.max_pixels {
        return Err(source(FailureCode::PictureTooLarge, format!("{}x{}", video.width, video.height)));
    }
    if video.width == 0 || video.height == 0 {
        // Without a size the decoder saw no picture; ffprobe says why in passing only.
        let too_large = probed.complaints.contains("exceeds specified max pixel count");
        let code = if too_large { FailureCode::PictureTooLarge } else { FailureCode::Damaged };
        return Err(source(code, "the picture has no size"));
    }
    Ok(Chosen { video, audio })
}

fn preferred<'a>(streams: &[&'a Stream], usable: impl Fn(&Stream) -> bool) -> Option<&'a Stream> {
    let usable: Vec<&Stream> = streams.iter().copied().filter(|stream| usable(stream)).collect();
    usable.iter().copied().find(|stream| stream.disposition.default == 1).or(usable.first().copied())
}

fn facts(container: Container, probed: &Probed, chosen: &Chosen<'_>, scan: &Scan, limits: &Limits) -> Result<SourceFacts, TranscodeError> {
    let Some(picture) = scan.video.duration() else {
        return Err(source(FailureCode::Damaged, "the video stream holds no frame"));
    };
    let after_us = scan.audio.as_ref().map_or(0, |sound| sound.end_us().saturating_sub(scan.video.end_us()));
    let stands = Duration::from_micros(u64::try_from(after_us).unwrap_or(0));
    let stands = if stands > STANDS { stands } else { Duration::ZERO };
    let duration = picture + stands;
    let declared = chosen.video.declared_duration().or_else(|| probed.format.duration());
    if duration.max(declared.unwrap_or_default()) > limits.max_duration {
        return Err(source(FailureCode::TooLong, format!("{} s", duration.max(declared.unwrap_or_default()).as_secs())));
    }
    let most_frames = (picture.as_secs() + 1) * u64::from(limits.max_frame_rate);
    if scan.video.frames() > most_frames {
        let detail = format!("{} frames in {} ms", scan.video.frames(), picture.as_millis());
        return Err(source(FailureCode::LimitExceeded, detail));
    }
    check_end(container, probed, chosen, scan)?;
    let offset_us = scan.audio.as_ref().and_then(Timeline::start_us).map_or(0, |start| start - scan.video.start_us().unwrap_or(0));
    Ok(SourceFacts {
        container,
        duration_ms: u64::try_from(duration.as_millis()).unwrap_or(u64::MAX),
        video: VideoFacts { stands_ms: u64::try_from(stands.as_millis()).unwrap_or(u64::MAX), ..video_facts(chosen.video, scan) },
        // A track of sound without a single packet, which some screen recorders leave, is no sound.
        audio: chosen.audio.filter(|_| scan.audio.as_ref().is_some_and(|sound| sound.frames() > 0)).map(|audio| AudioFacts {
            stream_index: audio.index,
            codec: audio.codec_name.clone(),
            profile: audio.profile.clone(),
            channels: audio.channels,
            sample_rate: audio.sample_rate(),
            offset_ms: offset_us / 1000,
            cut_off_ms: scan.hidden_sound_us.unsigned_abs() / 1000,
        }),
    })
}

/// Refuses a file whose packets stop clearly before its header says, or of which the demuxer says that it is cut off.
fn check_end(container: Container, probed: &Probed, chosen: &Chosen<'_>, scan: &Scan) -> Result<(), TranscodeError> {
    // Only the whole file's length is declared in some containers: then whichever stream ends last counts.
    let (declared, found_us) = match chosen.video.declared_duration() {
        // Matroska counts from the file's beginning, others from the first frame.
        Some(declared) => (Some(declared), scan.video.length_us().max(scan.video.end_us())),
        None => {
            let start_us = scan.video.start_us().unwrap_or(0).min(0);
            let end_us = scan.video.end_us().max(scan.audio.as_ref().map_or(i64::MIN, Timeline::end_us));
            (probed.format.duration(), end_us - start_us)
        }
    };
    let declared_us = declared.map_or(0, |declared| i64::try_from(declared.as_micros()).unwrap_or(i64::MAX));
    let missing_us = declared_us - found_us;
    // AVI's length follows from what is there; the number of frames is what the header remembers.
    let frames = chosen.video.declared_frames().filter(|_| container == Container::Avi).unwrap_or(0);
    if frames > scan.video.frames() + frames / 50 + 12 {
        return Err(source(FailureCode::Truncated, format!("{} of {frames} frames are there", scan.video.frames())));
    }
    // A transport stream is cut anywhere by nature, and its length is an estimate.
    let clearly_short = container != Container::MpegTs && missing_us > 500_000.max(declared_us / 50);
    if clearly_short || scan.cut_off {
        return Err(source(FailureCode::Truncated, format!("{} ms of {} ms are there", found_us / 1000, declared_us / 1000)));
    }
    Ok(())
}

fn video_facts(stream: &Stream, scan: &Scan) -> VideoFacts {
    let rotation = stream.rotation();
    let (display_width, display_height, square_samples) = display_size(stream, rotation);
    VideoFacts {
        stream_index: stream.index,
        codec: stream.codec_name.clone(),
        profile: stream.profile.clone(),
        pixel_format: stream.pix_fmt.clone().unwrap_or_default(),
        coded_width: stream.width,
        coded_height: stream.height,
        display_width,
        display_height,
        square_samples,
        rotation,
        frame_rate: frame_rate(stream, scan),
        variable_frame_rate: scan.varies(),
        full_range: stream.is_full_range(),
        interlaced: matches!(stream.field_order.as_deref(), Some("tt" | "bb" | "tb" | "bt")),
        transfer: stream.color_transfer.clone().filter(|transfer| transfer != "unknown"),
        bit_rate: scan.video.bit_rate(),
        longest_gop_ms: scan.longest_gop_us.unsigned_abs() / 1000,
        open_gop: scan.open_gop,
        stands_ms: 0,
        lively_interval_ms: scan.lively_interval_ms(),
    }
}

/// Width and height as shown, and whether samples are square. A sample aspect ratio beyond any real one is a lie.
fn display_size(stream: &Stream, rotation: u16) -> (u32, u32, bool) {
    let (numerator, denominator) = stream.sample_aspect_ratio().unwrap_or((1, 1));
    let ratio = f64::from(numerator) / f64::from(denominator);
    let square = numerator == denominator || !(0.25..=4.0).contains(&ratio);
    let width = if square { stream.width } else { (f64::from(stream.width) * ratio).round() as u32 };
    if rotation % 180 == 90 { (stream.height, width, square) } else { (width, stream.height, square) }
}

/// The container's frame rate where the packets bear it out: it is exact. The measured one where not.
fn frame_rate(stream: &Stream, scan: &Scan) -> FrameRate {
    let measured = scan.video.frames_per_second();
    // Some containers do not know how long the last frame is, which in a short clip moves the mean.
    let slack = 0.005 + 1.5 / scan.video.frames().max(1) as f64;
    let declared = stream.declared_frame_rates().into_iter().find(|rate| (rate.per_second() / measured - 1.0).abs() < slack);
    declared.unwrap_or(FrameRate { numerator: (measured * 1000.0).round().clamp(1.0, f64::from(u32::MAX)) as u32, denominator: 1000 })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn probed(streams: &str) -> Probed {
        serde_json::from_str(&format!("{{\"streams\":[{streams}],\"format\":{{}}}}")).expect("a readable answer")
    }

    fn chosen(streams: &str) -> Result<(u32, Option<u32>), FailureCode> {
        let probed = probed(streams);
        match choose(&probed, &Limits::default()) {
            Ok(chosen) => Ok((chosen.video.index, chosen.audio.map(|audio| audio.index))),
            Err(TranscodeError::Source { code, .. }) => Err(code),
            Err(error) => panic!("{error}"),
        }
    }

    const COVER: &str =
        r#"{"index":0,"codec_type":"video","codec_name":"mjpeg","width":600,"height":600,"disposition":{"attached_pic":1}}"#;
    const PICTURE: &str = r#"{"index":1,"codec_type":"video","codec_name":"h264","width":640,"height":360}"#;
    const SOUND: &str = r#"{"index":2,"codec_type":"audio","codec_name":"aac","channels":2,"sample_rate":"48000"}"#;
    const SPATIAL: &str = r#"{"index":3,"codec_type":"audio","codec_name":"apac","channels":4,"disposition":{"default":1}}"#;

    #[test]
    fn the_usable_streams_are_chosen() {
        assert_eq!(chosen(&[COVER, PICTURE, SOUND].join(",")), Ok((1, Some(2))));
        assert_eq!(chosen(PICTURE), Ok((1, None)));
        assert_eq!(chosen(&[PICTURE, SPATIAL, SOUND].join(",")), Ok((1, Some(2))));
    }

    #[test]
    fn files_without_usable_streams_are_refused_with_the_reason() {
        assert_eq!(chosen(&[COVER, SOUND].join(",")), Err(FailureCode::NoVideoStream));
        assert_eq!(chosen(&[PICTURE, SPATIAL].join(",")), Err(FailureCode::UnsupportedCodec));
        let foreign = PICTURE.replace("h264", "magicyuv");
        assert_eq!(chosen(&foreign), Err(FailureCode::UnsupportedCodec));
        assert_eq!(chosen(&PICTURE.replace("640", "640000")), Err(FailureCode::PictureTooLarge));
        assert_eq!(chosen(&PICTURE.replace("640", "0")), Err(FailureCode::Damaged));
    }

    #[test]
    fn the_picture_is_measured_as_it_is_shown() {
        let size = |more: &str, rotation| {
            let probed = probed(&PICTURE.replace("\"height\":360", &format!("\"height\":360,{more}")));
            display_size(&probed.streams[0], rotation)
        };
        assert_eq!(size(r#""sample_aspect_ratio":"1:1""#, 0), (640, 360, true));
        assert_eq!(size(r#""sample_aspect_ratio":"0:1""#, 90), (360, 640, true));
        assert_eq!(size(r#""sample_aspect_ratio":"4:3""#, 0), (853, 360, false));
        assert_eq!(size(r#""sample_aspect_ratio":"4:3""#, 270), (360, 853, false));
        assert_eq!(size(r#""sample_aspect_ratio":"1000:1""#, 0), (640, 360, true));
    }
}
