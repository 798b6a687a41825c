# A plan's handle: how it is made, and its uses.  Fields come as arrays, of numpy or by the CUDA array interface; what they must look like
# is taken from the layouts once.
#
# Invariant: the arrays of a use are held until it is done, and for good where it was not: MPI may still write to them.  `held` has a
# reference of its own meanwhile, or the collector would empty it with a plan that is garbage.

cdef double SLICE_S = 0.1  # signals are served at its end, and other threads' plans
cdef pthread_mutex_t plans_lock  # all zero, as it begins; a wait moves all plans on, so they are used by one thread at a time


cdef void lock_plans() noexcept nogil:
    pthread_mutex_lock(&plans_lock)


cdef void unlock_plans() noexcept nogil:
    pthread_mutex_unlock(&plans_lock)


# A part's array: what numpy must say of it.  Not there: this rank has no part.
cdef struct part_t:
    bint there
    int ndims
    int64_t nelements
    int64_t shape[7]
    int64_t stride[7]


class HostView:
    """What `numpy.asarray` takes."""
    def __init__(self, interface):
        self.__array_interface__ = interface


cdef object bad_argument(str text):
    return own_failure(MAESTRO_INVALID_ARGUMENT, text)


cdef double monotonic() noexcept nogil:
    cdef timespec now
    clock_gettime(CLOCK_MONOTONIC, &now)
    return now.tv_sec + now.tv_nsec * 1e-9


# ---- Making
cdef int take_part(part_t *part, LayoutHandle layout, int64_t number) except -1:
    cdef maestro_local_t local
    cdef int d
    part.there = layout is not None
    if not part.there:
        return 0
    layout.describe(number, &local)
    part.ndims, part.nelements = local.ndims, local.nelements
    for d in range(local.ndims):
        part.shape[d], part.stride[d] = local.shape[d], local.stride[d]
    return 0


cdef int take_options(maestro_plan_options_t *options, size_t max_fields, dict given) except -1:
    maestro_plan_options_init(options)
    options.max_fields = max_fields
    for name, value in given.items():
        if name == "method":
            options.method = value
        elif name == "partial":
            options.partial = value
        elif name == "from_part":
            options.from_part = value
        elif name == "to_part":
            options.to_part = value
        else:
            options.periodic = value  # MAESTRO_DIMENSIONS_MAX values
    return 0


cdef maestro_field_t *new_fields(list fields) except NULL:
    """The caller frees them."""
    cdef maestro_field_t *c_fields = <maestro_field_t *>calloc(len(fields), sizeof(maestro_field_t))
    cdef Py_ssize_t f
    if c_fields == NULL:
        raise MemoryError
    for f, (from_, to, scale, conjugate) in enumerate(fields):
        c_fields[f].from_, c_fields[f].to = from_, to
        c_fields[f].scale, c_fields[f].scale_imaginary, c_fields[f].conjugate = scale.real, scale.imag, conjugate
    return c_fields


def relabel(LayoutHandle source, LayoutHandle target, int comm, from_part):
    """The part of the target's layout that this rank should take."""
    cdef maestro_plan_options_t options
    cdef maestro_layout_t *from_ = NULL if source is None else source.c  # NULL is refused on all ranks
    cdef maestro_layout_t *to = NULL if target is None else target.c
    cdef int64_t part
    cdef int status
    take_options(&options, 1, {} if from_part is None else {"from_part": from_part})
    with nogil:
        status = maestro_relabel(from_, to, comm, &options, &part)
    check(status)
    return part


@cython.no_gc_clear  # what `held` says must be seen at the end
cdef class PlanHandle:
    cdef maestro_plan_t *c          # NULL: closed
    cdef part_t source, target
    cdef list source_types, target_types    # numpy.dtype of each field
    cdef Py_ssize_t max_fields
    cdef const void **from_
    cdef void **to
    cdef list held                  # arrays, which live for the use under way; None between uses
    cdef set streams                # that arrays on a device name
    cdef bint is_halo, busy
    cdef int pid
    cdef readonly double timeout

    def __dealloc__(self):
        # A plan under way stays, and so do its arrays: its end would be a wait for other ranks.
        if self.held is None and self.c != NULL and self.pid == getpid():
            with nogil:
                lock_plans()
                maestro_plan_destroy(self.c)
                unlock_plans()
        free(self.from_)
        free(self.to)

    # ---- Making
    def _make(self, LayoutHandle source, LayoutHandle target, int comm, list types, list fields, parts, dict options, double timeout):
        """
        Make the plan; a halo without `target`, and where `parts` has one.

        `types` are of each field the dtypes of source and target; `fields` of each the elements of both, scale and conjugate, None where
        all are moved as they are and alike; `parts` are the numbers of this rank's parts.
        """
        cdef maestro_plan_options_t c_options
        cdef maestro_field_t *c_fields = NULL
        cdef maestro_layout_t *from_ = NULL if source is None else source.c
        cdef maestro_layout_t *to = NULL if target is None else target.c
        cdef int element = types[0][0].itemsize if fields is None else fields[0][0]
        cdef int status
        self.is_halo, self.timeout, self.pid = len(parts) == 1, timeout, getpid()
        if self.held is None:
            self.take_types(types)
        take_options(&c_options, len(types), options)
        if self.held is not None:
            c_options.try_from, c_options.try_to = self.from_, self.to
        if fields is not None:
            c_fields = new_fields(fields)
        c_options.fields = c_fields
        with nogil:
            lock_plans()
            if self.is_halo:
                status = maestro_halo(from_, element, comm, &c_options, &self.c)
            else:
                status = maestro_redistribute(from_, to, element, comm, &c_options, &self.c)
            unlock_plans()
        free(c_fields)
        if status == MAESTRO_SYSTEM or status == MAESTRO_TIMEOUT:
            self.held = None
        elif self.held is not None:
            self.release()
        check(status)
        self.take_parts(source, target, parts)

    def _hold_tries(self, LayoutHandle source, LayoutHandle target, list types, parts, sources, targets):
        """What a trial moves, of all fields, before `_make` with the same arguments; None: this rank gives none."""
        cdef Py_ssize_t n
        if sources is None and targets is None:
            return
        self.is_halo = len(parts) == 1
        self.take_types(types)
        self.take_parts(source, target, parts)
        n = count_fields("make a plan", sources, targets)
        if n != self.max_fields:
            raise bad_argument(f"make a plan: {n} fields to try; the plan is for {self.max_fields}, give as many")
        self.hold("make a plan", n, sources, targets)

    cdef int take_parts(self, LayoutHandle source, LayoutHandle target, parts) except -1:
        take_part(&self.source, None if self.is_halo else source, parts[0])
        take_part(&self.target, source if self.is_halo else target, parts[-1])
        return 0

    def _refuse(self, int comm, bint is_halo):
        """Make what this rank alone has found wrong wrong for C too, which tells all ranks; collective."""
        cdef maestro_plan_options_t options
        maestro_plan_options_init(&options)
        options.size = 0
        with nogil:
            if is_halo:
                maestro_halo(NULL, 1, comm, &options, &self.c)
            else:
                maestro_redistribute(NULL, NULL, 1, comm, &options, &self.c)

    cdef int take_types(self, list types) except -1:
        self.max_fields = len(types)
        self.source_types, self.target_types = [one for one, _ in types], [one for _, one in types]
        self.from_ = <const void **>calloc(self.max_fields, sizeof(void *))
        self.to = <void **>calloc(self.max_fields, sizeof(void *))
        if self.from_ == NULL or self.to == NULL:
            raise MemoryError
        return 0

    # ---- Arrays
    cdef void *address(self, str operation, object array, bint is_target, Py_ssize_t f) except? NULL:
        """Where a field's memory begins; refuses what does not fit the part."""
        cdef part_t *part = &self.target if is_target else &self.source
        cdef object dtype = self.target_types[f] if is_target else self.source_types[f]
        if array is None:
            if part.there and part.nelements:
                raise self.misfit(is_target, f, "it is None, and this rank has a part")
            return NULL
        if not part.there:
            raise self.misfit(is_target, f, "there is an array, and this rank has no part; give None")
        self.held.append(array)
        if not isinstance(array, cnp.ndarray):
            array = self.seen_from_host(operation, array, is_target, f)
        self.check_array(<cnp.ndarray>array, part, dtype, is_target, f)
        return cnp.PyArray_DATA(<cnp.ndarray>array)

    cdef int check_array(self, cnp.ndarray array, part_t *part, object dtype, bint is_target, Py_ssize_t f) except -1:
        cdef int d
        cdef Py_ssize_t nbytes = dtype.itemsize
        if array.dtype is not dtype and array.dtype != dtype:
            raise self.misfit(is_target, f, f"its dtype is {array.dtype}")
        if cnp.PyArray_NDIM(array) != part.ndims:
            raise self.misfit(is_target, f, f"its shape is {np.shape(array)}")
        for d in range(part.ndims):
            if cnp.PyArray_DIM(array, d) != part.shape[d]:
                raise self.misfit(is_target, f, f"its shape is {np.shape(array)}")
        for d in range(part.ndims):
            if part.nelements and part.shape[d] > 1 and cnp.PyArray_STRIDE(array, d) != part.stride[d] * nbytes:
                raise self.misfit(is_target, f, f"its strides are {(<object>array).strides}")
        if is_target and not cnp.PyArray_ISWRITEABLE(array):
            raise self.misfit(is_target, f, "it is read-only")
        return 0

    cdef object misfit(self, bint is_target, Py_ssize_t f, str found):
        """The exception for an array that is not as the layout says, with what it should be."""
        cdef part_t *part = &self.target if is_target else &self.source
        cdef int d
        side = "halo" if self.is_halo else "redistribution"
        which = "" if self.is_halo else " of the target" if is_target else " of the source"
        if not part.there:
            return bad_argument(f"{side}: field {f}{which}: {found}")
        dtype = self.target_types[f] if is_target else self.source_types[f]
        shape = tuple([part.shape[d] for d in range(part.ndims)])
        strides = tuple([part.stride[d] * dtype.itemsize for d in range(part.ndims)])
        wanted = f"this rank's part has shape {shape} with its ghost cells, dtype {dtype} and strides {strides}"
        return bad_argument(f"{side}: field {f}{which}: {found}; {wanted} (maestro.empty makes such arrays)")

    cdef object seen_from_host(self, str operation, object array, bint is_target, Py_ssize_t f):
        """An array on a device as numpy sees it, which must not look at its elements."""
        said = getattr(array, "__cuda_array_interface__", None)
        if said is None:
            found = f"it is a {type(array).__name__}; give an array of numpy, or one with __cuda_array_interface__"
            raise self.misfit(is_target, f, found)
        if not driver_is_loaded():
            what = f"{operation}: field {f} is an array on a device, and this process has no CUDA driver, libcuda.so.1"
            raise own_failure(MAESTRO_SYSTEM, f"{what}; give a copy in host memory")
        if said.get("stream") is not None:
            self.streams.add(said["stream"])
        return np.asarray(HostView({"version": 3, **{name: said.get(name) for name in ("shape", "typestr", "data", "strides")}}))

    # ---- Use
    cdef int use(self, str operation) except -1:
        if self.c == NULL:
            raise own_failure(MAESTRO_CLOSED, f"{operation}: the plan was closed")
        if self.busy:
            raise own_failure(MAESTRO_WRONG_STATE, f"{operation}: another thread uses this plan; one thread at a time, please")
        return 0

    def _begin(self, sources, targets, stream):
        """Start with sequences of arrays, one for each field; None stands for as many None as the other side has."""
        cdef Py_ssize_t n
        cdef uintptr_t c_stream
        cdef int status
        self.use("start")
        if self.held is not None:
            raise own_failure(MAESTRO_WRONG_STATE, "start: it has been started already; wait for it first")
        n = count_fields("start", sources, targets)
        if not 1 <= n <= self.max_fields:
            raise bad_argument(f"start: {n} fields; the plan was made for 1 to {self.max_fields}")
        self.hold("start", n, sources, targets)
        try:
            c_stream = stream_number(stream, self.streams)
        except BaseException:
            self.release()
            raise
        self.busy = True
        with nogil:
            lock_plans()
            status = maestro_plan_start_on(self.c, <void *>c_stream, n, self.from_, self.to)
            unlock_plans()
        self.busy = False
        if status == MAESTRO_WRONG_STATE or status == MAESTRO_INVALID_ARGUMENT:  # nothing has begun
            self.release()
            check(status)
        if status != MAESTRO_OK:
            self.settle(status)

    cdef int hold(self, str operation, Py_ssize_t n, sources, targets) except -1:
        """Checks and keeps n fields; the caller releases them."""
        cdef Py_ssize_t f
        self.held, self.streams = [], set()
        Py_INCREF(self.held)
        try:
            for f in range(n):
                self.from_[f] = NULL if self.is_halo else self.address(operation, None if sources is None else sources[f], False, f)
                self.to[f] = self.address(operation, None if targets is None else targets[f], True, f)
            self.check_apart(operation, n)
        except BaseException:
            self.release()
            raise
        return 0

    cdef int release(self) except -1:
        Py_DECREF(self.held)
        self.held = None
        return 0

    cdef int check_apart(self, str operation, Py_ssize_t n) except -1:
        """No target shares memory with a source or another target."""
        cdef Py_ssize_t f, g
        cdef Py_ssize_t target_nbytes
        for f in range(n):
            target_nbytes = self.nbytes(True, f)
            for g in range(n):
                if not self.is_halo and overlap(self.to[f], target_nbytes, self.from_[g], self.nbytes(False, g)):
                    raise bad_argument(f"{operation}: field {f} of the target shares memory with field {g} of the source; give it its own")
                if g > f and overlap(self.to[f], target_nbytes, self.to[g], self.nbytes(True, g)):
                    raise bad_argument(f"{operation}: fields {f} and {g} of the target share memory; give each its own")
        return 0

    cdef Py_ssize_t nbytes(self, bint is_target, Py_ssize_t f) except -1:
        cdef object dtype = self.target_types[f] if is_target else self.source_types[f]
        return (self.target.nelements if is_target else self.source.nelements) * <Py_ssize_t>dtype.itemsize

    cdef int settle(self, int status) except -1:
        """What was started is done, or has failed: then MPI may still read and write, and the arrays live on."""
        if status != MAESTRO_OK:
            self.held = None
            check(status)
        return self.release()

    def wait(self, timeout=None):
        """
        Wait until the targets are complete and the sources may be written.

        Local, as long as the other ranks start too.  The GIL is free meanwhile, and signals are served.

        Parameters
        ----------
        timeout : float, optional
            Seconds; default, and what a negative one means, is that of the environment, ``MAESTRO_TIMEOUT_S``, or 60.

        Raises
        ------
        TimeoutError
            Other ranks have not come so far.  The use goes on; wait again.
        StateError
            It was not started.
        MaestroError
            The use has failed, and the plan with it.
        """
        cdef double bound = self.timeout if timeout is None or timeout < 0 else timeout
        cdef int status
        self.use("wait")
        if self.held is None:
            raise own_failure(MAESTRO_WRONG_STATE, "wait: the plan has not been started")
        self.busy = True
        try:
            status = self.wait_in_slices(bound)
        finally:
            self.busy = False
        if status == MAESTRO_TIMEOUT:
            what = f"wait: not done after {bound:g} s, for other ranks have not come so far"
            raise own_failure(MAESTRO_TIMEOUT, f"{what}; wait again, or longer (MAESTRO_TIMEOUT_S)")
        self.settle(status)

    cdef int wait_in_slices(self, double bound) except? -1:
        """The status of the wait; signals are served after each slice."""
        cdef double end = monotonic() + bound
        cdef double left = bound
        cdef int status
        while True:
            with nogil:
                lock_plans()
                status = maestro_plan_wait(self.c, min(left, SLICE_S))
                unlock_plans()
            if status != MAESTRO_TIMEOUT:
                return status
            PyErr_CheckSignals()
            left = end - monotonic()
            if left <= 0:
                return status

    def test(self):
        """
        Do what can be done without waiting.

        Returns
        -------
        bool
            Whether the targets are complete and the sources may be written.

        Raises
        ------
        StateError, MaestroError
            As `wait`.
        """
        cdef int status
        self.use("test")
        if self.held is None:
            raise own_failure(MAESTRO_WRONG_STATE, "test: the plan has not been started")
        self.busy = True
        with nogil:
            lock_plans()
            status = maestro_plan_test(self.c)
            unlock_plans()
        self.busy = False
        if status == MAESTRO_IN_PROGRESS:
            return False
        self.settle(status)
        return True

    def _explain(self):
        cdef char *text
        self.use("explain")
        check(maestro_plan_explain(self.c, &text))
        return take_json(text)

    def close(self):
        """
        End the plan, after the wait for a use that was started; again: nothing.

        All ranks close it, and none waits for others to do so.  A plan that is not closed ends with the last reference to it, unless it was
        started.

        Raises
        ------
        TimeoutError
            Other ranks have not come so far; the plan is still open.
        MaestroError
            The use that was started has failed; the plan is closed.
        """
        cdef maestro_plan_t *c
        cdef int status
        if self.c == NULL:
            return
        self.use("close")
        try:
            if self.held is not None:
                self.wait()
        finally:
            if self.held is None:
                c, self.c = self.c, NULL
                with nogil:
                    lock_plans()
                    status = maestro_plan_destroy(c)
                    unlock_plans()
                check(status)

    @property
    def _running(self):
        return self.held is not None

    @property
    def closed(self):
        """Whether `close` has ended it."""
        return self.c == NULL


cdef Py_ssize_t count_fields(str operation, sources, targets) except -1:
    """As many on both sides; None stands for as many None as the other side has."""
    cdef Py_ssize_t n = 1 if targets is None else len(targets)
    cdef Py_ssize_t m = n if sources is None else len(sources)
    if targets is not None and n != m:
        raise bad_argument(f"{operation}: {m} fields of the source and {n} of the target; give as many on both sides")
    return m


cdef uintptr_t stream_number(object stream, set said) except? 0:
    """CUDA's handle of a stream, which is a number or an object of CuPy (ptr) or PyTorch (cuda_stream); else of that which arrays say."""
    if stream is None:
        if len(said) > 1:
            raise bad_argument(f"start: the arrays' streams are {sorted(said)}; give the argument stream, one that comes after these")
        return next(iter(said), 0)
    for name in ("ptr", "cuda_stream"):
        stream = getattr(stream, name, stream)
    return int(stream)


cdef bint overlap(const void *a, Py_ssize_t a_nbytes, const void *b, Py_ssize_t b_nbytes) noexcept:
    return a != NULL and b != NULL and <const char *>a < <const char *>b + b_nbytes and <const char *>b < <const char *>a + a_nbytes
