"""What tools that are loaded in this process have kept of the credentials: let go where they can, named where not.

`docs/tools.md` has what was measured, tool by tool.
"""

from __future__ import annotations

import contextlib
import gc
import sys
from collections.abc import Iterator
from datetime import datetime, timezone
from typing import Any

from botocore.credentials import RefreshableCredentials

_CONTAINER = "container-role"  # botocore's name for credentials that came from the container endpoint
_POLARS = "polars.io.cloud.credential_provider._builder"
_KEEP_COPIES = {  # module: what people call it; each holds keys where no call of its own makes it let go
    "pyarrow.fs": "pyarrow",
    "polars": "polars",
    "deltalake": "deltalake",
    "obstore": "obstore",
    "duckdb": "DuckDB",
}


def let_go() -> None:
    """Have what can be reached ask for credentials at its next request: another identity has come, or none.

    That is aiobotocore, with what is built on it (s3fs, pandas), whoever holds it; and polars where it has not read
    before.
    """
    if "aiobotocore" in sys.modules:
        for each in _instances_of(RefreshableCredentials):
            with _whatever_it_is():
                if each.method == _CONTAINER:
                    each._expiry_time = datetime.fromtimestamp(0, timezone.utc)  # noqa: SLF001 - botocore has no other
    if "s3fs" in sys.modules:
        with _whatever_it_is():
            kind = sys.modules["s3fs"].S3FileSystem
            for each in _instances_of(kind):
                with _whatever_it_is():
                    each.invalidate_cache()  # what the person before was shown
            kind.clear_instance_cache()
    if _POLARS in sys.modules:
        with _whatever_it_is():
            for each in list((sys.modules[_POLARS].BUILT_PROVIDERS_LRU_CACHE or {}).values()):
                each.clear_cached_credentials()


def look_again() -> None:
    """Have s3fs's file systems that found no credentials look for some at their next request: somebody has come."""
    if "s3fs" in sys.modules:
        with _whatever_it_is():
            for each in _instances_of(sys.modules["s3fs"].S3FileSystem):
                if getattr(each.session, "_credentials", each) is None:
                    each._s3 = None  # noqa: SLF001 - s3fs has no other way


def that_keep_copies() -> tuple[str, ...]:
    """Names of the tools loaded here that go on with what they have fetched until it expires."""
    return tuple(name for module, name in _KEEP_COPIES.items() if module in sys.modules)


def _whatever_it_is() -> contextlib.suppress:
    """A version whose insides differ, or a half-made object, keeps what it has; the others do not."""
    return contextlib.suppress(Exception)


def _instances_of(kind: type) -> list[Any]:
    """All there are in this process: nobody else lists them.  A tenth of a second for a million objects.

    By the identity of their types: a foreign metaclass may have a hash of its own, or none.
    """
    kinds = {id(each) for each in (kind, *_subclasses(kind))}
    return [each for each in gc.get_objects() if id(type(each)) in kinds]


def _subclasses(kind: type) -> Iterator[type]:
    direct: list[type] = kind.__subclasses__()
    for each in direct:
        yield each
        yield from _subclasses(each)
