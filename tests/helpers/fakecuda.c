/* Stands for the CUDA driver in tests without a device: "device memory" is memory whose addresses have their highest bit set, which nobody else can
 * touch; calls are written to the file that FAKECUDA_LOG names. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FAR ((uint64_t)1 << 63)

static int told(const char *what, uint64_t number) {
    FILE *log = fopen(getenv("FAKECUDA_LOG"), "a");
    if (!log) return 999;
    fprintf(log, "%s %llu\n", what, (unsigned long long)number);
    fclose(log);
    return 0;
}

int cuMemcpyDtoH_v2(void *host, uint64_t device, size_t nbytes) {
    if (!(device & FAR)) return 1;
    memcpy(host, (void *)(uintptr_t)(device & ~FAR), nbytes);
    return told("DtoH", nbytes);
}

int cuMemcpyHtoD_v2(uint64_t device, const void *host, size_t nbytes) {
    if (!(device & FAR)) return 1;
    memcpy((void *)(uintptr_t)(device & ~FAR), host, nbytes);
    return told("HtoD", nbytes);
}

int cuStreamSynchronize(void *stream) { return told("sync", (uintptr_t)stream); }

int cuGetErrorString(int error, const char **text) {
    *text = error == 1 ? "invalid argument" : "the log cannot be written";
    return 0;
}
