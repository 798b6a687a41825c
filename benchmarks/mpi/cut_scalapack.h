/* Redistribution by ScaLAPACK, from a library that is opened at run time: pdgemr2d for rc and cy, pdtran for rt.
 * It counts by columns: a row-major array is its transpose there. */
#ifndef BENCH_CUT_SCALAPACK_H
#define BENCH_CUT_SCALAPACK_H

#include "cut.h"

#include <dlfcn.h>

static struct {
    void (*pinfo)(int *, int *);
    void (*get)(int, int, int *);
    void (*gridinit)(int *, const char *, int, int);
    void (*gridexit)(int);
    void (*gemr2d)(int, int, const double *, int, int, const int *, double *, int, int, const int *, int);
    void (*tran)(const int *, const int *, const double *, const double *, const int *, const int *, const int *, const double *, double *, const int *,
                 const int *, const int *);
} blacs;

typedef struct scalapack {
    cut_t cut;
    int context[2], all;
    int descriptor[2][9];
} scalapack_t;

static inline bool scalapack_symbol(void *library, const char *name, void *function) {
    void *found = dlsym(library, name);
    memcpy(function, &found, sizeof found);
    return found != NULL;
}

/* Says on standard error why there is none. */
static inline bool scalapack_open(const char *path) {
    void *library = path ? dlopen(path, RTLD_NOW | RTLD_GLOBAL) : NULL;
    if (path && !library) fprintf(stderr, "no ScaLAPACK: %s\n", dlerror());
    return library && scalapack_symbol(library, "Cblacs_pinfo", &blacs.pinfo) && scalapack_symbol(library, "Cblacs_get", &blacs.get) &&
           scalapack_symbol(library, "Cblacs_gridinit", &blacs.gridinit) && scalapack_symbol(library, "Cblacs_gridexit", &blacs.gridexit) &&
           scalapack_symbol(library, "Cpdgemr2d", &blacs.gemr2d) && scalapack_symbol(library, "pdtran_", &blacs.tran);
}

static inline int scalapack_grid(const char *order, int64_t nrows, int64_t ncolumns) {
    int context;
    blacs.get(-1, 0, &context);
    blacs.gridinit(&context, order, (int)nrows, (int)ncolumns);
    return context;
}

static inline void scalapack_describe(int *descriptor, int context, int64_t n, int64_t rows, int64_t columns, int64_t leading) {
    const int values[9] = {1, context, (int)n, (int)n, (int)rows, (int)columns, 0, 0, (int)leading};
    memcpy(descriptor, values, sizeof values);
}

static inline void scalapack_init(scalapack_t *scalapack, const cut_t *cut) {
    int rank, nranks;
    int64_t n = cut->n, part = cut->part;
    *scalapack = (scalapack_t){.cut = *cut};
    blacs.pinfo(&rank, &nranks);
    int *context = scalapack->context;
    context[0] = cut->kind == CY ? scalapack_grid("C", cut->pc, cut->pr) : scalapack_grid("R", 1, nranks);
    context[1] = cut->kind == RC ? scalapack_grid("R", nranks, 1) : cut->kind == CY ? scalapack_grid("R", 1, nranks) : context[0];
    scalapack->all = scalapack_grid("R", 1, nranks);
    if (cut->kind == CY) scalapack_describe(scalapack->descriptor[0], context[0], n, cut->block, cut->block, n / cut->pc);
    else scalapack_describe(scalapack->descriptor[0], context[0], n, n, part, n);
    if (cut->kind == RC) scalapack_describe(scalapack->descriptor[1], context[1], n, part, n, part);
    else scalapack_describe(scalapack->descriptor[1], context[1], n, n, part, n);
}

static inline void scalapack_fini(scalapack_t *scalapack) {
    blacs.gridexit(scalapack->context[0]);
    if (scalapack->cut.kind != RT) blacs.gridexit(scalapack->context[1]);
    blacs.gridexit(scalapack->all);
}

static inline void scalapack_run(void *context) {
    scalapack_t *scalapack = context;
    const cut_t *cut = &scalapack->cut;
    const int n = (int)cut->n, one = 1;
    if (cut->kind != RT) blacs.gemr2d(n, n, cut->source, 1, 1, scalapack->descriptor[0], cut->target, 1, 1, scalapack->descriptor[1], scalapack->all);
    else blacs.tran(&n, &n, &(double){1}, cut->source, &one, &one, scalapack->descriptor[0], &(double){0}, cut->target, &one, &one, scalapack->descriptor[1]);
}

#endif
