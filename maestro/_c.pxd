# What maestro.h declares, as Cython sees it.  No code and no Python objects here; the header is the manual.
# Invariant: names and types are those of the header (the C compiler checks them when _core is built).
from libc.stdint cimport int64_t, uint32_t, uint64_t

cdef extern from "<stdbool.h>":
    ctypedef unsigned char stdbool "bool"

cdef extern from "maestro.h" nogil:
    ctypedef int maestro_status_t

    const char *maestro_last_error()
    const char *maestro_version()
    void maestro_free(void *memory)

    # ---- Session
    ctypedef struct maestro_session_t:
        pass
    ctypedef struct maestro_cdo_t:
        pass
    ctypedef struct maestro_subscription_t:
        pass
    ctypedef struct maestro_request_t:
        pass
    ctypedef struct maestro_session_options_t:
        const char *pool
        const char *component
        int64_t rank
        const char *schema
        double timeout_s
        bint start_pool
        bint relay
        bint interruptible
        int priority

    void maestro_session_options_init(maestro_session_options_t *options)
    maestro_status_t maestro_session_open(const maestro_session_options_t *options, maestro_session_t **session_out)
    void maestro_session_wake(maestro_session_t *session)
    maestro_status_t maestro_session_flush(maestro_session_t *session, double timeout_s)
    maestro_status_t maestro_session_close(maestro_session_t *session)
    maestro_status_t maestro_session_stats(maestro_session_t *session, double timeout_s, char **json_out)
    maestro_status_t maestro_session_schema(maestro_session_t *session, char **json_out)

    # ---- Object: producer's side
    ctypedef int maestro_type_t
    ctypedef int maestro_tier_t
    ctypedef int maestro_when_t

    maestro_status_t maestro_cdo_declare(maestro_session_t *session, const char *name, maestro_cdo_t **cdo_out)
    maestro_status_t maestro_cdo_declare_like(const maestro_cdo_t *like, maestro_cdo_t **cdo_out)
    maestro_status_t maestro_cdo_set_bool(maestro_cdo_t *cdo, const char *key, bint value)
    maestro_status_t maestro_cdo_set_i64(maestro_cdo_t *cdo, const char *key, int64_t value)
    maestro_status_t maestro_cdo_set_f64(maestro_cdo_t *cdo, const char *key, double value)
    maestro_status_t maestro_cdo_set_str(maestro_cdo_t *cdo, const char *key, const char *value)
    maestro_status_t maestro_cdo_set_timestamp(maestro_cdo_t *cdo, const char *key, int64_t nanoseconds)
    maestro_status_t maestro_cdo_set_blob(maestro_cdo_t *cdo, const char *key, const void *bytes, size_t nbytes)
    maestro_status_t maestro_cdo_set_bool_array(maestro_cdo_t *cdo, const char *key, const stdbool *values, size_t count)
    maestro_status_t maestro_cdo_set_i64_array(maestro_cdo_t *cdo, const char *key, const int64_t *values, size_t count)
    maestro_status_t maestro_cdo_set_f64_array(maestro_cdo_t *cdo, const char *key, const double *values, size_t count)
    maestro_status_t maestro_cdo_set_str_array(maestro_cdo_t *cdo, const char *key, const char *const *values, size_t count)
    maestro_status_t maestro_cdo_set_timestamp_array(maestro_cdo_t *cdo, const char *key, const int64_t *nanoseconds, size_t count)
    maestro_status_t maestro_cdo_unset(maestro_cdo_t *cdo, const char *key)
    maestro_status_t maestro_cdo_alloc(maestro_cdo_t *cdo, size_t nbytes, maestro_tier_t tier, void **bytes_out)
    maestro_status_t maestro_cdo_fill(maestro_cdo_t *cdo, size_t offset, const void *bytes, size_t nbytes)
    maestro_status_t maestro_cdo_wrap(maestro_cdo_t *cdo, const void *bytes, size_t nbytes)
    maestro_status_t maestro_cdo_seal(maestro_cdo_t *cdo)
    maestro_status_t maestro_cdo_offer(maestro_cdo_t *cdo)
    maestro_status_t maestro_cdo_wait(maestro_cdo_t *cdo, double timeout_s)
    maestro_status_t maestro_cdo_dispose(maestro_cdo_t *cdo)
    maestro_status_t maestro_cdo_reject(maestro_cdo_t *cdo)

    # ---- Object: reading
    uint64_t maestro_cdo_id(const maestro_cdo_t *cdo)
    int maestro_cdo_numa_node(const maestro_cdo_t *cdo)
    maestro_status_t maestro_cdo_data(const maestro_cdo_t *cdo, const void **bytes_out, size_t *nbytes_out)
    bint maestro_cdo_has(const maestro_cdo_t *cdo, const char *key)
    maestro_status_t maestro_cdo_get_bool(const maestro_cdo_t *cdo, const char *key, stdbool *value_out)
    maestro_status_t maestro_cdo_get_i64(const maestro_cdo_t *cdo, const char *key, int64_t *value_out)
    maestro_status_t maestro_cdo_get_f64(const maestro_cdo_t *cdo, const char *key, double *value_out)
    maestro_status_t maestro_cdo_get_str(const maestro_cdo_t *cdo, const char *key, const char **value_out)
    maestro_status_t maestro_cdo_get_timestamp(const maestro_cdo_t *cdo, const char *key, int64_t *nanoseconds_out)
    maestro_status_t maestro_cdo_get_blob(const maestro_cdo_t *cdo, const char *key, const void **bytes_out, size_t *nbytes_out)
    maestro_status_t maestro_cdo_get_bool_array(const maestro_cdo_t *cdo, const char *key, const stdbool **values_out, size_t *count_out)
    maestro_status_t maestro_cdo_get_i64_array(const maestro_cdo_t *cdo, const char *key, const int64_t **values_out, size_t *count_out)
    maestro_status_t maestro_cdo_get_f64_array(const maestro_cdo_t *cdo, const char *key, const double **values_out, size_t *count_out)
    maestro_status_t maestro_cdo_get_str_array(const maestro_cdo_t *cdo, const char *key, const char **first_out, size_t *count_out)
    maestro_status_t maestro_cdo_get_timestamp_array(const maestro_cdo_t *cdo, const char *key, const int64_t **nanoseconds_out,
                                                     size_t *count_out)
    maestro_status_t maestro_cdo_next_attribute(const maestro_cdo_t *cdo, uint32_t *cursor, const char **key_out, maestro_type_t *type_out)
    size_t maestro_cdo_describe(const maestro_cdo_t *cdo, char *text, size_t nbytes)

    # ---- Asking
    maestro_status_t maestro_selector_check(const char *schema, const char *selector)
    maestro_status_t maestro_selector_tree(const char *schema, const char *selector, char **json_out)
    ctypedef struct maestro_index_t:
        pass
    maestro_status_t maestro_index_create(maestro_session_t *session, maestro_index_t **index_out)
    void maestro_index_destroy(maestro_index_t *index)
    maestro_status_t maestro_index_add(maestro_index_t *index, const maestro_cdo_t *cdo)
    maestro_status_t maestro_index_find(maestro_index_t *index, const char *selector, uint32_t **numbers_out, size_t *count_out)
    maestro_status_t maestro_demand_start(maestro_session_t *session, const char *selector, double timeout_s,
                                          maestro_request_t **request_out)
    maestro_status_t maestro_cdo_part_start(const maestro_cdo_t *cdo, uint32_t part, double timeout_s, maestro_request_t **request_out)
    maestro_status_t maestro_cdo_withdraw_start(maestro_cdo_t *cdo, maestro_when_t when, double timeout_s,
                                                maestro_request_t **request_out)
    maestro_status_t maestro_request_wait(maestro_request_t *request, double timeout_s)
    maestro_status_t maestro_request_test(maestro_request_t *request)
    maestro_status_t maestro_request_cdo(maestro_request_t *request, maestro_cdo_t **cdo_out)
    maestro_status_t maestro_request_dispose(maestro_request_t *request)
    ctypedef struct maestro_need_t:
        pass
    maestro_status_t maestro_require(maestro_session_t *session, const char *selector, maestro_need_t **need_out)
    maestro_status_t maestro_retract(maestro_need_t *need)
    maestro_status_t maestro_cdo_wanted(const maestro_cdo_t *cdo, double timeout_s, stdbool *wanted_out)
    maestro_status_t maestro_count(maestro_session_t *session, const char *selector, double timeout_s, uint64_t *count_out)
    maestro_status_t maestro_withdraw_start(maestro_session_t *session, const char *selector, maestro_when_t when, double timeout_s,
                                            maestro_request_t **request_out)
    maestro_status_t maestro_request_count(maestro_request_t *request, uint64_t *count_out)

    # ---- Subscriptions
    ctypedef int maestro_event_kind_t
    ctypedef int maestro_start_t
    ctypedef struct maestro_subscription_options_t:
        uint32_t kinds
        maestro_start_t start
        bint hold
        bint observe
        size_t window_bytes
        const char *group
        uint32_t limit
        uint32_t prefetch
        double acknowledge_s
    ctypedef struct maestro_event_t:
        maestro_event_kind_t kind
        bint gone
        bint redelivered
        uint64_t sequence
        uint64_t gap_from
        uint64_t gap_to
        maestro_cdo_t *cdo

    void maestro_subscription_options_init(maestro_subscription_options_t *options)
    maestro_status_t maestro_subscribe(maestro_session_t *session, const char *selector,
                                       const maestro_subscription_options_t *options,
                                       maestro_subscription_t **subscription_out)
    maestro_status_t maestro_subscription_next_many(maestro_subscription_t *subscription, double timeout_s,
                                                    maestro_event_t *events, size_t capacity, size_t *count_out)
    int maestro_subscription_fd(const maestro_subscription_t *subscription)
    maestro_status_t maestro_subscription_dispose(maestro_subscription_t *subscription)

    # ---- Placement
    ctypedef struct maestro_pin_t:
        pass
    ctypedef struct maestro_pin_options_t:
        int64_t pid
        int64_t rank
        int64_t nranks
        bint dry_run
    void maestro_pin_options_init(maestro_pin_options_t *options)
    maestro_status_t maestro_pin_to_cdo(const maestro_cdo_t *cdo, const maestro_pin_options_t *options, maestro_pin_t **pin_out)
    const char *maestro_pin_describe(const maestro_pin_t *pin)
    maestro_status_t maestro_unpin(maestro_pin_t *pin)
    void maestro_pin_dispose(maestro_pin_t *pin)

    # ---- Arrays: layouts
    ctypedef struct maestro_layout_t:
        pass
    ctypedef int maestro_order_t
    ctypedef struct maestro_layout_options_t:
        maestro_order_t order
        maestro_order_t grid_order
        int64_t low[7]
        int64_t high[7]
    ctypedef struct maestro_local_t:
        int ndims
        maestro_order_t order
        int64_t nelements
        int64_t nowned
        int64_t shape[7]
        int64_t stride[7]
        int64_t low[7]
        int64_t high[7]
        int64_t first[7]

    void maestro_layout_options_init(maestro_layout_options_t *options)
    maestro_status_t maestro_layout_blocks(int ndims, const int64_t *shape, const int64_t *grid, const maestro_layout_options_t *options,
                                           maestro_layout_t **layout_out)
    maestro_status_t maestro_layout_block_cyclic(int ndims, const int64_t *shape, const int64_t *block, const int64_t *grid,
                                                 const maestro_layout_options_t *options, maestro_layout_t **layout_out)
    maestro_status_t maestro_layout_boxes(int ndims, const int64_t *shape, int64_t nboxes, const int64_t *begin, const int64_t *end,
                                          const maestro_layout_options_t *options, maestro_layout_t **layout_out)
    maestro_status_t maestro_layout_indices(int ndims, const int64_t *shape, int64_t count, const int64_t *indices, const stdbool *is_ghost,
                                            maestro_layout_t **layout_out)
    void maestro_layout_destroy(maestro_layout_t *layout)
    int64_t maestro_layout_nparts(const maestro_layout_t *layout)
    maestro_status_t maestro_layout_local(const maestro_layout_t *layout, int64_t part, maestro_local_t *local_out)
    maestro_status_t maestro_layout_offset(const maestro_layout_t *layout, int64_t part, const int64_t *index, int64_t *offset_out)
    maestro_status_t maestro_layout_owner(const maestro_layout_t *layout, const int64_t *index, int64_t *part_out)

    # ---- Arrays: collective operations, of libmaestro_mpi
    ctypedef struct maestro_plan_t:
        pass
    ctypedef int maestro_element_t
    ctypedef int maestro_comm_t
    ctypedef int maestro_method_t
    ctypedef struct maestro_field_t:
        maestro_element_t from_ "from"
        maestro_element_t to
        double scale
        double scale_imaginary
        bint conjugate
    ctypedef struct maestro_plan_options_t:
        size_t size
        maestro_method_t method
        bint partial
        int64_t from_part
        int64_t to_part
        size_t max_fields
        const maestro_field_t *fields
        stdbool periodic[7]
        const void *const *try_from
        void *const *try_to

    void maestro_plan_options_init(maestro_plan_options_t *options)
    maestro_status_t maestro_redistribute(const maestro_layout_t *from_, const maestro_layout_t *to, maestro_element_t element,
                                          maestro_comm_t comm, const maestro_plan_options_t *options, maestro_plan_t **plan_out)
    maestro_status_t maestro_halo(const maestro_layout_t *layout, maestro_element_t element, maestro_comm_t comm,
                                  const maestro_plan_options_t *options, maestro_plan_t **plan_out)
    maestro_status_t maestro_relabel(const maestro_layout_t *from_, const maestro_layout_t *to, maestro_comm_t comm,
                                     const maestro_plan_options_t *options, int64_t *to_part_out)
    maestro_status_t maestro_alloc(size_t nbytes, void **memory_out)
    maestro_status_t maestro_dealloc(void *memory)
    maestro_status_t maestro_plan_start_on(maestro_plan_t *plan, void *stream, size_t nfields, const void *const *from_, void *const *to)
    maestro_status_t maestro_plan_wait(maestro_plan_t *plan, double timeout_s)
    maestro_status_t maestro_plan_test(maestro_plan_t *plan)
    maestro_status_t maestro_plan_explain(const maestro_plan_t *plan, char **json_out)
    maestro_status_t maestro_plan_destroy(maestro_plan_t *plan)
    maestro_status_t maestro_comm_split(maestro_comm_t comm, size_t nnames, const char *const *names, maestro_comm_t *comms_out)

    # ---- Many objects at once, machine
    ctypedef struct maestro_values_t:
        const char *key
        maestro_type_t type
        void *values
    maestro_status_t maestro_subscription_next_columns(maestro_subscription_t *subscription, double timeout_s,
                                                       const maestro_values_t *columns, size_t ncolumns, size_t capacity, size_t *count_out)

    ctypedef struct maestro_column_t:
        const char *key
        maestro_type_t type
        bint constant
        const void *values
    maestro_status_t maestro_offer_many(maestro_session_t *session, size_t count, const maestro_column_t *columns, size_t ncolumns,
                                        const void *const *payloads, const size_t *nbytes, size_t *offered_out)
    maestro_status_t maestro_info(char **json_out)
