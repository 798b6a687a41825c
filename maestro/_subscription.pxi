# A subscription's handle: events in, objects or events out.

cdef maestro_status_t call_next(call_t *call, double timeout_s) noexcept nogil:
    return maestro_subscription_next_many(<maestro_subscription_t *>call.handle, timeout_s, call.events, call.capacity, &call.count)

cdef enum:
    BATCH = 256  # events taken in one call at most


cdef class SubscriptionHandle:
    def __cinit__(self):
        self.pending = []

    def __dealloc__(self):
        self.drop_ahead()
        if self.c != NULL:
            maestro_subscription_dispose(self.c)

    def _use(self, str operation):
        if self.c == NULL:
            raise own_failure(MAESTRO_WRONG_STATE, f"{operation}: the subscription has been disposed")
        if self.busy:
            raise own_failure(MAESTRO_WRONG_STATE, f"{operation}: another thread is using this subscription; one thread at a time, please")
        self.session.use(operation)

    def dispose(self):
        """
        End the subscription; objects that were taken stay leased.

        Raises
        ------
        StateError
            It has been disposed already.
        """
        cdef maestro_subscription_t *c = self.c
        if c == NULL or self.busy:
            self._use("dispose")
        self.c = NULL
        self.ended = True
        self.pending.clear()
        self.drop_ahead()
        with nogil:
            maestro_subscription_dispose(c)

    @property
    def disposed(self):
        """Whether `dispose` was called."""
        return self.c == NULL

    def fileno(self):
        """
        A file descriptor that is readable when something may be there, for select, poll and event loops.

        It belongs to the subscription.  When it is readable take with ``next(timeout=0)`` until that gives None.
        """
        self._use("fileno")
        return maestro_subscription_fd(self.c)

    # ---- Taking
    cdef Py_ssize_t take(self, maestro_event_t *events, Py_ssize_t capacity, double timeout_s) except -1:
        """How many events were taken: 0 when none came in time, or (then `ended` is set) no more will come."""
        cdef call_t call
        cdef int status
        self._use("next")
        if self.first < self.last:
            call.count = min(capacity, self.last - self.first)
            memcpy(events, &self.ahead[self.first], call.count * sizeof(maestro_event_t))
            self.first += call.count
            return call.count
        call.handle = self.c
        call.events = events
        call.capacity = capacity
        call.count = 0
        self.busy = True
        try:
            status = self.session.wait(call_next, &call, timeout_s, True)
        finally:
            self.busy = False
        if status == MAESTRO_END:
            self.ended = True
        elif status != MAESTRO_TIMEOUT:
            check(status)
            return call.count
        return 0

    cdef object item(self, maestro_event_t *event, bint as_event):
        """An event as the object it brought or as Event; None for an object that is gone, an exception (not raised) for a gap."""
        cdef CdoHandle cdo = None
        if event.cdo != NULL:
            cdo = new_cdo(self.session, event.cdo)
            cdo.gone = event.gone
            cdo.redelivered = event.redelivered
        if as_event:
            gap = (event.gap_from, event.gap_to) if event.kind == MAESTRO_EVENT_GAP else None
            return make_event(event.kind, cdo, event.sequence, event.gone, gap)
        if event.kind == MAESTRO_EVENT_GAP:
            return gap_error(event.gap_from, event.gap_to)
        if event.gone:
            self.passed_over += 1
            return None
        return cdo

    cdef object next_item(self, double timeout_s, bint as_event):
        """The next object or event; None when none came in time or no more will come."""
        cdef maestro_event_t event
        cdef double end = 0
        while True:
            if self.pending:
                item = self.pending.pop(0)
            elif self.ended and self.c != NULL or self.take(&event, 1, timeout_s) == 0:
                return None
            else:
                item = self.item(&event, as_event)
            if item is not None:
                break
            if end == 0:
                end = monotonic() + timeout_s
            timeout_s = max(end - monotonic(), 0.0)
        if isinstance(item, BaseException):
            raise item
        return item

    cdef void drop_ahead(self) noexcept:
        """Their leases go back."""
        for i in range(self.first, self.last):
            maestro_cdo_reject(self.ahead[i].cdo)
        self.first = self.last = 0

    cdef maestro_event_t *take_ahead(self) except? NULL:
        """The next event of those that have come already; NULL when there is none.  No clock, no letting go of the GIL."""
        cdef size_t count = 0
        cdef int status
        if self.first == self.last:
            status = maestro_subscription_next_many(self.c, 0, self.ahead, AHEAD, &count)
            self.first, self.last = 0, count
            if status == MAESTRO_END:
                self.ended = True
            elif status != MAESTRO_TIMEOUT:
                check(status)
            if count == 0:
                return NULL
        self.first += 1
        return &self.ahead[self.first - 1]

    cdef object at_hand(self):
        """What has come already, the quick way.  None leaves it to next_item, errors included."""
        cdef maestro_event_t *event
        if self.c == NULL or self.busy or self.ended or self.session.closed or self.pending:
            return None
        event = self.take_ahead()
        if event == NULL:
            return None
        if self.plain and event.kind == MAESTRO_EVENT_OFFERED and not event.gone and not event.redelivered:
            return new_cdo(self.session, event.cdo)
        item = self.item(event, not self.plain)
        if isinstance(item, BaseException):
            raise item
        return item

    def _is_ready(self):
        """Whether `next` would not wait.  Events that have come already are taken from the window, and stay here."""
        self._use("wait")
        return bool(self.pending) or self.ended or self.take_ahead() != NULL and self.put_back()

    cdef bint put_back(self) noexcept:
        """The event that was taken last comes again."""
        self.first -= 1
        return True

    def __next__(self):
        cdef object item = self.at_hand()
        if item is not None:
            return item
        item = self.next_item(self.session.timeout if self.patience < 0 else self.patience, not self.plain)
        if item is not None:
            return item
        if self.ended or self.patience >= 0:
            raise StopIteration
        raise own_failure(MAESTRO_TIMEOUT, f"iterate over a subscription: nothing came within {self.session.timeout:g} s, the session's "
                                           "timeout; give subscribe(timeout=...) to end quietly after so many seconds")

    def next(self, timeout=None):
        """
        The next object, or event where the subscription is to other kinds of events than offered ones too.

        Parameters
        ----------
        timeout : float, optional
            Seconds; default is the session's timeout.  0 does not wait.

        Returns
        -------
        Cdo, Event or None
            None when nothing came in time, or when no more will come (`ended` is true then).

        Raises
        ------
        GapError
            The subscription was too slow and has lost events (events, not objects, tell this as an Event).  It goes on afterwards.
        PoolLostError
            The pool manager is gone.
        """
        cdef double seconds = self.session.seconds(timeout)
        cdef object item = self.at_hand()
        return item if item is not None else self.next_item(seconds, not self.plain)

    def _next_event(self, timeout):
        return self.next_item(self.session.seconds(timeout), True)

    def next_many(self, Py_ssize_t n, timeout=None):
        """
        Up to n objects or events at once; waits for the first only.

        Parameters
        ----------
        n : int
            At most so many.
        timeout : float, optional
            Seconds to wait for the first; default is the session's timeout.

        Returns
        -------
        list of Cdo or Event
            Empty when nothing came in time, or when no more will come.

        Raises
        ------
        GapError, PoolLostError
            As `next`.
        """
        cdef list items = []
        first = self.next_item(self.session.seconds(timeout), not self.plain)
        if first is None:
            return items
        items.append(first)
        while len(items) < n:
            try:
                if not self.pending and (self.ended or not self._fill(min(n - len(items), BATCH))):
                    break
            except Exception as error:  # what was taken comes first
                self.pending.append(error)
                break
            while self.pending and len(items) < n:
                if isinstance(self.pending[0], BaseException):
                    return items
                items.append(self.pending.pop(0))
        return items

    def _fill(self, Py_ssize_t n):
        """Takes what is there, n at most, into `pending`; whether anything was there."""
        cdef maestro_event_t events[BATCH]
        cdef Py_ssize_t i, count = self.take(events, n, 0)
        for i in range(count):
            item = self.item(&events[i], not self.plain)
            if item is not None:
                self.pending.append(item)
        return count > 0
