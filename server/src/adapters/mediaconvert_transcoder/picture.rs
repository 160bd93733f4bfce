//! How a rung's picture is encoded: H.264 at a quality with a ceiling, the size that the ladder says, and what makes an ordinary picture of an
//! unusual source.

use aws_sdk_mediaconvert::types::{
    ColorCorrector, ColorSpaceConversion, DeinterlaceAlgorithm, Deinterlacer, DeinterlacerControl, DeinterlacerMode, H264CodecLevel,
    H264CodecProfile, H264FramerateControl, H264FramerateConversionAlgorithm, H264GopSizeUnits, H264InterlaceMode, H264ParControl,
    H264QualityTuningLevel, H264QvbrSettings, H264RateControlMode, H264SceneChangeDetect, H264Settings, HdrToSdrToneMapper,
    ScalingBehavior, VideoCodec, VideoCodecSettings, VideoDescription, VideoPreprocessor,
};
use domain::{
    ladder::{Rung, VideoPlan},
    source::VideoFacts,
};

/// Seconds between key frames.
const GOP_SECONDS: f64 = 2.0;
/// The service makes no smaller side.
const SMALLEST_SIDE: u32 = 32;

/// One rung's picture.
pub(super) fn description(facts: &VideoFacts, rung: &Rung) -> VideoDescription {
    let (width, height) = output_size(rung);
    let codec = VideoCodecSettings::builder().codec(VideoCodec::H264).h264_settings(h264(rung)).build();
    VideoDescription::builder()
        .width(width)
        .height(height)
        .scaling_behavior(scaling(rung))
        .codec_settings(codec)
        .set_video_preprocessors(preprocessors(facts))
        .build()
}

/// Width and height of what is made of a rung.
pub(super) fn output_size(rung: &Rung) -> (i32, i32) {
    let side = |side: u32| i32::try_from(side.max(SMALLEST_SIDE)).unwrap_or(i32::MAX);
    (side(rung.width), side(rung.height))
}

/// The ladder's sizes have the picture's shape, but for the rounding to even numbers: stretching by that is invisible, a black line is not.
/// Where a side had to grow, the shape is kept by bars.
pub(super) fn scaling(rung: &Rung) -> ScalingBehavior {
    if rung.width.min(rung.height) < SMALLEST_SIDE { ScalingBehavior::Default } else { ScalingBehavior::StretchToOutput }
}

/// What has to be done to a source's picture before it is encoded.
pub(super) fn preprocessors(facts: &VideoFacts) -> Option<VideoPreprocessor> {
    let colour = facts.high_dynamic_range().then(|| {
        ColorCorrector::builder()
            .color_space_conversion(ColorSpaceConversion::Force709)
            .hdr_to_sdr_tone_mapper(HdrToSdrToneMapper::PreserveDetails)
            .build()
    });
    let fields = facts.interlaced.then(|| {
        Deinterlacer::builder()
            .mode(DeinterlacerMode::Deinterlace)
            .algorithm(DeinterlaceAlgorithm::Interpolate)
            .control(DeinterlacerControl::Normal)
            .build()
    });
    if colour.is_none() && fields.is_none() {
        return None;
    }
    Some(VideoPreprocessor::builder().set_color_corrector(colour).set_deinterlacer(fields).build())
}

fn h264(rung: &Rung) -> H264Settings {
    let (max_bitrate, frame_rate) = match &rung.video {
        VideoPlan::Encode { max_bitrate, frame_rate } => (i32::try_from(*max_bitrate).unwrap_or(i32::MAX / 2), *frame_rate),
        // The ladder was planned anew for an engine that cannot copy; see `without_copies`.
        VideoPlan::Copy => (5_000_000, None),
    };
    let settings = H264Settings::builder()
        .rate_control_mode(H264RateControlMode::Qvbr)
        .qvbr_settings(H264QvbrSettings::builder().qvbr_quality_level(quality(rung)).build())
        .max_bitrate(max_bitrate)
        // The ladder's ceiling holds over two seconds.
        .hrd_buffer_size(max_bitrate.saturating_mul(2))
        .quality_tuning_level(H264QualityTuningLevel::SinglePassHq)
        .scene_change_detect(H264SceneChangeDetect::TransitionDetection)
        .codec_profile(H264CodecProfile::High)
        .codec_level(H264CodecLevel::Auto)
        .interlace_mode(H264InterlaceMode::Progressive)
        .gop_size(GOP_SECONDS)
        .gop_size_units(H264GopSizeUnits::Seconds)
        .gop_closed_cadence(1)
        // Sizes are those of the picture as it is shown.
        .par_control(H264ParControl::Specified)
        .par_numerator(1)
        .par_denominator(1);
    match frame_rate.and_then(|rate| Some((i32::try_from(rate.numerator).ok()?, i32::try_from(rate.denominator).ok()?))) {
        Some((numerator, denominator)) => settings
            .framerate_control(H264FramerateControl::Specified)
            .framerate_numerator(numerator)
            .framerate_denominator(denominator)
            .framerate_conversion_algorithm(H264FramerateConversionAlgorithm::DuplicateDrop)
            .build(),
        None => settings.framerate_control(H264FramerateControl::InitializeFromSource).build(),
    }
}

/// The service's quality from 1 to 10. 7 is meant for computer screens; what is watched on a phone, or on a slow line, gets 6 and saves bits
/// where the difference is smallest.
fn quality(rung: &Rung) -> i32 {
    if rung.width.min(rung.height) >= 480 { 7 } else { 6 }
}
