"""deploy/terraform as it is applied: who may do what, which events arrive, what browsers may."""

from __future__ import annotations

import json
import unittest
import uuid
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from tests import around
from tests.around import Json, as_app, as_root, ask, input_bucket, output_bucket, refusal, setting

DENIED = {"AccessDenied", "AccessDeniedException", "AccessDenied.QueueAccess", "403", "UnauthorizedOperation"}
EVENT: Json = {
    "id": "1",
    "account": "123456789012",
    "source": "aws.mediaconvert",
    "time": "2026-01-01T00:00:00Z",
    "region": "us-east-1",
    "resources": [],
    "detail-type": "MediaConvert Job State Change",
    "detail": {"status": "COMPLETE", "userMetadata": {"app": "millrace", "environment": "test", "job_id": "j"}},
}


@around.needs_stack
class AppPolicy(unittest.TestCase):
    """What the application's user may do, and a choice of what it may not."""

    def setUp(self) -> None:
        self.s3, self.sqs, self.cloudfront, self.jobs = (as_app(name) for name in ("s3", "sqs", "cloudfront", "mediaconvert"))
        self.queue = setting("MILLRACE_SQS_QUEUE_URL")
        self.distribution = setting("MILLRACE_CLOUDFRONT_DISTRIBUTION_ID")
        self.name = str(uuid.uuid4())

    def check(self, table: list[tuple[str, Callable[[], Any]]], allowed: bool) -> None:
        for what, call in table:
            with self.subTest(what):
                code = refusal(call)
                if allowed:
                    self.assertEqual(code, "")
                else:
                    self.assertIn(code, DENIED)

    def test_allowed(self) -> None:
        s3, sqs, source, published = self.s3, self.sqs, f"sources/{self.name}", f"published/{self.name}/a.m4s"
        upload = s3.create_multipart_upload(Bucket=input_bucket(), Key=source, ChecksumAlgorithm="CRC32C")["UploadId"]
        part = {"Bucket": input_bucket(), "Key": source, "UploadId": upload}
        abandoned = s3.create_multipart_upload(Bucket=input_bucket(), Key=source)["UploadId"]
        sqs.send_message(QueueUrl=self.queue, MessageBody=f'{{"kind":"test","id":"{self.name}"}}')
        handle = sqs.receive_message(QueueUrl=self.queue, WaitTimeSeconds=2)["Messages"][0]["ReceiptHandle"]
        paths = {"Quantity": 1, "Items": [f"/published/{self.name}/*"]}
        batch = {"Paths": paths, "CallerReference": self.name}
        group = as_root("cloudfront").list_key_groups()["KeyGroupList"]["Items"][0]["KeyGroup"]["Id"]
        jobs_queue = setting("MILLRACE_MEDIACONVERT_QUEUE_ARN").rsplit("/", 1)[1]
        self.check(
            [
                ("write a part", lambda: s3.upload_part(**part, PartNumber=1, Body=b"x")),
                ("list parts", lambda: s3.list_parts(**part)),
                ("abort an upload", lambda: s3.abort_multipart_upload(Bucket=input_bucket(), Key=source, UploadId=abandoned)),
                ("write a source", lambda: s3.put_object(Bucket=input_bucket(), Key=source, Body=b"x")),
                ("read a source", lambda: s3.get_object(Bucket=input_bucket(), Key=source, Range="bytes=0-0")),
                ("delete a source", lambda: s3.delete_object(Bucket=input_bucket(), Key=source)),
                ("publish", lambda: s3.put_object(Bucket=output_bucket(), Key=published, Body=b"x")),
                ("read what is published", lambda: s3.get_object(Bucket=output_bucket(), Key=published)),
                ("list what is published", lambda: s3.list_objects_v2(Bucket=output_bucket(), Prefix=f"published/{self.name}/")),
                ("take it down", lambda: s3.delete_objects(Bucket=output_bucket(), Delete={"Objects": [{"Key": published}]})),
                ("keep a message", lambda: sqs.change_message_visibility(QueueUrl=self.queue, ReceiptHandle=handle, VisibilityTimeout=30)),
                ("delete a message", lambda: sqs.delete_message(QueueUrl=self.queue, ReceiptHandle=handle)),
                ("count messages", lambda: sqs.get_queue_attributes(QueueUrl=self.queue, AttributeNames=["All"])),
                ("list jobs", self.jobs.list_jobs),
                ("look at the MediaConvert queue", lambda: self.jobs.get_queue(Name=jobs_queue)),
                ("invalidate", lambda: self.cloudfront.create_invalidation(DistributionId=self.distribution, InvalidationBatch=batch)),
                ("look at the distribution", lambda: self.cloudfront.get_distribution(Id=self.distribution)),
                ("look at the key group", lambda: self.cloudfront.get_key_group(Id=group)),
                ("look at the key", lambda: self.cloudfront.get_public_key(Id=setting("MILLRACE_CLOUDFRONT_KEY_ID"))),
            ],
            allowed=True,
        )

    def test_denied(self) -> None:
        s3, sqs = self.s3, self.sqs
        dead = setting("AWS_TEST_DLQ_URL")
        everything = "arn:aws:iam::aws:policy/AdministratorAccess"
        opened = {"BlockPublicAcls": False, "IgnorePublicAcls": False, "BlockPublicPolicy": False, "RestrictPublicBuckets": False}
        self.check(
            [
                ("write beside the sources", lambda: s3.put_object(Bucket=input_bucket(), Key=f"other/{self.name}", Body=b"x")),
                ("write sources into the output", lambda: s3.put_object(Bucket=output_bucket(), Key=f"sources/{self.name}", Body=b"x")),
                ("publish into the input", lambda: s3.put_object(Bucket=input_bucket(), Key=f"published/{self.name}", Body=b"x")),
                ("delete a bucket", lambda: s3.delete_bucket(Bucket=output_bucket())),
                ("open a bucket", lambda: s3.put_public_access_block(Bucket=output_bucket(), PublicAccessBlockConfiguration=opened)),
                ("change a bucket's policy", lambda: s3.delete_bucket_policy(Bucket=output_bucket())),
                ("change the CORS rules", lambda: s3.delete_bucket_cors(Bucket=input_bucket())),
                ("list all buckets", s3.list_buckets),
                ("make a queue", lambda: sqs.create_queue(QueueName=self.name)),
                ("empty the queue", lambda: sqs.purge_queue(QueueUrl=self.queue)),
                ("write dead letters", lambda: sqs.send_message(QueueUrl=dead, MessageBody="x")),
                ("make a MediaConvert queue", lambda: self.jobs.create_queue(Name=self.name)),
                ("change the distribution", lambda: self.cloudfront.delete_distribution(Id=self.distribution, IfMatch="x")),
                ("make a key", lambda: as_app("iam").create_access_key(UserName="millrace-app")),
                ("give itself rights", lambda: as_app("iam").attach_user_policy(UserName="millrace-app", PolicyArn=everything)),
                ("change the rule", lambda: as_app("events").put_rule(Name="x", EventPattern='{"source":["x"]}')),
            ],
            allowed=False,
        )

    def test_links_carry_the_signers_rights_and_no_more(self) -> None:
        def put(key: str, expires: int = 60) -> str:
            return self.s3.generate_presigned_url("put_object", Params={"Bucket": input_bucket(), "Key": key}, ExpiresIn=expires)

        good = put(f"sources/{self.name}")
        self.assertEqual(ask("PUT", good, b"x")[0], 200)
        self.assertEqual(ask("PUT", put(f"other/{self.name}"), b"x")[0], 403)
        self.assertEqual(ask("PUT", good.replace(self.name, str(uuid.uuid4())), b"x")[0], 403)
        self.assertEqual(ask("GET", f"{setting('AWS_TEST_ENDPOINT')}/{input_bucket()}/sources/{self.name}")[0], 403)


@around.needs_stack
class Wiring(unittest.TestCase):
    """Events, browsers, queues and buckets."""

    def test_the_rule_takes_this_environments_events(self) -> None:
        events = as_root("events")
        rule = next(r for r in events.list_rules()["Rules"] if r["Name"] == "millrace-test-mediaconvert")

        def matches(**changes: Any) -> bool:
            event = {**EVENT, "detail": {**EVENT["detail"], **changes.pop("detail", {})}, **changes}
            return events.test_event_pattern(EventPattern=rule["EventPattern"], Event=json.dumps(event))["Result"]

        for status in ("PROGRESSING", "STATUS_UPDATE", "COMPLETE", "ERROR", "CANCELED", "INPUT_INFORMATION"):
            self.assertTrue(matches(detail={"status": status}), status)
        self.assertFalse(matches(detail={"status": "QUEUE_HOP"}))
        self.assertFalse(matches(detail={"userMetadata": {"app": "millrace", "environment": "production"}}))
        self.assertFalse(matches(detail={"userMetadata": {"app": "other", "environment": "test"}}))
        self.assertFalse(matches(detail={"userMetadata": {}}))
        self.assertFalse(matches(source="aws.s3"))
        target = events.list_targets_by_rule(Rule=rule["Name"])["Targets"][0]
        self.assertTrue(target["Arn"].endswith(":millrace-test-jobs"))
        self.assertTrue(target["DeadLetterConfig"]["Arn"].endswith(":millrace-test-jobs-dead"))

    def test_browsers_may_put_parts_from_the_apps_origins(self) -> None:
        address = f"{setting('AWS_TEST_ENDPOINT')}/{input_bucket()}/sources/x"

        def preflight(origin: str, method: str = "PUT", headers: str = "content-type,x-amz-checksum-crc32c") -> tuple[int, Json]:
            wanted = {"Origin": origin, "Access-Control-Request-Method": method, "Access-Control-Request-Headers": headers}
            status, answer, _ = ask("OPTIONS", address, headers=wanted)
            return status, {name.lower(): value for name, value in answer.items()}

        status, answer = preflight("http://127.0.0.1:3000")
        self.assertEqual((status, answer["access-control-allow-origin"]), (200, "http://127.0.0.1:3000"))
        self.assertIn("x-amz-checksum-crc32c", answer["access-control-allow-headers"].lower())
        self.assertEqual(preflight("https://elsewhere.example")[0], 403)
        self.assertEqual(preflight("http://127.0.0.1:3000", method="DELETE")[0], 403)
        self.assertEqual(preflight("http://127.0.0.1:3000", headers="authorization")[0], 403)
        link = as_app("s3").generate_presigned_url("put_object", Params={"Bucket": input_bucket(), "Key": "sources/cors"})
        _, answer, _ = ask("PUT", link, b"x", {"Origin": "http://127.0.0.1:3000"})
        self.assertIn("etag", {name.lower(): value for name, value in answer.items()}["access-control-expose-headers"].lower())

    def test_buckets_are_private_and_encrypted(self) -> None:
        s3 = as_root("s3")
        for bucket in (input_bucket(), output_bucket()):
            with self.subTest(bucket):
                block = s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"]
                self.assertEqual(set(block.values()), {True})
                rule = s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"][0]
                self.assertEqual(rule["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"], "AES256")
                lifecycle = s3.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"][0]
                self.assertEqual(lifecycle["AbortIncompleteMultipartUpload"], {"DaysAfterInitiation": 97})
        statement = json.loads(s3.get_bucket_policy(Bucket=output_bucket())["Policy"])["Statement"]
        reads = next(s for s in statement if s["Sid"] == "CloudFrontReads")
        self.assertTrue(reads["Condition"]["StringEquals"]["AWS:SourceArn"].endswith(setting("MILLRACE_CLOUDFRONT_DISTRIBUTION_ID")))

    def test_what_fails_five_times_goes_to_the_dead(self) -> None:
        sqs = as_root("sqs")
        attributes = sqs.get_queue_attributes(QueueUrl=setting("MILLRACE_SQS_QUEUE_URL"), AttributeNames=["All"])["Attributes"]
        redrive = json.loads(attributes["RedrivePolicy"])
        self.assertEqual(int(redrive["maxReceiveCount"]), 5)
        self.assertTrue(redrive["deadLetterTargetArn"].endswith(urlsplit(setting("AWS_TEST_DLQ_URL")).path.rsplit("/", 1)[1]))
        # MiniStack does not enforce the queue's policy on EventBridge's way, so the document itself is looked at.
        statement = json.loads(attributes["Policy"])["Statement"][0]
        self.assertEqual(statement["Principal"], {"Service": "events.amazonaws.com"})
        self.assertEqual(statement["Action"], "sqs:SendMessage")
        self.assertTrue(statement["Condition"]["ArnEquals"]["aws:SourceArn"].endswith("rule/millrace-test-mediaconvert"))

    def test_alarms_watch_the_queues(self) -> None:
        alarms = {a["AlarmName"]: a for a in as_root("cloudwatch").describe_alarms()["MetricAlarms"]}
        self.assertEqual(len(alarms), 5)
        old = alarms["millrace-test-messages-old"]
        self.assertEqual((old["MetricName"], old["Threshold"]), ("ApproximateAgeOfOldestMessage", 24 * 3600))
        dead = alarms["millrace-test-dead-letters"]
        self.assertEqual((dead["MetricName"], dead["Threshold"]), ("ApproximateNumberOfMessagesVisible", 0))
