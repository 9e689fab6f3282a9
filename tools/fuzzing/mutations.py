"""Ways to break a file: of any kind, and of one kind so that its checksums still hold.

All choices come from the ``random.Random`` that is handed in, so that one number gives one file.
"""

from __future__ import annotations

import io
import pickle
import pickletools
import re
import struct
import warnings
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from random import Random

#: (random, valid content) -> broken content.
Mutation = Callable[[Random, bytes], bytes]
PNG_START = b"\x89PNG\r\n\x1a\n"
#: File that a pickle makes if its code is run.
MARKER = "EXECUTED"


# ---- Files of any kind


def flip_bits(random: Random, content: bytes) -> bytes:
    """One to eight bits turned."""
    broken = bytearray(content)
    for _ in range(random.randint(1, 8)):
        broken[random.randrange(len(broken))] ^= 1 << random.randrange(8)
    return bytes(broken)


def cut(random: Random, content: bytes) -> bytes:
    """The end lost."""
    return content[: random.randrange(len(content))]


def insert(random: Random, content: bytes) -> bytes:
    """Bytes put between."""
    at = random.randint(0, len(content))
    return content[:at] + random.randbytes(random.randint(1, 40)) + content[at:]


def remove(random: Random, content: bytes) -> bytes:
    """A part taken out of the middle."""
    at = random.randrange(len(content))
    return content[:at] + content[at + random.randint(1, 64) :]


def duplicate(random: Random, content: bytes) -> bytes:
    """A part there twice."""
    start = random.randrange(len(content))
    end = random.randint(start, len(content))
    return content[:end] + content[start:end] + content[end:]


def overwrite(random: Random, content: bytes) -> bytes:
    """A number at its extreme, in either byte order, or a block of one byte."""
    at = random.randrange(len(content))
    extreme = random.choice((0, 1, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF, 0x7F800000, 0x7FC00000, 0xFF800000))
    block = struct.pack(random.choice("<>") + "I", extreme)
    if random.randrange(4) == 0:
        block = bytes([random.randrange(256)]) * random.randint(1, 200)
    return content[:at] + block + content[at + len(block) :]


def replace_all(random: Random, content: bytes) -> bytes:
    """Another file altogether: noise, with the true start or without."""
    start = content[: random.choice((0, 0, 4, 8, 16))]
    return start + random.randbytes(random.randint(0, 300))


ANY: tuple[Mutation, ...] = (flip_bits, cut, insert, remove, duplicate, overwrite, replace_all)


# ---- PNG


def _chunks(content: bytes) -> list[tuple[bytes, bytes]]:
    chunks, at = [], len(PNG_START)
    while at + 12 <= len(content):
        length = int.from_bytes(content[at : at + 4], "big")
        chunks.append((content[at + 4 : at + 8], content[at + 8 : at + 8 + length]))
        at += 12 + length
    return chunks


def png_of(chunks: list[tuple[bytes, bytes]]) -> bytes:
    """A PNG of chunks (kind, body), with true checksums."""
    parts = [struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in chunks]
    return PNG_START + b"".join(parts)


def png_header(random: Random, content: bytes) -> bytes:
    """Another size, depth of bits, colour type or interlacing in the header; checksums are true."""
    chunks = _chunks(content)
    header = bytearray(chunks[0][1])
    sizes = (0, 1, 2, 255, 4096, 8192, 65535, 0x7FFFFFFF, 0xFFFFFFFF, random.randrange(1, 100))
    for _ in range(random.randint(1, 2)):
        match random.randrange(4):
            case 0:
                header[0:4] = struct.pack(">I", random.choice(sizes))
            case 1:
                header[4:8] = struct.pack(">I", random.choice(sizes))
            case 2:
                header[8] = random.choice((0, 1, 2, 4, 8, 16, 32, random.randrange(256)))
            case 3:
                header[random.randrange(9, 13)] = random.choice((0, 1, 2, 3, 4, 6, random.randrange(256)))
    return png_of([(chunks[0][0], bytes(header)), *chunks[1:]])


def png_chunks(random: Random, content: bytes) -> bytes:
    """Chunks doubled, dropped, exchanged, renamed or added; checksums are true."""
    chunks = _chunks(content)
    at, other = random.randrange(len(chunks)), random.randrange(len(chunks))
    match random.randrange(5):
        case 0:
            chunks.insert(other, chunks[at])
        case 1:
            del chunks[at]
        case 2:
            chunks[at], chunks[other] = chunks[other], chunks[at]
        case 3:
            chunks[at] = (random.choice((b"tRNS", b"PLTE", b"acTL", b"fcTL", b"IDAT", b"eXIf", b"abcd")), chunks[at][1])
        case 4:
            kind = random.choice((b"tRNS", b"PLTE", b"iCCP", b"zTXt", b"tEXt", b"acTL", b"fcTL", b"sBIT", b"gAMA", b"eXIf"))
            body = random.choice((b"", random.randbytes(8), b"name\0\0" + zlib.compress(bytes(300_000))))
            chunks.insert(random.randint(0, len(chunks)), (kind, body))
    return png_of(chunks)


def png_pixels(random: Random, content: bytes) -> bytes:
    """The pixel stream broken, before or after it is packed; checksums of the chunks are true."""
    chunks = _chunks(content)
    pixels = zlib.decompress(b"".join(body for kind, body in chunks if kind == b"IDAT"))
    broken = random.choice((flip_bits, cut, duplicate, overwrite))
    packed = broken(random, zlib.compress(pixels)) if random.randrange(2) else zlib.compress(broken(random, pixels))
    return png_of([chunks[0], (b"IDAT", packed), (b"IEND", b"")])


# ---- NPY


def npy_header(random: Random, content: bytes) -> bytes:
    """Another shape, type or order in the header, or noise there; its length is kept true."""
    length = int.from_bytes(content[8:10], "little")
    text = content[10 : 10 + length].decode("latin-1")
    shapes = (
        "(65535, 65535)",
        "(9999999999999, 2)",
        "(-1, 5)",
        "()",
        "(0, 3)",
        "(3,)",
        "(2, 3, 4)",
        "(True, 2)",
        "2",
        "(1.5, 2)",
    )
    kinds = ("|O", "<U9999", "|V16", "<c16", "<f2", ">f4", "<i8", "|b1", "<M8[s]", "|S3", "<f16", "no", "")
    match random.randrange(5):
        case 0:
            text = re.sub(r"\(\d[^)]*\)", lambda _: random.choice(shapes), text)
        case 1:
            text = re.sub(r"'[<>|][^']*'", lambda _: repr(random.choice(kinds)), text)
        case 2:
            text = text.replace("False", random.choice(("True", "None", "[", "{}", "__import__('os')", "1" * 5000)))
        case 3:
            text = "{" * random.randint(1, 2000) + text
        case 4:
            text = random.randbytes(random.randint(0, 80)).decode("latin-1") + text[: random.randrange(len(text))]
    return content[:8] + struct.pack("<H", len(text)) + text.encode("latin-1", "replace") + content[10 + length :]


def npy_values(random: Random, content: bytes) -> bytes:
    """Values of a right file replaced: NaN, infinite, negative, huge."""
    values = bytearray(content)
    start = 10 + int.from_bytes(content[8:10], "little")
    size = 8 if b"f8" in content[:start] else 4
    number = random.choice((float("nan"), float("inf"), -float("inf"), -1.0, 1e30, -1e-300, 5e-324, 999.0, 1001.0, 65535.0))
    at = start + size * random.randrange(max(1, (len(values) - start) // size))
    values[at : at + size] = struct.pack("<d" if size == 8 else "<f", number)
    return bytes(values)


# ---- Text


_WORDS = (
    "nan",
    "-inf",
    "1e999",
    "-1e308",
    "1e308",
    "0",
    "-0",
    "1e-320",
    "1,5",
    "x",
    "",
    "721.5377",
    "\x1b[31m",
    "\u0663",
    "9" * 400,
)


def text_numbers(random: Random, content: bytes) -> bytes:
    """Numbers replaced, doubled or dropped."""
    words = re.split(r"(\s+)", content.decode("utf-8"))
    at = random.randrange(0, len(words), 2)
    words[at] = random.choice((*_WORDS, words[at] + " " + words[at], "-" + words[at], words[at] + "e3"))
    return "".join(words).encode("utf-8")


def text_lines(random: Random, content: bytes) -> bytes:
    """Lines doubled, dropped, exchanged or joined."""
    lines = content.splitlines(keepends=True)
    at, other = random.randrange(len(lines)), random.randrange(len(lines))
    match random.randrange(4):
        case 0:
            lines.insert(other, lines[at])
        case 1:
            del lines[at]
        case 2:
            lines[at], lines[other] = lines[other], lines[at]
        case 3:
            lines[at] = lines[at].rstrip() + random.choice((b" ", b": ", b"\x85", b"\r", b"\0"))
    return b"".join(lines)


# ---- Checkpoints


class _Runs:
    """Pickled as a call."""

    def __init__(self, function: Callable[..., object], *arguments: object) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return self.call


def _zip_of(entries: list[tuple[str, bytes]], method: int = zipfile.ZIP_STORED) -> bytes:
    file = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(file, "w", method) as archive:
        warnings.simplefilter("ignore")  # about names that are there twice
        for name, body in entries:
            archive.writestr(zipfile.ZipInfo(name), body, method)  # a fixed date: one number gives one file
    return file.getvalue()


def _entries(content: bytes) -> list[tuple[str, bytes]]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return [(entry.filename, archive.read(entry)) for entry in archive.infolist()]


def checkpoint_entries(random: Random, content: bytes) -> bytes:
    """Entries broken, dropped, doubled, renamed, grown or packed; checksums are true."""
    entries = _entries(content)
    at = random.randrange(len(entries))
    name, body = entries[at]
    match random.randrange(6):
        case 0:
            entries[at] = (name, random.choice(ANY)(random, body or b"\0"))
        case 1:
            del entries[at]
        case 2:
            entries.append((random.choice(("a/constants.pkl", "a/code/x.py", "b/data.pkl", "../escaped", "a/data/99")), body))
        case 3:
            entries[at] = (random.choice((name + "x", "", "/abs", entries[0][0])), body)
        case 4:
            return _zip_of([*entries, ("a/data/bomb", bytes(random.choice((10**3, 10**6))))], zipfile.ZIP_DEFLATED)
        case 5:
            entries[at] = (name, body + bytes(random.randrange(1000)))
    return _zip_of(entries)


def checkpoint_pickle(random: Random, content: bytes) -> bytes:
    """The pickle broken at its own opcodes, or replaced by one that would run code or ask for memory."""
    entries = _entries(content)
    at = next(index for index, (name, _) in enumerate(entries) if name.endswith("data.pkl"))
    name, body = entries[at]
    match random.randrange(4):
        case 0:
            calls = (_Runs(Path.mkdir, Path(MARKER)), _Runs(eval, f"open('{MARKER}', 'w')"), _Runs(bytearray, 1 << 40))
            body = pickle.dumps({"state_dict": {}, "meta": random.choice(calls)}, protocol=random.choice((0, 2, 4)))
        case 1:
            values = (
                [],
                {"state_dict": []},
                {"state_dict": {"a": 1}},
                {"state_dict": {1: 2}},
                {"state_dict": {}, "meta": 3},
                None,
            )
            body = pickle.dumps(random.choice(values), protocol=2)
        case 2:
            spots = [(position, opcode.name) for opcode, _, position in pickletools.genops(body)]
            position = random.choice(spots)[0]
            body = body[:position] + bytes([random.randrange(256)]) + body[position + 1 :]
        case 3:
            body = random.choice((flip_bits, overwrite, remove, duplicate))(random, body)
    entries[at] = (name, body)
    return _zip_of(entries)


PNG: tuple[Mutation, ...] = (*ANY, png_header, png_header, png_chunks, png_chunks, png_pixels, png_pixels)
NPY: tuple[Mutation, ...] = (*ANY, npy_header, npy_header, npy_header, npy_values, npy_values)
TEXT: tuple[Mutation, ...] = (*ANY, text_numbers, text_numbers, text_numbers, text_lines)
CHECKPOINT: tuple[Mutation, ...] = (*ANY, checkpoint_entries, checkpoint_entries, checkpoint_pickle, checkpoint_pickle)
