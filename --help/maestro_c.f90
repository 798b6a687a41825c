module maestro_constants
  implicit none
  public
  integer, parameter :: MAESTRO_OK = 0
  integer, parameter :: MAESTRO_AGAIN = 1
  integer, parameter :: MAESTRO_IN_PROGRESS = 2
  integer, parameter :: MAESTRO_END = 3
  integer, parameter :: MAESTRO_INTERRUPTED = 4
  integer, parameter :: MAESTRO_INVALID_ARGUMENT = -1
  integer, parameter :: MAESTRO_UNKNOWN_ATTRIBUTE = -2
  integer, parameter :: MAESTRO_WRONG_TYPE = -3
  integer, parameter :: MAESTRO_BAD_VALUE = -4
  integer, parameter :: MAESTRO_BAD_SELECTOR = -5
  integer, parameter :: MAESTRO_BAD_SCHEMA = -6
  integer, parameter :: MAESTRO_TIMEOUT = -20
  integer, parameter :: MAESTRO_NOT_FOUND = -21
  integer, parameter :: MAESTRO_NOT_UNIQUE = -22
  integer, parameter :: MAESTRO_NO_MEMORY = -23
  integer, parameter :: MAESTRO_TOO_LARGE = -24
  integer, parameter :: MAESTRO_MISSING_ATTRIBUTE = -40
  integer, parameter :: MAESTRO_DUPLICATE = -41
  integer, parameter :: MAESTRO_WITHDRAWN = -42
  integer, parameter :: MAESTRO_WRONG_STATE = -43
  integer, parameter :: MAESTRO_CORRUPT = -45
  integer, parameter :: MAESTRO_INCOMPLETE = -44
  integer, parameter :: MAESTRO_CLOSED = -60
  integer, parameter :: MAESTRO_FORKED = -61
  integer, parameter :: MAESTRO_REFUSED = -62
  integer, parameter :: MAESTRO_PROTOCOL = -63
  integer, parameter :: MAESTRO_LINK_LOST = -64
  integer, parameter :: MAESTRO_POOL_LOST = -80
  integer, parameter :: MAESTRO_POOL_START = -81
  integer, parameter :: MAESTRO_SYSTEM = -82
  integer, parameter :: MAESTRO_VERSION_MAJOR = 0
  integer, parameter :: MAESTRO_VERSION_MINOR = 1
  integer, parameter :: MAESTRO_VERSION_PATCH = 0
  integer, parameter :: MAESTRO_DIMENSIONS_MAX = 7
  integer, parameter :: MAESTRO_PRIORITY_DEFAULT = 0
  integer, parameter :: MAESTRO_PRIORITY_URGENT = 1
  integer, parameter :: MAESTRO_PRIORITY_NORMAL = 2
  integer, parameter :: MAESTRO_PRIORITY_BACKGROUND = 3
  integer, parameter :: MAESTRO_TYPE_BOOL = 1
  integer, parameter :: MAESTRO_TYPE_I64 = 2
  integer, parameter :: MAESTRO_TYPE_F64 = 3
  integer, parameter :: MAESTRO_TYPE_STRING = 4
  integer, parameter :: MAESTRO_TYPE_TIMESTAMP = 5
  integer, parameter :: MAESTRO_TYPE_BLOB = 6
  integer, parameter :: MAESTRO_TYPE_ARRAY = 16
  integer, parameter :: MAESTRO_TYPE_BOOL_ARRAY = 17
  integer, parameter :: MAESTRO_TYPE_I64_ARRAY = 18
  integer, parameter :: MAESTRO_TYPE_F64_ARRAY = 19
  integer, parameter :: MAESTRO_TYPE_STRING_ARRAY = 20
  integer, parameter :: MAESTRO_TYPE_TIMESTAMP_ARRAY = 21
  integer, parameter :: MAESTRO_TIER_DEFAULT = 0
  integer, parameter :: MAESTRO_TIER_DRAM = 1
  integer, parameter :: MAESTRO_WHEN_RELEASED = 0
  integer, parameter :: MAESTRO_WHEN_CONSUMED = 1
  integer, parameter :: MAESTRO_OF_COMPONENT = 16
  integer, parameter :: MAESTRO_EVENT_OFFERED = 1
  integer, parameter :: MAESTRO_EVENT_WITHDRAWN = 2
  integer, parameter :: MAESTRO_EVENT_JOINED = 4
  integer, parameter :: MAESTRO_EVENT_LEFT = 8
  integer, parameter :: MAESTRO_EVENT_EXPIRED = 32
  integer, parameter :: MAESTRO_EVENT_REQUIRED = 64
  integer, parameter :: MAESTRO_EVENT_RETRACTED = 128
  integer, parameter :: MAESTRO_EVENT_INCOMPLETE = 256
  integer, parameter :: MAESTRO_EVENT_GAP = 16
  integer, parameter :: MAESTRO_START_SNAPSHOT = 0
  integer, parameter :: MAESTRO_START_NOW = 1
  integer, parameter :: MAESTRO_START_QUERY = 2
  integer, parameter :: MAESTRO_ROW_MAJOR = 0
  integer, parameter :: MAESTRO_COLUMN_MAJOR = 1
  integer, parameter :: MAESTRO_BYTES_1 = 1
  integer, parameter :: MAESTRO_BYTES_2 = 2
  integer, parameter :: MAESTRO_BYTES_4 = 4
  integer, parameter :: MAESTRO_BYTES_8 = 8
  integer, parameter :: MAESTRO_BYTES_16 = 16
  integer, parameter :: MAESTRO_I32 = 260
  integer, parameter :: MAESTRO_I64 = 264
  integer, parameter :: MAESTRO_F32 = 516
  integer, parameter :: MAESTRO_F64 = 520
  integer, parameter :: MAESTRO_C64 = 776
  integer, parameter :: MAESTRO_C128 = 784
  integer, parameter :: MAESTRO_METHOD_AUTO = 0
  integer, parameter :: MAESTRO_METHOD_PACKED = 1
  integer, parameter :: MAESTRO_METHOD_SHARED = 2
  integer, parameter :: MAESTRO_METHOD_DATATYPES = 3
  integer, parameter :: MAESTRO_METHOD_STAGED = 4
end module

module maestro_c
  use, intrinsic :: iso_c_binding
  implicit none
  public
  type, bind(c) :: maestro_session_options_t
    integer(c_size_t) :: size
    type(c_ptr) :: pool
    type(c_ptr) :: component
    integer(c_int64_t) :: rank
    type(c_ptr) :: schema
    real(c_double) :: timeout_s
    logical(c_bool) :: start_pool
    logical(c_bool) :: relay
    logical(c_bool) :: interruptible
    integer(c_int) :: priority
  end type
  type, bind(c) :: maestro_subscription_options_t
    integer(c_size_t) :: size
    integer(c_int32_t) :: kinds
    integer(c_int) :: start
    logical(c_bool) :: hold
    logical(c_bool) :: observe
    integer(c_size_t) :: window_bytes
    type(c_ptr) :: group
    integer(c_int32_t) :: limit
    integer(c_int32_t) :: prefetch
    real(c_double) :: acknowledge_s
  end type
  type, bind(c) :: maestro_event_t
    integer(c_int) :: kind
    logical(c_bool) :: gone
    logical(c_bool) :: redelivered
    integer(c_int64_t) :: sequence
    integer(c_int64_t) :: gap_from
    integer(c_int64_t) :: gap_to
    type(c_ptr) :: cdo
  end type
  type, bind(c) :: maestro_values_t
    type(c_ptr) :: key
    integer(c_int) :: type
    type(c_ptr) :: values
  end type
  type, bind(c) :: maestro_column_t
    type(c_ptr) :: key
    integer(c_int) :: type
    logical(c_bool) :: constant
    type(c_ptr) :: values
  end type
  type, bind(c) :: maestro_pin_options_t
    integer(c_size_t) :: size
    integer(c_int64_t) :: pid
    integer(c_int64_t) :: rank
    integer(c_int64_t) :: nranks
    logical(c_bool) :: dry_run
  end type
  type, bind(c) :: maestro_layout_options_t
    integer(c_size_t) :: size
    integer(c_int) :: order
    integer(c_int) :: grid_order
    integer(c_int64_t) :: low(7)
    integer(c_int64_t) :: high(7)
  end type
  type, bind(c) :: maestro_local_t
    integer(c_int) :: ndims
    integer(c_int) :: order
    integer(c_int64_t) :: nelements
    integer(c_int64_t) :: nowned
    integer(c_int64_t) :: shape(7)
    integer(c_int64_t) :: stride(7)
    integer(c_int64_t) :: low(7)
    integer(c_int64_t) :: high(7)
    integer(c_int64_t) :: first(7)
  end type
  type, bind(c) :: maestro_field_t
    integer(c_int) :: from
    integer(c_int) :: to
    real(c_double) :: scale
    real(c_double) :: scale_imaginary
    logical(c_bool) :: conjugate
  end type
  type, bind(c) :: maestro_plan_options_t
    integer(c_size_t) :: size
    integer(c_int) :: method
    logical(c_bool) :: partial
    integer(c_int64_t) :: from_part
    integer(c_int64_t) :: to_part
    integer(c_size_t) :: max_fields
    type(c_ptr) :: fields
    logical(c_bool) :: periodic(7)
  end type
  interface
    function c_status_name(status) &
        bind(c, name="maestro_status_name") result(c_result)
      import
      integer(c_int), value :: status
      type(c_ptr) :: c_result
    end function
    function c_status_text(status) &
        bind(c, name="maestro_status_text") result(c_result)
      import
      integer(c_int), value :: status
      type(c_ptr) :: c_result
    end function
    function c_last_error() &
        bind(c, name="maestro_last_error") result(c_result)
      import
      type(c_ptr) :: c_result
    end function
    function c_version() &
        bind(c, name="maestro_version") result(c_result)
      import
      type(c_ptr) :: c_result
    end function
    subroutine c_free(memory) &
        bind(c, name="maestro_free")
      import
      type(c_ptr), value :: memory
    end subroutine
    subroutine c_session_options_init(options) &
        bind(c, name="maestro_session_options_init")
      import
      type(maestro_session_options_t), intent(inout) :: options
    end subroutine
    function c_session_open(options, session_out) &
        bind(c, name="maestro_session_open") result(c_result)
      import
      type(maestro_session_options_t), intent(in) :: options
      type(c_ptr), intent(inout) :: session_out
      integer(c_int) :: c_result
    end function
    subroutine c_session_wake(session) &
        bind(c, name="maestro_session_wake")
      import
      type(c_ptr), value :: session
    end subroutine
    function c_session_flush(session, timeout_s) &
        bind(c, name="maestro_session_flush") result(c_result)
      import
      type(c_ptr), value :: session
      real(c_double), value :: timeout_s
      integer(c_int) :: c_result
    end function
    function c_session_close(session) &
        bind(c, name="maestro_session_close") result(c_result)
      import
      type(c_ptr), value :: session
      integer(c_int) :: c_result
    end function
    function c_session_stats(session, timeout_s, json_out) &
        bind(c, name="maestro_session_stats") result(c_result)
      import
      type(c_ptr), value :: session
      real(c_double), value :: timeout_s
      type(c_ptr), intent(inout) :: json_out
      integer(c_int) :: c_result
    end function
    function c_session_schema(session, json_out) &
        bind(c, name="maestro_session_schema") result(c_result)
      import
      type(c_ptr), value :: session
      type(c_ptr), intent(inout) :: json_out
      integer(c_int) :: c_result
    end function
    function c_cdo_declare(session, name, cdo_out) &
        bind(c, name="maestro_cdo_declare") result(c_result)
      import
      type(c_ptr), value :: session
      character(kind=c_char), intent(in), optional :: name(*)
      type(c_ptr), intent(inout) :: cdo_out
      integer(c_int) :: c_result
    end function
    function c_cdo_declare_like(like, cdo_out) &
        bind(c, name="maestro_cdo_declare_like") result(c_result)
      import
      type(c_ptr), value :: like
      type(c_ptr), intent(inout) :: cdo_out
      integer(c_int) :: c_result
    end function
    function c_cdo_set_bool(cdo, key, value) &
        bind(c, name="maestro_cdo_set_bool") result(c_result)
      import
      type(c_ptr), value :: cdo
      character(kind=c_char), intent(in) :: key(*)
      logical(c_bool), value :: value
      integer(c_int) :: c_result
    end function
    function c_cdo_set_i64(cdo, key, value) &
        bind(c, name="maestro_cdo_set_i64") result(c_result)
      import
      type(c_ptr), value :: cdo
      character(kind=c_char), intent(in) :: key(*)
      integer(c_int64_t), value :: value
      integer(c_int) :: c_result
    end function
    function c_cdo_set_f64(cdo, key, value) &
        bind(c, name="maestro_cdo_set_f64") result(c_result)
      import
      type(c_ptr), value :: cdo
      character(kind=c_char), intent(in) :: key(*)
      real(c_double), value :: value
      integer(c_int) :: c_result
    end function
    function c_cdo_set_str(cdo, key, value) &
        bind(c, name="maestro_cdo_set_str") result(c_result)
      import
      type(c_ptr), value :: cdo
      character(kind=c_char), intent(in) :: key(*)
      character(kind=c_char), intent(in) :: value(*)
      integer(c_int) :: c_result
    end function
    function c_cdo_set_timestamp(cdo, key, nanoseconds) &
        bind(c, name="maestro_cdo_set_timestamp") result(c_result)
      import
      type(c_ptr), value :: cdo
      character(kind=c_char), intent(in) :: key(*)
      integer(c_int64_t), value :: nanoseconds
      integer(c_int) :: c_result
    end function
    function c_cdo_set_blob(cdo, key, bytes, nbytes) &
        bind(c, name="maestro_cdo_set_blob") result(c_result)
      import
      type(c_ptr), value :: cdo
      character(kind=c_char), intent(in) :: key(*)
      type(c_ptr), value :: bytes
      integer(c_size_t), value :: nbytes
      integer(c_int) :: c_result
    end function
    function c_cdo_set_bool_array(cdo, key, values, count) &
        bind(c, name="maestro_cdo_set_bool_array") result(c_result)
      import
      type(c_ptr), value :: cdo
      character(kind=c_char), intent(in) :: key(*)
      logical(c_bool), intent(in) :: values(*)
      integer(c_size_t), value :: count
      integer(c_int) :: c_result
    end function
    function c_cdo_set_i64_array(cdo, key, values, count) &
        bind(c, name="maestro_cdo_set_i64_array") result(c_result)
      import
      type(c_ptr), value :: cdo
      character(kind=c_char), intent(in) :: key(*)
      integer(c_int64_t), intent(in) :: values(*)
      integer(c_size_t), value :: count
      integer(c_int) :: c_result
    end function
    function c_cdo_set_f64_array(cdo, key, values, count) &
        bind(c, name="maestro_cdo_set_f64_array") result(c_result)
      import
      type(c_ptr), value :: cdo
      character(kind=c_char), intent(in) :: key(*)
      real(c_double), intent(in) :: values(*)
      integer(c_size_t), value :: count
      integer(c_int) :: c_result
    end function
    function c_cdo_set_str_array(cdo, key, values, count) &
        bind(c, name="maestro_cdo_set_str_array") result(c_result)
      import
      type(c_ptr), value :: cdo
      character(kind=c_char), intent(in) :: key(*)
      type(c_ptr), intent(in) :: values(*)
      integer(c_size_t), value :: count
      integer(c_int) :: c_result
    end function
    function c_cdo_set_timestamp_array(cdo, key, nanoseconds, count) &
        bind(c, name="maestro_cdo_set_timestamp_array") result(c_result)
      import
      type(c_ptr), value :: cdo
      character(kind=c_char), intent(in) :: key(*)
      integer(c_int64_t), intent(in) :: nanoseconds(*)
      integer(c_size_t), value :: count
      integer(c_int) :: c_result
    end function
    function c_cdo_unset(cdo, key) &
        bind(c, name="maestro_cdo_unset") result(c_result)
      import
      type(c_ptr), value :: cdo
      character(kind=c_char), intent(in) :: key(*)
      integer(c_int) :: c_result
    end function
    function c_cdo_alloc(cdo, nbytes, tier, bytes_out) &
        bind(c, name="maestro_cdo_alloc") result(c_result)
      import
      type(c_ptr), value :: cdo
      integer(c_size_t), value :: nbytes
      integer(c_int), value :: tier
      type(c_ptr), intent(inout) :: bytes_out
      integer(c_int) :: c_result
    end function
    function c_cdo_seal(cdo) &
        bind(c, name="maestro_cdo_seal") result(c_result)
      import
      type(c_ptr), value :: cdo
      integer(c_int) :: c_result
    end function
    function c_cdo_offer(cdo) &
        bind(c, name="maestro_cdo_offer") result(c_result)
      import
      type(c_ptr), value :: cdo
      integer(c_int) :: c_result
    end function
    function c_cdo_wait(cdo, timeout_s) &
        bind(c, name="maestro_cdo_wait") result(c_result)
      import
      type(c_ptr), value :: cdo
      real(c_double), value :: timeout_s
      integer(c_int) :: c_result
    end function
    function c_cdo_withdraw(cdo, when, timeout_s) &
        bind(c, name="maestro_cdo_withdraw") result(c_result)
      import
      type(c_ptr), value :: cdo
      integer(c_int), value :: when
      real(c_double), value :: timeout_s
      integer(c_int) :: c_result
    end function
    function c_cdo_dispose(cdo) &
        bind(c, name="maestro_cdo_dispose") result(c_result)
      import
      type(c_ptr), value :: cdo
      integer(c_int) :: c_result
    end function
    function c_cdo_reject(cdo) &
        bind(c, name="maestro_cdo_reject") result(c_result)
      import
      type(c_ptr), value :: cdo
      integer(c_int) :: c_result
    end function
    function c_cdo_id(cdo) &
        bind(c, name="maestro_cdo_id") result(c_result)
      import
      type(c_ptr), value :: cdo
      integer(c_int64_t) :: c_result
    end function
    function c_cdo_data(cdo, bytes_out, nbytes_out) &
        bind(c, name="maestro_cdo_data") result(c_result)
      import
      type(c_ptr), value :: cdo
      type(c_ptr), intent(inout) :: bytes_out
      integer(c_size_t), intent(inout) :: nbytes_out
      integer(c_int) :: c_result
    end function
    function c_cdo_part(cdo, part, timeout_s, part_out) &
        bind(c, name="maestro_cdo_part") result(c_result)
      import
      type(c_ptr), value :: cdo
      integer(c_int32_t), value :: part
      real(c_double), value :: timeout_s
      type(c_ptr), intent(inout) :: part_out
      integer(c_int) :: c_result
    end function
    function c_cdo_has(cdo, key) &
        bind(c, name="maestro_cdo_has") result(c_result)
      import
      type(c_ptr), value :: cdo
      character(kind=c_char), intent(in) :: key(*)
      logical(c_bool) :: c_result
    end function
    function c_cdo_get_bool(cdo, key, value_out) &
        bind(c, name="maestro_cdo_get_bool") result(c_result)
      import
      type(c_ptr), value :: cdo
      character(kind=c_char), intent(in) :: key(*)
      logical(c_bool), intent(inout) :: value_out
      integer(c_int) :: c_result
    end function
    function c_cdo_get_i64(cdo, key, value_out) &
        bind(c, name="maestro_cdo_get_i64") result(c_result)
      import
      type(c_ptr), value :: cdo
      character(kind=c_char), intent(in) :: key(*)
      integer(c_int64_t), intent(inout) :: value_out
      integer(c_int) :: c_result
    end function
    function c_cdo_get_f64(cdo, key, value_out) &
        bind(c, name="maestro_cdo_get_f64") result(c_result)
      import
      type(c_ptr), value :: cdo
      character(kind=c_char), intent(in) :: key(*)
      real(c_double), intent(inout) :: value_out
      integer(c_int) :: c_result
    end function
    function c_cdo_get_str(cdo, key, value_out) &
        bind(c, name="maestro_cdo_get_str") result(c_result)
      import
      type(c_ptr), value :: cdo
      character(kind=c_char), intent(in) :: key(*)
      type(c_ptr), intent(inout) :: value_out
      integer(c_int) :: c_result
    end function
    function c_cdo_get_timestamp(cdo, key, nanoseconds_out) &
        bind(c, name="maestro_cdo_get_timestamp") result(c_result)
      import
      type(c_ptr), value :: cdo
      character(kind=c_char), intent(in) :: key(*)
      integer(c_int64_t), intent(inout) :: nanoseconds_out
      integer(c_int) :: c_result
    end function
    function c_cdo_get_blob(cdo, key, bytes_out, nbytes_out) &
        bind(c, name="maestro_cdo_get_blob") result(c_result)
      import
      type(c_ptr), value :: cdo
      character(kind=c_char), intent(in) :: key(*)
      type(c_ptr), intent(inout) :: bytes_out
      integer(c_size_t), intent(inout) :: nbytes_out
      integer(c_int) :: c_result
    end function
    function c_cdo_get_bool_array(cdo, key, values_out, count_out) &
        bind(c, name="maestro_cdo_get_bool_array") result(c_result)
      import
      type(c_ptr), value :: cdo
      character(kind=c_char), intent(in) :: key(*)
      type(c_ptr), intent(inout) :: values_out
      integer(c_size_t), intent(inout) :: count_out
      integer(c_int) :: c_result
    end function
    function c_cdo_get_i64_array(cdo, key, values_out, count_out) &
        bind(c, name="maestro_cdo_get_i64_array") result(c_result)
      import
      type(c_ptr), value :: cdo
      character(kind=c_char), intent(in) :: key(*)
      type(c_ptr), intent(inout) :: values_out
      integer(c_size_t), intent(inout) :: count_out
      integer(c_int) :: c_result
    end function
    function c_cdo_get_f64_array(cdo, key, values_out, count_out) &
        bind(c, name="maestro_cdo_get_f64_array") result(c_result)
      import
      type(c_ptr), value :: cdo
      character(kind=c_char), intent(in) :: key(*)
      type(c_ptr), intent(inout) :: values_out
      integer(c_size_t), intent(inout) :: count_out
      integer(c_int) :: c_result
    end function
    function c_cdo_get_str_array(cdo, key, first_out, count_out) &
        bind(c, name="maestro_cdo_get_str_array") result(c_result)
      import
      type(c_ptr), value :: cdo
      character(kind=c_char), intent(in) :: key(*)
      type(c_ptr), intent(inout) :: first_out
      integer(c_size_t), intent(inout) :: count_out
      integer(c_int) :: c_result
    end function
    function c_cdo_get_timestamp_array(cdo, key, nanoseconds_out, count_out) &
        bind(c, name="maestro_cdo_get_timestamp_array") result(c_result)
      import
      type(c_ptr), value :: cdo
      character(kind=c_char), intent(in) :: key(*)
      type(c_ptr), intent(inout) :: nanoseconds_out
      integer(c_size_t), intent(inout) :: count_out
      integer(c_int) :: c_result
    end function
    function c_cdo_next_attribute(cdo, cursor, key_out, type_out) &
        bind(c, name="maestro_cdo_next_attribute") result(c_result)
      import
      type(c_ptr), value :: cdo
      integer(c_int32_t), intent(inout) :: cursor
      type(c_ptr), intent(inout) :: key_out
      integer(c_int), intent(inout) :: type_out
      integer(c_int) :: c_result
    end function
    function c_cdo_describe(cdo, text, nbytes) &
        bind(c, name="maestro_cdo_describe") result(c_result)
      import
      type(c_ptr), value :: cdo
      type(c_ptr), value :: text
      integer(c_size_t), value :: nbytes
      integer(c_size_t) :: c_result
    end function
    function c_selector_check(schema, selector) &
        bind(c, name="maestro_selector_check") result(c_result)
      import
      character(kind=c_char), intent(in), optional :: schema(*)
      character(kind=c_char), intent(in), optional :: selector(*)
      integer(c_int) :: c_result
    end function
    function c_demand(session, selector, timeout_s, cdo_out) &
        bind(c, name="maestro_demand") result(c_result)
      import
      type(c_ptr), value :: session
      character(kind=c_char), intent(in), optional :: selector(*)
      real(c_double), value :: timeout_s
      type(c_ptr), intent(inout) :: cdo_out
      integer(c_int) :: c_result
    end function
    function c_demand_start(session, selector, timeout_s, request_out) &
        bind(c, name="maestro_demand_start") result(c_result)
      import
      type(c_ptr), value :: session
      character(kind=c_char), intent(in), optional :: selector(*)
      real(c_double), value :: timeout_s
      type(c_ptr), intent(inout) :: request_out
      integer(c_int) :: c_result
    end function
    function c_cdo_part_start(cdo, part, timeout_s, request_out) &
        bind(c, name="maestro_cdo_part_start") result(c_result)
      import
      type(c_ptr), value :: cdo
      integer(c_int32_t), value :: part
      real(c_double), value :: timeout_s
      type(c_ptr), intent(inout) :: request_out
      integer(c_int) :: c_result
    end function
    function c_cdo_withdraw_start(cdo, when, timeout_s, request_out) &
        bind(c, name="maestro_cdo_withdraw_start") result(c_result)
      import
      type(c_ptr), value :: cdo
      integer(c_int), value :: when
      real(c_double), value :: timeout_s
      type(c_ptr), intent(inout) :: request_out
      integer(c_int) :: c_result
    end function
    function c_withdraw_start(session, selector, when, timeout_s, request_out) &
        bind(c, name="maestro_withdraw_start") result(c_result)
      import
      type(c_ptr), value :: session
      character(kind=c_char), intent(in), optional :: selector(*)
      integer(c_int), value :: when
      real(c_double), value :: timeout_s
      type(c_ptr), intent(inout) :: request_out
      integer(c_int) :: c_result
    end function
    function c_request_wait(request, timeout_s) &
        bind(c, name="maestro_request_wait") result(c_result)
      import
      type(c_ptr), value :: request
      real(c_double), value :: timeout_s
      integer(c_int) :: c_result
    end function
    function c_request_test(request) &
        bind(c, name="maestro_request_test") result(c_result)
      import
      type(c_ptr), value :: request
      integer(c_int) :: c_result
    end function
    function c_request_cdo(request, cdo_out) &
        bind(c, name="maestro_request_cdo") result(c_result)
      import
      type(c_ptr), value :: request
      type(c_ptr), intent(inout) :: cdo_out
      integer(c_int) :: c_result
    end function
    function c_request_count(request, count_out) &
        bind(c, name="maestro_request_count") result(c_result)
      import
      type(c_ptr), value :: request
      integer(c_int64_t), intent(inout) :: count_out
      integer(c_int) :: c_result
    end function
    function c_request_dispose(request) &
        bind(c, name="maestro_request_dispose") result(c_result)
      import
      type(c_ptr), value :: request
      integer(c_int) :: c_result
    end function
    function c_require(session, selector, need_out) &
        bind(c, name="maestro_require") result(c_result)
      import
      type(c_ptr), value :: session
      character(kind=c_char), intent(in), optional :: selector(*)
      type(c_ptr), intent(inout) :: need_out
      integer(c_int) :: c_result
    end function
    function c_retract(need) &
        bind(c, name="maestro_retract") result(c_result)
      import
      type(c_ptr), value :: need
      integer(c_int) :: c_result
    end function
    function c_cdo_wanted(cdo, timeout_s, wanted_out) &
        bind(c, name="maestro_cdo_wanted") result(c_result)
      import
      type(c_ptr), value :: cdo
      real(c_double), value :: timeout_s
      logical(c_bool), intent(inout) :: wanted_out
      integer(c_int) :: c_result
    end function
    function c_count(session, selector, timeout_s, count_out) &
        bind(c, name="maestro_count") result(c_result)
      import
      type(c_ptr), value :: session
      character(kind=c_char), intent(in), optional :: selector(*)
      real(c_double), value :: timeout_s
      integer(c_int64_t), intent(inout) :: count_out
      integer(c_int) :: c_result
    end function
    function c_withdraw(session, selector, when, timeout_s, count_out) &
        bind(c, name="maestro_withdraw") result(c_result)
      import
      type(c_ptr), value :: session
      character(kind=c_char), intent(in), optional :: selector(*)
      integer(c_int), value :: when
      real(c_double), value :: timeout_s
      integer(c_int64_t), intent(inout) :: count_out
      integer(c_int) :: c_result
    end function
    subroutine c_subscription_options_init(options) &
        bind(c, name="maestro_subscription_options_init")
      import
      type(maestro_subscription_options_t), intent(inout) :: options
    end subroutine
    function c_subscribe(session, selector, options, subscription_out) &
        bind(c, name="maestro_subscribe") result(c_result)
      import
      type(c_ptr), value :: session
      character(kind=c_char), intent(in), optional :: selector(*)
      type(maestro_subscription_options_t), intent(in) :: options
      type(c_ptr), intent(inout) :: subscription_out
      integer(c_int) :: c_result
    end function
    function c_subscription_next(subscription, timeout_s, event_out) &
        bind(c, name="maestro_subscription_next") result(c_result)
      import
      type(c_ptr), value :: subscription
      real(c_double), value :: timeout_s
      type(maestro_event_t), intent(inout) :: event_out
      integer(c_int) :: c_result
    end function
    function c_subscription_dispose(subscription) &
        bind(c, name="maestro_subscription_dispose") result(c_result)
      import
      type(c_ptr), value :: subscription
      integer(c_int) :: c_result
    end function
    subroutine c_field_init(field, element) &
        bind(c, name="maestro_field_init")
      import
      type(maestro_field_t), intent(inout) :: field
      integer(c_int), value :: element
    end subroutine
    function c_halo(layout, element, comm, options, plan_out) &
        bind(c, name="maestro_halo") result(c_result)
      import
      type(c_ptr), value :: layout
      integer(c_int), value :: element
      None, value :: comm
      type(maestro_plan_options_t), intent(in) :: options
      type(c_ptr), intent(inout) :: plan_out
      integer(c_int) :: c_result
    end function
    function c_relabel(from, to, comm, options, to_part_out) &
        bind(c, name="maestro_relabel") result(c_result)
      import
      type(c_ptr), value :: from
      type(c_ptr), value :: to
      None, value :: comm
      type(maestro_plan_options_t), intent(in) :: options
      integer(c_int64_t), intent(inout) :: to_part_out
      integer(c_int) :: c_result
    end function
    function c_comm_split(comm, nnames, names, comms_out) &
        bind(c, name="maestro_comm_split") result(c_result)
      import
      None, value :: comm
      integer(c_size_t), value :: nnames
      type(c_ptr), intent(in) :: names(*)
      type(c_ptr), value :: comms_out
      integer(c_int) :: c_result
    end function
  end interface
end module
