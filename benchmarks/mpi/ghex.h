/* GHEX behind three C functions, so that halo.c opens them at run time: ghex.cpp, which scripts/bench-peers compiles where GHEX is. */
#ifndef BENCH_GHEX_H
#define BENCH_GHEX_H

#include <stdint.h>

/* Fields of doubles with a halo around the rank's own cells, row-major, one after the other; periodic.  Cells first[d] to last[d], inclusive, of whole[d]. */
typedef struct bench_ghex_case {
    int ndims, rank, width, nfields;
    int first[3], last[3], whole[3];
    double *fields;
    int64_t count; /* of a field, with its halo */
} bench_ghex_case_t;

#ifdef __cplusplus
extern "C" {
#endif
void *bench_ghex_open(const bench_ghex_case_t *of); /* NULL: it failed, and has said why */
void bench_ghex_run(void *exchange);
void bench_ghex_close(void *exchange);
#ifdef __cplusplus
}
#endif
#endif
