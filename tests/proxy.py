"""A TCP proxy between a worker and its server, whose directions a test can cut one by one."""

import socket
import threading


class Proxy:
    """Forwards loopback connections; `cut("answers")` swallows what the server says, `cut("requests")` the rest."""

    def __init__(self, target_port: int) -> None:
        self._target_port = target_port
        self._cut: set[str] = set()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._sockets: list[socket.socket] = [self._listener]
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def cut(self, direction: str) -> None:
        self._cut.add(direction)

    def heal(self) -> None:
        self._cut.clear()

    def close(self) -> None:
        for one in self._sockets:
            one.close()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
                far = socket.create_connection(("127.0.0.1", self._target_port))
            except OSError:
                return
            self._sockets += [near, far]
            threading.Thread(target=self._pump, args=(near, far, "requests"), daemon=True).start()
            threading.Thread(target=self._pump, args=(far, near, "answers"), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket, direction: str) -> None:
        try:
            while data := source.recv(65_536):
                if direction not in self._cut:
                    sink.sendall(data)
        except OSError:
            pass
        for one in (source, sink):
            one.close()
