# cython: language_level=3, embedsignature=False
"""The C library as Python handles: conversion, the GIL, errors, lifetimes; nothing else.

What people use (maestro.Session, Cdo, Subscription, Request) are subclasses of these handles in plain Python; only what must be quick
is done here. Declarations and invariants stand in _core.pxd; the parts follow in the order in which they build on each other.
"""
cimport cython
from cpython.bytes cimport PyBytes_FromStringAndSize
from cpython.buffer cimport (
    PyBUF_ANY_CONTIGUOUS, PyBUF_FORMAT, PyBUF_SIMPLE, PyBUF_STRIDED_RO, Py_buffer, PyBuffer_FillInfo, PyBuffer_IsContiguous,
    PyBuffer_Release, PyObject_GetBuffer,
)
from cpython.dict cimport PyDict_Next
from cpython.exc cimport PyErr_CheckSignals
from cpython.object cimport PyObject
from libc.stdint cimport int64_t, uint32_t
from libc.stdio cimport snprintf
from libc.math cimport NAN
from libc.stdlib cimport free, malloc, realloc
from libc.string cimport memcpy, strlen
from posix.time cimport CLOCK_MONOTONIC, clock_gettime, timespec

from maestro._c cimport *

import json
import numbers
import weakref
from datetime import date, datetime, timedelta, timezone

import numpy as np

include "_status.pxi"
include "_values.pxi"
include "_session.pxi"
include "_cdo.pxi"
include "_pin.pxi"
include "_request.pxi"
include "_subscription.pxi"
include "_columns.pxi"
include "_index.pxi"
include "_layout.pxi"
