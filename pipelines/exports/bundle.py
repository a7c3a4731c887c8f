"""Files → one .zip whose every byte can be checked: a manifest with the SHA-256 of each file and of itself, and the verifier inside.

Files are stored, not compressed: how a machine compresses would change the bytes, and the verifier rebuilds the archive.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Mapping

from pipelines.exports.text import to_json

MANIFEST = "manifest.json"
NO_HASH = "0" * 64


def bundle(about: Mapping[str, object], files: Mapping[str, bytes]) -> bytes:
    """The archive's bytes: equal files, equal bytes."""
    return pack({**files, MANIFEST: manifest(about, files)})


def pack(files: Mapping[str, bytes]) -> bytes:
    """The one .zip of these files: sorted, stored, without a time."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        for name, body in sorted(files.items()):
            entry = zipfile.ZipInfo(name)
            entry.create_system, entry.external_attr = 3, 0o644 << 16
            archive.writestr(entry, body)
    return out.getvalue()


def unpack(archive: bytes) -> dict[str, bytes]:
    """Its files by name."""
    with zipfile.ZipFile(io.BytesIO(archive)) as opened:
        return {name: opened.read(name) for name in opened.namelist()}


def is_packed(archive: bytes) -> bool:
    """Whether every byte between and around the files, too, is the one we write."""
    return pack(unpack(archive)) == archive


def manifest(about: Mapping[str, object], files: Mapping[str, bytes]) -> bytes:
    """What the bundle is about and the hash of each file; `manifest_sha256` is its own, taken with zeros in its place."""
    hashes = {name: hashlib.sha256(body).hexdigest() for name, body in sorted(files.items())}
    facts = json.loads(to_json(about))
    blank = to_json({"manifest_sha256": NO_HASH, **facts, "files": hashes})
    return blank.replace(NO_HASH, hashlib.sha256(blank.encode()).hexdigest(), 1).encode()
