"""A private daemon: starting, killing and stopping it."""

from __future__ import annotations

import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import weakref
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from statehouse import AsyncStatehouse, Statehouse, Unauthenticated
from statehouse.testing._binary import find_binary

if TYPE_CHECKING:
    from collections.abc import Mapping

    from typing_extensions import Self

# Ports below those that systems hand out by themselves, so that a port stays free while
# its daemon is down, and a client that tries it cannot be connected to itself.
_PORTS = range(15_000, 32_000)
_IN_USE = "in use"


class DaemonFailed(Exception):
    """The daemon ended, or did not begin to serve. Its log is in the message."""


class Daemon:
    """A daemon of its own, on a free port of this machine.

    ``data_dir``
        Where its store is. None: a temporary directory, removed with the daemon.
    ``on_disk``
        By default True when ``data_dir`` is given. False: everything is in memory, quick,
        and gone with the process.
    ``flags``
        Further flags of ``statehoused``, such as ``"--tx-timeout-ms=200"``.
    ``binary``
        The program; None: see :func:`find_binary`.
    ``client_options``
        What its clients need to be told, such as a ``token``.
    ``start_timeout``
        Seconds until it has to be healthy.
    ``clock``
        The time at which its clock stands, until ``advance`` moves it. It is in memory then,
        takes no flags, and is served by ``statehouse-sim``. None: its clock is the machine's.

    It starts as a context manager, or by ``start()``; settings of Statehouse in the
    environment are not for it.
    """

    def __init__(
        self,
        data_dir: str | os.PathLike[str] | None = None,
        *,
        on_disk: bool | None = None,
        flags: tuple[str, ...] | list[str] = (),
        binary: str | None = None,
        client_options: Mapping[str, Any] | None = None,
        start_timeout: float = 30.0,
        clock: datetime | None = None,
    ) -> None:
        if clock is not None and (data_dir is not None or on_disk or flags):
            raise ValueError("a daemon whose clock stands is in memory, and takes no flags")
        if clock is not None and clock.tzinfo is None:
            raise ValueError("clock has no time zone: datetime(..., tzinfo=timezone.utc)")
        self.on_disk = data_dir is not None if on_disk is None else on_disk
        self.port = 0  # chosen by the first start, kept by those that follow
        self._flags = tuple(flags)
        self._binary = binary
        self._client_options = dict(client_options or {})
        self._start_timeout = start_timeout
        self._now = clock
        self._process: subprocess.Popen[bytes] | None = None
        self._folder = tempfile.mkdtemp(prefix="statehouse-")
        self._clients: list[Statehouse] = []
        self.data_dir = Path(self._folder) / "data"
        if data_dir is not None:
            self.data_dir = Path(data_dir).absolute()  # wherever the program goes meanwhile
        self._remove = weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)

    @property
    def url(self) -> str:
        """What clients connect to."""
        return f"127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        """The process; 0 while it does not run."""
        return self._process.pid if self.running and self._process else 0

    @property
    def running(self) -> bool:
        """Whether the process runs; True of a paused one."""
        return self._process is not None and self._process.poll() is None

    def log(self) -> str:
        """Returns what the daemon has logged, before its restarts too."""
        path = Path(self._folder) / "log"
        return path.read_text(errors="replace") if path.exists() else ""

    def client(self, **options: Any) -> Statehouse:
        """Makes a client of it; options are those of :class:`Statehouse`. ``stop`` closes
        it.
        """
        client = Statehouse(self.url, **{**self._client_options, **options})
        self._clients.append(client)
        return client

    def async_client(self, **options: Any) -> AsyncStatehouse:
        """Makes a client to await, which the caller closes."""
        return AsyncStatehouse(self.url, **{**self._client_options, **options})

    def start(self) -> Self:
        """Starts it and waits until it is healthy."""
        if self.running:
            return self
        before = len(self.log())
        chosen = self.port
        for _ in range(20):
            self.port = chosen or _free_port()
            self._launch()
            if self._healthy():
                return self
            if chosen or _IN_USE not in self.log()[before:]:
                break
        self._kill()
        raise DaemonFailed(f"statehoused does not serve:\n{self.log()[before:]}")

    @property
    def now(self) -> datetime:
        """The time by its clock."""
        return datetime.now(timezone.utc) if self._now is None else self._now

    def advance(self, by: float | timedelta) -> datetime:
        """Moves the clock forward, by seconds or a timedelta, and returns its time. What became
        due by then has happened: records have expired, leases and claims have lapsed.
        """
        if not isinstance(by, timedelta):
            by = timedelta(seconds=by)
        if by < timedelta():
            raise ValueError("a clock does not go back")
        if self._now is None:
            raise DaemonFailed("its clock is the machine's: make it with clock=")
        process = self._process
        if not self.running or process is None or process.stdin is None or process.stdout is None:
            raise DaemonFailed("the daemon does not run: start() it")
        microseconds = by // timedelta(microseconds=1)
        process.stdin.write(f"advance {microseconds}us\n".encode())
        process.stdin.flush()
        told = process.stdout.readline().decode().strip()
        if not told.endswith("Z"):
            raise DaemonFailed(f"its clock could not be moved: {told or self.log()}")
        self._now += by
        return self._now

    def crash(self) -> None:
        """Kills it with SIGKILL, so that it cannot shut down in good order."""
        self._kill()

    def restart(self) -> Self:
        """Starts it again on the same port and store; kills it first when it runs."""
        self._kill()
        return self.start()

    def pause(self) -> None:
        """Stops the process in its tracks (SIGSTOP): connections stay, answers do not come."""
        pid = self._signal(signal.SIGSTOP)
        if hasattr(os, "waitid"):  # its threads run on until the signal has reached them
            os.waitid(os.P_PID, pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)

    def resume(self) -> None:
        """Lets a paused process go on."""
        self._signal(signal.SIGCONT)

    def stop(self) -> None:
        """Ends it in good order, closes its clients, and removes what it made."""
        for client in self._clients:
            client.close()
        self._clients.clear()
        if self._process is not None and self.running:
            self._process.send_signal(signal.SIGCONT)
            self._process.terminate()
            try:
                self._process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                self._kill()
        self._remove()

    def __enter__(self) -> Self:
        try:
            return self.start()
        except BaseException:
            self.stop()
            raise

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _launch(self) -> None:
        program = "statehoused" if self._now is None else "statehouse-sim"
        binary = self._binary or find_binary(program)
        binary = str(Path(shutil.which(binary) or binary).absolute())
        flags = [f"--listen-addr={self.url}", *self._flags]
        flags += [f"--data-dir={self.data_dir}"] if self.on_disk else ["--use-memory"]
        told: int | None = subprocess.DEVNULL
        if self._now is not None:
            told = subprocess.PIPE
            at = self._now.astimezone(timezone.utc).isoformat().replace("+00:00", "Z")
            flags = ["serve", f"--listen-addr={self.url}", f"--clock={at}"]
            if token := self._client_options.get("token"):
                flags.append(f"--token={token}")
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("STATEHOUSE_")}
        with (Path(self._folder) / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [binary, *flags],
                stdin=told,
                stdout=log if told is subprocess.DEVNULL else told,
                stderr=log,
                env=inherited,
                # Python's files are closed anyway; and so subprocess need not fork on 3.9,
                # which does not agree with gRPC.
                close_fds=False,
            )
        if self._process.stdout is not None and not self._process.stdout.readline():
            self._process.wait()  # its log says why
        # If it is never stopped, it ends with this object, at the latest with the program.
        weakref.finalize(self, _reap, self._process)

    def _healthy(self) -> bool:
        """Waits until it serves. False: it ended, or takes too long."""
        end = time.monotonic() + self._start_timeout
        options = {**self._client_options, "timeout": 1.0, "fail_fast": True}
        with Statehouse(self.url, **options) as probe:
            while self.running and time.monotonic() < end:
                try:
                    with socket.create_connection(("127.0.0.1", self.port), timeout=1):
                        pass  # gRPC would wait longer before it tries again
                    probe.health()
                except Unauthenticated:
                    return True  # it serves those who know its token
                except OSError:
                    time.sleep(0.01)
                else:
                    return True
        return False

    def _signal(self, number: signal.Signals) -> int:
        pid = self.pid
        if not pid:  # which would mean the caller's own processes
            raise DaemonFailed("the daemon does not run: start() it")
        os.kill(pid, number)
        return pid

    def _kill(self) -> None:
        if self._process is not None:
            _reap(self._process)


def _free_port() -> int:
    while True:
        port = random.choice(_PORTS)  # noqa: S311
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port


def _reap(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            pipe.close()
