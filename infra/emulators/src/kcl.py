"""Runs the command it is given until told otherwise on standard input.

A line `stop` ends the command with SIGTERM and waits for it. When standard input ends, the command is killed: the
test process holds the other end of the pipe, and however that process ends, the operating system closes it.
"""

import os
import shutil
import subprocess
import sys
import threading

child = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL)


def obey():
    for line in sys.stdin:
        if line == "stop\n":
            child.terminate()
    child.kill()


threading.Thread(target=obey, daemon=True).start()
code = child.wait()
shutil.rmtree(os.environ["TMPDIR"], ignore_errors=True)
# Java says 128 + 15 after SIGTERM. The thread above may still be reading, which a plain exit would wait for.
os._exit(0 if code in (0, 143) else 1)
