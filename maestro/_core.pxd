# The handles of _core: what each holds.  Their methods stand in the _*.pxi files, their use in maestro/*.py.
#
# Invariants: bytes stay mapped and leased while any view of them lives (views count themselves in their object and its session); a session
# that was closed ends in C when its last view or running call has gone; no C handle is used by two threads at once; the GIL is let go
# of in every call that may wait or copy, and waits are cut into slices so that signals are served.  What lies in a subscription's window
# already is taken with the GIL held: nobody needs the GIL to let go of the session's lock.
from cpython.buffer cimport Py_buffer
from libc.stdint cimport int64_t, uint64_t

from maestro._c cimport (
    maestro_cdo_t, maestro_event_t, maestro_layout_options_t, maestro_layout_t, maestro_local_t, maestro_need_t, maestro_pin_t,
    maestro_request_t, maestro_session_t, maestro_status_t, maestro_subscription_t,
)

# The exceptions for a status: with the library's words, with words of our own.
cdef object failure(int status)
cdef object own_failure(int status, str text)
cdef int check(int status) except -1000
cdef object take_json(char *text)


# What a waiting call needs, and the call itself: it runs without the GIL for at most timeout_s.
cdef struct call_t:
    void *handle
    const char *selector
    int when
    double seconds
    void *bytes
    uint64_t number
    maestro_event_t *events
    size_t capacity
    size_t count
ctypedef maestro_status_t (*call_fn)(call_t *call, double timeout_s) noexcept nogil


cdef class SessionHandle:
    cdef maestro_session_t *c
    cdef Py_ssize_t uses            # calls that run and views that live: the C session outlasts them
    cdef readonly bint closed       # for new calls; `c` is NULL when it has ended in C too
    cdef readonly double timeout
    cdef set needs                  # declared and not retracted
    cdef dict types                 # attribute name -> maestro_type_t, as far as known
    cdef object __weakref__

    cdef maestro_session_t *use(self, str operation) except NULL
    cdef int wait(self, call_fn call, call_t *arguments, double timeout_s, bint sliced) except -1000
    cdef int begin(self, call_fn call, call_t *arguments) except -1000
    cdef void let_go(self) noexcept
    cdef int end(self) except -1
    cdef double seconds(self, object timeout) except -1
    cdef CdoHandle declare(self, object name)


cdef class CdoHandle:
    cdef maestro_cdo_t *c
    cdef readonly SessionHandle session
    cdef Py_ssize_t views           # buffers and Memory objects that live
    cdef bint busy                  # a thread waits in a call on this object
    cdef bint ended                 # dispose() was called; the last view ends the lease
    cdef bint writable              # pool memory that is not offered yet
    cdef readonly bint gone         # withdrawn before its event arrived
    cdef readonly bint redelivered  # another member of the consumer group was given it before
    cdef bint rejected              # the lease ends without acknowledging
    cdef list arrays                # weak references to the arrays that turn read-only at the offer

    cdef maestro_cdo_t *use(self, str operation) except NULL
    cdef int set_all(self, dict attributes) except -1
    cdef int give(self) except -1
    cdef int wrap_and_give(self, object data) except -1
    cdef Memory memory(self)
    cdef void view_ends(self) noexcept
    cdef int drop(self) noexcept
    cdef int end(self) except -1


cdef class Memory:
    cdef CdoHandle owner
    cdef void *bytes
    cdef Py_ssize_t nbytes


cdef class RequestHandle:
    cdef maestro_request_t *c
    cdef readonly SessionHandle session
    cdef CdoHandle subject          # of a withdrawal: kept alive until it is settled
    cdef object result
    cdef double end
    cdef bint busy
    cdef readonly bint done

    cdef int finish(self) except -1


cdef class NeedHandle:
    cdef maestro_need_t *c          # NULL: retracted
    cdef SessionHandle session


cdef class PinHandle:
    cdef maestro_pin_t *c


cdef enum:
    AHEAD = 8  # events that are taken at once where the first is asked for


cdef class SubscriptionHandle:
    cdef maestro_subscription_t *c
    cdef readonly SessionHandle session
    cdef readonly bint plain        # to offered objects alone: items are objects, not events
    cdef readonly double patience   # iteration ends after so many seconds without event; < 0: it raises after the session's timeout
    cdef maestro_event_t ahead[AHEAD]  # events taken in one call: those from `first` to `last` come after `pending`
    cdef Py_ssize_t first, last
    cdef list pending               # items that came in one batch with those returned; an exception among them is raised
    cdef bint busy
    cdef readonly bint ended        # no more will come
    cdef readonly Py_ssize_t passed_over

    cdef Py_ssize_t take(self, maestro_event_t *events, Py_ssize_t capacity, double timeout_s) except -1
    cdef maestro_event_t *take_ahead(self) except? NULL
    cdef bint put_back(self) noexcept
    cdef void drop_ahead(self) noexcept
    cdef object at_hand(self)
    cdef object item(self, maestro_event_t *event, bint as_event)
    cdef object next_item(self, double timeout_s, bint as_event)


cdef class LayoutHandle:
    cdef maestro_layout_t *c        # NULL until one of the makers was called
    cdef int ndims

    cdef int take_shape(self, tuple shape, int64_t *c_shape) except -1
    cdef int take_options(self, maestro_layout_options_t *options, bint by_columns, bint grid_by_columns, low, high) except -1
    cdef int describe(self, int64_t part, maestro_local_t *local) except -1
