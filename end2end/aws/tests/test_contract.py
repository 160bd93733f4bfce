"""Broken job bodies are refused, and the good one passes: without this the emulator would prove nothing."""

from __future__ import annotations

import unittest
from collections.abc import Callable
from typing import Any

from mediaconvert import model, rules
from tests.job_body import job, sound

Json = dict[str, Any]


def refusals(body: Json) -> list[str]:
    """What the service would say; rules are looked at once the shapes fit."""
    return model.problems("CreateJobRequest", body) or rules.broken(body)


def cmaf(body: Json) -> Json:
    return body["settings"]["outputGroups"][0]


def picture(body: Json) -> Json:
    return cmaf(body)["outputs"][0]["videoDescription"]


def h264(body: Json) -> Json:
    return picture(body)["codecSettings"]["h264Settings"]


def aac(body: Json) -> Json:
    return cmaf(body)["outputs"][2]["audioDescriptions"][0]["codecSettings"]["aacSettings"]


def group_settings(body: Json) -> Json:
    return cmaf(body)["outputGroupSettings"]["cmafGroupSettings"]


def accelerate(body: Json) -> None:
    body["accelerationSettings"] = {"mode": "PREFERRED"}
    body["settings"]["timecodeConfig"]["source"] = "EMBEDDED"


def mux(body: Json) -> None:
    cmaf(body)["outputs"][0]["audioDescriptions"] = sound()["audioDescriptions"]


# What is broken -> (how, a word of the refusal).
BREAKS: dict[str, tuple[Callable[[Json], Any], str]] = {
    # By the shapes.
    "an unknown property": (lambda b: b["settings"].update(outputgroups=[]), "outputgroups: unknown"),
    "names in the SDK's spelling": (lambda b: b.update(Role=b.pop("role")), "Role: unknown"),
    "no role": (lambda b: b.pop("role"), "role: is a required"),
    "no settings": (lambda b: b.pop("settings"), "settings: is a required"),
    "no acceleration mode": (lambda b: b.update(accelerationSettings={}), "mode: is a required"),
    "an unknown codec": (lambda b: picture(b)["codecSettings"].update(codec="H264"), "is not one of"),
    "an unknown interval": (lambda b: b.update(statusUpdateInterval="SECONDS_5"), "is not one of"),
    "a number as text": (lambda b: picture(b).update(height="720"), "should be an integer"),
    "a fraction for a whole number": (lambda b: group_settings(b).update(segmentLength=4.0), "should be an integer"),
    "text for a list": (lambda b: b["settings"].update(inputs="s3://input/a"), "should be an array"),
    "a list for an object": (lambda b: b.update(settings=[]), "should be an object"),
    "a quality above 10": (lambda b: h264(b)["qvbrSettings"].update(qvbrQualityLevel=11), "not in 1..10"),
    "a priority below -50": (lambda b: b.update(priority=-51), "-51 is not in"),
    "a double above its bound": (lambda b: h264(b)["qvbrSettings"].update(qvbrQualityLevelFineTune=1.5), "not in 0..1"),
    "a double below its bound": (lambda b: group_settings(b).update(minFinalSegmentLength=-1), "not in 0.."),
    "metadata that is no text": (lambda b: b["userMetadata"].update(version=1), "should be a string"),
    "a destination outside S3": (lambda b: group_settings(b).update(destination="https://x/y"), "does not match"),
    # By the rules.
    "a role that is no ARN": (lambda b: b.update(role="millrace"), "ARN of an IAM role"),
    "a token of 65 characters": (lambda b: b.update(clientRequestToken="x" * 65), "1 to 64"),
    "no inputs": (lambda b: b["settings"].update(inputs=[]), "inputs is a required"),
    "an input without a file": (lambda b: b["settings"]["inputs"][0].pop("fileInput"), "fileInput is a required"),
    "no output groups": (lambda b: b["settings"].update(outputGroups=[]), "outputGroups is a required"),
    "no outputs": (lambda b: cmaf(b).update(outputs=[]), "outputs is a required"),
    "acceleration with embedded timecodes": (accelerate, "does not go with EMBEDDED"),
    "a group without its settings": (lambda b: cmaf(b)["outputGroupSettings"].pop("cmafGroupSettings"), "cmafGroupSettings is a required"),
    "a group of another type": (lambda b: cmaf(b)["outputGroupSettings"].update(type="HLS_GROUP_SETTINGS"), "hlsGroupSettings is"),
    "no destination": (lambda b: group_settings(b).pop("destination"), "destination is a required"),
    "no segment length": (lambda b: group_settings(b).pop("segmentLength"), "segmentLength is a required"),
    "no fragment length": (lambda b: group_settings(b).pop("fragmentLength"), "fragmentLength is a required"),
    "segments that fragments don't fill": (lambda b: group_settings(b).update(fragmentLength=3), "multiple of fragmentLength"),
    "no manifest at all": (lambda b: group_settings(b).update(writeHlsManifest="DISABLED"), "at least one of"),
    "outputs of one name": (lambda b: cmaf(b)["outputs"][1].update(nameModifier="_720p"), "nameModifier of its own"),
    "an output without a name": (lambda b: cmaf(b)["outputs"][1].pop("nameModifier"), "nameModifier of its own"),
    "a foreign container": (lambda b: cmaf(b)["outputs"][0]["containerSettings"].update(container="M3U8"), "does not go into"),
    "video and audio in one CMAF output": (mux, "either video or audio"),
    "an output of nothing": (lambda b: cmaf(b)["outputs"][0].pop("videoDescription"), "needs a description"),
    "frame captures only": (lambda b: b["settings"]["outputGroups"].pop(0), "frame captures only"),
    "an odd height": (lambda b: picture(b).update(height=719), "must be even"),
    "a codec without its settings": (lambda b: picture(b)["codecSettings"].pop("h264Settings"), "h264Settings is a required"),
    "QVBR without a maximum": (lambda b: h264(b).pop("maxBitrate"), "maxBitrate is a required"),
    "QVBR with a bitrate": (lambda b: h264(b).update(bitrate=1_000_000), "bitrate does not go with"),
    "QVBR in a single plain pass": (lambda b: h264(b).update(qualityTuningLevel="SINGLE_PASS"), "QVBR needs"),
    "CBR without a bitrate": (lambda b: h264(b).update(rateControlMode="CBR"), "bitrate is a required"),
    "a frame rate without its number": (lambda b: h264(b).update(framerateControl="SPECIFIED"), "framerateNumerator"),
    "an audio source that no input has": (lambda b: b["settings"]["inputs"][0].pop("audioSelectors"), "no input defines"),
    "AAC without a sample rate": (lambda b: aac(b).pop("sampleRate"), "sampleRate is a required"),
    "AAC without a coding mode": (lambda b: aac(b).pop("codingMode"), "codingMode is a required"),
    "AAC at a rate that it has not": (lambda b: aac(b).update(sampleRate=44_000), "no sample rate of AAC"),
}


class BrokenBodies(unittest.TestCase):
    """One body, broken in one place each."""

    def test_the_good_body_passes(self) -> None:
        self.assertEqual(refusals(job()), [])

    def test_every_broken_body_is_refused_for_its_own_reason(self) -> None:
        for what, (break_it, word) in BREAKS.items():
            with self.subTest(what):
                body = job()
                break_it(body)
                found = refusals(body)
                self.assertTrue(any(word in sentence for sentence in found), f"expected {word!r} in {found}")

    def test_queries_are_checked_too(self) -> None:
        self.assertEqual(model.query_problems("ListJobsRequest", {"maxResults": "20", "order": "ASCENDING"}), [])
        self.assertTrue(model.query_problems("ListJobsRequest", {"maxResults": "21"}))
        self.assertTrue(model.query_problems("ListJobsRequest", {"maxResults": "many"}))
        self.assertTrue(model.query_problems("ListJobsRequest", {"status": "DONE"}))
