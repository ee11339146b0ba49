"""A TCP proxy that loses requests, or the replies to them.

It reads as much HTTP/2 as it needs: frames, and the flag that ends a request.
"""

import contextlib
import socket
import threading
import time

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_DATA, _HEADERS = 0, 1
_END_STREAM = 1


class Proxy:
    def __init__(self, port):
        self.upstream = ("127.0.0.1", port)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"127.0.0.1:{self.listener.getsockname()[1]}"
        self.lock = threading.Lock()
        self.plan = []  # of what happens to the requests to come: "pass", "request", "reply"
        self.lost = 0
        self.delay = 0  # seconds until a connection is one
        threading.Thread(target=self._accept, daemon=True).start()

    def lose(self, what, times=1, after=0):
        """Loses the next requests ("request"), or lets the daemon carry them out and loses
        what it replies ("reply"), and cuts the connection each time.
        """
        with self.lock:
            self.plan = ["pass"] * after + [what] * times

    def close(self):
        self.listener.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def _accept(self):
        while True:
            try:
                down, _ = self.listener.accept()
            except OSError:
                return
            try:
                up = socket.create_connection(self.upstream)
            except OSError:
                down.close()
                continue
            down.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            up.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection = _Connection(self, down, up)
            threading.Thread(target=connection.requests, daemon=True).start()
            threading.Thread(target=connection.replies, daemon=True).start()

    def fate(self):
        with self.lock:
            fate = self.plan.pop(0) if self.plan else "pass"
            self.lost += fate != "pass"
            return fate


class _Connection:
    def __init__(self, proxy, down, up):
        self.proxy, self.down, self.up = proxy, down, up
        self.doomed = set()  # streams whose reply will be lost

    def requests(self):
        try:
            self.up.sendall(_read(self.down, len(_PREFACE)))
            while True:
                kind, flags, stream, frame = _frame(self.down)
                if kind == _DATA and flags & _END_STREAM:
                    fate = self.proxy.fate()
                    if fate == "request":
                        break
                    if fate == "reply":
                        self.doomed.add(stream)
                self.up.sendall(frame)
        except OSError:
            pass
        self.cut()

    def replies(self):
        time.sleep(self.proxy.delay)
        try:
            while True:
                kind, _, stream, frame = _frame(self.up)
                if kind in (_DATA, _HEADERS) and stream in self.doomed:
                    break  # the daemon has answered, so it has carried the request out
                self.down.sendall(frame)
        except OSError:
            pass
        self.cut()

    def cut(self):
        for end in (self.down, self.up):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()


def _frame(end):
    head = _read(end, 9)
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
