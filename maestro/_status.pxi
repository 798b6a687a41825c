# Constants of the header, exceptions for its statuses, and the one way to wait.
# No number is written here: the C compiler fills them in from maestro.h.

cdef extern from "maestro.h":
    cpdef enum:
        MAESTRO_VERSION_MAJOR, MAESTRO_VERSION_MINOR, MAESTRO_VERSION_PATCH
        MAESTRO_TYPE_BOOL, MAESTRO_TYPE_I64, MAESTRO_TYPE_F64, MAESTRO_TYPE_STRING, MAESTRO_TYPE_TIMESTAMP, MAESTRO_TYPE_BLOB
        MAESTRO_TYPE_ARRAY, MAESTRO_TYPE_BOOL_ARRAY, MAESTRO_TYPE_I64_ARRAY, MAESTRO_TYPE_F64_ARRAY, MAESTRO_TYPE_STRING_ARRAY
        MAESTRO_TYPE_TIMESTAMP_ARRAY
        MAESTRO_TIER_DEFAULT, MAESTRO_TIER_DRAM
        MAESTRO_WHEN_RELEASED, MAESTRO_WHEN_CONSUMED, MAESTRO_OF_COMPONENT
        MAESTRO_EVENT_OFFERED, MAESTRO_EVENT_WITHDRAWN, MAESTRO_EVENT_JOINED, MAESTRO_EVENT_LEFT, MAESTRO_EVENT_EXPIRED, MAESTRO_EVENT_GAP,
        MAESTRO_EVENT_REQUIRED, MAESTRO_EVENT_RETRACTED, MAESTRO_EVENT_INCOMPLETE
        MAESTRO_PRIORITY_DEFAULT, MAESTRO_PRIORITY_URGENT, MAESTRO_PRIORITY_NORMAL, MAESTRO_PRIORITY_BACKGROUND
        MAESTRO_START_SNAPSHOT, MAESTRO_START_NOW, MAESTRO_START_QUERY
        MAESTRO_DIMENSIONS_MAX, MAESTRO_ROW_MAJOR, MAESTRO_COLUMN_MAJOR
        MAESTRO_BYTES_1, MAESTRO_BYTES_2, MAESTRO_BYTES_4, MAESTRO_BYTES_8, MAESTRO_BYTES_16
        MAESTRO_I32, MAESTRO_I64, MAESTRO_F32, MAESTRO_F64, MAESTRO_C64, MAESTRO_C128
        MAESTRO_METHOD_AUTO, MAESTRO_METHOD_PACKED, MAESTRO_METHOD_SHARED, MAESTRO_METHOD_DATATYPES, MAESTRO_METHOD_STAGED,
        MAESTRO_METHOD_BUFFERED, MAESTRO_METHOD_AUTO_PRIVATE
    cdef enum:  # those that the code below needs; STATUSES holds all of them
        MAESTRO_OK, MAESTRO_AGAIN, MAESTRO_IN_PROGRESS, MAESTRO_END, MAESTRO_INTERRUPTED, MAESTRO_WRONG_TYPE
        MAESTRO_BAD_VALUE, MAESTRO_TIMEOUT, MAESTRO_NOT_FOUND, MAESTRO_WRONG_STATE, MAESTRO_CORRUPT, MAESTRO_CLOSED
        MAESTRO_INVALID_ARGUMENT

cdef extern from *:
    """
    #include "maestro.h"
    typedef struct { const char *name; int value; const char *python; const char *text; } status_row_t;
    #define STATUS_ROW(name, value, python, text) {#name, value, #python, text},
    static const status_row_t status_rows[] = { MAESTRO_STATUS_TABLE(STATUS_ROW) };
    enum { NSTATUSES = sizeof status_rows / sizeof status_rows[0] };
    """
    struct status_row_t:
        const char *name
        int value
        const char *python
        const char *text
    const status_row_t *status_rows
    int NSTATUSES

#: The status table: name -> (value, name of the exception or None, text).
STATUSES = {}
cdef int row
for row in range(NSTATUSES):
    STATUSES[status_rows[row].name.decode()] = (
        status_rows[row].value,
        None if status_rows[row].python == b"None" else status_rows[row].python.decode(),
        status_rows[row].text.decode(),
    )
    globals()["MAESTRO_" + status_rows[row].name.decode()] = status_rows[row].value

# The Python classes that stand above the handles, and status -> exception; filled by the modules that define them.
cdef dict exceptions = {}
cdef type cdo_class, request_class
cdef object make_event, gap_error
cdef object ndarray = np.ndarray
cdef tuple no_arguments = ()


def use_exceptions(dict by_status, type gap):
    """Take the exception class of each negative status, and that of a gap."""
    global gap_error
    exceptions.update(by_status)
    gap_error = gap


def use_classes(type cdo, type request, event):
    """Take the classes of which objects and requests are made, and what makes events of their parts."""
    global cdo_class, request_class, make_event
    cdo_class, request_class, make_event = cdo, request, event


# ---- Errors
cdef object failure(int status):
    """The exception for an error, with the library's words."""
    return exceptions[status](maestro_last_error().decode("utf-8", "replace"))


cdef int check(int status) except -1000:
    if status < 0:
        raise failure(status)
    return status


cdef object own_failure(int status, str text):
    """The exception for an error that this layer finds itself."""
    return exceptions[status](text)


# ---- Texts
cdef extern from *:
    """
    /* ASCII text lies in its object as it is; all other text gets its UTF-8 form there at the first time. */
    static inline char *utf8_of(PyObject *text, Py_ssize_t *nbytes) {
        if (CYTHON_COMPILING_IN_CPYTHON && PyUnicode_Check(text) && PyUnicode_IS_COMPACT_ASCII(text)) {
            *nbytes = PyUnicode_GET_LENGTH(text);
            return (char *)PyUnicode_DATA(text);
        }
        return (char *)PyUnicode_AsUTF8AndSize(text, nbytes);
    }
    """
    char *utf8_of(object text, Py_ssize_t *nbytes) except NULL


cdef inline char *utf8(str text, str what) except NULL:
    cdef Py_ssize_t nbytes
    cdef char *chars = utf8_of(text, &nbytes)
    if strlen(chars) != <size_t>nbytes:
        refuse_nul(text, what)
    return chars


cdef int refuse_nul(str text, str what) except -1:
    raise own_failure(MAESTRO_BAD_VALUE, f"{what}: {text!r} has a NUL character")


cdef object take_json(char *text):
    try:
        return json.loads(text)
    finally:
        maestro_free(text)


cdef extern from "Python.h":
    long long PyLong_AsLongLongAndOverflow(object value, int *overflow) except? -1


# ---- Time
cdef int LAST_LOOKS = 3
cdef double SLICE_S = 1.0  # a signal that comes just before a call begins to wait is served at the slice's end
cdef double FOREVER_S = 1e8
cdef double GRACE_S = 2.0


cdef double monotonic() noexcept nogil:
    cdef timespec now
    clock_gettime(CLOCK_MONOTONIC, &now)
    return now.tv_sec + now.tv_nsec * 1e-9


# ---- Without a session
def version():
    """The version of the C library."""
    return maestro_version().decode()


def info():
    """What the library sees of this machine."""
    cdef char *text
    check(maestro_info(&text))
    return take_json(text)


def check_selector(str schema, str selector):
    """Raise SelectorError if the text is no selector over the schema."""
    check(maestro_selector_check(NULL if schema is None else utf8(schema, "schema"), utf8(selector, "selector")))


def selector_tree(str schema, str selector):
    """The parts of a selector over the schema, as maestro_selector_tree describes them."""
    cdef char *text
    check(maestro_selector_tree(NULL if schema is None else utf8(schema, "schema"), utf8(selector, "selector"), &text))
    return take_json(text)
