"""Our MediaConvert from end to end: real files in S3, real events in SQS, faults to order."""

from __future__ import annotations

import re
import subprocess
import tempfile
import time
import unittest
import uuid
from pathlib import Path

from tests import around
from tests.around import Json, as_app, as_root, clip, events_until, for_boto, input_bucket, order, output_bucket, refusal, setting, statuses
from tests.job_body import job, rung, sound


@around.needs_stack
class Jobs(unittest.TestCase):
    """What becomes of jobs."""

    def setUp(self) -> None:
        around.ask("POST", f"{setting('AWS_TEST_MEDIACONVERT')}/_emulator/reset")
        self.service = as_app("mediaconvert")

    def body(self, content: bytes | None, outputs: list[Json] | None = None) -> Json:
        """A job of a source of its own."""
        name = str(uuid.uuid4())
        if content is not None:
            as_app("s3").put_object(Bucket=input_bucket(), Key=f"sources/{name}", Body=content)
        body = job(f"s3://{input_bucket()}/sources/{name}", f"s3://{output_bucket()}/published/{name}", outputs)
        return body | {"role": setting("MILLRACE_MEDIACONVERT_ROLE_ARN"), "queue": setting("MILLRACE_MEDIACONVERT_QUEUE_ARN")}

    def start(self, body: Json) -> str:
        return self.service.create_job(**for_boto(body))["Job"]["Id"]

    def stored(self, body: Json) -> dict[str, tuple[bytes, str]]:
        """What lies at a job's destination, by file name: content and type."""
        prefix = body["settings"]["outputGroups"][0]["outputGroupSettings"]["cmafGroupSettings"]["destination"].split("/", 3)[3]
        folder = prefix.rpartition("/")[0] + "/"
        s3 = as_app("s3")
        found = {}
        for entry in s3.list_objects_v2(Bucket=output_bucket(), Prefix=folder).get("Contents", []):
            got = s3.get_object(Bucket=output_bucket(), Key=entry["Key"])
            found[entry["Key"].removeprefix(folder)] = (got["Body"].read(), got["ContentType"])
        return found

    def test_a_video_becomes_a_ladder(self) -> None:
        body = self.body(clip(seconds=9))
        events = events_until(self.start(body))
        told = statuses(events)
        self.assertEqual(told[0], "PROGRESSING")
        self.assertEqual(told.count("PROGRESSING"), 1, "progress is told by STATUS_UPDATE")
        self.assertIn("INPUT_INFORMATION", told)
        self.assertIn("STATUS_UPDATE", told)
        self.assertEqual(told[-1], "COMPLETE")
        detail = events[-1]["detail"]
        self.assertEqual(detail["userMetadata"], body["userMetadata"])
        destination = body["settings"]["outputGroups"][0]["outputGroupSettings"]["cmafGroupSettings"]["destination"]
        self.assertEqual(detail["outputGroupDetails"][0]["playlistFilePaths"], [f"{destination}.m3u8"])
        self.assertNotIn("outputFilePaths", detail["outputGroupDetails"][0]["outputDetails"][0])

        files = self.stored(body)
        multivariant = files["index.m3u8"][0].decode()
        self.assertRegex(multivariant, r'CODECS="avc1\.64[0-9a-f]{4},mp4a\.40\.2",RESOLUTION=1280x720')
        self.assertRegex(multivariant, r'TYPE=AUDIO,GROUP-ID="audio".*URI="index_audio\.m3u8"')
        playlist = files["index_720p.m3u8"][0].decode()
        self.assertEqual(re.findall(r"#EXTINF:([\d.]+)", playlist)[:2], ["4.000000", "4.000000"])
        self.assertIn('#EXT-X-MAP:URI="index_720pinit.cmfv"', playlist)
        self.assertEqual(files["index_720p_00001.cmfv"][1], "video/mp4")
        self.assertEqual(files["index_audio_00001.cmfa"][1], "audio/mp4")
        self.assertEqual(files["capture_poster.0000000.jpg"][1], "image/jpeg")
        self.assertEqual(self.keyframes(files, "720p")[:4], [0, 2, 4, 6])

    def keyframes(self, files: dict[str, tuple[bytes, str]], name: str) -> list[int]:
        """The seconds at which a rendition can be entered."""
        names = sorted(file for file in files if re.fullmatch(rf"index_{name}_\d+\.cmfv", file))
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "all.mp4"
            path.write_bytes(b"".join(files[file][0] for file in [f"index_{name}init.cmfv", *names]))
            command = ["ffprobe", "-v", "error", "-select_streams", "v", "-skip_frame", "nokey"]
            command += ["-show_entries", "frame=pts_time", "-of", "csv=p=0", str(path)]
            lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
            times = [float(line.strip(",")) for line in lines]
            return [round(time_ - times[0]) for time_ in times]

    def test_get_job_names_no_files(self) -> None:
        job_id = self.start(self.body(clip()))
        events_until(job_id)
        answer = self.service.get_job(Id=job_id)["Job"]
        self.assertEqual((answer["Status"], answer["JobPercentComplete"]), ("COMPLETE", 100))
        self.assertEqual(answer["OutputGroupDetails"][0]["OutputDetails"][0]["VideoDetails"], {"WidthInPx": 1280, "HeightInPx": 720})
        self.assertNotIn("m3u8", str(answer["OutputGroupDetails"]))

    def test_a_turned_source_stands_upright(self) -> None:
        body = self.body(clip(turned=True, sound=False), [rung(180, "width")])
        probed = self.service.probe(InputFiles=[{"FileUrl": body["settings"]["inputs"][0]["fileInput"]}])["ProbeResults"][0]
        video = probed["Container"]["Tracks"][0]["VideoProperties"]
        self.assertEqual((video["Width"], video["Height"]), (640, 360), "a probe tells the size as it is coded")
        self.assertEqual(video["Rotation"], 90)
        events = events_until(self.start(body))
        self.assertEqual(statuses(events)[-1], "COMPLETE", events[-1])
        size = events[-1]["detail"]["outputGroupDetails"][0]["outputDetails"][0]["videoDetails"]
        self.assertEqual((size["widthInPx"], size["heightInPx"]), (180, 320))
        self.assertIn(b"RESOLUTION=180x320", self.stored(body)["index.m3u8"][0])

    def test_a_silent_source(self) -> None:
        content = clip(sound=False)
        refused = events_until(self.start(self.body(content, [rung(360), sound()])))
        self.assertEqual((statuses(refused)[-1], refused[-1]["detail"]["errorCode"]), ("ERROR", 1076))
        body = self.body(content, [rung(360)])
        self.assertEqual(statuses(events_until(self.start(body)))[-1], "COMPLETE")
        self.assertNotIn(b"AUDIO", self.stored(body)["index.m3u8"][0])

    def test_hdr_is_mapped_to_what_screens_show(self) -> None:
        picture = rung(360)
        corrector = {"colorSpaceConversion": "FORCE_709", "hdrToSdrToneMapper": "PRESERVE_DETAILS"}
        picture["videoDescription"]["videoPreprocessors"] = {"colorCorrector": corrector}
        body = self.body(clip(sound=False, hdr=True, seconds=2), [picture])
        probed = self.service.probe(InputFiles=[{"FileUrl": body["settings"]["inputs"][0]["fileInput"]}])["ProbeResults"][0]
        self.assertEqual(probed["Container"]["Tracks"][0]["VideoProperties"]["TransferCharacteristics"], "ARIB_B67")
        self.assertEqual(statuses(events_until(self.start(body)))[-1], "COMPLETE")

    def test_what_is_no_video_ends_with_a_reason(self) -> None:
        missing = events_until(self.start(self.body(None)))[-1]["detail"]
        self.assertEqual((missing["status"], missing["errorCode"]), ("ERROR", 1404))
        junk = events_until(self.start(self.body(b"not a video" * 1000)))[-1]["detail"]
        self.assertEqual((junk["status"], junk["errorCode"]), ("ERROR", 1010))
        self.assertIn("Unable to open input file", junk["errorMessage"])
        body = self.body(None)
        file = {"FileUrl": body["settings"]["inputs"][0]["fileInput"]}
        self.assertEqual(refusal(self.service.probe, InputFiles=[file]), "NotFoundException")

    def test_cancel(self) -> None:
        order({"slow_seconds": 30})
        job_id = self.start(self.body(clip()))
        self.service.cancel_job(Id=job_id)
        self.assertEqual(statuses(events_until(job_id))[-1], "CANCELED")
        self.assertEqual(self.service.get_job(Id=job_id)["Job"]["Status"], "CANCELED")
        self.assertEqual(refusal(self.service.cancel_job, Id=job_id), "ConflictException")
        self.assertEqual(refusal(self.service.cancel_job, Id="1-abcdef"), "NotFoundException")

    def test_a_token_makes_one_job(self) -> None:
        body = self.body(clip()) | {"clientRequestToken": str(uuid.uuid4())}
        order({"lose_response": 1, "slow_seconds": 30})
        self.assertEqual(refusal(self.service.create_job, **for_boto(body)), "InternalServerErrorException")
        job_id = self.start(body)
        _, _, answer = around.ask("GET", f"{setting('AWS_TEST_MEDIACONVERT')}/_emulator/jobs")
        self.assertEqual([(j["id"], j["createCalls"]) for j in around.json.loads(answer)["jobs"]], [(job_id, 2)])

    def test_lists_come_in_pages(self) -> None:
        order({"slow_seconds": 30})
        made = [self.start(self.body(b"")) for _ in range(5)]
        first = self.service.list_jobs(MaxResults=3, Order="DESCENDING")
        second = self.service.list_jobs(MaxResults=3, Order="DESCENDING", NextToken=first["NextToken"])
        self.assertEqual([j["Id"] for j in first["Jobs"] + second["Jobs"]], made[::-1])
        self.assertNotIn("NextToken", second)
        found = as_root("mediaconvert").search_jobs(Queue=setting("MILLRACE_MEDIACONVERT_QUEUE_ARN"))["Jobs"]
        self.assertEqual(len(found), 5)

    def test_throttling(self) -> None:
        order({"throttle": 2})
        self.assertEqual([refusal(self.service.list_jobs) for _ in range(3)], ["TooManyRequestsException", "TooManyRequestsException", ""])

    def test_events_may_be_lost_doubled_late_or_out_of_order(self) -> None:
        content = clip(seconds=2)
        order({"events": {"COMPLETE": "double", "INPUT_INFORMATION": "drop"}})
        told = statuses(events_until(self.start(self.body(content)), linger=5))
        self.assertEqual(told.count("COMPLETE"), 2)
        self.assertNotIn("INPUT_INFORMATION", told)
        order({"events": {"COMPLETE": "before_progress"}})
        told = statuses(events_until(self.start(self.body(content)), linger=5))
        self.assertEqual(told[0], "COMPLETE")
        self.assertIn("STATUS_UPDATE", told[1:])
        # Later than an encode of two seconds takes on the slowest machine.
        order({"events": {"PROGRESSING": "late"}, "late_seconds": 15})
        told = statuses(events_until(self.start(self.body(content)), linger=16))
        self.assertEqual(told[-1], "PROGRESSING")

    def test_an_error_to_order(self) -> None:
        order({"error": {"code": 1999, "message": "Ordered."}})
        detail = events_until(self.start(self.body(clip(seconds=2))))[-1]["detail"]
        self.assertEqual((detail["status"], detail["errorCode"], detail["errorMessage"]), ("ERROR", 1999, "Ordered."))

    def test_other_environments_hear_nothing(self) -> None:
        body = self.body(clip(seconds=2))
        body["userMetadata"]["environment"] = "somebody-elses"
        job_id = self.start(body)
        deadline = time.monotonic() + 300
        while self.service.get_job(Id=job_id)["Job"]["Status"] not in ("COMPLETE", "ERROR") and time.monotonic() < deadline:
            time.sleep(0.2)
        self.assertEqual(events_until(job_id, seconds=2), [])

    def test_broken_bodies_and_strangers_are_refused(self) -> None:
        body = for_boto(self.body(clip()))
        body["Settings"]["OutputGroups"][0]["Outputs"][0]["VideoDescription"]["CodecSettings"]["H264Settings"].pop("MaxBitrate")
        self.assertEqual(refusal(self.service.create_job, **body), "BadRequestException")
        status, headers, _ = around.ask("GET", f"{setting('AWS_TEST_MEDIACONVERT')}/2017-08-29/jobs")
        self.assertEqual((status, headers["x-amzn-ErrorType"]), (403, "MissingAuthenticationTokenException"))
        foreign = "AWS4-HMAC-SHA256 Credential=A/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0"
        named = {"Authorization": foreign, "X-Amz-Date": "20260101T000000Z"}
        self.assertEqual(around.ask("GET", f"{setting('AWS_TEST_MEDIACONVERT')}/2017-08-29/jobs", headers=named)[0], 403)

    def test_rights_are_the_accounts_own(self) -> None:
        self.assertEqual(refusal(self.service.create_queue, Name="mine"), "AccessDeniedException")
        body = self.body(clip())
        for changed in ({"role": "arn:aws:iam::123456789012:role/other"}, {"queue": "Default"}):
            self.assertEqual(refusal(self.service.create_job, **for_boto(body | changed)), "AccessDeniedException")
        # The role reads sources and writes what is published, and nothing else.
        key = f"elsewhere/{uuid.uuid4()}"
        as_root("s3").put_object(Bucket=input_bucket(), Key=key, Body=clip())
        body["settings"]["inputs"][0]["fileInput"] = f"s3://{input_bucket()}/{key}"
        self.assertEqual(events_until(self.start(body))[-1]["detail"]["errorCode"], 1401)
        body = self.body(clip(seconds=2))
        group = body["settings"]["outputGroups"][0]["outputGroupSettings"]["cmafGroupSettings"]
        group["destination"] = f"s3://{output_bucket()}/elsewhere/index"
        self.assertEqual(events_until(self.start(body))[-1]["detail"]["errorCode"], 1401)
