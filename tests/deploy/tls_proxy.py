"""A TLS front for a server that speaks none: the embedded one is built without."""

import socket
import ssl
import threading


class TlsProxy:
    """Takes TLS connections on loopback, and forwards what is in them."""

    def __init__(self, target_port: int, context: ssl.SSLContext) -> None:
        self._target_port, self._context = target_port, context
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(near,), daemon=True).start()

    def _serve(self, near: socket.socket) -> None:
        """One connection; a TLS socket is not for two threads, so one thread looks at both sides."""
        with near:
            try:
                near.settimeout(10)
                with (
                    self._context.wrap_socket(near, server_side=True) as inside,
                    socket.create_connection(("127.0.0.1", self._target_port)) as far,
                ):
                    threading.Thread(target=_answers, args=(far, inside), daemon=True).start()
                    inside.settimeout(None)
                    while data := inside.recv(65_536):
                        far.sendall(data)
            except OSError:  # a handshake that failed, or a side that has gone
                pass


def _answers(far: socket.socket, inside: ssl.SSLSocket) -> None:
    try:
        while data := far.recv(65_536):
            inside.sendall(data)
    except OSError:
        pass
