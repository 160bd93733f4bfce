"""What a job needs beyond its shapes: settings that require, exclude or bound each other.

The service's model marks little as required and says the rest in prose; these rules are read from that prose and from the user guide.
Each generator yields sentences in the manner of the service, with the place in front. The real service may refuse more, or less.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

Json = dict[str, Any]

# Group type -> (its settings' key, the containers that it takes).
GROUPS = {
    "CMAF_GROUP_SETTINGS": ("cmafGroupSettings", {"CMFC"}),
    "HLS_GROUP_SETTINGS": ("hlsGroupSettings", {"M3U8"}),
    "DASH_ISO_GROUP_SETTINGS": ("dashIsoGroupSettings", {"MPD"}),
    "MS_SMOOTH_GROUP_SETTINGS": ("msSmoothGroupSettings", {"ISMV"}),
    "FILE_GROUP_SETTINGS": ("fileGroupSettings", {"MP4", "RAW", "MOV", "WEBM", "M2TS", "MXF", "OGG", "Y4M"}),
}
VIDEO_CODECS = {"H_264": "h264Settings", "H_265": "h265Settings", "AV1": "av1Settings", "FRAME_CAPTURE": "frameCaptureSettings"}
AUDIO_CODECS = {"AAC": "aacSettings", "AC3": "ac3Settings", "EAC3": "eac3Settings", "OPUS": "opusSettings", "MP3": "mp3Settings"}
SEGMENTED = {"CMAF_GROUP_SETTINGS", "HLS_GROUP_SETTINGS"}
AAC_RATES = {8000, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 88200, 96000}


def broken(job: Json) -> list[str]:
    """All rules that a CreateJob body breaks."""
    settings = job.get("settings") or {}
    groups = settings.get("outputGroups") or []
    found = [*_request(job), *_inputs(settings)]
    if not groups:
        found.append("/settings: outputGroups is a required property")
    if groups and not any(_is_regular(output) for group in groups for output in group.get("outputs") or []):
        found.append("/settings/outputGroups: a job can't consist of frame captures only")
    if len({group.get("customName") for group in groups}) != len(groups) and any(group.get("customName") for group in groups):
        found.append("/settings/outputGroups: every customName must be unique")
    selectors = _selectors(settings)
    for index, group in enumerate(groups):
        found += _group(group, f"/settings/outputGroups/{index}", selectors)
    return found


def _request(job: Json) -> Iterator[str]:
    if not re.fullmatch(r"arn:aws[\w-]*:iam::\d{12}:role/.+", job.get("role", "")):
        yield "/role: must be the ARN of an IAM role"
    token = job.get("clientRequestToken")
    if token is not None and not (0 < len(token) <= 64 and token.isascii()):
        yield "/clientRequestToken: takes 1 to 64 ASCII characters"
    queue = job.get("queue")
    if queue and queue.startswith("arn:") and not re.fullmatch(r"arn:aws[\w-]*:mediaconvert:[\w-]+:\d{12}:queues/.+", queue):
        yield "/queue: must be the name or the ARN of a queue"
    metadata = job.get("userMetadata") or {}
    if len(metadata) > 10 or any(len(name) > 128 or len(value) > 256 for name, value in metadata.items()):
        yield "/userMetadata: takes up to 10 pairs, names up to 128 and values up to 256 characters"
    accelerated = (job.get("accelerationSettings") or {}).get("mode", "DISABLED") != "DISABLED"
    if accelerated and ((job.get("settings") or {}).get("timecodeConfig") or {}).get("source", "EMBEDDED") == "EMBEDDED":
        yield "/settings/timecodeConfig/source: acceleration does not go with EMBEDDED"


def _inputs(settings: Json) -> Iterator[str]:
    inputs = settings.get("inputs") or []
    if not inputs:
        yield "/settings: inputs is a required property"
    for index, source in enumerate(inputs):
        place = f"/settings/inputs/{index}"
        if not source.get("fileInput") and not source.get("videoGenerator"):
            yield f"{place}: fileInput is a required property"
        elif source.get("fileInput") and not re.match(r"(s3|https?)://[^/]+/.+", source["fileInput"]):
            yield f"{place}/fileInput: must be an s3://, http:// or https:// URL of a file"
        for name, selector in (source.get("audioSelectors") or {}).items():
            if selector.get("selectorType") == "TRACK" and not selector.get("tracks"):
                yield f"{place}/audioSelectors/{name}: tracks is a required property when selectorType is TRACK"


def _selectors(settings: Json) -> set[str]:
    kinds = ("audioSelectors", "audioSelectorGroups")
    return {name for source in settings.get("inputs") or [] for kind in kinds for name in source.get(kind) or {}}


def _group(group: Json, place: str, selectors: set[str]) -> Iterator[str]:
    wrapper = group.get("outputGroupSettings") or {}
    kind = wrapper.get("type")
    if kind not in GROUPS:
        yield f"{place}/outputGroupSettings: type is a required property"
        return
    key, containers = GROUPS[kind]
    settings = wrapper.get(key)
    if settings is None:
        yield f"{place}/outputGroupSettings: {key} is a required property when type is {kind}"
        return
    for other in (name for name, _ in GROUPS.values()):
        if other != key and other in wrapper:
            yield f"{place}/outputGroupSettings: {other} does not go with type {kind}"
    yield from _group_settings(kind, settings, f"{place}/outputGroupSettings/{key}")
    outputs = group.get("outputs") or []
    if not outputs:
        yield f"{place}: outputs is a required property"
    names = [output.get("nameModifier") for output in outputs]
    if (kind in SEGMENTED or len(outputs) > 1) and (not all(names) or len(set(names)) != len(names)):
        yield f"{place}/outputs: every output needs a nameModifier of its own"
    automatic = (group.get("automatedEncodingSettings") or {}).get("abrSettings") is not None
    for index, output in enumerate(outputs):
        yield from _output(output, f"{place}/outputs/{index}", kind, containers, automatic, selectors)


def _group_settings(kind: str, settings: Json, place: str) -> Iterator[str]:
    if not settings.get("destination"):
        yield f"{place}: destination is a required property"
    elif not re.match(r"s3://[a-z0-9][a-z0-9.-]{2,62}/", settings["destination"]):
        yield f"{place}/destination: must be an s3:// URL with a bucket and a key"
    if kind in SEGMENTED and not settings.get("segmentLength"):
        yield f"{place}: segmentLength is a required property"
    if kind == "HLS_GROUP_SETTINGS" and "minSegmentLength" not in settings:
        yield f"{place}: minSegmentLength is a required property"
    if kind == "CMAF_GROUP_SETTINGS":
        fragment, segment = settings.get("fragmentLength"), settings.get("segmentLength") or 0
        if not fragment:
            yield f"{place}: fragmentLength is a required property"
        elif segment % fragment:
            yield f"{place}: segmentLength must be a multiple of fragmentLength"
        if settings.get("writeHlsManifest") == "DISABLED" and settings.get("writeDashManifest") == "DISABLED":
            yield f"{place}: at least one of writeHlsManifest and writeDashManifest must be ENABLED"
    encryption = ((settings.get("destinationSettings") or {}).get("s3Settings") or {}).get("encryption") or {}
    if encryption.get("kmsKeyArn") and encryption.get("encryptionType") != "SERVER_SIDE_ENCRYPTION_KMS":
        yield f"{place}/destinationSettings/s3Settings/encryption: kmsKeyArn goes with SERVER_SIDE_ENCRYPTION_KMS only"


def _output(output: Json, place: str, kind: str, containers: set[str], automatic: bool, selectors: set[str]) -> Iterator[str]:
    container = (output.get("containerSettings") or {}).get("container")
    video, audios = output.get("videoDescription"), output.get("audioDescriptions") or []
    if output.get("preset"):
        return
    if not container:
        yield f"{place}/containerSettings: container is a required property"
    elif container not in containers:
        yield f"{place}/containerSettings/container: {container} does not go into {kind}"
    if not video and not audios and not output.get("captionDescriptions"):
        yield f"{place}: needs a description of video, audio or captions"
    if kind == "CMAF_GROUP_SETTINGS" and video and audios:
        yield f"{place}: an output of a CMAF group holds either video or audio"
    if (output.get("containerSettings") or {}).get("cmfcSettings") and container != "CMFC":
        yield f"{place}/containerSettings: cmfcSettings goes with the container CMFC only"
    if video:
        yield from _video(video, f"{place}/videoDescription", automatic)
        if (video.get("codecSettings") or {}).get("codec") == "FRAME_CAPTURE":
            if container != "RAW":
                yield f"{place}/containerSettings/container: FRAME_CAPTURE needs RAW"
            if audios:
                yield f"{place}: an output of frame captures has no audio"
    for index, audio in enumerate(audios):
        yield from _audio(audio, f"{place}/audioDescriptions/{index}", selectors)


def _video(video: Json, place: str, automatic: bool) -> Iterator[str]:
    for side in ("width", "height"):
        if (video.get(side) or 0) % 2:
            yield f"{place}/{side}: must be even"
    wrapper = video.get("codecSettings") or {}
    codec = wrapper.get("codec")
    if not codec:
        yield f"{place}/codecSettings: codec is a required property"
        return
    key = VIDEO_CODECS.get(codec)
    settings = wrapper.get(key) if key else None
    place = f"{place}/codecSettings"
    if key and settings is None:
        yield f"{place}: {key} is a required property when codec is {codec}"
    elif settings is not None and codec in ("H_264", "H_265"):
        yield from _rate_control(settings, f"{place}/{key}", automatic)
        yield from _pictures(settings, f"{place}/{key}")
        if automatic and (video.get("width") or video.get("height")):
            yield f"{place}: automated ABR chooses width and height itself"
    elif settings is not None and codec == "FRAME_CAPTURE":
        if bool(settings.get("framerateNumerator")) != bool(settings.get("framerateDenominator")):
            yield f"{place}/{key}: framerateNumerator and framerateDenominator go together"


def _rate_control(settings: Json, place: str, automatic: bool) -> Iterator[str]:
    mode = settings.get("rateControlMode")
    if mode == "QVBR":
        if not settings.get("maxBitrate") and not automatic:
            yield f"{place}: maxBitrate is a required property when rateControlMode is QVBR"
        if settings.get("bitrate"):
            yield f"{place}: bitrate does not go with rateControlMode QVBR"
        if settings.get("qualityTuningLevel", "SINGLE_PASS_HQ") == "SINGLE_PASS":
            yield f"{place}/qualityTuningLevel: QVBR needs SINGLE_PASS_HQ or MULTI_PASS_HQ"
    else:
        if not settings.get("bitrate"):
            yield f"{place}: bitrate is a required property when rateControlMode is {mode or 'VBR or CBR'}"
        if settings.get("qvbrSettings"):
            yield f"{place}: qvbrSettings goes with rateControlMode QVBR only"
        if mode == "VBR" and settings.get("maxBitrate") and settings["maxBitrate"] < settings.get("bitrate", 0):
            yield f"{place}/maxBitrate: must not be below bitrate"
    average = (settings.get("qvbrSettings") or {}).get("maxAverageBitrate")
    if average and settings.get("qualityTuningLevel") != "MULTI_PASS_HQ":
        yield f"{place}/qvbrSettings: maxAverageBitrate needs qualityTuningLevel MULTI_PASS_HQ"
    if automatic and (mode != "QVBR" or settings.get("qualityTuningLevel") != "MULTI_PASS_HQ"):
        yield f"{place}: automated ABR needs rateControlMode QVBR and qualityTuningLevel MULTI_PASS_HQ"
    if automatic and settings.get("maxBitrate"):
        yield f"{place}: automated ABR chooses maxBitrate itself"


def _pictures(settings: Json, place: str) -> Iterator[str]:
    both_rates = settings.get("framerateNumerator") and settings.get("framerateDenominator")
    if settings.get("framerateControl") == "SPECIFIED" and not both_rates:
        yield f"{place}: framerateNumerator and framerateDenominator are required when framerateControl is SPECIFIED"
    if settings.get("parControl") == "SPECIFIED" and not (settings.get("parNumerator") and settings.get("parDenominator")):
        yield f"{place}: parNumerator and parDenominator are required when parControl is SPECIFIED"
    if settings.get("gopSizeUnits") == "AUTO" and settings.get("gopSize"):
        yield f"{place}: gopSize does not go with gopSizeUnits AUTO"
    if settings.get("gopSizeUnits") == "FRAMES" and settings.get("gopSize", 1) % 1:
        yield f"{place}/gopSize: must be a whole number when gopSizeUnits is FRAMES"
    if settings.get("codecProfile") == "BASELINE" and settings.get("numberBFramesBetweenReferenceFrames"):
        yield f"{place}: the profile BASELINE has no B-frames"


def _audio(audio: Json, place: str, selectors: set[str]) -> Iterator[str]:
    source = audio.get("audioSourceName")
    if source and source not in selectors:
        yield f"{place}/audioSourceName: no input defines {source!r}"
    elif not source and not selectors:
        yield f"{place}: no input has an audio selector"
    if audio.get("languageCodeControl") == "USE_CONFIGURED" and not (audio.get("languageCode") or audio.get("customLanguageCode")):
        yield f"{place}: languageCode is required when languageCodeControl is USE_CONFIGURED"
    wrapper = audio.get("codecSettings") or {}
    codec = wrapper.get("codec")
    if not codec:
        yield f"{place}/codecSettings: codec is a required property"
        return
    key = AUDIO_CODECS.get(codec)
    settings = wrapper.get(key) if key else None
    if key and settings is None:
        yield f"{place}/codecSettings: {key} is a required property when codec is {codec}"
    elif settings is not None and codec == "AAC":
        yield from _aac(settings, f"{place}/codecSettings/aacSettings")


def _aac(settings: Json, place: str) -> Iterator[str]:
    variable = settings.get("rateControlMode") == "VBR"
    for name in ("codingMode", "sampleRate", "vbrQuality" if variable else "bitrate"):
        if name not in settings:
            yield f"{place}: {name} is a required property"
    if variable and "bitrate" in settings:
        yield f"{place}: bitrate does not go with rateControlMode VBR"
    if "sampleRate" in settings and settings["sampleRate"] not in AAC_RATES:
        yield f"{place}/sampleRate: {settings['sampleRate']} is no sample rate of AAC"


def _is_regular(output: Json) -> bool:
    """Whether an output is more than frame captures."""
    if output.get("preset") or output.get("audioDescriptions"):
        return True
    return ((output.get("videoDescription") or {}).get("codecSettings") or {}).get("codec") not in (None, "FRAME_CAPTURE")
