/* See handover.h. */
#include "array/handover.h"

#include "array/kernels.h"

enum { JUDGED = 6,           /* which use of a way is the first to count: those before find both slots' lines where the other way has left them */
       PAUSE = 4, PAUSE_MAX = 9 }; /* powers of two: uses past the caches before the other way is tried again */
static const float DEARER = 1.1F, HOPELESS = 2; /* so many times as long it may take through the caches, and before it is judged */
static const float READ_FIRST_NS = 500, READ_NS = 45; /* longer than through the caches, of a use and of a KiB, where it is not known: measured on the machine of
                                                         the header with 8 to 512 KiB, 0.9 to 19 us */

void mst_array_scratch_fini(mst_array_scratch_t *scratch) {
    free(scratch->bytes);
    *scratch = (mst_array_scratch_t){0};
}

/* ---- Writing */
/* Lines are written past the caches where they are packed; all else is packed before. */
static void write_past(mst_array_scratch_t *scratch, const mst_array_copy_t *copy, const char *from, char *to) {
    size_t nbytes = mst_array_copy_nbytes(copy);
    int64_t at;
    if (mst_array_copy_is_line(copy, MST_ARRAY_PACK, &at)) mst_array_line_stream(to, from + at, nbytes);
    else if (mst_array_copy_can_pass(copy)) mst_array_copy_run_past(copy, from, to);
    else if (MST_RESERVE(scratch->bytes, scratch->capacity, nbytes, 1)) {
        mst_array_copy_run(copy, from, scratch->bytes);
        mst_array_line_stream(to, scratch->bytes, nbytes);
    } else mst_array_copy_run(copy, from, to);
}

void mst_array_handover_pack(mst_array_handover_t *handover, mst_array_scratch_t *scratch, const mst_array_copy_t *copy, const void *from, char *to) {
    size_t nbytes = mst_array_copy_nbytes(copy);
    if (nbytes < MST_ARRAY_HANDOVER_LEAST || mst_array_copy_is_large(copy)) {
        mst_array_copy_run(copy, from, to);
        return;
    }
    int64_t begun_ns = mst_base_now_ns();
    if (handover->cached) mst_array_copy_run(copy, from, to);
    else write_past(scratch, copy, from, to);
    handover->ns += (float)(mst_base_now_ns() - begun_ns);
    handover->kib += (float)nbytes / 1024;
}

/* ---- Learning */
static void turn(mst_array_handover_t *handover, bool cached, int pause) {
    handover->cached = cached;
    handover->pause = (uint8_t)(pause < PAUSE ? PAUSE : pause < PAUSE_MAX ? pause : PAUSE_MAX);
    handover->uses = 0;
}

/* What it takes past the caches hardly changes; through them it is watched, and left when it becomes dear.  Of two uses one after the other the smaller time
 * counts, for a core may be taken away. */
static void learn(mst_array_handover_t *handover, float ns) {
    float least = ns < handover->last_ns ? ns : handover->last_ns;
    bool judged = ++handover->uses >= JUDGED;
    handover->last_ns = ns;
    if (!handover->cached) {
        if (handover->uses <= JUDGED || least < handover->past_ns) handover->past_ns = least;
        if (judged && handover->uses >= (handover->pause ? 1 << handover->pause : 0)) turn(handover, true, handover->pause);
    } else if (handover->uses > 1 && least > (judged ? DEARER : HOPELESS) * handover->past_ns)
        turn(handover, false, handover->uses <= JUDGED ? handover->pause + 1 : PAUSE);
    else if (judged) handover->uses = JUDGED;
}

void mst_array_handover_end(mst_array_handover_t *handover, float read_ns) {
    float ns = handover->ns, kib = handover->kib;
    handover->ns = handover->kib = 0;
    if (kib <= 0 || read_ns < 0) return;
    if (read_ns <= 0 && !handover->cached) read_ns = READ_FIRST_NS + READ_NS * kib;
    learn(handover, (ns + read_ns) / kib);
}
