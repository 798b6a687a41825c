/* See fakecuda.h.  Of the real driver those functions are here that Maestro calls. */
#include "fakecuda.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

enum { SUCCESS, INVALID_VALUE = 1, OUT_OF_MEMORY = 2, NOT_INITIALIZED = 3, INVALID_CONTEXT = 201, INVALID_HANDLE = 400, NOT_READY = 600 };

/* ---- Words and failures */
static char said[8192];
static size_t nsaid;
static const char *failing = "";
static int failure;
static bool initialised;

__attribute__((format(printf, 1, 2))) static void say(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(said + nsaid, sizeof said - nsaid, format, arguments);
    va_end(arguments);
    if (length > 0 && nsaid + (size_t)length < sizeof said) nsaid += (size_t)length;
}

const char *fakecuda_said(void) {
    static char told[sizeof said];
    memcpy(told, said, nsaid);
    told[nsaid] = 0;
    nsaid = 0;
    return told;
}

void fakecuda_fail(const char *function, int code) {
    failing = function ? function : "";
    failure = code;
}

/* What each call begins with. */
static int begin(const char *function) {
    if (!initialised) return NOT_INITIALIZED;
    return strcmp(function, failing) == 0 ? failure : SUCCESS;
}

#define BEGIN(function)              \
    do {                             \
        int code_ = begin(function); \
        if (code_) return code_;     \
    } while (0)

int cuInit(unsigned flags) {
    initialised = true;
    return flags ? INVALID_VALUE : SUCCESS;
}

int cuGetErrorString(int error, const char **text_out) {
    *text_out = error == INVALID_VALUE ? "invalid argument" : error == INVALID_CONTEXT ? "invalid device context"
                : error == INVALID_HANDLE ? "invalid resource handle" : "unspecified launch failure";
    return SUCCESS;
}

/* ---- Contexts */
enum { DEEPEST = 8 };
static int own_context, primary_context, nretained;
static __thread void *pushed[DEEPEST];
static __thread int npushed;

int cuCtxGetCurrent(void **context_out) {
    *context_out = npushed ? pushed[npushed - 1] : NULL;
    return SUCCESS;
}

int cuCtxPushCurrent_v2(void *context) {
    BEGIN("cuCtxPushCurrent");
    if (npushed == DEEPEST) return OUT_OF_MEMORY;
    pushed[npushed++] = context;
    return SUCCESS;
}

int cuCtxPopCurrent_v2(void **context_out) {
    if (!npushed) return INVALID_CONTEXT;
    *context_out = pushed[--npushed];
    return SUCCESS;
}

int cuDevicePrimaryCtxRetain(void **context_out, int device) {
    *context_out = &primary_context;
    nretained++;
    return device ? INVALID_VALUE : SUCCESS;
}

int cuDevicePrimaryCtxRelease(int device) { return device || !nretained-- ? INVALID_VALUE : SUCCESS; }

static int check_context(uint64_t device) {
    void *current;
    cuCtxGetCurrent(&current);
    return current == (device & FAKECUDA_POOLED ? &primary_context : &own_context) ? SUCCESS : INVALID_CONTEXT;
}

/* ---- Memory */
static uint64_t managed, managed_nbytes;

void fakecuda_manage(const void *memory, size_t nbytes) {
    managed = (uintptr_t)memory;
    managed_nbytes = nbytes;
}

int cuPointerGetAttributes(unsigned n, const int *attributes, void *const *values, uint64_t pointer) {
    bool is_managed = pointer - managed < managed_nbytes, is_known = pointer & FAKECUDA_FAR || is_managed;
    BEGIN("cuPointerGetAttributes");
    for (unsigned i = 0; i < n; i++)
        switch (attributes[i]) {
        case 1: *(void **)values[i] = is_known && !(pointer & FAKECUDA_POOLED) ? &own_context : NULL; break;
        case 2: *(unsigned *)values[i] = is_known ? 2 : 0; break;
        case 8: *(unsigned *)values[i] = is_managed; break;
        case 9: *(int *)values[i] = 0; break;
        default: return INVALID_VALUE;
        }
    return SUCCESS;
}

/* ---- Streams */
typedef struct work {
    uint64_t stream;
    void *to;
    const void *from;
    size_t nbytes;
} work_t;

enum { MOST = 256 };
static work_t queue[MOST];
static int nqueued;

static int put(void *stream, void *to, const void *from, size_t nbytes) {
    if ((uintptr_t)stream >= FAKECUDA_STREAMS) return INVALID_HANDLE;
    if (nqueued == MOST) return OUT_OF_MEMORY;
    queue[nqueued++] = (work_t){.stream = (uintptr_t)stream, .to = to, .from = from, .nbytes = nbytes};
    return SUCCESS;
}

int fakecuda_later(void *stream, void *device, const void *host, size_t nbytes) { return put(stream, fakecuda_near(device), host, nbytes); }

/* False: the stream has nothing to do. */
static bool do_next(void *stream) {
    int i = 0;
    while (i < nqueued && queue[i].stream != (uintptr_t)stream) i++;
    if (i == nqueued) return false;
    memcpy(queue[i].to, queue[i].from, queue[i].nbytes);
    nqueued--;
    memmove(queue + i, queue + i + 1, (size_t)(nqueued - i) * sizeof *queue);
    return true;
}

int cuMemcpyDtoHAsync_v2(void *host, uint64_t device, size_t nbytes, void *stream) {
    BEGIN("cuMemcpyDtoHAsync");
    if (!(device & FAKECUDA_FAR)) return INVALID_VALUE;
    int code = check_context(device);
    if (!code) code = put(stream, host, fakecuda_near((void *)(uintptr_t)device), nbytes);
    if (!code) say("DtoH %zu %llu\n", nbytes, (unsigned long long)(uintptr_t)stream);
    return code;
}

int cuMemcpyHtoDAsync_v2(uint64_t device, const void *host, size_t nbytes, void *stream) {
    BEGIN("cuMemcpyHtoDAsync");
    if (!(device & FAKECUDA_FAR)) return INVALID_VALUE;
    int code = check_context(device);
    if (!code) code = put(stream, fakecuda_near((void *)(uintptr_t)device), host, nbytes);
    if (!code) say("HtoD %zu %llu\n", nbytes, (unsigned long long)(uintptr_t)stream);
    return code;
}

int cuStreamQuery(void *stream) {
    BEGIN("cuStreamQuery");
    if ((uintptr_t)stream >= FAKECUDA_STREAMS) return INVALID_HANDLE;
    return do_next(stream) ? NOT_READY : SUCCESS;
}

int cuStreamSynchronize(void *stream) {
    BEGIN("cuStreamSynchronize");
    if ((uintptr_t)stream >= FAKECUDA_STREAMS) return INVALID_HANDLE;
    while (do_next(stream)) continue;
    say("sync %llu\n", (unsigned long long)(uintptr_t)stream);
    return SUCCESS;
}
