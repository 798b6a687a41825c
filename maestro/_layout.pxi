# A layout's handle: how a global array is cut into parts.  The Python layer above has checked nothing yet but that numbers are numbers.

cdef int take(int64_t *out, object values, int ndims, str what) except -1:
    """Numbers, one per dimension, into an array of MAESTRO_DIMENSIONS_MAX."""
    cdef int d
    if len(values) != ndims:
        raise own_failure(MAESTRO_INVALID_ARGUMENT, f"layout: {what} has {len(values)} values and the array {ndims} dimensions; "
                                                    "give one for each dimension")
    for d in range(ndims):
        out[d] = values[d]
    return 0


@cython.no_gc
cdef class LayoutHandle:
    def __dealloc__(self):
        maestro_layout_destroy(self.c)

    def _make(self, tuple shape, block, grid, bint by_columns, bint grid_by_columns, low, high):
        """Blocks; block-cyclic where `block` is given."""
        cdef int64_t c_shape[MAESTRO_DIMENSIONS_MAX]
        cdef int64_t c_block[MAESTRO_DIMENSIONS_MAX]
        cdef int64_t c_grid[MAESTRO_DIMENSIONS_MAX]
        cdef maestro_layout_options_t options
        self.take_shape(shape, c_shape)
        take(c_grid, grid, self.ndims, "grid")
        self.take_options(&options, by_columns, grid_by_columns, low, high)
        if block is None:
            check(maestro_layout_blocks(self.ndims, c_shape, c_grid, &options, &self.c))
        else:
            take(c_block, block, self.ndims, "block")
            check(maestro_layout_block_cyclic(self.ndims, c_shape, c_block, c_grid, &options, &self.c))

    def _make_boxes(self, tuple shape, const int64_t[:, ::1] begin, const int64_t[:, ::1] end, bint by_columns, low, high):
        """Boxes; `begin` and `end` have a row for each."""
        cdef int64_t c_shape[MAESTRO_DIMENSIONS_MAX]
        cdef maestro_layout_options_t options
        cdef Py_ssize_t count = begin.shape[0]
        cdef const int64_t *c_begin = &begin[0, 0] if count else NULL
        cdef const int64_t *c_end = &end[0, 0] if count else NULL
        cdef int status
        self.take_shape(shape, c_shape)
        self.take_options(&options, by_columns, False, low, high)
        with nogil:
            status = maestro_layout_boxes(self.ndims, c_shape, count, c_begin, c_end, &options, &self.c)
        check(status)

    def _make_indices(self, tuple shape, const int64_t[::1] indices, const unsigned char[::1] is_ghost):
        """Indices, in row-major order of the shape; `is_ghost` may be None."""
        cdef int64_t c_shape[MAESTRO_DIMENSIONS_MAX]
        cdef Py_ssize_t count = indices.shape[0]
        cdef const int64_t *first = &indices[0] if count else NULL
        cdef const stdbool *ghost = NULL
        cdef int status
        self.take_shape(shape, c_shape)
        if is_ghost is not None and count:
            ghost = <const stdbool *>&is_ghost[0]
        with nogil:
            status = maestro_layout_indices(self.ndims, c_shape, count, first, ghost, &self.c)
        check(status)

    cdef int take_shape(self, tuple shape, int64_t *c_shape) except -1:
        if not 1 <= len(shape) <= MAESTRO_DIMENSIONS_MAX:
            raise own_failure(MAESTRO_INVALID_ARGUMENT, f"layout: {len(shape)} dimensions; there may be 1 to {MAESTRO_DIMENSIONS_MAX}")
        self.ndims = len(shape)
        return take(c_shape, shape, self.ndims, "shape")

    cdef int take_options(self, maestro_layout_options_t *options, bint by_columns, bint grid_by_columns, low, high) except -1:
        maestro_layout_options_init(options)
        options.order = MAESTRO_COLUMN_MAJOR if by_columns else MAESTRO_ROW_MAJOR
        options.grid_order = MAESTRO_COLUMN_MAJOR if grid_by_columns else MAESTRO_ROW_MAJOR
        take(options.low, low, self.ndims, "ghosts")
        return take(options.high, high, self.ndims, "ghosts")

    cdef int describe(self, int64_t part, maestro_local_t *local) except -1:
        check(maestro_layout_local(self.c, part, local))
        return 0

    def _local(self, int64_t part):
        """How a part lies in memory."""
        cdef maestro_local_t local
        cdef int n
        self.describe(part, &local)
        n = local.ndims
        return {
            "shape": [k for k in local.shape[:n]], "strides": [k for k in local.stride[:n]], "first": [k for k in local.first[:n]],
            "low": [k for k in local.low[:n]], "high": [k for k in local.high[:n]], "size": local.nelements, "nowned": local.nowned,
        }

    @property
    def nparts(self):
        """How many parts the layout knows: the product of its grid; 1 of boxes and indices."""
        return 0 if self.c == NULL else maestro_layout_nparts(self.c)

    def offset(self, int64_t part, index):
        """
        Where in a part's memory the element of a global index lies, counted in elements; -1 if the part does not own it.

        Parameters
        ----------
        part : int
            0 to nparts - 1.
        index : int or sequence of int
            One number for each dimension of the layout.

        Raises
        ------
        ArgumentError
            There is no such part or index.

        Examples
        --------
        >>> columns = maestro.Layout.blocks((4, 4), grid=(1, 2), order="F")
        >>> columns.offset(1, (3, 2)), columns.offset(0, (3, 2))
        (3, -1)
        """
        cdef int64_t c_index[MAESTRO_DIMENSIONS_MAX]
        cdef int64_t offset
        take(c_index, (index,) if isinstance(index, numbers.Integral) else index, self.ndims, "index")
        check(maestro_layout_offset(self.c, part, c_index, &offset))
        return offset

    def owner(self, index):
        """
        The part that owns a global index; -1 if that is not the only part of boxes or indices.

        Parameters
        ----------
        index : int or sequence of int
            One number for each dimension of the layout.

        Raises
        ------
        ArgumentError
            There is no such index.

        Examples
        --------
        >>> maestro.Layout.block_cyclic(10, block=2, grid=3).owner(7)
        0
        """
        cdef int64_t c_index[MAESTRO_DIMENSIONS_MAX]
        cdef int64_t part
        take(c_index, (index,) if isinstance(index, numbers.Integral) else index, self.ndims, "index")
        check(maestro_layout_owner(self.c, c_index, &part))
        return part
