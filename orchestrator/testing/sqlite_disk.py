"""A disk under SQLite that is slow, or fails when it is told to.

SQLite reaches its files through a table of functions, a VFS. Here is one that asks first, and then
does what the machine's own does. It needs an SQLite that is a shared library, or exports its names.
"""

from __future__ import annotations

import _sqlite3
import ctypes
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Literal

Access = Literal["write", "sync"]
Hook = Callable[[Access], int]
"""Called before each access; 0 lets it go ahead, another result code of SQLite is what comes of it
instead."""

IOERR_FSYNC = 1034
FULL = 13

_POINTER = ctypes.c_void_p
_METHODS = 18
_OPEN = ctypes.CFUNCTYPE(
    ctypes.c_int, _POINTER, _POINTER, _POINTER, ctypes.c_int, ctypes.POINTER(ctypes.c_int)
)
_WRITE = ctypes.CFUNCTYPE(ctypes.c_int, _POINTER, _POINTER, ctypes.c_int, ctypes.c_int64)
_SYNC = ctypes.CFUNCTYPE(ctypes.c_int, _POINTER, ctypes.c_int)


class _Vfs(ctypes.Structure):
    """``sqlite3_vfs``, as far as version 3 of it goes."""

    _fields_ = (
        ("version", ctypes.c_int),
        ("file_size", ctypes.c_int),
        ("longest_path", ctypes.c_int),
        ("following", _POINTER),
        ("name", ctypes.c_char_p),
        ("data", _POINTER),
        ("open", _OPEN),
        ("others", _POINTER * 15),
    )


class _Methods(ctypes.Structure):
    """``sqlite3_io_methods``: xWrite is the third function, xSync the fifth."""

    _fields_ = (("version", ctypes.c_int), ("functions", _POINTER * _METHODS))


class _File(ctypes.Structure):
    """The part of ``sqlite3_file`` that is the same for all."""

    _fields_ = (("methods", ctypes.POINTER(_Methods)),)


@contextmanager
def disk(hook: Hook) -> Iterator[None]:
    """Let every SQLite database that is opened inside, in this process, ask ``hook`` first.

    It must be closed inside too.

    Raises:
        OSError: If Python's SQLite does not let itself be reached.
    """
    try:
        library = ctypes.CDLL(_sqlite3.__file__)
        find, register, unregister = (
            library.sqlite3_vfs_find,
            library.sqlite3_vfs_register,
            library.sqlite3_vfs_unregister,
        )
    except AttributeError as error:
        message = "Python's SQLite does not export its names here"
        raise OSError(message) from error
    find.restype = _POINTER
    register.argtypes = (_POINTER, ctypes.c_int)
    unregister.argtypes = (_POINTER,)
    own = find(None)
    asking = _Vfs.from_buffer_copy(ctypes.string_at(own, ctypes.sizeof(_Vfs)))
    original = _Vfs.from_address(own)
    kept: list[Any] = []
    wrapped: dict[int, _Methods] = {}

    def open_file(_: int, name: int, file: int, flags: int, out: Any) -> int:  # noqa: ANN401 - a pointer
        code = original.open(own, name, file, flags, out)
        methods = _File.from_address(file).methods
        if methods:
            address = ctypes.addressof(methods.contents)
            if address not in wrapped:
                wrapped[address] = _asking_first(methods.contents, hook, kept)
            _File.from_address(file).methods = ctypes.pointer(wrapped[address])
        return int(code)

    asking.name, asking.open = b"asks-first", _OPEN(open_file)
    register(ctypes.byref(asking), 1)
    try:
        yield
    finally:
        unregister(ctypes.byref(asking))
        register(own, 1)


def _asking_first(methods: _Methods, hook: Hook, kept: list[Any]) -> _Methods:
    """A copy of a file's functions, of which two ask first."""
    copy = _Methods.from_buffer_copy(methods)
    write, sync = _WRITE(methods.functions[2]), _SYNC(methods.functions[4])

    def write_first(file: int, data: int, amount: int, offset: int) -> int:
        return hook("write") or int(write(file, data, amount, offset))

    def sync_first(file: int, flags: int) -> int:
        return hook("sync") or int(sync(file, flags))

    asking = (_WRITE(write_first), _SYNC(sync_first))
    kept += asking
    copy.functions[2], copy.functions[4] = (ctypes.cast(one, _POINTER) for one in asking)
    return copy
