/* Which parts of a regular layout a part touches.  In each dimension a set of grid coordinates; their product are the peers of a piece. */
#include "array/intersect.h"

typedef struct numbers {
    int64_t *number;
    int64_t count;
    size_t capacity;
    bool failed;
} numbers_t;

static void add(numbers_t *numbers, int64_t number) {
    numbers->failed = numbers->failed || !MST_RESERVE(numbers->number, numbers->capacity, (size_t)numbers->count + 1, 8);
    if (!numbers->failed) numbers->number[numbers->count++] = number;
}

static int ascending(const void *a, const void *b) {
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return x < y ? -1 : x > y;
}

static void make_unique(numbers_t *numbers) {
    int64_t kept = 0, sorted = 1;
    while (sorted < numbers->count && numbers->number[sorted - 1] < numbers->number[sorted]) sorted++;
    if (sorted >= numbers->count) return;
    qsort(numbers->number, (size_t)numbers->count, sizeof *numbers->number, ascending);
    for (int64_t i = 0; i < numbers->count; i++)
        if (!kept || numbers->number[kept - 1] != numbers->number[i]) numbers->number[kept++] = numbers->number[i];
    numbers->count = kept;
}

/* The coordinates that own something of begin..end, which is not empty; false: all of them. */
static bool add_owners(const mst_array_cut_t *cut, int64_t begin, int64_t end, numbers_t *coordinates) {
    int64_t first = cut->block ? begin / cut->block : mst_array_cut_owner(cut, begin);
    int64_t last = cut->block ? (end - 1) / cut->block : mst_array_cut_owner(cut, end - 1);
    if (last - first + 1 >= cut->nparts) return false;
    for (int64_t i = first; i <= last; i++) add(coordinates, i % cut->nparts);
    return true;
}

static void add_all(const mst_array_cut_t *cut, numbers_t *coordinates) {
    coordinates->count = 0;
    for (int64_t i = 0; i < cut->nparts; i++) add(coordinates, i);
}

/* Many blocks with the same owners are made one as soon as they are twice as many as there are coordinates. */
static void comb_owners(const mst_array_comb_t *comb, const mst_array_cut_t *cut, numbers_t *coordinates) {
    for (int64_t block = 0; mst_array_comb_begin(comb, block) < comb->end; block++) {
        if (!add_owners(cut, mst_array_comb_begin(comb, block), mst_array_comb_end(comb, block), coordinates)) {
            add_all(cut, coordinates);
            return;
        }
        if (coordinates->count < 2 * cut->nparts) continue;
        make_unique(coordinates);
        if (coordinates->count == cut->nparts) return;
    }
    make_unique(coordinates);
}

/* All choices of one coordinate per dimension. */
static void add_product(const maestro_layout_t *layout, const numbers_t *coordinates, numbers_t *parts) {
    int64_t at[MST_ARRAY_MAX] = {0}, chosen[MST_ARRAY_MAX];
    for (int d = 0; d < layout->ndims; d++)
        if (!coordinates[d].count) return;
    for (int d = 0; d >= 0;) {
        for (d = 0; d < layout->ndims; d++) chosen[d] = coordinates[d].number[at[d]];
        add(parts, mst_array_part_number(layout, chosen));
        for (d = layout->ndims - 1; d >= 0 && ++at[d] == coordinates[d].count; d--) at[d] = 0;
    }
}

static void piece_peers(const mst_array_piece_t *piece, const maestro_layout_t *other, numbers_t *parts) {
    numbers_t coordinates[MST_ARRAY_MAX] = {0};
    if (!piece->count) return;
    for (int d = 0; d < piece->ndims; d++) {
        comb_owners(&piece->comb[d], &other->cut[d], &coordinates[d]);
        parts->failed = parts->failed || coordinates[d].failed;
    }
    if (!parts->failed) add_product(other, coordinates, parts);
    for (int d = 0; d < piece->ndims; d++) free(coordinates[d].number);
}

/* Up to where, from index[] on, the row belongs to one part of the other layout. */
static int64_t same_owner(const mst_array_cut_t *cut, int64_t i, int64_t coordinate) {
    if (cut->block) return i / cut->block * cut->block + cut->block;
    int64_t quotient = cut->size / cut->nparts, longer = cut->size % cut->nparts, next = coordinate + 1;
    return next * quotient + (next < longer ? next : longer);
}

static void span_peers(const mst_array_span_t *span, const maestro_layout_t *other, numbers_t *parts) {
    int64_t coordinate[MST_ARRAY_MAX];
    int last = other->ndims - 1;
    for (int64_t done = 0; done < span->length;) {
        int64_t rest = span->first + done, i = rest % other->cut[last].size;
        for (int d = last; d >= 0; d--) {
            coordinate[d] = mst_array_cut_owner(&other->cut[d], rest % other->cut[d].size);
            rest /= other->cut[d].size;
        }
        int64_t part = mst_array_part_number(other, coordinate), end = same_owner(&other->cut[last], i, coordinate[last]);
        if (!parts->count || parts->number[parts->count - 1] != part) add(parts, part);
        done += (end < other->cut[last].size ? end : other->cut[last].size) - i;
    }
}

maestro_status_t mst_array_peers(const maestro_layout_t *layout, int64_t part, const maestro_layout_t *other, int64_t **parts_out, int64_t *nparts_out) {
    numbers_t parts = {0};
    mst_array_piece_t piece;
    MST_TRY(mst_array_part_check(layout, part, "peers of a part"));
    MST_TRY(mst_array_part_check(other, 0, "peers of a part: the other layout"));
    MST_TRY(mst_array_layout_check_shapes(layout, other, "peers of a part"));
    if (other->family != MST_ARRAY_REGULAR)
        return mst_base_fail(MAESTRO_INVALID_ARGUMENT, "peers of a part: boxes and indices do not say what others hold; ask the others");
    if (layout->family == MST_ARRAY_REGULAR) {
        mst_array_part_piece(layout, part, &piece);
        piece_peers(&piece, other, &parts);
    }
    for (int64_t i = 0; i < layout->npieces; i++) piece_peers(&layout->piece[i], other, &parts);
    for (int64_t i = 0; i < layout->nspans; i++) span_peers(&layout->span[i], other, &parts);
    make_unique(&parts);
    if (!parts.number) add(&parts, 0), parts.count = 0;
    if (parts.failed) {
        free(parts.number);
        return mst_base_fail_errno("peers of a part");
    }
    *parts_out = parts.number;
    *nparts_out = parts.count;
    return MAESTRO_OK;
}
