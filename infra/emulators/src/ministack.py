"""Runs ministack for as long as standard input stays open.

The test process holds the other end of the pipe and writes nothing to it. However that process ends, also by
SIGKILL, the operating system closes the pipe, and this process goes with it.
"""

import os
import shutil
import threading


def end_with_parent():
    while os.read(0, 4096):
        pass
    shutil.rmtree(os.environ["TMPDIR"], ignore_errors=True)
    os._exit(0)


threading.Thread(target=end_with_parent, daemon=True).start()

from ministack.app import main  # noqa: E402, after the watch: importing takes a while

main()
