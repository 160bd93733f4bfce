//! The job that makes a ladder of a source: one CMAF group with a rendition for each rung and one for the sound, and a few pictures for the
//! poster. What costs more is left out: no acceleration, one pass, no automated ladder.

use aws_sdk_mediaconvert::{
    Client,
    operation::create_job::builders::CreateJobFluentBuilder,
    types::{
        AacCodecProfile, AacCodingMode, AacRateControlMode, AacSettings, AccelerationMode, AccelerationSettings, AudioCodec,
        AudioCodecSettings, AudioDefaultSelection, AudioDescription, AudioSelector, BillingTagsSource, CmafCodecSpecification,
        CmafGroupSettings, CmafManifestCompression, CmafManifestDurationFormat, CmafSegmentControl, CmafSegmentLengthControl,
        CmafStreamInfResolution, CmafTargetDurationCompatibilityMode, CmafWriteDashManifest, CmafWriteHlsManifest, CmfcAudioDuration,
        CmfcAudioTrackType, CmfcSettings, ColorSpace, ContainerSettings, ContainerType, FileGroupSettings, FrameCaptureSettings, Input,
        InputRotate, InputTimecodeSource, JobSettings, Output, OutputGroup, OutputGroupSettings, OutputGroupType, ScalingBehavior,
        StatusUpdateInterval, TimecodeConfig, TimecodeSource, VideoCodec, VideoCodecSettings, VideoDescription, VideoSelector,
    },
};
use domain::ladder::{AudioPlan, Rung};

use super::{MediaConvertOptions, picture};
use crate::ports::transcoder::TranscodeRequest;

/// The metadata that a job is found again by.
pub(super) const GENERATION: &str = "generation";
/// What the names of playlists and segments begin with.
pub(super) const BASE: &str = "index";
/// What the names of the pictures begin with.
pub(super) const CAPTURE: &str = "capture";
/// Seconds of a segment. A multiple of the distance between key frames.
const SEGMENT_SECONDS: i32 = 4;
/// Seconds of a fragment: one group of pictures.
const FRAGMENT_SECONDS: i32 = 2;
/// Pictures to choose the poster from; the first of them is the first frame.
const CAPTURES: i32 = 5;
/// Longest side of the poster.
const POSTER_LONGEST_SIDE: u32 = 1280;
const SOUND: &str = "Audio Selector 1";

/// The whole submission.
pub(super) fn create(client: &Client, options: &MediaConvertOptions, request: &TranscodeRequest) -> CreateJobFluentBuilder {
    let settings = settings(options, request);
    client
        .create_job()
        .role(&options.role_arn)
        .queue(&options.queue_arn)
        .client_request_token(request.generation.to_string())
        .status_update_interval(StatusUpdateInterval::Seconds10)
        .acceleration_settings(AccelerationSettings::builder().mode(AccelerationMode::Disabled).build())
        .billing_tags_source(BillingTagsSource::Job)
        .tags("app", "millrace")
        .tags("environment", &options.environment)
        .user_metadata("app", "millrace")
        .user_metadata("environment", &options.environment)
        .user_metadata("job_id", request.job.to_string())
        .user_metadata("video_id", request.video.to_string())
        .user_metadata(GENERATION, request.generation.to_string())
        .settings(settings)
}

fn settings(options: &MediaConvertOptions, request: &TranscodeRequest) -> JobSettings {
    let source = format!("s3://{}/{}", options.input_bucket, request.source);
    let mut input = Input::builder()
        .file_input(source)
        .timecode_source(InputTimecodeSource::Zerobased)
        // Turned upright by what the file says of itself: sizes below are those of the picture as it is shown.
        .video_selector(VideoSelector::builder().color_space(ColorSpace::Follow).rotate(InputRotate::Auto).build());
    if request.ladder.audio.is_some() {
        input = input.audio_selectors(SOUND, AudioSelector::builder().default_selection(AudioDefaultSelection::Default).build());
    }
    JobSettings::builder()
        .timecode_config(TimecodeConfig::builder().source(TimecodeSource::Zerobased).build())
        .inputs(input.build())
        .output_groups(renditions(options, request))
        .output_groups(captures(options, request))
        .build()
}

fn destination(options: &MediaConvertOptions, request: &TranscodeRequest, base: &str) -> String {
    let prefix = domain::storage_key::StorageKey::generation_prefix(request.generation);
    format!("s3://{}/{prefix}{base}", options.output_bucket)
}

fn renditions(options: &MediaConvertOptions, request: &TranscodeRequest) -> OutputGroup {
    let cmaf = CmafGroupSettings::builder()
        .destination(destination(options, request, BASE))
        .segment_control(CmafSegmentControl::SegmentedFiles)
        .segment_length(SEGMENT_SECONDS)
        .fragment_length(FRAGMENT_SECONDS)
        .segment_length_control(CmafSegmentLengthControl::GopMultiple)
        .manifest_compression(CmafManifestCompression::None)
        .manifest_duration_format(CmafManifestDurationFormat::FloatingPoint)
        .stream_inf_resolution(CmafStreamInfResolution::Include)
        .codec_specification(CmafCodecSpecification::Rfc6381)
        .target_duration_compatibility_mode(CmafTargetDurationCompatibilityMode::SpecCompliant)
        .write_hls_manifest(CmafWriteHlsManifest::Enabled)
        .write_dash_manifest(CmafWriteDashManifest::Disabled);
    let settings = OutputGroupSettings::builder().r#type(OutputGroupType::CmafGroupSettings).cmaf_group_settings(cmaf.build());
    let pictures = request.ladder.rungs.iter().map(|rung| rendition(request, rung));
    let outputs = pictures.chain(request.ladder.audio.as_ref().map(sound)).collect();
    OutputGroup::builder().name("CMAF").custom_name("hls").output_group_settings(settings.build()).set_outputs(Some(outputs)).build()
}

fn rendition(request: &TranscodeRequest, rung: &Rung) -> Output {
    Output::builder()
        .name_modifier(format!("_{}", rung.name))
        .container_settings(ContainerSettings::builder().container(ContainerType::Cmfc).build())
        .video_description(picture::description(&request.facts.video, rung))
        .build()
}

fn sound(plan: &AudioPlan) -> Output {
    let (bitrate, channels) = match plan {
        AudioPlan::Encode { bitrate, channels } => (i32::try_from(*bitrate).unwrap_or(128_000), *channels),
        // The ladder was planned anew for an engine that cannot copy; see `without_copies`.
        AudioPlan::Copy => (128_000, 2),
    };
    let aac = AacSettings::builder()
        .bitrate(bitrate)
        .coding_mode(if channels == 1 { AacCodingMode::CodingMode10 } else { AacCodingMode::CodingMode20 })
        .sample_rate(48_000)
        .rate_control_mode(AacRateControlMode::Cbr)
        .codec_profile(AacCodecProfile::Lc);
    let codec = AudioCodecSettings::builder().codec(AudioCodec::Aac).aac_settings(aac.build()).build();
    let cmfc = CmfcSettings::builder()
        .audio_group_id("audio")
        .audio_track_type(CmfcAudioTrackType::AlternateAudioAutoSelectDefault)
        // Sound that goes on after its picture, or stops before, is cut or filled up: what is made is as long as the picture.
        .audio_duration(CmfcAudioDuration::MatchVideoDuration)
        .build();
    Output::builder()
        .name_modifier("_audio")
        .container_settings(ContainerSettings::builder().container(ContainerType::Cmfc).cmfc_settings(cmfc).build())
        .audio_descriptions(AudioDescription::builder().audio_source_name(SOUND).codec_settings(codec).build())
        .build()
}

/// A few pictures, evenly over the video, from the first frame on.
fn captures(options: &MediaConvertOptions, request: &TranscodeRequest) -> OutputGroup {
    let seconds = request.facts.duration_ms / 1000;
    let every = i32::try_from(seconds / u64::from(CAPTURES.unsigned_abs())).unwrap_or(i32::MAX).max(1);
    let capture = FrameCaptureSettings::builder().framerate_numerator(1).framerate_denominator(every).max_captures(CAPTURES).quality(80);
    let codec = VideoCodecSettings::builder().codec(VideoCodec::FrameCapture).frame_capture_settings(capture.build()).build();
    let mut video = VideoDescription::builder().codec_settings(codec).scaling_behavior(ScalingBehavior::Default);
    // A rung's size: the largest that is not too large for a poster.
    let rungs = &request.ladder.rungs;
    if let Some(rung) = rungs.iter().find(|rung| rung.width.max(rung.height) <= POSTER_LONGEST_SIDE).or(rungs.last()) {
        let (width, height) = picture::output_size(rung);
        video = video.width(width).height(height).scaling_behavior(picture::scaling(rung));
    }
    if let Some(preprocessors) = picture::preprocessors(&request.facts.video) {
        video = video.video_preprocessors(preprocessors);
    }
    let output = Output::builder()
        .container_settings(ContainerSettings::builder().container(ContainerType::Raw).build())
        .extension("jpg")
        .video_description(video.build())
        .build();
    let files = FileGroupSettings::builder().destination(destination(options, request, CAPTURE)).build();
    let settings = OutputGroupSettings::builder().r#type(OutputGroupType::FileGroupSettings).file_group_settings(files).build();
    OutputGroup::builder().name("File Group").custom_name("poster").output_group_settings(settings).outputs(output).build()
}
