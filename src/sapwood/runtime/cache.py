"""The store behind the compile cache: content-addressed files, shared between processes.

Writers make a file of their own and rename it into place; readers verify a checksum, so a torn, truncated or
edited file is a miss. Nothing here needs a lock. What only writers need is imported by them: most processes read.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import time
import warnings
from collections.abc import Iterator
from functools import lru_cache

from sapwood import config

_MAGIC = b"sapwood1"
_DAY = 86400.0


class CacheStore:
    """Objects and manifests under a directory; the least recently used go when it grows over `max_bytes`."""

    def __init__(self, directory: str, max_bytes: int) -> None:
        self.directory = directory
        self.max_bytes = max_bytes
        self._writable = True
        self._written = 0

    def get_object(self, key: str) -> bytes | None:
        return self._get("objects", key)

    def put_object(self, key: str, data: bytes) -> None:
        self._put("objects", key, data)

    def get_manifest(self, key: str) -> bytes | None:
        return self._get("manifests", key)

    def put_manifest(self, key: str, data: bytes) -> None:
        self._put("manifests", key, data)

    def _path(self, kind: str, key: str) -> str:
        if not key.isalnum():
            raise ValueError(f"a cache key is letters and digits, not {key!r}")
        return os.path.join(self.directory, kind, key[:2], key)

    def _get(self, kind: str, key: str) -> bytes | None:
        path = self._path(kind, key)
        try:
            with open(path, "rb") as f:
                raw = f.read()
        except OSError:
            return None
        head = len(_MAGIC) + 32
        body = raw[head:]
        if raw[: len(_MAGIC)] != _MAGIC or hashlib.blake2b(body, digest_size=32).digest() != raw[len(_MAGIC) : head]:
            with contextlib.suppress(OSError):
                os.unlink(path)
            return None
        with contextlib.suppress(OSError):
            if time.time() - os.stat(path).st_mtime > _DAY:
                os.utime(path)
        return body

    def _put(self, kind: str, key: str, data: bytes) -> None:
        if not self._writable:
            return
        import tempfile

        path = self._path(kind, key)
        try:
            os.makedirs(os.path.dirname(path), exist_ok=True)
            fd, name = tempfile.mkstemp(dir=os.path.dirname(path), prefix=".")
            try:
                with os.fdopen(fd, "wb") as f:
                    f.write(_MAGIC + hashlib.blake2b(data, digest_size=32).digest() + data)
                os.replace(name, path)
            except BaseException:
                with contextlib.suppress(OSError):
                    os.unlink(name)
                raise
        except OSError as e:
            self._writable = False
            warnings.warn(f"the compile cache in {self.directory} cannot be written: {e}", stacklevel=4)
            return
        self._written += len(data)
        if self._written > max(self.max_bytes // 16, 1 << 20):
            self._written = 0
            self.prune()

    def prune(self) -> None:
        """Remove the least recently used files until the store is below its limit."""
        files: list[tuple[float, int, str]] = []
        for path in self._files():
            with contextlib.suppress(OSError):
                stat = os.stat(path)
                files.append((stat.st_mtime, stat.st_size, path))
        total = sum(size for _, size, _ in files)
        for _, size, path in sorted(files):
            if total <= self.max_bytes:
                break
            with contextlib.suppress(OSError):
                os.unlink(path)
                total -= size

    def clear(self) -> None:
        for path in self._files():
            with contextlib.suppress(OSError):
                os.unlink(path)

    def _files(self) -> Iterator[str]:
        """All files, also those that writers left unfinished."""
        import glob

        return glob.iglob(os.path.join(glob.escape(self.directory), "*", "??", "*"), include_hidden=True)


@lru_cache(maxsize=8)
def _store(directory: str, max_bytes: int) -> CacheStore:
    return CacheStore(directory, max_bytes)


def default_store() -> CacheStore | None:
    """The store that the configuration names; None when caching is off or there is no place."""
    if not config.cache_enabled():
        return None
    directory = config.cache_directory()
    return None if directory is None else _store(directory, config.cache_max_bytes())
