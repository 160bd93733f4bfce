"""From a job's settings to files on disk and the keys they go to: one ffmpeg run with one decode for all outputs."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from . import encode, manifest
from .probe import Facts

Json = dict[str, Any]
# From memory of real jobs, not from documentation.
CONTENT_TYPES = {".m3u8": "application/x-mpegURL", ".cmfv": "video/mp4", ".cmfa": "audio/mp4", ".jpg": "image/jpeg"}


@dataclass
class Group:
    """One output group on its way."""

    settings: Json
    folder: Path
    bucket: str
    prefix: str
    base: str
    outputs: list[encode.Encoded] = field(default_factory=list)

    @property
    def is_cmaf(self) -> bool:
        """Whether it is segmented; else it holds single files."""
        return "cmafGroupSettings" in self.settings

    def upload_options(self) -> Json:
        """What the job says about storing its objects."""
        kind = "cmafGroupSettings" if self.is_cmaf else "fileGroupSettings"
        s3 = (self.settings[kind].get("destinationSettings") or {}).get("s3Settings") or {}
        encryption = s3.get("encryption") or {}
        options: Json = {"StorageClass": s3["storageClass"]} if s3.get("storageClass") else {}
        if encryption.get("encryptionType") == "SERVER_SIDE_ENCRYPTION_S3":
            options["ServerSideEncryption"] = "AES256"
        elif encryption.get("encryptionType") == "SERVER_SIDE_ENCRYPTION_KMS":
            options |= {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": encryption.get("kmsKeyArn", "alias/aws/s3")}
        return options


def not_emulated(job: Json) -> list[str]:
    """What the service would do and this emulator does not: said at once instead of done halfway."""
    found = []
    if len(job["settings"]["inputs"]) > 1:
        found.append("jobs of several inputs")
    for group in job["settings"]["outputGroups"]:
        wrapper = group["outputGroupSettings"]
        cmaf = wrapper.get("cmafGroupSettings")
        if wrapper["type"] not in ("CMAF_GROUP_SETTINGS", "FILE_GROUP_SETTINGS"):
            found.append(wrapper["type"])
        if group.get("automatedEncodingSettings"):
            found.append("automated ABR")
        if cmaf and cmaf.get("writeDashManifest", "ENABLED") != "DISABLED":
            found.append("DASH manifests (enabled unless writeDashManifest is DISABLED)")
        if cmaf and cmaf.get("segmentControl", "SEGMENTED_FILES") != "SEGMENTED_FILES":
            found.append("CMAF in single files")
        if cmaf and cmaf.get("encryption"):
            found.append("encryption of segments")
        for output in group["outputs"]:
            codec = ((output.get("videoDescription") or {}).get("codecSettings") or {}).get("codec")
            if codec not in (None, "H_264" if cmaf else "FRAME_CAPTURE"):
                found.append(f"{codec} in {wrapper['type']}")
            for audio in output.get("audioDescriptions") or []:
                if audio["codecSettings"]["codec"] != "AAC":
                    found.append(audio["codecSettings"]["codec"])
    return sorted(set(found))


def plan(job: Json, folder: Path) -> list[Group]:
    """Where every group's files lie and go."""
    groups = []
    for index, group in enumerate(job["settings"]["outputGroups"]):
        settings = group["outputGroupSettings"]
        own = settings.get("cmafGroupSettings") or settings["fileGroupSettings"]
        bucket, _, key = own["destination"].removeprefix("s3://").partition("/")
        # A destination that ends in a slash takes the source's name.
        source = Path(job["settings"]["inputs"][0]["fileInput"]).stem
        prefix, _, base = key.rpartition("/")
        own_folder = folder / f"group{index}"
        own_folder.mkdir()
        groups.append(Group(settings, own_folder, bucket, f"{prefix}/" if prefix else "", base or source))
        groups[-1].outputs = [encode.Encoded(output, None) for output in group["outputs"]]
    return groups


def arguments(job: Json, groups: list[Group], facts: Facts, source: Path) -> list[str]:
    """ffmpeg's arguments for the whole job."""
    before_input, turn = encode.turned(job["settings"])
    upright = encode.upright_size(facts, job["settings"])
    command = [*before_input, "-i", str(source)]
    for group in groups:
        for item in group.outputs:
            name = group.base + item.output.get("nameModifier", "")
            video = item.output.get("videoDescription")
            if video:
                item.width, item.height = encode.target_size(video, upright)
            if not group.is_cmaf:
                command += ["-map", "0:v:0"]
                command += encode.captures(item.output, facts, (item.width, item.height), turn, group.folder, name)
                continue
            if video:
                command += ["-map", "0:v:0", "-vf", encode.filters(video, facts, (item.width, item.height), turn), *encode.h264(video)]
            else:
                command += ["-map", "0:a:0", *encode.aac(item.output["audioDescriptions"][0])]
            muxer, item.playlist = encode.segmented(group.settings["cmafGroupSettings"], group.folder, name, bool(video))
            command += ["-map_metadata", "-1", *muxer]
    return command


def finish(groups: list[Group], facts: Facts) -> None:
    """After ffmpeg: finds what it wrote, and writes the multivariant playlists."""
    for group in groups:
        for item in group.outputs:
            if item.playlist:
                item.files = [*manifest.read_segments(item.playlist), item.playlist]
            else:
                modifier = item.output.get("nameModifier", "")
                item.files = sorted(group.folder.glob(f"{group.base}{modifier}.*"))
        if group.is_cmaf:
            text = manifest.multivariant(group.outputs, facts)
            (group.folder / f"{group.base}.m3u8").write_text(text)


def details(groups: list[Group], seconds: float) -> list[Json]:
    """`outputGroupDetails` of the COMPLETE event."""
    found = []
    for group in groups:
        outputs = []
        for item in group.outputs:
            detail: Json = {"durationInMs": round(seconds * 1000)}
            if item.is_video:
                detail["videoDetails"] = {"widthInPx": item.width, "heightInPx": item.height}
            if item.is_video and group.is_cmaf:
                detail["videoDetails"] |= {"averageQVBRScore": 7.4, "minimumQVBRScore": 7, "maximumQVBRScore": 8}
            if not group.is_cmaf:
                # Of frame captures only the last one is named.
                detail["outputFilePaths"] = [f"s3://{group.bucket}/{group.prefix}{item.files[-1].name}"] if item.files else []
            outputs.append(detail)
        entry: Json = {"outputDetails": outputs, "type": "CMAF_GROUP" if group.is_cmaf else "FILE_GROUP"}
        if group.is_cmaf:
            entry["playlistFilePaths"] = [f"s3://{group.bucket}/{group.prefix}{group.base}.m3u8"]
        found.append(entry)
    return found
