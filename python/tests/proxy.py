"""A TCP proxy that loses requests, or the replies to them, and that can be taken away.

It reads as much HTTP/2 as it needs: frames, in each of which with data is a request, or what
goes into a session at once.
"""

import contextlib
import socket
import threading
import time

from statehouse.testing._daemon import _free_port

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_DATA, _HEADERS = 0, 1
_END_STREAM = 1
_HEAD = 9  # bytes of a frame without its data


class Proxy:
    def __init__(self, port):
        self.upstream = ("127.0.0.1", port)
        self.port = _free_port()
        self.url = f"127.0.0.1:{self.port}"
        self.lock = threading.Lock()
        self.connections = set()
        self.mute = False  # connections are taken, and nothing is said on them
        self.plan = []  # of what happens to the requests to come: "pass", or see lose()
        self.lost = 0
        self.after_loss = None  # called when something was lost
        self.delay = 0  # seconds until a connection is one
        self.up()

    def up(self):
        self.listener = socket.create_server(("127.0.0.1", self.port))
        threading.Thread(target=self._accept, args=[self.listener], daemon=True).start()

    def down(self):
        """Cuts what is connected, and lets connections be refused from now on."""
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)  # so that accept() ends
        self.listener.close()
        self.cut()

    def silence(self):
        """Cuts what is connected, and says nothing to those who connect."""
        self.mute = True
        self.cut()

    def cut(self):
        for connection in list(self.connections):
            connection.cut()

    def lose(self, what, times=1, after=0):
        """Loses the next requests ("request"), or lets the daemon carry them out and loses
        what it replies ("reply"), and cuts the connection each time. Or keeps the connection,
        on which the reply never comes ("silence").
        """
        with self.lock:
            self.plan = ["pass"] * after + [what] * times

    def close(self):
        self.down()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def _accept(self, listener):
        while True:
            try:
                down, _ = listener.accept()
            except OSError:
                return
            if self.mute:
                self.connections.add(_Connection(self, down, down))
                continue
            try:
                up = socket.create_connection(self.upstream)
            except OSError:
                down.close()
                continue
            down.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            up.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection = _Connection(self, down, up)
            self.connections.add(connection)
            threading.Thread(target=connection.requests, daemon=True).start()
            threading.Thread(target=connection.replies, daemon=True).start()

    def lost_one(self):
        if self.after_loss is not None:
            self.after_loss()

    def fate(self):
        with self.lock:
            fate = self.plan.pop(0) if self.plan else "pass"
            self.lost += fate != "pass"
            return fate


class _Connection:
    def __init__(self, proxy, down, up):
        self.proxy, self.down, self.up = proxy, down, up
        self.doomed = {}  # streams whose reply will be lost, and how
        self.sessions = set()  # streams that go on

    def requests(self):
        try:
            self.up.sendall(_read(self.down, len(_PREFACE)))
            while True:
                kind, flags, stream, frame = _frame(self.down)
                if kind == _DATA and len(frame) > _HEAD:
                    if not flags & _END_STREAM:
                        self.sessions.add(stream)
                    fate = self.proxy.fate()
                    if fate == "request":
                        self.proxy.lost_one()
                        break
                    if fate != "pass":
                        self.doomed[stream] = fate
                self.up.sendall(frame)
        except OSError:
            pass
        self.cut()

    def replies(self):
        time.sleep(self.proxy.delay)
        try:
            while True:
                kind, flags, stream, frame = _frame(self.up)
                fate = self.doomed.get(stream) if kind in (_DATA, _HEADERS) else None
                if fate is None:
                    self.down.sendall(frame)
                elif fate == "reply" or flags & _END_STREAM or self._answers(kind, stream):
                    # The daemon has answered, so it has carried the request out.
                    self.proxy.lost_one()
                    if fate == "reply":
                        break
        except OSError:
            pass
        self.cut()

    def _answers(self, kind, stream):
        return kind == _DATA and stream in self.sessions

    def cut(self):
        self.proxy.connections.discard(self)
        for end in (self.down, self.up):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()


def _frame(end):
    head = _read(end, _HEAD)
    body = _read(end, int.from_bytes(head[:3], "big"))
    return head[3], head[4], int.from_bytes(head[5:], "big") & 0x7FFFFFFF, head + body


def _read(end, size):
    data = b""
    while len(data) < size:
        more = end.recv(size - len(data))
        if not more:
            raise ConnectionResetError
        data += more
    return data
