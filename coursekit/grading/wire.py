"""The wire between the grader and the box: numbered messages of JSON and raw numeric arrays, with a cap on their size.

A frame is two lengths, a JSON header and the bytes of the arrays. What arrives is parsed by `json` and
`numpy.frombuffer` alone: nothing is unpickled, imported or evaluated. Both ends use this file; only the grader's end
must hold against an adversary.
"""

import json
import math
import socket
import struct
import time

import numpy as np

from coursekit.exercises.compiled import pack, unpack

LENGTHS = struct.Struct(">II")
LARGEST = 16 * 2**20  # bytes of one frame; an exercise's answers are thousands of numbers
KINDS = {f"{kind}{size}": np.dtype(f"{kind}{size}") for kind, sizes in
         {"b": (1,), "i": (1, 2, 4, 8), "u": (1, 2, 4, 8), "f": (4, 8), "c": (8, 16)}.items() for size in sizes}


class Broken(Exception):
    """The other end is gone, or sent what is no message."""


class TooLate(Exception):
    """The other end did not answer in time."""


def send(connection, number, message, deadline=math.inf):
    """Write one message. Raises Broken where it is too large or the other end is gone, TooLate at the deadline
    (time.monotonic)."""
    arrays = []
    packed = pack(message, arrays)
    arrays = [array.astype(array.dtype.newbyteorder("=")) for array in arrays]
    header = json.dumps({"number": number, "message": packed, "arrays": [
        [f"{array.dtype.kind}{array.dtype.itemsize}", list(array.shape)] for array in arrays]}).encode()
    body = b"".join(array.tobytes() for array in arrays)
    if len(header) + len(body) > LARGEST:
        raise Broken(f"a message of {len(header) + len(body):,} bytes, the most is {LARGEST:,}")
    try:
        connection.settimeout(remaining(deadline))
        connection.sendall(LENGTHS.pack(len(header), len(body)) + header + body)
    except TimeoutError:
        raise TooLate from None
    except OSError as error:
        raise Broken(f"the connection ended: {error.strerror}") from None


def receive(connection, deadline=math.inf):
    """Read one message: its number and its content. Raises Broken or TooLate."""
    header, body = LENGTHS.unpack(exactly(connection, LENGTHS.size, deadline))
    if header + body > LARGEST:
        raise Broken(f"a frame of {header + body:,} bytes was announced, the most is {LARGEST:,}")
    header, body = exactly(connection, header, deadline), exactly(connection, body, deadline)
    try:
        frame = json.loads(header)
        arrays, position = [], 0
        for kind, shape in frame["arrays"]:
            if not all(type(size) is int and size >= 0 for size in shape):
                raise ValueError("a size is no whole number")
            array = np.frombuffer(body, KINDS[kind], math.prod(shape), position).reshape(shape)
            arrays.append(array.view(np.uint8) != 0 if kind == "b1" else array)  # a forged True may be another byte
            position += array.nbytes
        return frame["number"], unpack(frame["message"], arrays)
    except Exception as error:  # whatever a forged frame provokes, RecursionError and MemoryError too
        raise Broken(f"what came is no message ({type(error).__name__})") from None


def exactly(connection, size, deadline):
    parts, missing = [], size
    while missing:
        try:
            connection.settimeout(remaining(deadline))
            part = connection.recv(min(missing, 2**20))
        except TimeoutError:
            raise TooLate from None
        except OSError as error:
            raise Broken(f"the connection ended: {error.strerror}") from None
        if not part:
            raise Broken("the process ended")
        parts.append(part)
        missing -= len(part)
    return b"".join(parts)


def remaining(deadline):
    """Seconds until the deadline, for a socket; None where there is none."""
    if deadline == math.inf:
        return None
    left = deadline - time.monotonic()
    if left <= 0:
        raise TooLate
    return left


def pair():
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
