"""A job body that the service takes, to break in tests."""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]
ROLE = "arn:aws:iam::123456789012:role/millrace-test-mediaconvert"
QUEUE = "arn:aws:mediaconvert:us-east-1:123456789012:queues/millrace-test"
METADATA = {"app": "millrace", "environment": "test", "job_id": "j", "video_id": "v", "generation": "g"}


def rung(height: int, side: str = "height") -> Json:
    """One rendition of pictures."""
    h264 = {
        "rateControlMode": "QVBR",
        "qvbrSettings": {"qvbrQualityLevel": 7},
        "maxBitrate": 2_000_000,
        "qualityTuningLevel": "SINGLE_PASS_HQ",
        "codecProfile": "HIGH",
        "framerateControl": "INITIALIZE_FROM_SOURCE",
        "gopSize": 2.0,
        "gopSizeUnits": "SECONDS",
        "gopClosedCadence": 1,
    }
    return {
        "nameModifier": f"_{height}p",
        "containerSettings": {"container": "CMFC"},
        "videoDescription": {side: height, "codecSettings": {"codec": "H_264", "h264Settings": h264}},
    }


def sound() -> Json:
    """The rendition of sound."""
    aac = {"bitrate": 128_000, "codingMode": "CODING_MODE_2_0", "sampleRate": 48_000, "rateControlMode": "CBR"}
    return {
        "nameModifier": "_audio",
        "containerSettings": {"container": "CMFC", "cmfcSettings": {"audioGroupId": "audio"}},
        "audioDescriptions": [{"audioSourceName": "Audio Selector 1", "codecSettings": {"codec": "AAC", "aacSettings": aac}}],
    }


def poster() -> Json:
    """A still picture."""
    capture = {"framerateNumerator": 1, "framerateDenominator": 2, "maxCaptures": 2, "quality": 80}
    return {
        "nameModifier": "_poster",
        "extension": "jpg",
        "containerSettings": {"container": "RAW"},
        "videoDescription": {"height": 360, "codecSettings": {"codec": "FRAME_CAPTURE", "frameCaptureSettings": capture}},
    }


def job(source: str = "s3://input/sources/u", target: str = "s3://output/published/g", outputs: list[Json] | None = None) -> Json:
    """The whole body, in the names of the wire."""
    cmaf = {
        "destination": f"{target}/index",
        "segmentLength": 4,
        "fragmentLength": 2,
        "segmentLengthControl": "GOP_MULTIPLE",
        "writeHlsManifest": "ENABLED",
        "writeDashManifest": "DISABLED",
    }
    return {
        "role": ROLE,
        "queue": QUEUE,
        "statusUpdateInterval": "SECONDS_10",
        "userMetadata": dict(METADATA),
        "settings": {
            "timecodeConfig": {"source": "ZEROBASED"},
            "inputs": [
                {
                    "fileInput": source,
                    "videoSelector": {"rotate": "AUTO"},
                    "audioSelectors": {"Audio Selector 1": {"defaultSelection": "DEFAULT"}},
                }
            ],
            "outputGroups": [
                {
                    "outputGroupSettings": {"type": "CMAF_GROUP_SETTINGS", "cmafGroupSettings": cmaf},
                    "outputs": outputs or [rung(720), rung(360), sound()],
                },
                {
                    "outputGroupSettings": {
                        "type": "FILE_GROUP_SETTINGS",
                        "fileGroupSettings": {"destination": f"{target}/capture"},
                    },
                    "outputs": [poster()],
                },
            ],
        },
    }
