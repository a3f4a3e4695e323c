"""The zip that travels into jobs: specforge's procedures and what they need, found by its content."""

from __future__ import annotations

import functools
import hashlib
import io
import zipfile
from pathlib import Path

from specforge.executors.files import write_whole

_PACKAGES = ("formats", "procedures", "runtimes")
_MAIN = """\
import sys

from specforge.procedures.__main__ import main

sys.exit(main(sys.argv[1:]))
"""
_MOMENT = (2020, 1, 1, 0, 0, 0)


def procedures_zip(cache: Path) -> Path:
    """Return the zip, `python ZIP NAME …` runs a procedure; made once per content. Raises OSError."""
    content, digest = _content()
    path = cache / "payload" / f"{digest}.zip"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, content)
    return path


@functools.cache
def _content() -> tuple[bytes, str]:
    """Return the zip's bytes and their sha256: the same for the same sources, wherever and whenever made."""
    root = Path(__file__).parents[1]
    sources = [root / "__init__.py"]
    for package in _PACKAGES:
        sources += sorted((root / package).rglob("*.py"))
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(_entry("__main__.py"), _MAIN)
        for source in sources:
            archive.writestr(_entry(f"specforge/{source.relative_to(root).as_posix()}"), source.read_bytes())
    content = buffer.getvalue()
    return content, hashlib.sha256(content).hexdigest()


def _entry(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, _MOMENT)
    entry.compress_type = zipfile.ZIP_DEFLATED
    entry.external_attr = 0o644 << 16
    return entry
