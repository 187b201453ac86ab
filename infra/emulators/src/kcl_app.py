"""A record processor that the Kinesis Client Library's MultiLangDaemon starts, one process a shard.

It speaks the daemon's protocol, a JSON message a line: each action on standard input is answered by a status on
standard output, and a checkpoint may be asked for in between. What happens is written to a file in the folder that
KCL_JOURNAL names, fields with tabs between, each line before the daemon hears of it. KCL_CHECKPOINT_EVERY says how
many batches go by from one checkpoint to the next.
"""

import base64
import json
import os
import sys

every = int(os.environ["KCL_CHECKPOINT_EVERY"])
journal = open(os.path.join(os.environ["KCL_JOURNAL"], f"{os.getpid()}.tsv"), "w", buffering=1)
shard = None
batches = 0


def note(event, *fields):
    print(event, shard, *fields, sep="\t", file=journal)


def say(**message):
    sys.stdout.write("\n" + json.dumps(message) + "\n")
    sys.stdout.flush()


def checkpoint():
    """Asks for a checkpoint after the last record that was handed over."""
    say(action="checkpoint", sequenceNumber=None, subSequenceNumber=None)
    answer = json.loads(sys.stdin.readline())
    note("checkpoint", answer.get("error") or "")


for line in sys.stdin:
    message = json.loads(line)
    action = message["action"]
    if action == "initialize":
        shard = message["shardId"]
        note("start", message["sequenceNumber"], message["subSequenceNumber"])
    elif action == "processRecords":
        for record in message["records"]:
            data = base64.b64decode(record["data"]).decode("utf-8")
            note("record", record["sequenceNumber"], record["subSequenceNumber"], data)
        if message["records"]:
            batches += 1
            if batches % every == 0:
                checkpoint()
    elif action == "shardEnded":
        checkpoint()
        note("ended")
    elif action == "shutdownRequested":
        checkpoint()
        note("shutdown")
    elif action == "leaseLost":
        note("lost")
    say(action="status", responseFor=action)
