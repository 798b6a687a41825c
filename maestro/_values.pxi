# Attribute values: Python to C by the value's type, C to Python by the schema's.
# Arrays are lists, tuples or one-dimensional numpy arrays on the way to C; on the way back read-only numpy arrays, of texts tuples.
# Timestamps are int64 nanoseconds there and aware datetimes (microseconds, UTC) here; a naive datetime is taken as UTC.

cdef object EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


# ---- To C
cdef int64_t nanoseconds(const char *key, object moment) except? -1:
    """Nanoseconds since 1970 of a datetime, date or numpy.datetime64."""
    if isinstance(moment, np.datetime64):
        if np.isnat(moment):
            raise own_failure(MAESTRO_BAD_VALUE, f"set {key.decode()}: NaT is no timestamp")
        moment = moment.astype("M8[ns]").astype("i8").item() if moment.astype("M8[s]").astype("i8").item() in YEARS_S else 2**63
    else:
        if not isinstance(moment, datetime):
            moment = datetime(moment.year, moment.month, moment.day)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=timezone.utc)
        moment = (moment - EPOCH) // timedelta(microseconds=1) * 1000
    if not -(2**63) < moment < 2**63:
        raise own_failure(MAESTRO_BAD_VALUE, f"set {key.decode()}: timestamps lie between the years 1678 and 2262")
    return moment

cdef object YEARS_S = range(-(2**63) // 10**9 + 1, 2**63 // 10**9)


cdef inline int set_int(maestro_cdo_t *c, const char *key, object value) except -1000:
    cdef int overflow = 0
    cdef int64_t number = PyLong_AsLongLongAndOverflow(value, &overflow)
    if overflow:
        raise own_failure(MAESTRO_BAD_VALUE, f"set {key.decode()}: {value} does not fit into 64 bits")
    return maestro_cdo_set_i64(c, key, number)


cdef int set_blob(maestro_cdo_t *c, const char *key, object value) except -1000:
    cdef Py_buffer view
    PyObject_GetBuffer(value, &view, PyBUF_SIMPLE)
    try:
        return maestro_cdo_set_blob(c, key, view.buf, view.len)
    finally:
        PyBuffer_Release(&view)


cdef int set_texts(maestro_cdo_t *c, const char *key, list values) except -1000:
    cdef const char **texts = <const char **>malloc(max(len(values), 1) * sizeof(char *))
    cdef Py_ssize_t i
    if texts == NULL:
        raise MemoryError
    try:
        for i in range(len(values)):
            if not isinstance(values[i], str):
                raise own_failure(MAESTRO_WRONG_TYPE, f"set {key.decode()}: the array has texts, but its value {i} is {values[i]!r}")
            values[i] = str(values[i])  # of subclasses too
            texts[i] = utf8(values[i], key.decode())
        return maestro_cdo_set_str_array(c, key, <const char *const *>texts, len(values))
    finally:
        free(texts)


cdef int set_numbers(maestro_cdo_t *c, const char *key, object array) except -1000:
    cdef size_t at = array.__array_interface__["data"][0], count = len(array)
    if array.dtype.kind == "f":
        return maestro_cdo_set_f64_array(c, key, <const double *>at, count)
    if array.dtype.kind == "b":
        return maestro_cdo_set_bool_array(c, key, <const stdbool *>at, count)
    return maestro_cdo_set_i64_array(c, key, <const int64_t *>at, count)


cdef int set_array(maestro_cdo_t *c, const char *key, object given) except -1000:
    cdef object array = np.asarray(given)
    cdef size_t at
    if array.ndim != 1:
        raise own_failure(MAESTRO_WRONG_TYPE, f"set {key.decode()}: an array of attributes has one dimension, and this one {array.ndim}")
    if len(array) == 0:
        return maestro_cdo_set_f64_array(c, key, NULL, 0)  # of any type
    if array.dtype.kind in "UO" and isinstance(given[0], str):
        return set_texts(c, key, list(given))
    if array.dtype.kind == "M" or isinstance(given[0], date):
        array = np.array([nanoseconds(key, moment) for moment in given], "i8")
        at = array.__array_interface__["data"][0]
        return maestro_cdo_set_timestamp_array(c, key, <const int64_t *>at, len(array))
    if array.dtype.kind == "u" and array.max() >= 2**63:
        raise own_failure(MAESTRO_BAD_VALUE, f"set {key.decode()}: {array.max()} does not fit into 64 bits")
    if array.dtype.kind not in "iufb":
        raise own_failure(MAESTRO_WRONG_TYPE, f"set {key.decode()}: an array of {array.dtype} is no attribute value; "
                                              "give bools, ints, floats, texts or datetimes, all of one kind")
    return set_numbers(c, key, np.ascontiguousarray(array, {"f": "f8", "b": "?"}.get(array.dtype.kind, "i8")))


cdef int set_other(maestro_cdo_t *c, const char *key, object value) except -1000:
    """The types that are not met often: subclasses, dates, numpy's scalars, blobs."""
    if isinstance(value, str):
        return maestro_cdo_set_str(c, key, utf8(str(value), key.decode()))
    if isinstance(value, (date, np.datetime64)):
        return maestro_cdo_set_timestamp(c, key, nanoseconds(key, value))
    if isinstance(value, (bool, np.bool_)):
        return maestro_cdo_set_bool(c, key, bool(value))
    if isinstance(value, numbers.Integral):
        return set_int(c, key, int(value))
    if isinstance(value, numbers.Real):
        return maestro_cdo_set_f64(c, key, float(value))
    if isinstance(value, (bytes, bytearray, memoryview)):
        return set_blob(c, key, value)
    if isinstance(value, np.ndarray) and value.ndim == 0:
        return set_other(c, key, value[()])
    if isinstance(value, (list, tuple, range, np.ndarray)):
        return set_array(c, key, value)
    raise own_failure(MAESTRO_WRONG_TYPE, f"set {key.decode()}: a {type(value).__name__} is no attribute value; "
                                          "give a bool, int, float, str, datetime, bytes, or a list of those")


cdef int set_value(maestro_cdo_t *c, object key, object value) except -1000:
    """Sets one attribute; None removes it, for absent is a value."""
    cdef const char *name
    cdef int status
    if type(key) is not str:
        raise TypeError(f"attributes have names of type str, not {type(key).__name__}")
    name = utf8(key, "attribute")
    if type(value) is str:
        status = maestro_cdo_set_str(c, name, utf8(value, key))
    elif type(value) is int:
        status = set_int(c, name, value)
    elif type(value) is float:
        status = maestro_cdo_set_f64(c, name, value)
    elif value is None:
        status = maestro_cdo_unset(c, name)
    else:
        status = set_other(c, name, value)
    return check(status)


# ---- From C
cdef object read_only(const void *values, size_t count, size_t width, str dtype):
    return np.frombuffer(PyBytes_FromStringAndSize(<const char *>values, count * width), dtype)


cdef object read_array(const maestro_cdo_t *c, const char *key, int kind, int *status_out):
    """An array's values; None with a status that is not OK."""
    cdef const int64_t *integers
    cdef const double *reals
    cdef const stdbool *truths
    cdef const char *text
    cdef size_t count
    cdef list texts = []
    if kind == MAESTRO_TYPE_I64_ARRAY:
        status_out[0] = maestro_cdo_get_i64_array(c, key, &integers, &count)
        return read_only(integers, count, 8, "i8") if status_out[0] == MAESTRO_OK else None
    elif kind == MAESTRO_TYPE_F64_ARRAY:
        status_out[0] = maestro_cdo_get_f64_array(c, key, &reals, &count)
        return read_only(reals, count, 8, "f8") if status_out[0] == MAESTRO_OK else None
    elif kind == MAESTRO_TYPE_BOOL_ARRAY:
        status_out[0] = maestro_cdo_get_bool_array(c, key, &truths, &count)
        return read_only(truths, count, 1, "?") if status_out[0] == MAESTRO_OK else None
    elif kind == MAESTRO_TYPE_TIMESTAMP_ARRAY:
        status_out[0] = maestro_cdo_get_timestamp_array(c, key, &integers, &count)
        return read_only(integers, count, 8, "M8[ns]") if status_out[0] == MAESTRO_OK else None
    status_out[0] = maestro_cdo_get_str_array(c, key, &text, &count)
    if status_out[0] != MAESTRO_OK:
        return None
    for _ in range(count):
        texts.append(text.decode("utf-8", "replace"))
        text += strlen(text) + 1
    return tuple(texts)


cdef object read_value(const maestro_cdo_t *c, const char *key, int kind, int *status_out):
    """An attribute's value of this type; None with a status that is not OK."""
    cdef int64_t number
    cdef double real
    cdef stdbool truth
    cdef const char *text
    cdef const void *bytes
    cdef size_t nbytes
    cdef int status
    if kind == MAESTRO_TYPE_STRING:
        status = maestro_cdo_get_str(c, key, &text)
        status_out[0] = status
        return text.decode("utf-8", "replace") if status == MAESTRO_OK else None
    elif kind == MAESTRO_TYPE_I64:
        status = maestro_cdo_get_i64(c, key, &number)
        status_out[0] = status
        return number if status == MAESTRO_OK else None
    elif kind == MAESTRO_TYPE_F64:
        status = maestro_cdo_get_f64(c, key, &real)
        status_out[0] = status
        return real if status == MAESTRO_OK else None
    elif kind == MAESTRO_TYPE_BOOL:
        status = maestro_cdo_get_bool(c, key, &truth)
        status_out[0] = status
        return bool(truth) if status == MAESTRO_OK else None
    elif kind == MAESTRO_TYPE_TIMESTAMP:
        status = maestro_cdo_get_timestamp(c, key, &number)
        status_out[0] = status
        return EPOCH + timedelta(microseconds=number // 1000) if status == MAESTRO_OK else None
    elif kind & MAESTRO_TYPE_ARRAY:
        return read_array(c, key, kind, status_out)
    else:
        status = maestro_cdo_get_blob(c, key, &bytes, &nbytes)
        status_out[0] = status
        return PyBytes_FromStringAndSize(<const char *>bytes, nbytes) if status == MAESTRO_OK else None


cdef int get_value(const maestro_cdo_t *c, const char *key, int kind, list out) except -1000:
    """Appends an attribute's value of this type to `out`; returns the status."""
    cdef int status = MAESTRO_OK
    cdef object value = read_value(c, key, kind, &status)
    if status == MAESTRO_OK:
        out.append(value)
    return status


cdef tuple ALL_TYPES = (
    MAESTRO_TYPE_STRING, MAESTRO_TYPE_I64, MAESTRO_TYPE_F64, MAESTRO_TYPE_BOOL, MAESTRO_TYPE_TIMESTAMP, MAESTRO_TYPE_BLOB,
    MAESTRO_TYPE_I64_ARRAY, MAESTRO_TYPE_F64_ARRAY, MAESTRO_TYPE_STRING_ARRAY, MAESTRO_TYPE_BOOL_ARRAY, MAESTRO_TYPE_TIMESTAMP_ARRAY,
)


cdef object get_by_name(const maestro_cdo_t *c, str key, dict types):
    """The value of an attribute; its type is learnt at the first time."""
    cdef const char *name = utf8(key, "attribute")
    cdef int status = MAESTRO_WRONG_TYPE
    cdef object kind = types.get(key), value
    if kind is not None:
        value = read_value(c, name, kind, &status)
        check(status)
        return value
    for kind in ALL_TYPES:
        value = read_value(c, name, kind, &status)
        if status != MAESTRO_WRONG_TYPE:
            break
    check(status)
    types[key] = kind
    return value


cdef str describe(const maestro_cdo_t *c):
    cdef char text[512]
    maestro_cdo_describe(c, text, sizeof(text))
    return text.decode("utf-8", "replace")
