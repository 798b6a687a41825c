# cython: language_level=3, embedsignature=False
"""The collective operations as Python handles: conversion, the GIL, errors, lifetimes; nothing else.

libmaestro_mpi is built once for each MPI family, and which one a process needs shows when its first communicator comes.  So nothing is
linked here: `load` opens one of them, and every maestro_ function below is a pointer into it.
Invariant: without a communicator, and so without `load`, nothing here is called.
"""
cimport cython
cimport numpy as cnp
from cpython.buffer cimport PyBuffer_FillInfo
from cpython.exc cimport PyErr_CheckSignals
from cpython.ref cimport Py_DECREF, Py_INCREF
from libc.stdint cimport int64_t, uintptr_t
from libc.stdlib cimport calloc, free
from posix.time cimport CLOCK_MONOTONIC, clock_gettime, timespec
from posix.unistd cimport getpid

from maestro._c cimport *
from maestro._core cimport LayoutHandle, check, own_failure, take_json

import numpy as np

cnp.import_array()

cdef extern from "maestro.h":
    enum:
        MAESTRO_DIMENSIONS_MAX
        MAESTRO_OK, MAESTRO_IN_PROGRESS, MAESTRO_INVALID_ARGUMENT, MAESTRO_TIMEOUT, MAESTRO_CLOSED, MAESTRO_WRONG_STATE, MAESTRO_SYSTEM

cdef extern from "<pthread.h>" nogil:
    ctypedef struct pthread_mutex_t:
        pass
    int pthread_mutex_lock(pthread_mutex_t *mutex)
    int pthread_mutex_unlock(pthread_mutex_t *mutex)

cdef extern from *:
    """
    #include <dlfcn.h>
    #include "maestro.h"
    #define COLLECTIVE(X) \\
        X(redistribute) X(halo) X(relabel) X(alloc) X(dealloc) X(comm_split) \\
        X(plan_options_init) X(plan_start_on) X(plan_wait) X(plan_test) X(plan_explain) X(plan_destroy)
    #define POINTER(name) __typeof__(maestro_##name) *name;
    #define RESOLVE(name) \\
        if (!(*(void **)&collective.name = dlsym(library, "maestro_" #name))) return dlerror();

    static struct { COLLECTIVE(POINTER) } collective;

    static const char *load_collective(const char *path) {
        void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
        if (!library) return dlerror();
        COLLECTIVE(RESOLVE)
        return NULL;
    }

    static int driver_is_loaded(void) {
        void *library = dlopen("libcuda.so.1", RTLD_LAZY | RTLD_NOLOAD);
        if (library) dlclose(library);
        return library != NULL;
    }

    #define maestro_redistribute collective.redistribute
    #define maestro_halo collective.halo
    #define maestro_relabel collective.relabel
    #define maestro_alloc collective.alloc
    #define maestro_dealloc collective.dealloc
    #define maestro_comm_split collective.comm_split
    #define maestro_plan_options_init collective.plan_options_init
    #define maestro_plan_start_on collective.plan_start_on
    #define maestro_plan_wait collective.plan_wait
    #define maestro_plan_test collective.plan_test
    #define maestro_plan_explain collective.plan_explain
    #define maestro_plan_destroy collective.plan_destroy
    """
    const char *load_collective(const char *path)
    bint driver_is_loaded()  # CUDA's, which the making of a plan loads where it is installed

cdef str loaded = None


def load(str path):
    """Open libmaestro_mpi; again: nothing."""
    global loaded
    cdef const char *error
    if loaded is None:
        error = load_collective(path.encode())
        if error != NULL:
            raise own_failure(MAESTRO_SYSTEM, f"load {path}: {error.decode('utf-8', 'replace')}")
        loaded = path


# ---- Memory
@cython.no_gc
cdef class Memory:
    """Zeros from maestro_alloc, as a buffer; given back when the last view has gone."""
    cdef void *bytes
    cdef Py_ssize_t nbytes
    cdef int pid

    def __cinit__(self, Py_ssize_t nbytes):
        cdef int status
        with nogil:
            status = maestro_alloc(nbytes, &self.bytes)
        check(status)
        self.nbytes = nbytes
        self.pid = getpid()

    def __dealloc__(self):
        if self.bytes != NULL and self.pid == getpid():  # in a forked child the parent's pages, and its lock, are left alone
            maestro_dealloc(self.bytes)

    def __getbuffer__(self, Py_buffer *buffer, int flags):
        PyBuffer_FillInfo(buffer, self, self.bytes, self.nbytes, False, flags)


# ---- Names
def split(int comm, list encoded):
    """The communicators' handles, one for each name."""
    cdef Py_ssize_t n = len(encoded), i
    cdef const char **c_names = <const char **>calloc(n + 1, sizeof(char *))
    cdef maestro_comm_t *comms = <maestro_comm_t *>calloc(n + 1, sizeof(maestro_comm_t))
    cdef int status
    try:
        if c_names == NULL or comms == NULL:
            raise MemoryError
        for i in range(n):
            c_names[i] = encoded[i]
        with nogil:
            status = maestro_comm_split(comm, n, c_names, comms)
        check(status)
        return [comms[i] for i in range(n)]
    finally:
        free(c_names)
        free(comms)


def refuse_split(int comm):
    """Make what this rank alone has found wrong wrong for C too, which tells all ranks; collective."""
    with nogil:
        maestro_comm_split(comm, 1, NULL, NULL)


include "_plan.pxi"
