"""The edge lets pass what CloudFront would: signatures, behaviours, origins."""

from __future__ import annotations

import base64
import json
import threading
import time
import unittest
import uuid
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from edge.signature import Denied, PublicKey, verify
from tests import around
from tests.around import ask, as_app, as_root, output_bucket, setting

Key = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


def encode(data: bytes) -> str:
    return base64.b64encode(data).decode().translate(str.maketrans("+=/", "-_~"))


def policy(resource: str, seconds: int = 60, **conditions: object) -> bytes:
    condition = {"DateLessThan": {"AWS:EpochTime": int(time.time()) + seconds}, **conditions}
    return json.dumps({"Statement": [{"Resource": resource, "Condition": condition}]}, separators=(",", ":")).encode()


def sign(key: Key, text: bytes, key_id: str = "K1", digest: hashes.HashAlgorithm | None = None) -> dict[str, str]:
    digest = digest or hashes.SHA256()
    is_ec = isinstance(key, ec.EllipticCurvePrivateKey)
    signature = key.sign(text, ec.ECDSA(digest)) if is_ec else key.sign(text, padding.PKCS1v15(), digest)
    given = {"Policy": encode(text), "Signature": encode(signature), "Key-Pair-Id": key_id}
    return given | ({"Hash-Algorithm": "SHA256"} if digest.name == "sha256" else {})


class Signatures(unittest.TestCase):
    """The arithmetic, without any server."""

    by_ec: ec.EllipticCurvePrivateKey
    by_rsa: rsa.RSAPrivateKey
    keys: dict[str, PublicKey]
    URL = "https://d1.example.net/published/g/720p/00001.m4s"

    @classmethod
    def setUpClass(cls) -> None:
        cls.by_ec = ec.generate_private_key(ec.SECP256R1())
        cls.by_rsa = rsa.generate_private_key(65537, 2048)
        cls.keys = {"K1": cls.by_ec.public_key(), "K2": cls.by_rsa.public_key()}

    def code(self, given: dict[str, str], url: str = URL, address: str = "203.0.113.7") -> str:
        try:
            verify(url, given, self.keys, address)
        except Denied as refusal:
            return refusal.code
        return "ok"

    def test_both_kinds_of_keys_and_hashes(self) -> None:
        text = policy("https://d1.example.net/published/g/*")
        self.assertEqual(self.code(sign(self.by_ec, text)), "ok")
        self.assertEqual(self.code(sign(self.by_rsa, text, "K2")), "ok")
        self.assertEqual(self.code(sign(self.by_rsa, text, "K2", hashes.SHA1())), "ok")
        unnamed = sign(self.by_ec, text)
        del unnamed["Hash-Algorithm"]
        self.assertEqual(self.code(unnamed), "AccessDenied", "SHA-256 has to be named")

    def test_what_is_refused(self) -> None:
        good = sign(self.by_ec, policy("https://d1.example.net/published/g/*"))
        self.assertEqual(self.code({}), "MissingKey")
        self.assertEqual(self.code(good | {"Key-Pair-Id": "K9"}), "InvalidKey")
        self.assertEqual(self.code(good | {"Key-Pair-Id": "K2"}), "AccessDenied")
        self.assertEqual(self.code(good | {"Policy": encode(policy("*"))}), "AccessDenied")
        self.assertEqual(self.code(good, "https://d1.example.net/published/other/1"), "AccessDenied")
        self.assertEqual(self.code(good, self.URL.replace("d1", "d2")), "AccessDenied")
        self.assertEqual(self.code(sign(self.by_ec, policy("*", -1))), "AccessDenied")
        self.assertEqual(self.code(sign(self.by_ec, b"{}")), "MalformedPolicy")
        later = {"AWS:EpochTime": int(time.time()) + 30}
        self.assertEqual(self.code(sign(self.by_ec, policy("*", DateGreaterThan=later))), "AccessDenied")
        self.assertEqual(self.code(sign(self.by_ec, policy("*", IpAddress={"AWS:SourceIp": "198.51.100.0/24"}))), "AccessDenied")
        self.assertEqual(self.code(sign(self.by_ec, policy("*", IpAddress={"AWS:SourceIp": "203.0.113.0/24"}))), "ok")

    def test_a_canned_policy_is_for_one_url(self) -> None:
        ends = int(time.time()) + 60
        statement = {"Resource": self.URL, "Condition": {"DateLessThan": {"AWS:EpochTime": ends}}}
        given = sign(self.by_ec, json.dumps({"Statement": [statement]}, separators=(",", ":")).encode())
        del given["Policy"]
        self.assertEqual(self.code(given | {"Expires": str(ends)}), "ok")
        self.assertEqual(self.code(given | {"Expires": str(ends + 1)}), "AccessDenied")


class App(BaseHTTPRequestHandler):
    """Stands for the application: tells what reached it."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        body = json.dumps({"path": self.path, "headers": dict(self.headers.items())}).encode()
        self.send_response(200)
        self.send_header("Cache-Control", "no-store")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Silent."""


@around.needs_stack
class Edge(unittest.TestCase):
    """The whole way: viewer, edge, bucket or app."""

    edge: str
    key: Key
    generation: str
    content: bytes
    url: str

    @classmethod
    def setUpClass(cls) -> None:
        cls.edge = setting("AWS_TEST_EDGE")
        pem = Path(setting("MILLRACE_CLOUDFRONT_PRIVATE_KEY_FILE")).read_bytes()
        cls.key = serialization.load_pem_private_key(pem, None)
        cls.generation = str(uuid.uuid4())
        cls.content = bytes(range(256)) * 4096
        key = f"published/{cls.generation}/720p/00001.m4s"
        as_app("s3").put_object(Bucket=output_bucket(), Key=key, Body=cls.content, ContentType="video/mp4")
        cls.url = f"{cls.edge}/{key}"

    def query(self, resource: str | None = None, key: Key | None = None, key_id: str | None = None, seconds: int = 60) -> str:
        text = policy(resource or f"{self.edge}/published/{self.generation}/*", seconds)
        given = sign(key or self.key, text, key_id or setting("MILLRACE_CLOUDFRONT_KEY_ID"))
        return "&".join(f"{name}={value}" for name, value in given.items())

    def test_only_signed_requests_pass(self) -> None:
        good = self.query()
        self.assertEqual(ask("GET", self.url)[0], 403)
        self.assertEqual(ask("GET", f"{self.url}?{self.query(seconds=-1)}")[0], 403)
        self.assertEqual(ask("GET", f"{self.url}?{self.query(f'{self.edge}/published/other/*')}")[0], 403)
        self.assertEqual(ask("GET", f"{self.url}?{self.query(key=ec.generate_private_key(ec.SECP256R1()))}")[0], 403)
        self.assertEqual(ask("GET", f"{self.edge}/sources/x?{self.query('*')}")[0], 403, "the bucket's policy ends at published/")
        status, headers, body = ask("GET", f"{self.url}?{good}", headers={"Origin": "https://blog.example"})
        self.assertEqual((status, body == self.content), (200, True))
        self.assertEqual(headers["Access-Control-Allow-Origin"], "*")
        self.assertEqual(headers["Cross-Origin-Resource-Policy"], "cross-origin")
        refused = ask("GET", f"{self.edge}/published/never/was.mp4?{self.query(f'{self.edge}/published/never/*')}")
        self.assertGreaterEqual(refused[0], 400)
        self.assertNotIn("Cache-Control", refused[1], "or browsers would keep the refusal")
        self.assertEqual(headers["Content-Type"], "video/mp4")
        cookies = "; ".join(f"CloudFront-{part}" for part in good.split("&"))
        self.assertEqual(ask("GET", self.url, headers={"Cookie": cookies})[0], 200)

    def test_ranges_heads_and_other_methods(self) -> None:
        signed = f"{self.url}?{self.query()}"
        status, headers, body = ask("GET", signed, headers={"Range": "bytes=10-19"})
        self.assertEqual((status, body), (206, self.content[10:20]))
        self.assertEqual(headers["Content-Range"], f"bytes 10-19/{len(self.content)}")
        status, headers, body = ask("HEAD", signed)
        self.assertEqual((status, headers["Content-Length"], body), (200, str(len(self.content)), b""))
        for method in ("PUT", "POST", "DELETE"):
            self.assertEqual(ask(method, signed, b"x")[0], 403)

    def test_the_bucket_answers_nobody_but_cloudfront(self) -> None:
        bucket = f"{setting('AWS_TEST_ENDPOINT')}/{output_bucket()}/published/{self.generation}/720p/00001.m4s"
        self.assertEqual(ask("GET", bucket)[0], 403)
        self.assertIn(ask("GET", f"{bucket}?{self.query()}")[0], (400, 403), "S3 takes CloudFront's parameters for a broken signature")

    def test_playlists_come_from_the_app_with_the_secret_and_without_the_signature(self) -> None:
        server = HTTPServer(("127.0.0.1", 0), App)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        ask("PUT", f"{self.edge}/_edge/app", f"http://127.0.0.1:{server.server_port}".encode())
        url = f"{self.edge}/hls/grant/index.m3u8"
        self.assertEqual(ask("GET", url)[0], 403)
        signed = f"{url}?{self.query(f'{self.edge}/hls/grant/*')}"
        sent = {"Origin": "https://blog.example", "Cookie": "session=1", "Accept-Encoding": "gzip, br"}
        status, headers, body = ask("GET", signed, headers=sent)
        self.assertEqual((status, headers["Access-Control-Allow-Origin"], headers["Cache-Control"]), (200, "*", "no-store"))
        seen = json.loads(body)
        names = {name.lower(): value for name, value in seen["headers"].items()}
        self.assertEqual(seen["path"], "/hls/grant/index.m3u8")
        self.assertEqual(names["x-millrace-origin"], setting("AWS_TEST_ORIGIN_SECRET"))
        self.assertEqual(names["accept-encoding"], "gzip")
        self.assertNotIn("cookie", names)
        self.assertNotIn("origin", names)

    def test_a_key_joins_and_leaves(self) -> None:
        cloudfront = as_root("cloudfront")
        new = ec.generate_private_key(ec.SECP256R1())
        pem = new.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo).decode()
        config = {"CallerReference": str(uuid.uuid4()), "Name": str(uuid.uuid4()), "EncodedKey": pem}
        key_id = cloudfront.create_public_key(PublicKeyConfig=config)["PublicKey"]["Id"]
        group = cloudfront.list_key_groups()["KeyGroupList"]["Items"][0]["KeyGroup"]
        before = group["KeyGroupConfig"]
        by_new, by_old = f"{self.url}?{self.query(key=new, key_id=key_id)}", f"{self.url}?{self.query()}"
        self.assertEqual((ask("GET", by_new)[0], ask("GET", by_old)[0]), (403, 200))
        self.set_keys(group["Id"], before, [*before["Items"], key_id])
        self.assertEqual(self.settled(by_new, 200), 200)
        self.assertEqual(ask("GET", by_old)[0], 200, "two keys during a rotation")
        self.set_keys(group["Id"], before, before["Items"])
        self.assertEqual(self.settled(by_new, 403), 403)
        self.assertEqual(ask("GET", by_old)[0], 200)

    def settled(self, url: str, expected: int) -> int:
        """The status once it is as expected, or after a while whatever it is: the edge looks at the keys every second."""
        until = time.monotonic() + 60
        while (status := ask("GET", url)[0]) != expected and time.monotonic() < until:
            time.sleep(0.2)
        return status

    def set_keys(self, group: str, config: dict[str, object], keys: list[str]) -> None:
        cloudfront = as_root("cloudfront")
        version = cloudfront.get_key_group(Id=group)["ETag"]
        cloudfront.update_key_group(Id=group, IfMatch=version, KeyGroupConfig={**config, "Items": keys})
