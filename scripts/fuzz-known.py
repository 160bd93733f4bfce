"""Makes a video that plays, grants and unfinished uploads on a server that is to be fuzzed, and prints their ids and links as fuzz_hooks.py
takes them. Where nothing isolates ffmpeg on this machine there is no video that plays, and less to be found.

fuzz-known.py URL KEY CLIP
"""

import json
import re
import sys
import time
import urllib.request

url, key, clip = sys.argv[1:]


def ask(method, path, body=None, kind="application/json", headers=None):
    request = urllib.request.Request(url + path if path.startswith("/") else path, data=body, method=method, headers=headers or {})
    request.add_header("authorization", f"Bearer {key}")
    if body is not None:
        request.add_header("content-type", kind)
    with urllib.request.urlopen(request, timeout=60) as answer:
        return answer.read().decode()


def crc32c(data):
    value = 0xFFFFFFFF
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = value >> 1 ^ 0x82F63B78 if value & 1 else value >> 1
    return f"{value ^ 0xFFFFFFFF:08x}"


def tell(path, value):
    return json.loads(ask("POST", path, json.dumps(value).encode()))


with open(clip, "rb") as file:
    form = b'--b\r\nContent-Disposition: form-data; name="file"; filename="clip.mp4"\r\n\r\n' + file.read() + b"\r\n--b--\r\n"
video = json.loads(ask("POST", "/api/upload", form, "multipart/form-data; boundary=b"))["videoId"]
grants = [tell(f"/api/v1/videos/{video}/grants", {"name": f"somebody {number}"}) for number in range(50)]
part = "0123456789"
checksum = {"x-millrace-crc32c": crc32c(part.encode())}
uploads = [tell("/api/v1/uploads", {"fileName": f"{number}.mp4", "size": len(part)})["uploadId"] for number in range(300)]


def begin_with_all_parts():
    upload = tell("/api/v1/uploads", {"fileName": "whole.mp4", "size": len(part)})["uploadId"]
    ask("PUT", f"/api/v1/uploads/{upload}/parts/1", part.encode(), "application/octet-stream", checksum)
    return upload


def begin_by_tus():
    headers = {"authorization": f"Bearer {key}", "tus-resumable": "1.0.0", "upload-length": str(len(part))}
    request = urllib.request.Request(f"{url}/api/v1/tus", method="POST", headers=headers)
    with urllib.request.urlopen(request, timeout=60) as answer:
        return answer.headers["location"].rsplit("/", 1)[1]


known = {
    "*": {"path": {"video": [video], "upload": uploads}},
    "/api/upload": {"body": {"file": part, "title": "A title"}},
    "/api/v1/videos/{video}/grants": {"body": {"name": "somebody more"}},
    "/api/status": {"query": {"videoId": [video]}},
    "/api/stream": {"query": {"videoId": [video]}},
    "/api/v1/tus": {"headers": {"Tus-Resumable": "1.0.0", "Upload-Length": "10"}, "body": ""},
    "/api/v1/tus/{upload}": {
        "path": {"upload": [begin_by_tus() for _ in range(300)]},
        "body": part,
        "headers": {"Tus-Resumable": "1.0.0", "Upload-Offset": "0", "X-HTTP-Method-Override": "PATCH", "Content-Type": "application/offset+octet-stream"},
    },
    "/api/v1/uploads/{upload}/parts/{number}": {"path": {"number": [1]}, "body": part, "headers": checksum},
    # Of the others, only one whose part some request happened to send before could be completed.
    "/api/v1/uploads/{upload}/complete": {"path": {"upload": [begin_with_all_parts() for _ in range(50)]}},
    # The first one stays, for its link.
    "/api/v1/videos/{video}/grants/{grant}": {"path": {"grant": [grant["id"] for grant in grants[1:]]}},
}
deadline = time.monotonic() + 600
while time.monotonic() < deadline:
    status = json.loads(ask("GET", f"/api/status?videoId={video}"))
    if status["status"] in ("done", "failed"):
        break
    time.sleep(0.2)
if status["status"] == "done":
    stream = json.loads(ask("GET", f"/api/stream?videoId={video}"))
    playback_id = stream["embedUrl"].rsplit("/", 1)[1]
    grant = re.search(r"/hls/([^/]+)/", stream["url"])[1]
    playlist = next(line for line in ask("GET", stream["url"]).splitlines() if line.endswith(".m3u8"))
    generation, name = playlist.split("/")[-2:]
    media = ask("GET", f"/hls/{grant}/{generation}/{name}")
    segment = next(line for line in media.splitlines() if line and not line.startswith("#"))
    file, query = segment[segment.index(generation) + len(generation) + 1 :].split("?")
    link = grants[0]["watchUrl"].split("grant=")[-1]
    known["*"]["path"] |= {"playback_id": [playback_id], "generation": [generation], "playlist": [name], "file": [file]}
    known["/hls/{grant}/index.m3u8"] = {"path": {"grant": [grant]}}
    known["/hls/{grant}/{generation}/{playlist}"] = {"path": {"grant": [grant]}}
    known["/media/{generation}/{file}"] = {"query": {pair.split("=")[0]: [pair.split("=")[1]] for pair in query.split("&")}}
    known["/api/v1/playback/{playback_id}"] = {"query": {"grant": [link]}}
    known["/oembed"] = {"query": {"url": [f"{url}/watch/{playback_id}"]}}
print(json.dumps(known))
