"""What the tests of the ai-* operations share."""

import json
import struct
import zlib

MODELS = {"openai": "gpt-4.1-mini", "anthropic": "claude-sonnet-4-6", "google": "gemini-2.5-flash"}
FILE = "8cbb43fe-4cdf-4991-8352-c461779cec02"


def png(width=64, height=48):
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    rows = b"".join(b"\0" + b"\x20\x40\x80" * width for _ in range(height))
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)) +
            chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))


def last(result):
    assert result["status"] == "done", result
    return result["last"]


def code(result):
    assert result["status"] == "dead", result
    return result["error"]["code"]


def bodies(simulator):
    return [json.loads(body) if isinstance(body, str) else body for body in simulator.bodies()]


def body(simulator):
    sent = bodies(simulator)
    assert len(sent) == 1, sent
    return sent[0]
