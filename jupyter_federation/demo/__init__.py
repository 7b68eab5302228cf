"""An embedded identity provider and an embedded AWS: what `jupyter federation demo` starts, and what the tests use.

A leaf: nothing else of the package imports it, and it needs the extra ``demo``.
"""
