"""Several processes that accept from the same sockets."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Callable, Sequence

from claude_code_proxy.logs import Log

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)
# A worker that dies at once must not keep a core busy with its successors.
_RESTART_PAUSE = 1.0


class Workers:
    """Runs workers, replaces those that die, and passes the wish to stop on to all.

    Args:
        count: How many.
        listeners: What they accept from; closed here when the end begins.
        serve: Serves until SIGTERM and returns the exit code. Its argument is a file descriptor
            that reads as ended once this process is gone, however it went.
        ended: Called with the process id of each worker that is gone.
        log: Told of workers that died.
    """

    def __init__(
        self,
        count: int,
        listeners: Sequence[socket.socket],
        serve: Callable[[int], int],
        ended: Callable[[int], None],
        log: Log,
    ) -> None:
        self._count = count
        self._listeners = listeners
        self._serve = serve
        self._ended = ended
        self._log = log
        self._alive: set[int] = set()
        self._stopping = False
        self._parent_lives, self._held_open = os.pipe()

    def run(self) -> int:
        """Serve until SIGTERM or SIGINT, and then until every worker has drained; return 0."""
        for number in STOP_SIGNALS:
            signal.signal(number, self._stop)
        for _ in range(self._count):
            self._start()
        while self._alive:
            pid, status = os.wait()
            self._alive.discard(pid)
            self._ended(pid)
            if not self._stopping:
                code = os.waitstatus_to_exitcode(status)
                self._log.write("ERROR", "worker_died", worker=pid, code=code)
                time.sleep(_RESTART_PAUSE)
                self._start()
        return 0

    def _start(self) -> None:
        # A signal between the fork and the note of it would miss the new worker.
        signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
        try:
            if self._stopping:
                return
            pid = os.fork()
            if pid:
                self._alive.add(pid)
                return
            for number in STOP_SIGNALS:
                signal.signal(number, signal.SIG_DFL)
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)
        os.close(self._held_open)
        code = 1
        try:
            code = self._serve(self._parent_lives)
        finally:
            # The parent's cleanup, further up the stack, is not the worker's to run.
            os._exit(code)

    def _stop(self, *_: object) -> None:
        self._stopping = True
        # What nobody will answer must be refused, not queued.
        for listener in self._listeners:
            listener.close()
        for pid in self._alive:
            os.kill(pid, signal.SIGTERM)
