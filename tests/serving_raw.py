"""Clients that no library would be: they speak just enough of a protocol to misbehave in it."""

import contextlib
import socket
import struct

import grpc

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, SETTINGS, PING = 0, 1, 4, 6
ACK, END_STREAM, END_HEADERS = 1, 1, 4
INITIAL_WINDOW = 4


class Http2:
    """A gRPC client that has no window: the server may send it headers, but not one byte of an answer.

    Args:
        port: the server's.
    """

    def __init__(self, port: int):
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=30)
        self._socket.sendall(PREFACE + _frame(SETTINGS, 0, 0, struct.pack(">HI", INITIAL_WINDOW, 0)))

    def call(self, path: str, message: bytes) -> None:
        """Sends a request with a message of less than 16 kB."""
        fields = {":method": "POST", ":scheme": "http", ":path": path, ":authority": "a"}
        fields |= {"te": "trailers", "content-type": "application/grpc"}
        block = b"".join(b"\x00" + _text(name) + _text(value) for name, value in fields.items())
        body = b"\x00" + struct.pack(">I", len(message)) + message
        self._socket.sendall(_frame(HEADERS, END_HEADERS, 1, block) + _frame(DATA, END_STREAM, 1, body))

    def frames(self):
        """Yields the kind of each frame the server sends, pings and settings acknowledged, until it ends."""
        with contextlib.suppress(ConnectionError):
            while head := self._read(9):
                kind, flags = head[3], head[4]
                payload = self._read(int.from_bytes(head[:3], "big"))
                if kind in (PING, SETTINGS) and not flags & ACK:
                    self._socket.sendall(_frame(kind, ACK, 0, payload if kind == PING else b""))
                yield kind

    def close(self) -> None:
        """Ends the connection."""
        self._socket.close()

    def _read(self, size: int) -> bytes:
        found = b""
        while len(found) < size and (part := self._socket.recv(size - len(found))):
            found += part
        return found


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def _text(text: str) -> bytes:
    return bytes([len(text)]) + text.encode()


def code_of(channel: grpc.Channel, method: str, request: bytes, timeout: float) -> str:
    """Returns the name of the code that bytes are answered with.

    Args:
        channel: to the server.
        method: service and method, such as `ModelService/GetModelStatus`.
        request: the bytes.
        timeout: the call's, in seconds.
    """
    call = channel.unary_unary(f"/tensorflow.serving.{method}", lambda raw: raw, lambda raw: raw)
    try:
        call(request, timeout=timeout)
    except grpc.RpcError as error:
        if error.details() == "Exception deserializing request!":
            return "INVALID_ARGUMENT"  # gRPC's own answer to bytes that are no message of the method
        return error.code().name
    return "OK"
