"""Says what was answered to the requests of one principal. Fails on answers of 500 and more, and where it is the owner, on addresses that never
granted anything: what only refuses was not tested deep enough.

fuzz-tally.py WHO FILE
"""

import json
import sys
from collections import Counter

# There is nothing to grant where the store is made of files, and where no distribution stands before the server.
ELSEWHERE = {"POST /api/v1/uploads/{upload}/parts/{number}/target", "GET /packaged/{generation}/{file}"}
who, file = sys.argv[1:]
with open(file, encoding="utf-8") as text:
    answers = json.load(text)
kinds, operations = Counter(), {}
for line, count in answers.items():
    operation, status = line.rsplit(" ", 1)
    kinds[f"{status[0]}xx"] += count
    operations.setdefault(operation, Counter())[status] += count
print("    " + ", ".join(f"{count} × {kind}" for kind, count in sorted(kinds.items())))
broken = [line for line in answers if int(line.rsplit(" ", 1)[1]) >= 500]
# Methods that an address does not have are asked for as well.
described = {operation: statuses for operation, statuses in operations.items() if set(statuses) != {"405"} and operation not in ELSEWHERE}
shallow = [operation for operation, statuses in described.items() if not any(status < "4" for status in statuses)] if who == "ada" else []
for what, lines in (("answered with 500 or more", broken), ("never granted", shallow)):
    for line in lines:
        print(f"    {what}: {line} {dict(operations.get(line, {}))}")
sys.exit(1 if broken or shallow else 0)
