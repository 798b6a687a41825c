# An object's handle, and the memory that views of it hold on to.

cdef maestro_status_t call_offer(call_t *call, double timeout_s) noexcept nogil:
    return maestro_cdo_offer(<maestro_cdo_t *>call.handle)  # bounded by the session's timeout

cdef maestro_status_t call_wait(call_t *call, double timeout_s) noexcept nogil:
    return maestro_cdo_wait(<maestro_cdo_t *>call.handle, timeout_s)

cdef maestro_status_t call_wanted(call_t *call, double timeout_s) noexcept nogil:
    return maestro_cdo_wanted(<maestro_cdo_t *>call.handle, timeout_s, <stdbool *>call.bytes)

cdef maestro_status_t call_part_start(call_t *call, double timeout_s) noexcept nogil:
    return maestro_cdo_part_start(<maestro_cdo_t *>call.handle, <uint32_t>call.capacity, call.seconds, <maestro_request_t **>call.bytes)

cdef maestro_status_t call_cdo_withdraw_start(call_t *call, double timeout_s) noexcept nogil:
    return maestro_cdo_withdraw_start(<maestro_cdo_t *>call.handle, <maestro_when_t>call.when, call.seconds,
                                      <maestro_request_t **>call.bytes)

cdef maestro_status_t call_alloc(call_t *call, double timeout_s) noexcept nogil:
    return maestro_cdo_alloc(<maestro_cdo_t *>call.handle, call.capacity, MAESTRO_TIER_DEFAULT, &call.bytes)


cdef extern from *:
    """
    static PyObject *new_instance(PyObject *type, PyObject *arguments) {
        return ((PyTypeObject *)type)->tp_new((PyTypeObject *)type, arguments, NULL);
    }
    """
    object new_instance(object type, object arguments)


cdef CdoHandle new_cdo(SessionHandle session, maestro_cdo_t *c):
    """An object of the public class around a C handle, without running Python code: this is the quick way."""
    cdef CdoHandle cdo = <CdoHandle>new_instance(cdo_class, no_arguments)
    cdo.session = session
    cdo.c = c
    return cdo


# no_gc: views refer to objects, objects to their session and to weak references, so no cycle is possible.
@cython.no_gc
cdef class Memory:
    """The bytes of an object as a buffer: read-only, or writable until the offer.  While it lives, so does the lease."""

    def __cinit__(self, CdoHandle owner):
        self.owner = owner
        owner.views += 1
        owner.session.uses += 1

    def __dealloc__(self):
        self.owner.view_ends()

    def __getbuffer__(self, Py_buffer *buffer, int flags):
        PyBuffer_FillInfo(buffer, self, self.bytes, self.nbytes, not self.owner.writable, flags)


cdef char no_bytes[1]  # where the memory of objects without data begins


@cython.no_gc
@cython.freelist(64)
cdef class CdoHandle:
    def __dealloc__(self):
        if self.c != NULL:
            maestro_cdo_dispose(self.c)

    cdef int drop(self) noexcept:
        """Ends the C handle, and the lease with it; the status."""
        cdef maestro_cdo_t *c = self.c
        self.c = NULL
        return maestro_cdo_reject(c) if self.rejected else maestro_cdo_dispose(c)

    cdef int end(self) except -1:
        self.use("dispose")
        self.ended = True
        if self.views == 0 and self.drop() == MAESTRO_CORRUPT:
            check(MAESTRO_CORRUPT)
        return 0

    cdef void view_ends(self) noexcept:
        self.views -= 1
        if self.ended and self.views == 0:
            self.drop()
        self.session.let_go()

    cdef maestro_cdo_t *use(self, str operation) except NULL:
        if self.c == NULL or self.ended:
            raise own_failure(MAESTRO_WRONG_STATE, f"{operation}: the object has been disposed")
        if self.busy:
            raise own_failure(MAESTRO_WRONG_STATE, f"{operation}: another thread is using this object; one thread at a time, please")
        return self.c

    def dispose(self):
        """
        Give up the handle: a lease ends, an object that was not offered is freed, an offered one stays in the pool.

        Views of its bytes stay valid; the lease then ends with the last of them.

        Raises
        ------
        StateError
            The object has been disposed already.
        """
        self.end()

    def reject(self):
        """
        Give up the handle without acknowledging: the consumer group that the object came from gives it to another member.

        Leaving a ``with`` block by an exception does the same.  An object that came from no group is disposed of, and
        this reading does not count (``maestro.demands``).

        Raises
        ------
        StateError
            The object has been disposed already.
        """
        self.use("reject")
        self.rejected = True
        self.end()

    @property
    def disposed(self):
        """Whether `dispose` was called."""
        return self.ended

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        if not self.ended:
            self.rejected = kind is not None
            self.end()

    # ---- Attributes
    cdef int set_all(self, dict attributes) except -1:
        cdef maestro_cdo_t *c = self.use("set an attribute")
        cdef PyObject *key
        cdef PyObject *value
        cdef Py_ssize_t position = 0
        while PyDict_Next(attributes, &position, &key, &value):
            name, content = <object>key, <object>value  # kept, for a value's own methods may run
            set_value(c, name, content)
        return 0

    def __setitem__(self, key, value):
        set_value(self.use("set an attribute"), key, value)

    def __delitem__(self, str key):
        check(maestro_cdo_unset(self.use("unset an attribute"), utf8(key, "attribute")))

    def __getitem__(self, str key):
        return get_by_name(self.use("get an attribute"), key, self.session.types)

    def __contains__(self, str key):
        return maestro_cdo_has(self.use("has"), utf8(key, "attribute"))

    def _nanoseconds(self, str key):
        """A timestamp as C has it, to be kept without loss."""
        cdef int64_t moment
        check(maestro_cdo_get_timestamp(self.use("get an attribute"), utf8(key, "attribute"), &moment))
        return moment

    @property
    def attributes(self):
        """All attributes that are set, as a new dict in the schema's order."""
        cdef maestro_cdo_t *c = self.use("attributes")
        cdef uint32_t cursor = 0
        cdef const char *key
        cdef maestro_type_t kind
        cdef list keys = [], values = []
        while check(maestro_cdo_next_attribute(c, &cursor, &key, &kind)) == MAESTRO_OK:
            check(get_value(c, key, kind, values))
            keys.append(key.decode())
        return dict(zip(keys, values))

    @property
    def id(self):
        """The object's number in the pool; 0 before the offer."""
        return maestro_cdo_id(self.use("id"))

    def _describe(self):
        return "disposed" if self.ended or self.c == NULL else describe(self.c)

    # ---- Bytes
    cdef Memory memory(self):
        cdef const void *bytes
        cdef size_t nbytes
        cdef maestro_cdo_t *c = self.use("data")
        cdef Memory memory
        self.session.use("data")
        check(maestro_cdo_data(c, &bytes, &nbytes))
        memory = Memory.__new__(Memory, self)
        memory.bytes = no_bytes if bytes == NULL else <void *>bytes
        memory.nbytes = nbytes
        return memory

    def _memory(self):
        return self.memory()

    def __getbuffer__(self, Py_buffer *buffer, int flags):
        """Plain bytes to whoever takes nothing else; with element type and shape to whoever asks for these, as numpy does."""
        cdef maestro_cdo_t *c = self.use("data")
        cdef const void *bytes
        cdef size_t nbytes
        self.session.use("data")
        if flags & PyBUF_FORMAT and maestro_cdo_has(c, b"maestro.dtype"):
            PyObject_GetBuffer(self.array(), buffer, flags)
            return
        check(maestro_cdo_data(c, &bytes, &nbytes))
        PyBuffer_FillInfo(buffer, self, no_bytes if bytes == NULL else <void *>bytes, nbytes, not self.writable, flags)
        self.views += 1
        self.session.uses += 1

    def __releasebuffer__(self, Py_buffer *buffer):
        self.view_ends()

    def __bytes__(self):
        """A copy of the bytes, in the order in which they lie in memory."""
        cdef Memory memory = self.memory()
        return PyBytes_FromStringAndSize(<const char *>memory.bytes, memory.nbytes)

    @property
    def nbytes(self):
        """Size of the data in bytes; 0 for an object without data."""
        cdef const void *bytes
        cdef size_t nbytes
        check(maestro_cdo_data(self.use("data"), &bytes, &nbytes))
        return nbytes

    @property
    def numa_node(self):
        """The NUMA node on which most of the data lies; None where that is not known (no data, not yet written, a sandbox)."""
        cdef int node = maestro_cdo_numa_node(self.use("numa_node"))
        return None if node < 0 else node

    def _alloc(self, size_t nbytes):
        """Pool memory, writable until the offer."""
        cdef call_t call
        call.handle = self.use("allocate")
        call.capacity = nbytes
        self.busy = True
        try:
            check(self.session.wait(call_alloc, &call, self.session.timeout, False))
        finally:
            self.busy = False
        self.writable = True
        return self.memory()

    def fill(self, object data, size_t offset=0):
        """
        Copy contiguous data into the memory that `empty` gave, in the quickest way of this machine; the GIL is let go of.

        Parameters
        ----------
        data : buffer
            bytes, an array, a memoryview: anything contiguous.  Its bytes are taken in the order in which they lie in memory.
        offset : int
            Where in the object to begin, in bytes.

        Raises
        ------
        StateError
            `empty` was not called before, or the object was offered.
        TooLargeError
            The data reaches beyond the object's end.

        Examples
        --------
        >>> with maestro.Session() as s, s.cdo(name="message") as cdo:
        ...     room = cdo.empty(8)
        ...     cdo.fill(b"GRIB")
        ...     cdo.fill(b"7777", offset=4)
        ...     cdo.offer()
        """
        cdef Py_buffer view
        cdef maestro_cdo_t *c
        cdef int status
        PyObject_GetBuffer(data, &view, PyBUF_ANY_CONTIGUOUS)
        try:
            c = self.use("fill")
            self.busy = True
            self.session.uses += 1
            with nogil:
                status = maestro_cdo_fill(c, offset, view.buf, view.len)
            self.session.let_go()
            self.busy = False
        finally:
            PyBuffer_Release(&view)
        check(status)

    def _remember(self, array):
        """At the offer this array turns read-only."""
        if self.arrays is None:
            self.arrays = []
        self.arrays.append(weakref.ref(array))

    # ---- Offer
    def seal(self):
        """
        End the setting of attributes and check that the required ones are there.  `offer` seals by itself.

        Raises
        ------
        MissingAttributeError
            A required attribute is missing.
        """
        check(maestro_cdo_seal(self.use("seal")))

    def wanted(self, timeout=None):
        """
        Whether anybody needs this object, as its attributes are now, before it is filled and offered.

        A subscription, a demand that waits or a declared need (`Session.require`) selects it.  What selects by attributes that come with
        the data (maestro.dtype, maestro.shape, ...) counts as selecting it.  Only a session's first question waits for the manager.

        Parameters
        ----------
        timeout : float, optional
            Seconds for that; default is the session's timeout.

        Raises
        ------
        MissingAttributeError
            A required attribute is missing.
        StateError
            The object was offered, or came from the pool.
        """
        cdef call_t call
        cdef stdbool wanted = False
        call.handle = self.use("ask whether an object is wanted")
        call.bytes = &wanted
        check(self.session.wait(call_wanted, &call, self.session.seconds(timeout), False))
        return bool(wanted)

    cdef int give(self) except -1:
        """The offer; what was writable no longer is."""
        cdef maestro_cdo_t *c = self.use("offer")
        cdef call_t call
        cdef int status
        self.busy = True
        self.session.uses += 1
        with nogil:
            status = maestro_cdo_offer(c)
        self.session.let_go()
        self.busy = False
        if status == MAESTRO_INTERRUPTED:
            call.handle = c
            self.busy = True
            try:
                PyErr_CheckSignals()
                status = self.session.wait(call_offer, &call, self.session.timeout, False)
            finally:
                self.busy = False
        check(status)
        self.writable = False
        if self.arrays is not None:
            for reference in self.arrays:
                array = reference()
                if array is not None:
                    array.setflags(write=False)
            self.arrays = None
        return 0

    cdef int wrap_and_give(self, object data) except -1:
        """Offers application memory: one copy.  What is not contiguous is copied into pool memory element by element."""
        cdef Py_buffer view
        cdef maestro_cdo_t *c = self.use("offer")
        PyObject_GetBuffer(data, &view, PyBUF_STRIDED_RO)
        try:
            if not PyBuffer_IsContiguous(&view, b"A"):
                data = np.asarray(data)
                self.empty(data.shape, data.dtype)[...] = data
            else:
                if isinstance(data, ndarray):
                    set_layout(c, &view, data)
                check(maestro_cdo_wrap(c, view.buf, view.len))
            self.give()
        finally:
            PyBuffer_Release(&view)
        return 0

    def _offer(self, wait, timeout):
        self.give()
        if wait:
            self.wait(timeout)

    def wait(self, timeout=None):
        """
        Wait until the manager has taken or refused this object's offer.

        Parameters
        ----------
        timeout : float, optional
            Seconds; default is the session's timeout.

        Raises
        ------
        MaestroError
            What refused the offer: DuplicateError, MemoryError, TimeoutError, ...
        """
        cdef call_t call
        call.handle = self.use("wait for an offer")
        self.busy = True
        try:
            check(self.session.wait(call_wait, &call, self.session.seconds(timeout), True))
        finally:
            self.busy = False

    def _part_start(self, uint32_t number, timeout):
        cdef RequestHandle request = new_request(self.session, None, self.session.seconds(timeout))
        cdef call_t call
        call.handle = self.use("part")
        call.capacity = number
        call.seconds = self.session.seconds(timeout)
        call.bytes = &request.c
        self.session.begin(call_part_start, &call)
        return request

    def _withdraw_start(self, int when, timeout):
        cdef RequestHandle request = new_request(self.session, self, self.session.seconds(timeout))
        cdef call_t call
        call.handle = self.use("withdraw")
        call.when = when
        call.seconds = self.session.seconds(timeout)
        call.bytes = &request.c
        self.session.begin(call_cdo_withdraw_start, &call)
        return request


cdef int set_layout(maestro_cdo_t *c, Py_buffer *view, object array) except -1000:
    """dtype, shape and order as attributes: "<f8", "181,360", and "F" where that differs from C."""
    cdef char shape[32 * 24]
    cdef int used = 0, dimension
    shape[0] = 0
    for dimension in range(view.ndim):
        used += snprintf(shape + used, sizeof(shape) - used, b"%s%zd", b"," if dimension else b"", view.shape[dimension])
    check(maestro_cdo_set_str(c, "maestro.dtype", utf8(dtype_text(array), "dtype")))
    check(maestro_cdo_set_str(c, "maestro.shape", shape))
    if view.ndim > 1 and not PyBuffer_IsContiguous(view, b"C"):
        check(maestro_cdo_set_str(c, "maestro.order", "F"))
    return 0


cpdef str dtype_text(object array):
    """The dtype as text, for arrays that such a text describes fully."""
    dtype = array.dtype
    if dtype.hasobject or dtype.names is not None:
        raise own_failure(MAESTRO_WRONG_TYPE, f"offer: an array of dtype {dtype} cannot be described to others; "
                                              "offer its bytes or its fields")
    if type(array) is not ndarray and isinstance(array, np.ma.MaskedArray):
        raise own_failure(MAESTRO_WRONG_TYPE, "offer: a masked array would lose its mask; offer array.filled(value)")
    return dtype.str
