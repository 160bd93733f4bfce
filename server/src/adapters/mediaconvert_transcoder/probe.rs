//! Looks at a source: its first bytes by our own sniffing, the rest by the service's `Probe`. What the service does not tell is taken to be
//! such that nothing of the source could be kept as it is, which this engine does not do anyway.

use std::time::Duration;

use aws_sdk_mediaconvert::types::{AspectRatio, Codec, Container as Found, Track, TrackType, TransferCharacteristics, VideoProperties};
use bytes::Bytes;
use domain::{
    container::{Container, SNIFF_LENGTH, sniff},
    failure::FailureCode,
    source::{AudioFacts, FrameRate, SourceFacts, VideoFacts},
    storage_key::StorageKey,
};
use futures::TryStreamExt;

use super::{
    MediaConvertOptions,
    calls::Desk,
    failure::{engine, source},
};
use crate::ports::{
    blob_store::{BlobError, BlobStore, ByteRange},
    transcoder::TranscodeError,
};

/// All that is known of a source, or why it cannot be used.
pub(super) async fn probe(desk: &Desk, source: &StorageKey) -> Result<SourceFacts, TranscodeError> {
    let container = identify(desk.store.as_ref(), source).await?;
    let result = desk.probe(source).await?;
    let found = result.container().ok_or_else(|| engine("the source cannot be probed", "the answer tells of no container"))?;
    facts(container, found, &desk.options)
}

/// The container by the source's first bytes. What we do not know by them never reaches the service.
async fn identify(store: &dyn BlobStore, key: &StorageKey) -> Result<Container, TranscodeError> {
    let start = ByteRange { first: 0, last: Some(SNIFF_LENGTH as u64 - 1) };
    let first_bytes = match store.get(key, Some(start)).await {
        Ok(read) => {
            let pieces: Vec<Bytes> = read.body.try_collect().await.map_err(|error| engine("the source cannot be read", error))?;
            pieces.concat()
        }
        Err(BlobError::RangeNotSatisfiable(_)) => Vec::new(),
        Err(error) => return Err(engine("the source cannot be read", error)),
    };
    sniff(&first_bytes)
        .ok_or_else(|| source(FailureCode::NotAVideo, format!("starts with {}", first_bytes[..first_bytes.len().min(16)].escape_ascii())))
}

fn facts(container: Container, found: &Found, options: &MediaConvertOptions) -> Result<SourceFacts, TranscodeError> {
    let (picture, properties) = picture(found)?;
    let sound = sound(found)?;
    // The picture's own length: what is made of it is as long, whatever else the file holds.
    let seconds = picture.duration().filter(|seconds| *seconds > 0.0).or(found.duration()).unwrap_or(0.0);
    let duration = Duration::try_from_secs_f64(seconds).unwrap_or_default();
    if duration.is_zero() {
        return Err(source(FailureCode::Damaged, "the video stream holds no frame"));
    }
    if duration > options.max_duration {
        return Err(source(FailureCode::TooLong, format!("{} s", duration.as_secs())));
    }
    let duration_ms = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX).max(1);
    let video = video_facts(picture, properties, duration_ms)?;
    if u64::from(video.coded_width) * u64::from(video.coded_height) > options.max_pixels {
        return Err(source(FailureCode::PictureTooLarge, format!("{}x{}", video.coded_width, video.coded_height)));
    }
    Ok(SourceFacts { container, duration_ms, video, audio: sound.map(audio_facts) })
}

fn tracks(found: &Found, kind: TrackType) -> impl Iterator<Item = &Track> {
    found.tracks().iter().filter(move |track| track.track_type() == Some(&kind))
}

/// The first track of moving pictures. A cover is a picture that does not move, and MJPEG is what covers are stored as.
fn picture(found: &Found) -> Result<(&Track, &VideoProperties), TranscodeError> {
    let pictures: Vec<_> = tracks(found, TrackType::Video).filter_map(|track| Some((track, track.video_properties()?))).collect();
    let moving = pictures.iter().find(|(track, _)| track.codec() != Some(&Codec::Mjpeg)).or(pictures.first());
    match moving {
        None => Err(source(FailureCode::NoVideoStream, "no stream of pictures")),
        Some((track, _)) if track.codec() == Some(&Codec::UnknownValue) => {
            Err(source(FailureCode::UnsupportedCodec, "pictures in a codec that MediaConvert does not know"))
        }
        Some(found) => Ok(*found),
    }
}

/// The first track of sound with something in it. A file whose only sound is foreign is refused rather than published silent.
fn sound(found: &Found) -> Result<Option<&Track>, TranscodeError> {
    let mut sounds = tracks(found, TrackType::Audio).filter(|track| track.duration() != Some(0.0)).peekable();
    let foreign = sounds.peek().is_some();
    match sounds.find(|track| track.codec() != Some(&Codec::UnknownValue)) {
        None if foreign => Err(source(FailureCode::UnsupportedCodec, "sound in a codec that MediaConvert does not know")),
        found => Ok(found),
    }
}

fn video_facts(track: &Track, properties: &VideoProperties, duration_ms: u64) -> Result<VideoFacts, TranscodeError> {
    let codec = properties.codec_metadata();
    let (width, height) = (positive(properties.width()), positive(properties.height()));
    let (Some(coded_width), Some(coded_height)) = (width, height) else {
        return Err(source(FailureCode::Damaged, "the picture has no size"));
    };
    let rotation = quarter_turns(properties.rotation().or(codec.and_then(|codec| codec.rotation())).unwrap_or(0));
    let aspect = properties.sample_aspect_ratio().or(codec.and_then(|codec| codec.sample_aspect_ratio()));
    let (display_width, display_height, square_samples) = display_size(coded_width, coded_height, aspect, rotation);
    let declared = properties.frame_rate().or(codec.and_then(|codec| codec.coded_frame_rate()));
    let declared = declared.and_then(|rate| Some((positive(rate.numerator())?, positive(rate.denominator())?)));
    let (numerator, denominator) = declared.unwrap_or((30, 1));
    let frame_rate = FrameRate { numerator, denominator };
    let known = |value: Option<&TransferCharacteristics>| value.filter(|value| **value != TransferCharacteristics::Unspecified).cloned();
    let transfer = known(properties.transfer_characteristics()).or(known(codec.and_then(|codec| codec.transfer_characteristics())));
    Ok(VideoFacts {
        stream_index: stream_index(track),
        codec: track.codec().map(codec_name).unwrap_or_default(),
        profile: codec.and_then(|codec| codec.profile()).filter(|profile| !profile.is_empty()).map(str::to_owned),
        pixel_format: pixel_format(codec.and_then(|codec| codec.chroma_subsampling()), properties.bit_depth()),
        coded_width,
        coded_height,
        display_width,
        display_height,
        square_samples,
        rotation,
        frame_rate,
        // A mean that nothing is set to is what frames without a common distance have.
        variable_frame_rate: declared.is_none() || !is_usual(frame_rate.per_second()),
        full_range: false,
        interlaced: codec.and_then(|codec| codec.scan_type()).is_some_and(|scan| scan.to_ascii_lowercase().starts_with("interlace")),
        transfer: transfer.map(|transfer| transfer_name(&transfer)),
        bit_rate: properties.bit_rate().and_then(|bits| u64::try_from(bits).ok()).filter(|bits| *bits > 0),
        // Not told: the worst that is possible.
        longest_gop_ms: duration_ms,
        open_gop: true,
        stands_ms: 0,
        lively_interval_ms: 0,
    })
}

fn audio_facts(track: &Track) -> AudioFacts {
    let properties = track.audio_properties();
    AudioFacts {
        stream_index: stream_index(track),
        codec: track.codec().map(codec_name).unwrap_or_default(),
        profile: None,
        channels: positive(properties.and_then(|properties| properties.channels())).unwrap_or(2),
        sample_rate: positive(properties.and_then(|properties| properties.sample_rate())).unwrap_or(48_000),
        offset_ms: 0,
        cut_off_ms: 0,
    }
}

fn positive(value: Option<i32>) -> Option<u32> {
    value.and_then(|value| u32::try_from(value).ok()).filter(|value| *value > 0)
}

/// The service counts from 1.
fn stream_index(track: &Track) -> u32 {
    positive(track.index()).map_or(0, |index| index - 1)
}

/// Clockwise degrees as one of 0, 90, 180 and 270. The service turns by nothing else.
fn quarter_turns(degrees: i32) -> u16 {
    match degrees.rem_euclid(360) {
        89..=91 => 90,
        179..=181 => 180,
        269..=271 => 270,
        _ => 0,
    }
}

/// Width and height as shown, and whether samples are square. A sample aspect ratio beyond any real one is a lie.
fn display_size(width: u32, height: u32, aspect: Option<&AspectRatio>, rotation: u16) -> (u32, u32, bool) {
    let aspect = aspect.and_then(|aspect| Some((positive(aspect.numerator())?, positive(aspect.denominator())?)));
    let (numerator, denominator) = aspect.unwrap_or((1, 1));
    let ratio = f64::from(numerator) / f64::from(denominator);
    let square = numerator == denominator || !(0.25..=4.0).contains(&ratio);
    let shown = if square { width } else { (f64::from(width) * ratio).round() as u32 };
    if rotation % 180 == 90 { (height, shown, square) } else { (shown, height, square) }
}

/// Whether a rate is one that cameras, screens and editors are set to, or a multiple of it in slow motion.
fn is_usual(rate: f64) -> bool {
    const USUAL: [f64; 15] = [5.0, 6.0, 8.0, 10.0, 12.0, 12.5, 15.0, 20.0, 24.0, 25.0, 30.0, 48.0, 50.0, 60.0, 90.0];
    let near = |usual: f64| (rate / usual - 1.0).abs() < 0.000_5;
    let plain_or_ntsc = |usual: f64| near(usual) || near(usual * 1000.0 / 1001.0);
    USUAL.into_iter().chain([100.0, 119.88, 120.0, 240.0]).any(plain_or_ntsc)
}

/// ffmpeg's name of a codec, as far as people meet it.
fn codec_name(codec: &Codec) -> String {
    match codec {
        Codec::Avc => "h264".to_owned(),
        Codec::Mp4V => "mpeg4".to_owned(),
        Codec::Mpeg1 => "mpeg1video".to_owned(),
        Codec::Mpeg2 => "mpeg2video".to_owned(),
        Codec::Dv => "dvvideo".to_owned(),
        Codec::Uncompressed => "rawvideo".to_owned(),
        other => other.as_str().to_ascii_lowercase(),
    }
}

/// ffmpeg's name of a transfer function, where it is one that we look at.
fn transfer_name(transfer: &TransferCharacteristics) -> String {
    match transfer {
        TransferCharacteristics::Smpte2084 => "smpte2084".to_owned(),
        TransferCharacteristics::AribB67 => "arib-std-b67".to_owned(),
        TransferCharacteristics::Itu709 => "bt709".to_owned(),
        TransferCharacteristics::Smpte170M => "smpte170m".to_owned(),
        other => other.as_str().to_ascii_lowercase(),
    }
}

/// ffmpeg's name of a sample layout.
fn pixel_format(subsampling: Option<&str>, depth: Option<i32>) -> String {
    let layout: String = subsampling.unwrap_or_default().chars().filter(char::is_ascii_digit).collect();
    match (layout.as_str(), depth) {
        ("", _) => String::new(),
        (layout, Some(depth)) if depth > 8 => format!("yuv{layout}p{depth}le"),
        (layout, _) => format!("yuv{layout}p"),
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_mediaconvert::types::{AudioProperties, CodecMetadata, FrameRate as Rate};
    use domain::ladder;

    use super::*;

    fn options() -> MediaConvertOptions {
        super::super::tests::options("")
    }

    fn ratio(numerator: i32, denominator: i32) -> Rate {
        Rate::builder().numerator(numerator).denominator(denominator).build()
    }

    fn picture_of(properties: VideoProperties) -> Track {
        let track = Track::builder().index(1).track_type(TrackType::Video).codec(Codec::Avc).duration(10.0);
        track.video_properties(properties).build()
    }

    fn full_hd() -> aws_sdk_mediaconvert::types::builders::VideoPropertiesBuilder {
        VideoProperties::builder().width(1920).height(1080).frame_rate(ratio(30_000, 1001)).bit_depth(8).bit_rate(4_000_000)
    }

    fn sound_in(codec: Codec) -> Track {
        let properties = AudioProperties::builder().channels(1).sample_rate(44_100).build();
        Track::builder().index(2).track_type(TrackType::Audio).codec(codec).duration(10.1).audio_properties(properties).build()
    }

    fn read(tracks: &[Track]) -> Result<SourceFacts, FailureCode> {
        let found = Found::builder().duration(12.0).set_tracks(Some(tracks.to_vec())).build();
        facts(Container::Mp4, &found, &options()).map_err(|error| match error {
            TranscodeError::Source { code, .. } => code,
            TranscodeError::Engine(detail) | TranscodeError::Passing(detail) | TranscodeError::Full(detail) => panic!("{detail}"),
        })
    }

    #[test]
    fn an_ordinary_file_is_read_and_nothing_of_it_is_kept() {
        let metadata = CodecMetadata::builder().profile("High").chroma_subsampling("4:2:0").scan_type("progressive").build();
        let facts = read(&[picture_of(full_hd().codec_metadata(metadata).build()), sound_in(Codec::Aac)]).expect("usable");
        assert_eq!((facts.duration_ms, facts.video.stream_index), (10_000, 0));
        assert_eq!((facts.video.codec.as_str(), facts.video.pixel_format.as_str()), ("h264", "yuv420p"));
        assert!(!facts.video.interlaced && !facts.video.variable_frame_rate && facts.video.square_samples);
        let audio = facts.audio.clone().expect("there is sound");
        assert_eq!((audio.codec.as_str(), audio.channels, audio.sample_rate), ("aac", 1, 44_100));
        assert_eq!(ladder::plan(&facts), ladder::encode_all(&facts), "nothing would be copied");
    }

    #[test]
    fn the_picture_is_measured_as_it_is_shown() {
        let shown = |properties: VideoProperties| {
            let video = read(&[picture_of(properties)]).expect("usable").video;
            (video.display_width, video.display_height, video.rotation)
        };
        assert_eq!(shown(full_hd().rotation(90).build()), (1080, 1920, 90));
        assert_eq!(shown(full_hd().rotation(-90).build()), (1080, 1920, 270));
        assert_eq!(shown(full_hd().rotation(180).build()), (1920, 1080, 180));
        let wide = AspectRatio::builder().numerator(4).denominator(3).build();
        assert_eq!(shown(full_hd().width(1440).sample_aspect_ratio(wide).build()), (1920, 1080, 0));
        let absurd = AspectRatio::builder().numerator(1000).denominator(1).build();
        assert_eq!(shown(full_hd().sample_aspect_ratio(absurd).build()), (1920, 1080, 0));
    }

    #[test]
    fn high_dynamic_range_interlacing_and_odd_rates_are_seen() {
        let hlg = full_hd().transfer_characteristics(TransferCharacteristics::AribB67).build();
        assert!(read(&[picture_of(hlg)]).expect("usable").video.high_dynamic_range());
        let by_codec =
            CodecMetadata::builder().transfer_characteristics(TransferCharacteristics::Smpte2084).scan_type("Interlaced").build();
        let unspecified = full_hd().transfer_characteristics(TransferCharacteristics::Unspecified).codec_metadata(by_codec).build();
        let video = read(&[picture_of(unspecified)]).expect("usable").video;
        assert!(video.high_dynamic_range() && video.interlaced);
        for (numerator, denominator, varies) in
            [(25, 1, false), (24_000, 1001, false), (30_000, 1001, false), (240, 1, false), (287, 10, true)]
        {
            let rate = full_hd().frame_rate(ratio(numerator, denominator)).build();
            assert_eq!(read(&[picture_of(rate)]).expect("usable").video.variable_frame_rate, varies, "{numerator}/{denominator}");
        }
        assert!(read(&[picture_of(full_hd().frame_rate(ratio(0, 0)).build())]).expect("usable").video.variable_frame_rate);
    }

    #[test]
    fn files_that_cannot_be_used_are_refused_with_the_reason() {
        let good = || picture_of(full_hd().build());
        assert_eq!(read(&[]), Err(FailureCode::NoVideoStream));
        assert_eq!(read(&[sound_in(Codec::Aac)]), Err(FailureCode::NoVideoStream));
        assert_eq!(read(&[good(), sound_in(Codec::UnknownValue)]), Err(FailureCode::UnsupportedCodec));
        assert!(read(&[good(), sound_in(Codec::UnknownValue), sound_in(Codec::Mp3)]).is_ok());
        assert_eq!(read(&[good()]).map(|facts| facts.audio), Ok(None));
        let mut foreign = good();
        foreign.codec = Some(Codec::UnknownValue);
        assert_eq!(read(&[foreign]), Err(FailureCode::UnsupportedCodec));
        assert_eq!(read(&[picture_of(full_hd().width(0).build())]), Err(FailureCode::Damaged));
        assert_eq!(read(&[picture_of(full_hd().width(8000).height(8000).build())]), Err(FailureCode::PictureTooLarge));
        let mut long = good();
        long.duration = Some(200_000.0);
        assert_eq!(read(&[long]), Err(FailureCode::TooLong));
        let mut cover = picture_of(full_hd().width(600).height(600).build());
        cover.codec = Some(Codec::Mjpeg);
        assert_eq!(read(&[cover, good()]).map(|facts| facts.video.coded_width), Ok(1920));
    }
}
