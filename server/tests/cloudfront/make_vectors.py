"""Writes vectors.json: the policy and RSA SHA-256 signature as botocore's CloudFrontSigner makes them. Needs botocore and cryptography."""

import datetime
import json
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

from botocore.signers import CloudFrontSigner
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding

HERE = Path(__file__).resolve().parent
KEY_ID = "K2JCJMDEHXQW5F"
URL = "https://d111111abcdef8.cloudfront.net"
GENERATION = "0193a7c1-5b7e-7cc0-8a51-3f5d2b9a6e01"
GRANT = "AQEAAAAAazR0AGFiY2RlZmdoaWpr_-"
EXPIRES_AT = 1798761600

key = serialization.load_pem_private_key((HERE / "rsa.pem").read_bytes(), None)
signer = CloudFrontSigner(KEY_ID, lambda message: key.sign(message, padding.PKCS1v15(), hashes.SHA256()))
until = datetime.datetime.fromtimestamp(EXPIRES_AT, datetime.timezone.utc)


def signed(resource: str) -> dict[str, str]:
    policy = signer.build_policy(resource, until)
    query = dict(parse_qsl(urlsplit(signer.generate_presigned_url(resource, policy=policy)).query))
    return {"policy": policy, **{name: query[name] for name in ("Policy", "Signature", "Key-Pair-Id")}}


vectors = {
    "url": URL, "key_id": KEY_ID, "generation": GENERATION, "grant": GRANT, "expires_at": EXPIRES_AT,
    "media": signed(f"{URL}/published/{GENERATION}/*"),
    "playlists": signed(f"{URL}/hls/{GRANT}/*"),
}
(HERE / "vectors.json").write_text(json.dumps(vectors, indent=2) + "\n")
