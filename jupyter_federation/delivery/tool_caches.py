"""What tools that are loaded in this process have kept of the credentials: let go where they can, named where not."""

from __future__ import annotations

import contextlib
import sys
from datetime import datetime, timezone
from typing import Any

_CONTAINER = "container-role"  # botocore's name for credentials that came from the container endpoint
_KEEP_COPIES = {  # module: what people call it; each holds keys where no call of its own makes it let go
    "pyarrow.fs": "pyarrow",
    "deltalake": "deltalake",
    "obstore": "obstore",
    "duckdb": "DuckDB",
    "aiobotocore": "aiobotocore",
}


def let_go() -> None:
    """Have s3fs and polars ask for credentials anew at their next request: another identity has come, or none."""
    for module, forget in (("s3fs", _forget_s3fs), ("polars.io.cloud.credential_provider._builder", _forget_polars)):
        if module in sys.modules:
            with contextlib.suppress(Exception):  # a version whose insides differ keeps what it has
                forget(sys.modules[module])


def that_keep_copies() -> tuple[str, ...]:
    """Names of the tools loaded here that go on with what they have fetched until it expires."""
    return tuple(name for module, name in _KEEP_COPIES.items() if module in sys.modules)


def _forget_s3fs(s3fs: Any) -> None:
    """New file systems are made anew, and those that somebody holds find their credentials expired."""
    for each in list(s3fs.S3FileSystem._cache.values()):  # noqa: SLF001 - fsspec lists its instances nowhere else
        each.invalidate_cache()  # what the person before was shown
        credentials: Any = getattr(getattr(each, "session", None), "_credentials", None)
        if getattr(credentials, "method", None) == _CONTAINER:
            credentials._expiry_time = datetime.fromtimestamp(0, timezone.utc)  # noqa: SLF001 - botocore has no other
    s3fs.S3FileSystem.clear_instance_cache()


def _forget_polars(builder: Any) -> None:
    for each in list((builder.BUILT_PROVIDERS_LRU_CACHE or {}).values()):
        each.clear_cached_credentials()
