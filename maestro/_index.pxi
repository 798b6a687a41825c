# An index of one's own: attribute sets found by selectors, without a pool.

cdef class Index:
    """
    Attributes of objects that need not be in the pool, found by selectors as the pool finds objects; for archives.

    Parameters
    ----------
    session : Session
        Whose schema it has.  The index outlives the session.

    Examples
    --------
    >>> from maestro._core import Index
    >>> with maestro.Session(schema="mars") as s:
    ...     index = Index(s)
    ...     for step in (0, 6, 12):
    ...         with s.cdo(param="t", step=step) as cdo:
    ...             index.add(cdo)
    ...     index.find("step > 0")
    [1, 2]
    """
    cdef maestro_index_t *c

    def __cinit__(self, SessionHandle session):
        check(maestro_index_create(session.use("create index"), &self.c))

    def __dealloc__(self):
        maestro_index_destroy(self.c)

    def add(self, CdoHandle cdo):
        """Add the attributes of an object in any state; they are numbered 0, 1, 2, ..."""
        check(maestro_index_add(self.c, cdo.use("add to index")))

    def find(self, str selector):
        """The numbers of those that match, ascending.  Raises what `Session.count` raises for the selector."""
        cdef uint32_t *numbers = NULL
        cdef size_t count = 0, i
        check(maestro_index_find(self.c, utf8(selector, "selector"), &numbers, &count))
        try:
            return [numbers[i] for i in range(count)]
        finally:
            maestro_free(numbers)
