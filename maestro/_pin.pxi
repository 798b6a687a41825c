# A pin's handle: what was bound where, and its undoing.

@cython.no_gc
cdef class PinHandle:
    def __dealloc__(self):
        maestro_pin_dispose(self.c)

    def _bind(self, CdoHandle cdo, int64_t pid, int64_t rank, int64_t nranks, bint dry_run):
        """Choose cores, bind, and tell what was done."""
        cdef maestro_pin_options_t options
        cdef maestro_cdo_t *c = cdo.use("pin")
        cdef int status
        maestro_pin_options_init(&options)
        options.pid = pid
        options.rank = rank
        options.nranks = nranks
        options.dry_run = dry_run
        cdo.busy = True
        try:
            with nogil:
                status = maestro_pin_to_cdo(c, &options, &self.c)
        finally:
            cdo.busy = False
        check(status)
        return json.loads(maestro_pin_describe(self.c).decode())

    def undo(self):
        """
        Give the threads back the cores that they had before; doing so again does nothing.

        Any thread may do it, in any order of pins.  Threads that a pinned process has started since get what its first thread gets.

        Raises
        ------
        ForkedError
            This is a child of the process that pinned; nothing is undone.
        SystemError
            The operating system refused; the threads stay bound.
        """
        cdef maestro_pin_t *c = self.c
        self.c = NULL
        check(maestro_unpin(c))
