# A demand or withdrawal in two steps; a declared need.

cdef maestro_status_t call_request(call_t *call, double timeout_s) noexcept nogil:
    return maestro_request_wait(<maestro_request_t *>call.handle, timeout_s)


cdef RequestHandle new_request(SessionHandle session, CdoHandle subject, double seconds):
    cdef RequestHandle request = request_class.__new__(request_class)
    request.session = session
    request.subject = subject
    request.end = monotonic() + seconds
    return request


cdef class RequestHandle:
    def __dealloc__(self):
        if self.c != NULL:
            maestro_request_dispose(self.c)

    cdef int finish(self) except -1:
        """Takes the demanded object, or ends with the withdrawal; the C handle is needed no more."""
        cdef maestro_cdo_t *c
        if self.subject is None:
            check(maestro_request_cdo(self.c, &c))
            self.result = new_cdo(self.session, c)
        self._drop()
        return 0

    def _drop(self):
        cdef maestro_request_t *c = self.c
        self.c = NULL
        self.done = True
        maestro_request_dispose(c)

    def _use(self, str operation):
        """Whether there is something to ask C for."""
        if self.busy:
            raise own_failure(MAESTRO_WRONG_STATE, f"{operation}: another thread waits for this request; one thread at a time, please")
        if self.c == NULL and not self.done:
            raise own_failure(MAESTRO_WRONG_STATE, f"{operation}: the request was cancelled or has failed")
        return self.c != NULL

    def wait(self, timeout=None):
        """
        Wait for the end of the request.

        Parameters
        ----------
        timeout : float, optional
            Seconds of this wait; default is as long as the request itself may take.

        Returns
        -------
        Cdo or None
            The demanded object (each time the same one); None for a withdrawal.

        Raises
        ------
        TimeoutError
            The request failed by its own timeout; or this wait is over, then the request goes on and may be waited for again.
        MaestroError
            What else made the request fail, such as NotUniqueError.
        """
        cdef call_t call
        cdef double seconds
        cdef int status
        if not self._use("wait"):
            return self.result
        seconds = max(self.end - monotonic(), 0.0) + GRACE_S if timeout is None else self.session.seconds(timeout)
        self.session.use("wait")
        call.handle = self.c
        self.busy = True
        try:
            status = self.session.wait(call_request, &call, seconds, True)
        finally:
            self.busy = False
        if status == MAESTRO_IN_PROGRESS:
            raise own_failure(MAESTRO_TIMEOUT, f"wait for a request: it was not finished within {seconds:g} s and goes on; "
                                               "wait again or cancel it")
        self._settle(status)
        return self.result

    def _settle(self, int status):
        if status < 0:
            error = failure(status)
            self._drop()
            self.done = False
            raise error
        self.finish()

    def test(self):
        """
        Whether the request has finished; does not wait.

        Raises
        ------
        MaestroError
            The request has failed.
        """
        cdef int status
        if not self._use("test"):
            return True
        self.session.use("test")
        status = maestro_request_test(self.c)
        if status == MAESTRO_IN_PROGRESS or status == MAESTRO_INTERRUPTED:
            return False
        self._settle(status)
        return True

    @property
    def _pending(self):
        return self.c != NULL

    def cancel(self):
        """Retract the request if it has not finished; afterwards it can no longer be waited for."""
        if self._use("cancel"):
            self._drop()
            self.done = False


cdef class NeedHandle:
    def __dealloc__(self):
        maestro_retract(self.c)

    def retract(self):
        """End the need.  Retracting again does nothing; the session's close does it too."""
        cdef maestro_need_t *c = self.c
        if c == NULL:
            return
        self.c = NULL
        self.session.needs.discard(self)
        check(maestro_retract(c))
