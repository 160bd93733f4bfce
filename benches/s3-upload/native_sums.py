"""MiniStack with CRC32C in C. Its own, in Python, sums 7 MiB a second: a measurement over it would measure that and nothing else."""

import runpy

from awscrt import checksums
from ministack.services import s3

CHECK_VALUE = 0xE3069283

if s3._crc32c(b"123456789") != CHECK_VALUE:  # pylint: disable=protected-access
    raise SystemExit("MiniStack's checksum is not where it was; look for it again.")
s3._crc32c = checksums.crc32c  # pylint: disable=protected-access
runpy.run_module("ministack", run_name="__main__")
