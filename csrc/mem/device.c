/* See device.h.  Of CUDA's interface only the numbers are here that its driver has kept since version 7; nothing of it is needed to build. */
#include "mem/device.h"

#include <dlfcn.h>
#include <pthread.h>

static const char DRIVER[] = "libcuda.so.1";

enum { SUCCESS = 0, INVALID_VALUE = 1, NOT_INITIALIZED = 3, DEINITIALIZED = 4, NO_DEVICE = 100, INVALID_DEVICE = 101, INVALID_CONTEXT = 201, /* CUresult */
       INVALID_HANDLE = 400, NOT_READY = 600 };
enum { ATTRIBUTE_CONTEXT = 1, ATTRIBUTE_MEMORY_TYPE = 2, ATTRIBUTE_IS_MANAGED = 8, ATTRIBUTE_DEVICE_ORDINAL = 9 }; /* CUpointer_attribute */
enum { MEMORY_TYPE_DEVICE = 2 };                                                                                   /* CUmemorytype */

#define FUNCTIONS(X)                                                                                 \
    X(cuPointerGetAttributes, (unsigned n, const int *attributes, void *const *values, uint64_t pointer)) \
    X(cuDevicePrimaryCtxRetain, (void **context_out, int device))                                    \
    X(cuDevicePrimaryCtxRelease, (int device))                                                       \
    X(cuCtxPushCurrent_v2, (void *context))                                                          \
    X(cuCtxPopCurrent_v2, (void **context_out))                                                      \
    X(cuMemcpyDtoHAsync_v2, (void *host, uint64_t device, size_t nbytes, void *stream))              \
    X(cuMemcpyHtoDAsync_v2, (uint64_t device, const void *host, size_t nbytes, void *stream))        \
    X(cuStreamQuery, (void *stream))                                                                 \
    X(cuStreamSynchronize, (void *stream))                                                           \
    X(cuGetErrorString, (int error, const char **text_out))

#define POINTER(name, parameters) int(*name) parameters;
static struct { FUNCTIONS(POINTER) } cuda;
static bool is_there;

/* ---- The driver */
/* It stays loaded: its functions may be in use at the process's end. */
static void look(void) {
    void *library = dlopen(DRIVER, RTLD_NOW | RTLD_LOCAL);
    is_there = library != NULL;
#define RESOLVE(name, parameters) is_there = is_there && (*(void **)&cuda.name = dlsym(library, #name)) != NULL;
    FUNCTIONS(RESOLVE)
}

void mst_mem_device_look(void) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, look);
}

bool mst_mem_device_is_there(void) { return is_there; }

static maestro_status_t check(int code, const char *function) {
    const char *text = NULL;
    if (MST_LIKELY(code == SUCCESS)) return MAESTRO_OK;
    if (cuda.cuGetErrorString(code, &text) != SUCCESS || !text) text = "unknown error";
    if (code == INVALID_VALUE || code == INVALID_CONTEXT || code == INVALID_HANDLE)
        return mst_base_fail(MAESTRO_INVALID_ARGUMENT, "%s: %s (%d); give memory and a stream that exist, of one device", function, text, code);
    return mst_base_fail(MAESTRO_SYSTEM, "%s: %s (%d); the device may have failed in work that was put on it before", function, text, code);
}

/* ---- Where memory lies */
/* Of memory without one, as a device's pool gives.  The application's work there keeps it alive. */
static void *primary_context(int device) {
    void *context = NULL;
    if (cuda.cuDevicePrimaryCtxRetain(&context, device) != SUCCESS) return NULL;
    cuda.cuDevicePrimaryCtxRelease(device);
    return context;
}

/* Before the process has initialised it, or where it has no device, the driver fails so. */
static bool is_not_in_use(int code) {
    return code == NOT_INITIALIZED || code == DEINITIALIZED || code == NO_DEVICE || code == INVALID_DEVICE || code == INVALID_CONTEXT;
}

/* Of memory that it does not know the driver says zeros. */
maestro_status_t mst_mem_device_find(const void *memory, mst_mem_place_t *place_out) {
    void *context = NULL;
    unsigned type = 0, managed = 0;
    int device = 0;
    const int attributes[] = {ATTRIBUTE_CONTEXT, ATTRIBUTE_MEMORY_TYPE, ATTRIBUTE_IS_MANAGED, ATTRIBUTE_DEVICE_ORDINAL};
    void *const values[] = {&context, &type, &managed, &device};
    *place_out = (mst_mem_place_t){0};
    int code = cuda.cuPointerGetAttributes(MST_COUNT(attributes), attributes, values, (uintptr_t)memory);
    if (is_not_in_use(code)) return MAESTRO_OK;
    MST_TRY(check(code, "cuPointerGetAttributes"));
    *place_out = (mst_mem_place_t){.on_device = type == MEMORY_TYPE_DEVICE && !managed, .managed = managed, .context = context};
    if ((place_out->on_device || place_out->managed) && !context) place_out->context = primary_context(device);
    return MAESTRO_OK;
}

/* ---- Copies */
static maestro_status_t enter(const mst_mem_place_t *place) {
    return place->context ? check(cuda.cuCtxPushCurrent_v2(place->context), "cuCtxPushCurrent") : MAESTRO_OK;
}

static void leave(const mst_mem_place_t *place) {
    void *context;
    if (place->context) cuda.cuCtxPopCurrent_v2(&context);
}

maestro_status_t mst_mem_device_to_host(const mst_mem_place_t *place, void *stream, const void *device, void *host, size_t nbytes) {
    MST_TRY(enter(place));
    maestro_status_t status = check(cuda.cuMemcpyDtoHAsync_v2(host, (uintptr_t)device, nbytes, stream), "cuMemcpyDtoHAsync");
    if (status == MAESTRO_OK) status = check(cuda.cuStreamSynchronize(stream), "cuStreamSynchronize");
    leave(place);
    return status;
}

maestro_status_t mst_mem_device_from_host(const mst_mem_place_t *place, void *stream, const void *host, void *device, size_t nbytes) {
    MST_TRY(enter(place));
    maestro_status_t status = check(cuda.cuMemcpyHtoDAsync_v2((uintptr_t)device, host, nbytes, stream), "cuMemcpyHtoDAsync");
    leave(place);
    return status;
}

maestro_status_t mst_mem_device_test(const mst_mem_place_t *place, void *stream) {
    MST_TRY(enter(place));
    int code = cuda.cuStreamQuery(stream);
    leave(place);
    return code == NOT_READY ? MAESTRO_IN_PROGRESS : check(code, "cuStreamQuery");
}

maestro_status_t mst_mem_device_wait(const mst_mem_place_t *place, void *stream) {
    MST_TRY(enter(place));
    maestro_status_t status = check(cuda.cuStreamSynchronize(stream), "cuStreamSynchronize");
    leave(place);
    return status;
}
