"""The wire: what is sent arrives, and nothing that is forged does."""

import json
import threading
import time

import numpy as np
import pytest

from coursekit.grading import wire


@pytest.fixture
def ends():
    ours, theirs = wire.pair()
    yield ours, theirs
    ours.close()
    theirs.close()


@pytest.mark.parametrize("value", [
    "text, \ud800 and \x00", 7, -2.5, True, None, (1, (2, "a")), [1, [2]], {"a": {"b": (None,)}},
    np.arange(6, dtype=np.float32).reshape(2, 3), np.array(3.5), np.zeros((0, 4)), np.array([[True], [False]]),
    np.arange(3, dtype=">f8"), np.arange(12).reshape(3, 4)[::2, ::-1], np.array([1 + 2j], np.complex64),
    (np.arange(2, dtype=np.uint8), "b", np.array([np.nan, np.inf]))])
def test_what_is_sent_arrives(ends, value):
    wire.send(ends[0], 41, {"value": value})
    number, message = wire.receive(ends[1])
    assert number == 41
    assert_same(message["value"], value)


def assert_same(came, sent):
    assert type(came) is type(sent)
    if isinstance(sent, np.ndarray):
        assert came.dtype == sent.dtype.newbyteorder("=")
        np.testing.assert_array_equal(came, sent)
    elif isinstance(sent, tuple):
        for parts in zip(came, sent, strict=True):
            assert_same(*parts)
    else:
        assert came == sent


def frame(header, body=b"", announced=None):
    header = header if isinstance(header, bytes) else json.dumps(header).encode()
    return wire.LENGTHS.pack(len(header), len(body) if announced is None else announced) + header + body


def message(arrays, content={"array": 0}):
    return {"number": 1, "message": content, "arrays": arrays}


@pytest.mark.parametrize("bytes_sent", [
    frame(b"\xff\xfe junk"), frame(b"[" * 100_000), frame([]), frame({"number": 1}), frame(b'{"number": 1, "message": '),
    frame(message([["f4", [-1, -4]]]), bytes(16)), frame(message([["f4", [2.0]]]), bytes(8)),
    frame(message([["f4", [True]]]), bytes(4)), frame(message([["O8", [1]]]), bytes(8)),
    frame(message([["f4", [5]]]), bytes(16)), frame(message([["f4", [2**62, 4]]]), bytes(16)),
    frame(message([["V8", [1]]]), bytes(8)), frame(message([["f4", "11"]]), bytes(4)),
    frame(message([], {"array": 0})), frame(message([], {"other": 1, "dict": {}})), frame(message([], {"dict": 3})),
    frame({"number": 1, "message": int("9" * 4000), "arrays": 3}), frame(b'{"number": 1, "message": ' + b"9" * 5000 + b"}"),
    wire.LENGTHS.pack(2**31, 2**31), wire.LENGTHS.pack(20, wire.LARGEST), b"\x00\x00", b"",
    frame(message([["f4", [4]]]), bytes(3), announced=16)])
def test_forged_frames_are_broken(ends, bytes_sent):
    ends[0].sendall(bytes_sent)
    ends[0].close()
    with pytest.raises(wire.Broken):
        wire.receive(ends[1])


def test_what_is_announced_too_large_is_not_waited_for(ends):
    ends[0].sendall(wire.LENGTHS.pack(20, wire.LARGEST))
    with pytest.raises(wire.Broken, match="a frame of 16,777,236 bytes was announced, the most is 16,777,216"):
        wire.receive(ends[1], time.monotonic() + 1)


def test_a_true_is_a_true(ends):
    ends[0].sendall(frame(message([["b1", [3]]]), b"\x00\x02\xff"))
    _, came = wire.receive(ends[1])
    assert came.view(np.uint8).tolist() == [0, 1, 1]


def test_too_large_to_send(ends):
    with pytest.raises(wire.Broken, match="the most is 16,777,216"):
        wire.send(ends[0], 1, np.zeros(2 * 2**20 + 1))


def test_deadlines(ends):
    started = time.monotonic()
    with pytest.raises(wire.TooLate):
        wire.receive(ends[1], started + 0.05)
    assert time.monotonic() - started >= 0.05
    dripping = threading.Thread(target=drip, args=(ends[0],))
    dripping.start()
    with pytest.raises(wire.TooLate):  # a byte now and then does not prolong the time
        wire.receive(ends[1], time.monotonic() + 0.2)
    dripping.join()
    with pytest.raises(wire.TooLate):  # nor does not reading
        for _ in range(100):
            wire.send(ends[0], 1, np.zeros(100_000), time.monotonic() + 0.05)


def drip(end):
    for byte in wire.LENGTHS.pack(1000, 0)[:6]:
        end.sendall(bytes([byte]))
        time.sleep(0.05)
