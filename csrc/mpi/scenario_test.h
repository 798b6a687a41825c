/* Random redistributions for tests: from a seed and the number of ranks every rank knows what every rank has, and so what each element's fate must be. */
#ifndef MST_MPI_SCENARIO_TEST_H
#define MST_MPI_SCENARIO_TEST_H

#include "array/random_test.h"
#include "mpi/plan.h"

enum { SCENARIO_RANKS = 8 };

typedef struct scenario_side {
    maestro_layout_t *layout[SCENARIO_RANKS]; /* NULL: the rank has no part */
    int64_t part[SCENARIO_RANKS];
    int *owner; /* of each element; -1: none */
} scenario_side_t;

typedef struct scenario {
    random_array_t array;
    int nranks;
    size_t element_nbytes;
    scenario_side_t side[MST_MPI_SIDES];
    maestro_plan_options_t options;
    int64_t uncovered; /* the first element of the target without source; -1: none */
} scenario_t;

/* Collective over the world: whether all its ranks share memory, as they may not by MPI's settings or by MAESTRO_NODE. */
static inline bool scenario_is_one_node(void) {
    mst_mpi_comm_t comm;
    bool one = mst_mpi_comm_open("test", MPI_Comm_c2f(MPI_COMM_WORLD), &comm) == MAESTRO_OK && comm.nnode == comm.nranks;
    mst_mpi_comm_close(&comm);
    return one;
}

/* ---- Regular sides: as many parts as ranks at most, dealt to ranks in a random order; or more, of which some are nobody's. */
static inline maestro_layout_t *scenario_regular(random_array_t *array, int64_t nparts) {
    maestro_layout_options_t options;
    maestro_layout_t *layout = NULL;
    int64_t grid[MST_ARRAY_MAX], block[MST_ARRAY_MAX];
    bool balanced = random_below(array, 2);
    random_options(array, balanced && random_below(array, 2), &options);
    for (int d = 0; d < array->ndims; d++) {
        grid[d] = 1 + random_below(array, nparts);
        nparts /= grid[d];
        block[d] = 1 + random_below(array, random_below(array, 3) ? 4 : 25);
    }
    if (balanced) CHECK_OK(maestro_layout_blocks(array->ndims, array->shape, grid, &options, &layout));
    else CHECK_OK(maestro_layout_block_cyclic(array->ndims, array->shape, block, grid, &options, &layout));
    return layout;
}

static inline void scenario_shuffle(random_array_t *array, int64_t *number, int64_t count) {
    for (int64_t i = 1; i < count; i++) {
        int64_t j = random_below(array, i + 1), swapped = number[i];
        number[i] = number[j];
        number[j] = swapped;
    }
}

static inline void scenario_deal_regular(scenario_t *scenario, scenario_side_t *side, bool too_many) {
    random_array_t *array = &scenario->array;
    maestro_layout_t *layout = scenario_regular(array, too_many ? 3 * scenario->nranks : scenario->nranks);
    int64_t nparts = maestro_layout_nparts(layout), part[3 * SCENARIO_RANKS];
    for (int64_t i = 0; i < (int64_t)MST_COUNT(part); i++) part[i] = i;
    scenario_shuffle(array, part, nparts > scenario->nranks ? nparts : scenario->nranks);
    for (int r = 0; r < scenario->nranks; r++) {
        side->part[r] = part[r];
        if (part[r] >= nparts) continue;
        side->layout[r] = malloc(sizeof *layout);
        *side->layout[r] = *layout; /* regular ones point to nothing */
    }
    for (int64_t i = 0; i < array->count; i++) {
        int64_t index[MST_ARRAY_MAX], owner = -1, rest = i;
        for (int d = array->ndims - 1; d >= 0; rest /= array->shape[d--]) index[d] = rest % array->shape[d];
        CHECK_OK(maestro_layout_owner(layout, index, &owner));
        side->owner[i] = -1;
        for (int r = 0; r < scenario->nranks; r++)
            if (part[r] == owner) side->owner[i] = r;
    }
    maestro_layout_destroy(layout);
}

/* ---- Own sides: the blocks of a random cut, dealt to ranks; each says by boxes or by indices what it has. */
static inline maestro_layout_t *scenario_boxes(scenario_t *scenario, const maestro_layout_t *cut, const int *owner_of, int rank) {
    random_array_t *array = &scenario->array;
    maestro_layout_options_t options;
    maestro_layout_t *layout = NULL;
    maestro_local_t local;
    int64_t nparts = maestro_layout_nparts(cut), nboxes = 0;
    int64_t *begin = malloc((size_t)(nparts * array->ndims + 1) * sizeof *begin), *end = malloc((size_t)(nparts * array->ndims + 1) * sizeof *end);
    for (int64_t p = 0; p < nparts; p++) {
        if (owner_of[p] != rank) continue;
        CHECK_OK(maestro_layout_local(cut, p, &local));
        for (int d = 0; d < array->ndims; d++) {
            begin[nboxes * array->ndims + d] = local.first[d];
            end[nboxes * array->ndims + d] = local.first[d] + local.shape[d];
        }
        nboxes++;
    }
    random_options(array, nboxes == 1, &options);
    CHECK_OK(maestro_layout_boxes(array->ndims, array->shape, nboxes, begin, end, &options, &layout));
    free(begin);
    free(end);
    return layout;
}

/* Holes and ghost cells among the indices are no part of a redistribution. */
static inline maestro_layout_t *scenario_layout_of(random_array_t *array, const int64_t *indices, int64_t count) {
    enum { OTHERS = 20 };
    maestro_layout_t *layout = NULL;
    int64_t *places = malloc((size_t)(count + OTHERS) * sizeof *places), nplaces = 0, others = random_below(array, 2) ? OTHERS : 0;
    bool *is_ghost = calloc((size_t)(count + OTHERS), 1);
    for (int64_t i = 0; i < count; i++) {
        for (; others && random_below(array, 4) == 0; others--) {
            is_ghost[nplaces] = random_below(array, 2);
            places[nplaces] = is_ghost[nplaces] ? random_below(array, array->count) : -1;
            nplaces++;
        }
        places[nplaces++] = indices[i];
    }
    CHECK_OK(maestro_layout_indices(array->ndims, array->shape, nplaces, places, random_below(array, 2) || nplaces > count ? is_ghost : NULL, &layout));
    free(places);
    free(is_ghost);
    return layout;
}

static inline maestro_layout_t *scenario_indices(scenario_t *scenario, const int *owner, int rank) {
    random_array_t *array = &scenario->array;
    int64_t *indices = malloc((size_t)(array->count + 1) * sizeof *indices), count = 0;
    for (int64_t i = 0; i < array->count; i++)
        if (owner[i] == rank) indices[count++] = i;
    if (random_below(array, 2)) scenario_shuffle(array, indices, count);
    maestro_layout_t *layout = scenario_layout_of(array, indices, count);
    free(indices);
    return layout;
}

static inline void scenario_deal_own(scenario_t *scenario, scenario_side_t *side, bool holes) {
    random_array_t *array = &scenario->array;
    int64_t grid[MST_ARRAY_MAX];
    maestro_layout_t *cut = NULL;
    for (int d = 0; d < array->ndims; d++) grid[d] = 1 + random_below(array, 3);
    CHECK_OK(maestro_layout_blocks(array->ndims, array->shape, grid, NULL, &cut));
    int64_t nparts = maestro_layout_nparts(cut);
    int *owner_of = malloc((size_t)nparts * sizeof *owner_of);
    for (int64_t p = 0; p < nparts; p++) owner_of[p] = holes && random_below(array, 6) == 0 ? -1 : (int)random_below(array, scenario->nranks);
    for (int64_t i = 0; i < array->count; i++) {
        int64_t index[MST_ARRAY_MAX], part = -1, rest = i;
        for (int d = array->ndims - 1; d >= 0; rest /= array->shape[d--]) index[d] = rest % array->shape[d];
        CHECK_OK(maestro_layout_owner(cut, index, &part));
        side->owner[i] = owner_of[part];
    }
    for (int r = 0; r < scenario->nranks; r++) {
        bool nothing = true;
        for (int64_t p = 0; p < nparts; p++) nothing = nothing && owner_of[p] != r;
        if (nothing && r && random_below(array, 2)) continue; /* rank 0 always says that the side is of this kind */
        side->layout[r] = random_below(array, 2) ? scenario_boxes(scenario, cut, owner_of, r) : scenario_indices(scenario, side->owner, r);
        side->part[r] = -(int)random_below(array, 2);
    }
    free(owner_of);
    maestro_layout_destroy(cut);
}

/* ---- The whole */
static inline void scenario_init(scenario_t *scenario, uint64_t seed, int nranks) {
    static const size_t sizes[] = {1, 2, 4, 8, 16};
    *scenario = (scenario_t){.nranks = nranks, .uncovered = -1};
    random_array_t *array = &scenario->array;
    random_array_init(array, seed);
    scenario->element_nbytes = sizes[random_below(array, 5)];
    maestro_plan_options_init(&scenario->options);
    scenario->options.max_fields = 1 + (size_t)random_below(array, 3);
    bool holes = random_below(array, 4) == 0;
    scenario->options.partial = holes && random_below(array, 2);
    for (int s = 0; s < MST_MPI_SIDES; s++) {
        scenario_side_t *side = &scenario->side[s];
        side->owner = malloc((size_t)(array->count + 1) * sizeof *side->owner);
        if (random_below(array, 2)) scenario_deal_regular(scenario, side, holes);
        else scenario_deal_own(scenario, side, holes);
    }
    for (int64_t i = 0; i < array->count && scenario->uncovered < 0; i++)
        if (scenario->side[MST_MPI_TO].owner[i] >= 0 && scenario->side[MST_MPI_FROM].owner[i] < 0) scenario->uncovered = i;
}

static inline void scenario_fini(scenario_t *scenario) {
    for (int s = 0; s < MST_MPI_SIDES; s++) {
        for (int r = 0; r < scenario->nranks; r++) maestro_layout_destroy(scenario->side[s].layout[r]);
        free(scenario->side[s].owner);
    }
}

static inline int64_t scenario_offset(const scenario_t *scenario, int side, int rank, int64_t element) {
    const scenario_side_t *s = &scenario->side[side];
    int64_t index[MST_ARRAY_MAX], offset = -1, rest = element;
    if (!s->layout[rank]) return -1;
    for (int d = scenario->array.ndims - 1; d >= 0; rest /= scenario->array.shape[d--]) index[d] = rest % scenario->array.shape[d];
    CHECK_OK(maestro_layout_offset(s->layout[rank], s->part[rank] < 0 ? 0 : s->part[rank], index, &offset));
    return offset;
}

static inline size_t scenario_room(const scenario_t *scenario, int side, int rank) {
    maestro_local_t local = {0};
    const scenario_side_t *s = &scenario->side[side];
    if (s->layout[rank]) CHECK_OK(maestro_layout_local(s->layout[rank], s->part[rank] < 0 ? 0 : s->part[rank], &local));
    return (size_t)local.nelements * scenario->element_nbytes;
}

/* A line in blocks, with `width` ghosts at either end of each. */
static inline maestro_layout_t *scenario_line(int64_t size, int64_t nparts, int64_t width) {
    maestro_layout_t *layout = NULL;
    maestro_layout_options_t options;
    maestro_layout_options_init(&options);
    options.low[0] = options.high[0] = width;
    CHECK_OK(maestro_layout_blocks(1, &size, &nparts, &options, &layout));
    return layout;
}

/* Collective: the last error has the same words on all ranks. */
static inline void check_words_are_alike(void) {
    char words[256] = "", first[256] = "";
    snprintf(words, sizeof words, "%s", maestro_last_error());
    memcpy(first, words, sizeof first);
    MPI_Bcast(first, sizeof first, MPI_CHAR, 0, MPI_COMM_WORLD);
    CHECK(strcmp(words, first) == 0);
}

#endif
