# Many objects in one call: columns of values to the pool, columns of values from it.
# maestro/columns.py has brought what goes there into simple forms: contiguous int64, float64 and bool arrays, lists of str, buffers.

cdef struct batch_t:
    size_t count            # objects that are still to be offered
    maestro_column_t *columns
    size_t ncolumns
    const void **payloads
    size_t *nbytes
    Py_buffer *views
    size_t nviews

cdef size_t PORTION_NBYTES = 16 << 20  # signals are served between portions, which copy no more than this
cdef size_t PORTION_COUNT = 4096

cdef size_t portion(const batch_t *batch) noexcept nogil:
    """How many objects one call offers: one at least."""
    cdef size_t count = min(batch.count, PORTION_COUNT), nbytes = 0, i
    if batch.payloads != NULL:
        for i in range(count):
            nbytes += batch.nbytes[i]
            if nbytes > PORTION_NBYTES:
                return max(i, 1)
    return count

cdef maestro_status_t call_offer_many(call_t *call, double timeout_s) noexcept nogil:
    """Offers a portion, and tells INTERRUPTED when there are more; goes on after those that were offered before a signal came."""
    cdef batch_t *batch = <batch_t *>call.bytes
    cdef size_t i, offered = 0
    cdef maestro_status_t status = maestro_offer_many(
        <maestro_session_t *>call.handle, portion(batch), batch.columns, batch.ncolumns, batch.payloads, batch.nbytes, &offered)
    call.number += offered
    batch.count -= offered
    if batch.payloads != NULL:
        batch.payloads += offered
        batch.nbytes += offered
    for i in range(batch.ncolumns):
        if not batch.columns[i].constant:
            batch.columns[i].values = <const char *>batch.columns[i].values + offered * width(batch.columns[i].type)
    return MAESTRO_INTERRUPTED if status == MAESTRO_OK and batch.count else status

cdef size_t width(maestro_type_t kind) noexcept nogil:
    return sizeof(stdbool) if kind == MAESTRO_TYPE_BOOL else 8


cdef class Batch:
    """The C arrays of one call of maestro_offer_many; owns them and what they point to."""
    cdef batch_t c
    cdef list memory  # bytearrays and values that the pointers lead to

    def __cinit__(self):
        self.memory = []

    def __dealloc__(self):
        cdef size_t i
        for i in range(self.c.nviews):
            PyBuffer_Release(&self.c.views[i])
        free(self.c.views)

    cdef void *room(self, size_t nbytes):
        memory = bytearray(nbytes + 1)
        self.memory.append(memory)
        return <char *>memory

    cdef const void *view(self, object buffer) except NULL:
        """A buffer's bytes, kept until the end."""
        PyObject_GetBuffer(buffer, &self.c.views[self.c.nviews], PyBUF_ANY_CONTIGUOUS)
        self.c.nviews += 1
        return self.c.views[self.c.nviews - 1].buf

    cdef const void *texts(self, list values, str key) except NULL:
        cdef const char **pointers = <const char **>self.room(len(values) * sizeof(char *))
        cdef Py_ssize_t i
        self.memory.append(values)
        for i in range(len(values)):
            pointers[i] = utf8(values[i], key)
        return pointers

    cdef int fill(self, list columns, object payloads) except -1:
        cdef size_t room = len(columns) + (len(payloads) if type(payloads) is list else 1)
        self.c.views = <Py_buffer *>malloc(room * sizeof(Py_buffer))
        if self.c.views == NULL:
            raise MemoryError
        self.c.columns = <maestro_column_t *>self.room(len(columns) * sizeof(maestro_column_t))
        for key, kind, constant, values in columns:
            column = &self.c.columns[self.c.ncolumns]
            self.c.ncolumns += 1
            self.memory.append(key)
            column.key = utf8(key, "column")
            column.type = kind
            column.constant = constant
            column.values = self.texts(values, key) if kind == MAESTRO_TYPE_STRING else self.view(values)
        if payloads is not None:
            self.c.payloads = <const void **>self.room(self.c.count * sizeof(void *))
            self.c.nbytes = <size_t *>self.room(self.c.count * sizeof(size_t))
            self.fill_payloads(payloads)
        return 0

    cdef int fill_payloads(self, object payloads) except -1:
        cdef size_t i, stride
        cdef const char *first
        if type(payloads) is list:
            for i in range(self.c.count):
                self.c.payloads[i] = self.view(payloads[i])
                self.c.nbytes[i] = self.c.views[self.c.nviews - 1].len
        else:
            first = <const char *>self.view(payloads)
            stride = payloads.nbytes // max(len(payloads), 1)
            for i in range(self.c.count):
                self.c.payloads[i] = first + i * stride
                self.c.nbytes[i] = stride
        return 0


def offer_batch(SessionHandle session, size_t count, list columns, payloads):
    """Offers `count` objects; returns how many were offered, and the error that ended it early or None."""
    cdef Batch batch = Batch.__new__(Batch)
    cdef call_t call
    cdef int status
    batch.c.count = count
    batch.fill(columns, payloads)
    call.handle = session.use("offer many")
    call.bytes = &batch.c
    call.number = 0
    try:
        status = session.wait(call_offer_many, &call, session.timeout, False)
    except exceptions[MAESTRO_TIMEOUT] as error:  # signals came again and again, and no object came further
        return call.number, error
    return call.number, renumbered(status, call.number, count) if status < 0 else None


cdef object renumbered(int status, size_t offered, size_t count):
    """The error of a portion, with the object's number among all."""
    cdef str text = maestro_last_error().decode("utf-8", "replace")
    if text.startswith("offer many: object "):
        text = f"offer many: object {offered} of {count}: " + text.split(": ", 2)[2]
    return exceptions[status](text)


# ---- From the pool
cdef class Column:
    """The values of one attribute: numbers as they are, in memory that grows; other types, and integers and bools among which one is
    absent, as a list."""
    cdef str key
    cdef const char *name
    cdef int kind
    cdef char *cells
    cdef size_t count, capacity
    cdef list values

    def __cinit__(self, str key, int kind):
        self.key = key
        self.name = utf8(key, "key")
        self.kind = kind
        if kind != MAESTRO_TYPE_I64 and kind != MAESTRO_TYPE_F64 and kind != MAESTRO_TYPE_BOOL:
            self.values = []

    def __dealloc__(self):
        free(self.cells)

    cdef inline int append(self, const maestro_cdo_t *c) except -1000:
        """The object's value; without an object, or where it has none, what stands for nothing."""
        cdef int status = MAESTRO_NOT_FOUND
        cdef char *cell
        if self.values is not None:
            return self.append_any(c)
        if self.count == self.capacity:
            self.grow()
        cell = self.cells + self.count * width(self.kind)
        if c == NULL:
            pass
        elif self.kind == MAESTRO_TYPE_I64:
            status = maestro_cdo_get_i64(c, self.name, <int64_t *>cell)
        elif self.kind == MAESTRO_TYPE_F64:
            status = maestro_cdo_get_f64(c, self.name, <double *>cell)
        else:
            status = maestro_cdo_get_bool(c, self.name, <stdbool *>cell)
        if status == MAESTRO_NOT_FOUND and self.kind == MAESTRO_TYPE_F64:
            (<double *>cell)[0] = NAN
        elif status == MAESTRO_NOT_FOUND:
            self.values = self.array().tolist()
            return self.append_any(NULL)
        else:
            check(status)
        self.count += 1
        return 0

    cdef int append_any(self, const maestro_cdo_t *c) except -1000:
        cdef int status = MAESTRO_NOT_FOUND
        cdef object value = None if c == NULL else read_value(c, self.name, self.kind, &status)
        if status != MAESTRO_NOT_FOUND:
            check(status)
        self.values.append(value)
        return 0

    cdef int reserve(self, size_t more) except -1:
        """Room for so many values more."""
        if self.capacity < self.count + more:
            self.grow(self.count + more)
        return 0

    cdef int grow(self, size_t wanted=0) except -1:
        cdef size_t capacity = max(self.capacity * 2, <size_t>1024, wanted)
        cdef void *larger = realloc(self.cells, capacity * width(self.kind))
        if larger == NULL:
            raise MemoryError
        self.cells = <char *>larger
        self.capacity = capacity
        return 0

    cdef object array(self):
        if self.values is not None:
            return np.array(self.values, "O")
        array = np.empty(self.count, "i8" if self.kind == MAESTRO_TYPE_I64 else "f8" if self.kind == MAESTRO_TYPE_F64 else "?")
        if self.count:
            memcpy(<char *><size_t>array.ctypes.data, self.cells, self.count * width(self.kind))
        return array


cdef enum:
    MAX_COLUMNS = 64
    PIECE = 4096   # objects taken in one call at most
    NOTHING = -2

cdef maestro_status_t call_next_columns(call_t *call, double timeout_s) noexcept nogil:
    return maestro_subscription_next_columns(<maestro_subscription_t *>call.handle, timeout_s, <maestro_values_t *>call.bytes, call.number,
                                             call.capacity, &call.count)


cdef Py_ssize_t take_like_objects(SubscriptionHandle subscription, list columns, Py_ssize_t n, double timeout_s) except -1:
    """Up to n objects of the same attributes, straight into the columns.

    0: what comes next is to be taken as an event; NOTHING: none came in time.
    """
    cdef maestro_values_t values[MAX_COLUMNS]
    cdef Column column
    cdef call_t call
    cdef int status
    if not 0 < len(columns) <= MAX_COLUMNS:
        return 0
    for i, column in enumerate(columns):
        if column.values is not None:
            return 0
        column.reserve(n)
        values[i].key = column.name
        values[i].type = column.kind
        values[i].values = column.cells + column.count * width(column.kind)
    subscription._use("next columns")
    call.handle = subscription.c
    call.bytes = values
    call.number = len(columns)
    call.capacity = n
    call.count = 0
    subscription.busy = True
    try:
        status = subscription.session.wait(call_next_columns, &call, timeout_s, True)
    finally:
        subscription.busy = False
    if status == MAESTRO_TIMEOUT:
        return NOTHING
    if status == MAESTRO_AGAIN or status == MAESTRO_END:
        return 0
    check(status)
    for column in columns:
        column.count += call.count
    return call.count


def take_columns(SubscriptionHandle subscription, Py_ssize_t n, tuple keys, dict types, timeout):
    """Up to n events' attributes as one array per key; leases are given back at once."""
    cdef maestro_event_t events[BATCH]
    cdef list columns = [Column.__new__(Column, key, types[key]) for key in keys]
    cdef Column column
    cdef CdoHandle pending
    cdef Py_ssize_t count, i, k, done = 0
    cdef double seconds = subscription.session.seconds(timeout)
    while subscription.pending and done < n:
        if isinstance(subscription.pending[0], BaseException):
            if done == 0:
                raise subscription.pending.pop(0)
            break
        cdo = subscription.pending.pop(0)
        pending = cdo if isinstance(cdo, CdoHandle) else cdo.cdo
        for k in range(len(columns)):
            (<Column>columns[k]).append(NULL if pending is None else pending.c)
        done += 1
    while done < n and not subscription.pending:
        try:
            count = 0
            if subscription.first == subscription.last:
                count = take_like_objects(subscription, columns, min(n - done, PIECE), 0 if done else seconds)
            if count == NOTHING:
                break
            if count > 0:
                done += count
                continue
            count = subscription.take(events, min(n - done, BATCH), 0 if done else seconds)
        except Exception as error:
            if done == 0:
                raise
            subscription.pending.append(error)  # what was taken comes first
            break
        if count == 0:
            break
        try:
            for i in range(count):
                if events[i].kind == MAESTRO_EVENT_GAP:
                    subscription.pending.append(gap_error(events[i].gap_from, events[i].gap_to))
                elif subscription.pending:  # behind a gap: for the next call
                    item = subscription.item(&events[i], not subscription.plain)
                    events[i].cdo = NULL
                    if item is not None:
                        subscription.pending.append(item)
                else:
                    for k in range(len(columns)):
                        (<Column>columns[k]).append(events[i].cdo)
                    done += 1
        finally:
            for i in range(count):
                maestro_cdo_dispose(events[i].cdo)
        if done == 0:
            raise subscription.pending.pop(0)
    return [(<Column>column).array() for column in columns]
