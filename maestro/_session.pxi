# The session's handle: opening, waiting, offering, asking, closing.

# ---- Calls that wait, in the form in which SessionHandle.wait runs them
cdef maestro_status_t call_flush(call_t *call, double timeout_s) noexcept nogil:
    return maestro_session_flush(<maestro_session_t *>call.handle, timeout_s)

cdef maestro_status_t call_count(call_t *call, double timeout_s) noexcept nogil:
    return maestro_count(<maestro_session_t *>call.handle, call.selector, timeout_s, &call.number)

cdef maestro_status_t call_require(call_t *call, double timeout_s) noexcept nogil:
    return maestro_require(<maestro_session_t *>call.handle, call.selector, <maestro_need_t **>call.bytes)

cdef maestro_status_t call_stats(call_t *call, double timeout_s) noexcept nogil:
    return maestro_session_stats(<maestro_session_t *>call.handle, timeout_s, <char **>&call.bytes)

cdef maestro_status_t call_demand_start(call_t *call, double timeout_s) noexcept nogil:
    return maestro_demand_start(<maestro_session_t *>call.handle, call.selector, call.seconds, <maestro_request_t **>call.bytes)

cdef maestro_status_t call_withdraw_start(call_t *call, double timeout_s) noexcept nogil:
    return maestro_withdraw_start(<maestro_session_t *>call.handle, call.selector, <maestro_when_t>call.when, call.seconds,
                                  <maestro_request_t **>call.bytes)

cdef bint slice_is_over(int status, double slice_s, double took) noexcept:
    """Whether a call ended because its slice did.  TIMEOUT may also be what the call was to tell (a refused offer): earlier."""
    return status == MAESTRO_IN_PROGRESS or (status == MAESTRO_TIMEOUT and took > slice_s - 0.001)


cdef class SessionHandle:
    def _open(self, str pool, str component, int64_t rank, str schema, timeout, bint start_pool, bint relay,
              int priority):
        cdef maestro_session_options_t options
        cdef int status = MAESTRO_INTERRUPTED
        maestro_session_options_init(&options)
        options.pool = NULL if pool is None else utf8(pool, "pool")
        options.component = NULL if component is None else utf8(component, "component")
        options.rank = rank
        options.schema = NULL if schema is None else utf8(schema, "schema")
        options.timeout_s = self.timeout = timeout
        options.start_pool = start_pool
        options.relay = relay
        options.interruptible = True
        options.priority = priority
        cdef double end = monotonic() + timeout
        while status == MAESTRO_INTERRUPTED:
            PyErr_CheckSignals()
            with nogil:
                status = maestro_session_open(&options, &self.c)
            if status == MAESTRO_INTERRUPTED and monotonic() > end:
                PyErr_CheckSignals()
                raise own_failure(MAESTRO_TIMEOUT, "open a session: the manager did not answer in time; is it stopped? see maestro doctor")
        check(status)
        self.types = {}
        self.needs = set()

    def __dealloc__(self):
        if self.c != NULL:  # nothing else refers to it: no view, no object
            maestro_session_close(self.c)

    cdef maestro_session_t *use(self, str operation) except NULL:
        if self.closed or self.c == NULL:
            raise own_failure(MAESTRO_CLOSED, f"{operation}: the session is closed; open a new one")
        return self.c

    cdef double seconds(self, object timeout) except -1:
        """A timeout as number: None and what is negative mean the session's."""
        cdef double seconds
        if timeout is None:
            return self.timeout
        seconds = timeout
        if seconds != seconds or seconds < 0:
            return self.timeout
        return min(seconds, FOREVER_S)

    cdef int wait(self, call_fn call, call_t *arguments, double timeout_s, bint sliced) except -1000:
        """Runs a call without the GIL until it has ended or the time is over; signals are served in between.

        A sliced call is made again when its slice is over; every call is made again when a signal ended it, as long as there is
        time, which begins anew when the call has come further (its number has grown).
        """
        cdef double end = monotonic() + timeout_s
        cdef uint64_t number = arguments.number
        cdef double left = timeout_s
        cdef double slice_s, began
        cdef int status
        cdef int last_looks = 0  # after the time was over: a signal may come when it is, also when there was none to wait
        self.uses += 1
        try:
            while True:
                slice_s = SLICE_S if sliced and left > SLICE_S else left
                began = monotonic()
                with nogil:
                    status = call(arguments, slice_s)
                left = end - monotonic()
                if status != MAESTRO_INTERRUPTED and (left <= 0 or not (sliced and slice_is_over(status, slice_s, monotonic() - began))):
                    return status
                if arguments.number != number:
                    number = arguments.number
                    end = monotonic() + timeout_s
                    left = timeout_s
                PyErr_CheckSignals()
                last_looks += left <= 0
                if last_looks > LAST_LOOKS:
                    raise own_failure(MAESTRO_TIMEOUT, f"wait: not done within {timeout_s:g} s; signals ended the wait again and again")
                left = max(left, 0.0)
                if self.closed:
                    raise own_failure(MAESTRO_CLOSED, "wait: the session was closed meanwhile; open a new one")
        finally:
            self.let_go()

    cdef void let_go(self) noexcept:
        self.uses -= 1
        cdef maestro_session_t *c = self.c
        if self.closed and self.uses == 0:  # close has told what there was to tell
            self.c = NULL
            with nogil:
                maestro_session_close(c)

    cdef int end(self) except -1:
        """Ends the session in C: nothing uses it any more."""
        cdef maestro_session_t *c = self.c
        cdef int status
        self.c = NULL
        with nogil:
            status = maestro_session_close(c)
        check(status)
        return 0

    def flush(self, timeout=None):
        """
        Wait until the pool manager has taken or refused every offer so far.

        Parameters
        ----------
        timeout : float, optional
            Seconds; default is the session's timeout.

        Raises
        ------
        MaestroError
            The first refusal that nobody has read yet (DuplicateError, MemoryError, ...), with the number of further ones.
        PoolLostError
            The manager is gone; the message names the offers that it had not confirmed.

        Examples
        --------
        >>> with maestro.Session() as s:
        ...     cdo = s.offer(b"bytes")
        ...     s.flush()
        """
        cdef call_t call
        call.handle = self.use("flush")
        check(self.wait(call_flush, &call, self.seconds(timeout), True))

    def close(self):
        """
        Flush, then end the session.  Closing again does nothing.

        Offered objects stay in the pool.  While views of objects live (numpy arrays, memoryviews) the connection stays open
        behind the scenes, so that they never lose their bytes; it ends with the last of them.

        Raises
        ------
        MaestroError
            As `flush`; the session is closed all the same.
        """
        if self.closed or self.c == NULL:
            return
        try:
            self.flush()
        finally:
            self.closed = True
            for need in tuple(self.needs):
                need.retract()
            if self.uses == 0:
                self.end()

    # ---- Offering
    cdef CdoHandle declare(self, object name):
        cdef CdoHandle cdo = new_cdo(self, NULL)
        check(maestro_cdo_declare(self.use("declare"), NULL if name is None else utf8(name, "name"), &cdo.c))
        return cdo

    def _declare(self, name, CdoHandle like, attributes, dict more):
        cdef CdoHandle cdo
        if like is None:
            cdo = self.declare(name)
        else:
            self.use("declare")
            cdo = new_cdo(self, NULL)
            check(maestro_cdo_declare_like(like.use("declare like"), &cdo.c))
            if name is not None:
                set_value(cdo.c, "maestro.name", name)
        if attributes is not None:
            cdo.set_all(dict(attributes))
        cdo.set_all(more)
        return cdo

    def offer(self, data=None, attributes=None, /, *, name=None, **more):
        """
        Offer application memory, or attributes alone, in one call.

        The bytes are copied once, into the pool, before the call returns; use `cdo` and `Cdo.empty` to write them there
        straight away.  The offer itself is asynchronous: what only the manager can refuse is raised by `Cdo.wait`, by the next
        `flush`, or by `close`.

        Parameters
        ----------
        data : numpy.ndarray, bytes-like or None
            An array of any shape and order; its dtype, shape and order travel along (attributes maestro.dtype, maestro.shape,
            maestro.order).  Other bytes-like objects go as they are.  None: an object without data.
        attributes : mapping, optional
            Attributes whose names are no Python names, such as {"maestro.checksum": 7}.
        name : str, optional
            The object's name.
        **more
            Attributes; None means absent.

        Returns
        -------
        Cdo
            The offered object.

        Raises
        ------
        AttributeKeyError, AttributeTypeError, AttributeValueError, MissingAttributeError
            An attribute does not agree with the schema.
        MemoryError, TooLargeError, TimeoutError
            There is no room for the bytes.

        Examples
        --------
        >>> import numpy as np
        >>> with maestro.Session(schema="mars") as s:
        ...     cdo = s.offer(np.arange(6.0).reshape(2, 3), param="t", step=6, levelist=500)
        ...     cdo["maestro.shape"]
        '2,3'
        """
        if data is None:
            maestro_session_wake(self.c)
        cdef CdoHandle cdo = self.declare(name)
        if attributes is not None:
            cdo.set_all(attributes if type(attributes) is dict else dict(attributes))
        if more:
            cdo.set_all(more)
        if data is None:
            cdo.give()
        else:
            cdo.wrap_and_give(data)
        return cdo

    # ---- Asking
    def _demand_start(self, str selector, timeout):
        cdef RequestHandle request = new_request(self, None, self.seconds(timeout))
        cdef call_t call
        call.handle = self.use("demand")
        call.selector = utf8(selector, "selector")
        call.seconds = self.seconds(timeout)
        call.bytes = &request.c
        self.begin(call_demand_start, &call)
        return request

    cdef int begin(self, call_fn call, call_t *arguments) except -1000:
        """Starts a request; waits only where the manager does not take messages."""
        arguments.number = 0
        return check(self.wait(call, arguments, self.timeout, False))

    def _require(self, type need_class, str selector):
        cdef NeedHandle need = need_class.__new__(need_class)
        cdef call_t call
        call.handle = self.use("require")
        call.selector = utf8(selector, "selector")
        call.bytes = &need.c
        self.begin(call_require, &call)
        need.session = self
        self.needs.add(need)
        return need

    def _count(self, str selector, timeout):
        cdef call_t call
        call.handle = self.use("count")
        call.selector = utf8(selector, "selector")
        check(self.wait(call_count, &call, self.seconds(timeout), True))
        return call.number

    def _withdraw(self, str selector, int when, timeout):
        cdef call_t call
        cdef maestro_request_t *request = NULL
        cdef uint64_t number = 0
        cdef double seconds = self.seconds(timeout)
        call.handle = self.use("withdraw")
        call.selector = utf8(selector, "selector")
        call.when = when
        call.seconds = seconds
        call.bytes = &request
        self.begin(call_withdraw_start, &call)
        call.handle = request
        try:
            if check(self.wait(call_request, &call, seconds + GRACE_S, True)) == MAESTRO_IN_PROGRESS:
                raise own_failure(MAESTRO_TIMEOUT, "withdraw: the pool manager did not answer in time; is it stopped? see maestro doctor")
            check(maestro_request_count(request, &number))
        finally:
            maestro_request_dispose(request)
        return number

    def _subscribe(self, type subscription_class, str selector, uint32_t kinds, int start, bint hold, size_t window_bytes, patience,
                   group, uint32_t limit, double acknowledge_s, bint observe, uint32_t prefetch):
        cdef maestro_subscription_options_t options
        cdef SubscriptionHandle subscription = subscription_class.__new__(subscription_class)
        cdef const char *text = utf8(selector, "selector")
        cdef maestro_session_t *c = self.use("subscribe")
        cdef int status = MAESTRO_INTERRUPTED
        cdef double end = monotonic() + self.timeout
        maestro_subscription_options_init(&options)
        options.kinds = kinds
        options.start = start
        options.hold = hold
        options.observe = observe
        options.window_bytes = window_bytes
        if group is not None:
            options.group = utf8(group, "group")
        options.limit = limit
        options.acknowledge_s = acknowledge_s
        options.prefetch = prefetch
        subscription.session = self
        subscription.plain = kinds == MAESTRO_EVENT_OFFERED
        subscription.patience = -1 if patience is None else self.seconds(patience)
        self.uses += 1
        try:
            while status == MAESTRO_INTERRUPTED:
                with nogil:
                    status = maestro_subscribe(c, text, &options, &subscription.c)
                PyErr_CheckSignals()
                if status == MAESTRO_INTERRUPTED and monotonic() > end:
                    raise own_failure(MAESTRO_TIMEOUT, f"subscribe: not done within {self.timeout:g} s")
        finally:
            self.let_go()
        check(status)
        return subscription

    # ---- Texts
    def _stats(self, timeout):
        cdef call_t call
        call.handle = self.use("stats")
        check(self.wait(call_stats, &call, self.seconds(timeout), True))
        return take_json(<char *>call.bytes)

    def _schema(self):
        cdef char *text
        check(maestro_session_schema(self.use("schema"), &text))
        return take_json(text)
