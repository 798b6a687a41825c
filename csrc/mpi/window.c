/* See window.h. */
#include "mpi/window.h"

struct mst_mpi_window {
    uint64_t serial;
    size_t nbytes;
    const void *base;
    mst_mpi_window_t *next;
};

static void close_window(mst_mpi_window_t *window) {
    mst_mpi_segment_unmap(window->base, window->nbytes);
    free(window);
}

static void close_oldest(mst_mpi_windows_t *windows) {
    mst_mpi_window_t **place = &windows->last;
    while ((*place)->next) place = &(*place)->next;
    close_window(*place);
    *place = NULL;
    windows->count--;
}

static void put_first(mst_mpi_windows_t *windows, mst_mpi_window_t *window) {
    window->next = windows->last;
    windows->last = window;
}

maestro_status_t mst_mpi_windows_open(mst_mpi_windows_t *windows, const mst_mpi_segment_t *segment, size_t most, const char **base_out) {
    mst_mpi_window_t **place = &windows->last;
    while (*place && (*place)->serial != segment->serial) place = &(*place)->next;
    mst_mpi_window_t *window = *place;
    if (window) {
        *place = window->next;
        put_first(windows, window);
        *base_out = window->base;
        return MAESTRO_OK;
    }
    window = calloc(1, sizeof *window);
    if (!window) return mst_base_fail_errno("segment of another rank");
    maestro_status_t status = mst_mpi_segment_map(segment, &window->base);
    if (status != MAESTRO_OK) {
        free(window);
        return status;
    }
    window->serial = segment->serial;
    window->nbytes = segment->nbytes;
    put_first(windows, window);
    if (++windows->count > most) close_oldest(windows);
    *base_out = window->base;
    return MAESTRO_OK;
}

void mst_mpi_windows_fini(mst_mpi_windows_t *windows) {
    while (windows->last) {
        mst_mpi_window_t *window = windows->last;
        windows->last = window->next;
        close_window(window);
    }
    windows->count = 0;
}
