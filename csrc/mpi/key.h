/* Trees (search.h) of what has to do with an object of a node; their items begin with its key. */
#ifndef MST_MPI_KEY_H
#define MST_MPI_KEY_H

#include <search.h>
#include <stddef.h>
#include <stdint.h>

typedef struct mst_mpi_key {
    int64_t peer;
    uint64_t id, part;
} mst_mpi_key_t;

static inline int mst_mpi_key_compare(const void *a, const void *b) {
    const mst_mpi_key_t *x = a, *y = b;
    if (x->peer != y->peer) return x->peer < y->peer ? -1 : 1;
    if (x->id != y->id) return x->id < y->id ? -1 : 1;
    return (x->part > y->part) - (x->part < y->part);
}

static inline void *mst_mpi_key_find(void **tree, mst_mpi_key_t key) {
    void *const *node = tfind(&key, tree, mst_mpi_key_compare);
    return node ? *node : NULL;
}

/* Any item of a tree that has one: a tree's root begins with the pointer to it. */
static inline void *mst_mpi_key_any(void *tree) { return *(void **)tree; }

#endif
