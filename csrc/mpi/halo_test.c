/* Halos against brute force: from a seed every rank knows which element each place of each rank stands for.  Regular layouts, boxes, lists; a cubed sphere;
 * refusals.  Run by any number of ranks up to 8. */
#include "mpi/cases_test.h"
#include "mpi/scenario_test.h"

enum { GUARD = 64, UNTOUCHED = 0xdd, FIELDS = 3, LAST_METHOD = MAESTRO_METHOD_AUTO_PRIVATE };

static int rank, nranks;
static maestro_comm_t world;

/* ---- What a rank holds */
typedef struct places {
    maestro_layout_t *layout; /* NULL: no part */
    int64_t part, count;
    int64_t *element;         /* that each place stands for, owned or not; negative: none */
    bool *owned;
} places_t;

typedef struct halo {
    random_array_t array;
    maestro_field_t kind[FIELDS];
    places_t at[SCENARIO_RANKS];
    maestro_plan_options_t options;
    int64_t missing; /* the first element that a ghost cell stands for and nobody owns; -1: none */
} halo_t;

static void places_init(places_t *places, int64_t count) {
    *places = (places_t){.count = count, .element = malloc((size_t)(count + 1) * sizeof *places->element), .owned = calloc((size_t)count + 1, 1)};
}

static void halo_fini(halo_t *halo) {
    for (int r = 0; r < nranks; r++) {
        maestro_layout_destroy(halo->at[r].layout);
        free(halo->at[r].element);
        free(halo->at[r].owned);
    }
}

static void find_missing(halo_t *halo) {
    bool *owned = calloc((size_t)halo->array.count + 1, 1);
    halo->missing = -1;
    for (int r = 0; r < nranks; r++)
        for (int64_t i = 0; i < halo->at[r].count; i++)
            if (halo->at[r].owned[i]) owned[halo->at[r].element[i]] = true;
    for (int r = 0; r < nranks; r++)
        for (int64_t i = 0; i < halo->at[r].count; i++) {
            int64_t element = halo->at[r].element[i];
            if (element >= 0 && !owned[element] && (halo->missing < 0 || element < halo->missing)) halo->missing = element;
        }
    free(owned);
}

/* ---- Blocks with ghosts: as a regular layout, or as one box a rank */
/* Takes the layout over; its part has ghosts around one block. */
static void hold_block(halo_t *halo, int r, maestro_layout_t *layout, int64_t part) {
    maestro_local_t local;
    CHECK_OK(maestro_layout_local(layout, part, &local));
    places_init(&halo->at[r], local.nelements);
    halo->at[r].layout = layout;
    halo->at[r].part = part;
    for (int64_t i = 0; i < local.nelements; i++)
        halo->at[r].element[i] = random_element_of(&halo->array, &local, i, halo->options.periodic, &halo->at[r].owned[i]);
}

static maestro_layout_t *box_of(halo_t *halo, const maestro_layout_t *layout, int64_t part, maestro_layout_options_t *options) {
    maestro_layout_t *box = NULL;
    maestro_local_t local;
    int64_t end[MST_ARRAY_MAX];
    CHECK_OK(maestro_layout_local(layout, part, &local));
    for (int d = 0; d < halo->array.ndims; d++) end[d] = local.first[d] + local.shape[d] - local.low[d] - local.high[d];
    options->order = (maestro_order_t)random_below(&halo->array, 2);
    CHECK_OK(maestro_layout_boxes(halo->array.ndims, halo->array.shape, 1, local.first, end, options, &box));
    return box;
}

/* Parts are dealt to ranks in a random order.  Where there are more, some are nobody's; where fewer, some ranks have none. */
static void deal_blocks(halo_t *halo, bool too_many, bool as_boxes) {
    random_array_t *array = &halo->array;
    maestro_layout_t *layout = NULL;
    maestro_layout_options_t options;
    int64_t grid[MST_ARRAY_MAX], block[MST_ARRAY_MAX], left = too_many ? 3 * nranks : nranks, part[3 * SCENARIO_RANKS];
    random_options(array, false, &options);
    random_ghosts(array, &options);
    for (int d = 0; d < array->ndims; d++) {
        grid[d] = 1 + random_below(array, left);
        left /= grid[d];
        block[d] = (array->shape[d] + grid[d] - 1) / grid[d] + random_below(array, 2) + !array->shape[d]; /* one a part */
    }
    if (as_boxes || random_below(array, 2)) CHECK_OK(maestro_layout_blocks(array->ndims, array->shape, grid, &options, &layout));
    else CHECK_OK(maestro_layout_block_cyclic(array->ndims, array->shape, block, grid, &options, &layout));
    int64_t nparts = maestro_layout_nparts(layout);
    for (int64_t i = 0; i < (int64_t)MST_COUNT(part); i++) part[i] = i;
    scenario_shuffle(array, part, nparts > nranks ? nparts : nranks);
    for (int r = 0; r < nranks; r++) {
        if (part[r] >= nparts) {
            places_init(&halo->at[r], 0);
            if (as_boxes && !r) CHECK_OK(maestro_layout_boxes(array->ndims, array->shape, 0, NULL, NULL, NULL, &halo->at[r].layout));
            continue;
        }
        maestro_layout_t *own = as_boxes ? box_of(halo, layout, part[r], &options) : malloc(sizeof *own);
        if (!as_boxes) *own = *layout; /* regular ones point to nothing */
        hold_block(halo, r, own, as_boxes ? 0 : part[r]);
    }
    maestro_layout_destroy(layout);
}

/* ---- Lists: elements with random owners, in runs; ghost cells of random elements, as often as it comes; holes */
static void hold_list(halo_t *halo, int r) {
    const places_t *places = &halo->at[r];
    bool *is_ghost = malloc((size_t)places->count + 1);
    for (int64_t i = 0; i < places->count; i++) is_ghost[i] = !places->owned[i] && (places->element[i] >= 0 || random_below(&halo->array, 2));
    CHECK_OK(maestro_layout_indices(halo->array.ndims, halo->array.shape, places->count, places->element, is_ghost, &halo->at[r].layout));
    free(is_ghost);
}

static int64_t some_element(halo_t *halo, const int *owner, bool of_nobody_too) {
    for (int tries = 0; tries < 20 && halo->array.count; tries++) {
        int64_t element = random_below(&halo->array, halo->array.count);
        if (owner[element] >= 0 || of_nobody_too) return element;
    }
    return -1;
}

static void deal_list(halo_t *halo, int r, const int *owner, bool of_nobody_too) {
    random_array_t *array = &halo->array;
    int64_t nowned = 0, nghosts = random_below(array, 40), place = 0, last = -1;
    for (int64_t i = 0; i < array->count; i++) nowned += owner[i] == r;
    places_init(&halo->at[r], nowned + nghosts);
    places_t *places = &halo->at[r];
    for (int64_t i = 0, ghosts_left = nghosts; place < places->count;) {
        bool ghost = ghosts_left && random_below(array, 3) == 0;
        while (i < array->count && owner[i] != r) i++;
        if (ghost || i == array->count) {
            bool next = last >= 0 && last + 1 < array->count && owner[last + 1] >= 0 && random_below(array, 2);
            last = next ? last + 1 : random_below(array, 8) ? some_element(halo, owner, of_nobody_too) : -1;
            places->element[place++] = last;
            ghosts_left--;
        } else {
            places->owned[place] = true;
            places->element[place++] = i++;
        }
    }
    hold_list(halo, r);
}

static void deal_lists(halo_t *halo, bool nobodys) {
    random_array_t *array = &halo->array;
    int *owner = malloc((size_t)(array->count + 1) * sizeof *owner);
    for (int64_t i = 0; i < array->count; i++) {
        bool as_before = i && random_below(array, 4);
        owner[i] = as_before ? owner[i - 1] : nobodys && random_below(array, 5) == 0 ? -1 : (int)random_below(array, nranks);
    }
    bool of_nobody_too = nobodys && random_below(array, 2);
    for (int r = 0; r < nranks; r++) deal_list(halo, r, owner, of_nobody_too);
    free(owner);
}

/* All of one size, or each of its own. */
static void choose_kinds(halo_t *halo) {
    static const maestro_element_t elements[] = {MAESTRO_BYTES_1, MAESTRO_BYTES_2, MAESTRO_BYTES_4, MAESTRO_BYTES_8, MAESTRO_BYTES_16,
                                                 MAESTRO_I32, MAESTRO_F64, MAESTRO_C64, MAESTRO_C128};
    bool mixed = random_below(&halo->array, 2);
    for (int f = 0; f < FIELDS; f++) {
        if (mixed || !f) maestro_field_init(&halo->kind[f], elements[random_below(&halo->array, MST_COUNT(elements))]);
        else halo->kind[f] = halo->kind[0];
    }
}

static void halo_init(halo_t *halo, uint64_t seed) {
    *halo = (halo_t){0};
    random_array_init(&halo->array, seed);
    choose_kinds(halo);
    maestro_plan_options_init(&halo->options);
    halo->options.method = (maestro_method_t)random_below(&halo->array, LAST_METHOD + 1);
    if (halo->options.method == MAESTRO_METHOD_AUTO && random_below(&halo->array, 3)) halo->options.method = MAESTRO_METHOD_PACKED; /* trials take long */
    halo->options.max_fields = 1 + (size_t)random_below(&halo->array, FIELDS);
    for (int d = 0; d < MST_ARRAY_MAX; d++) halo->options.periodic[d] = random_below(&halo->array, 2);
    bool holes = random_below(&halo->array, 6) == 0;
    switch (random_below(&halo->array, 4)) {
    case 0: deal_lists(halo, holes); break;
    case 1: deal_blocks(halo, holes, true); break;
    default: deal_blocks(halo, holes, false);
    }
    find_missing(halo);
}

/* ---- A use */
typedef struct field {
    size_t size;          /* of elements */
    unsigned char *bytes; /* behind a guard */
    void *memory;
    bool from_alloc;
} field_t;

static void element_value(int64_t element, size_t number, unsigned char *bytes) {
    uint64_t value[2] = {mst_base_mix((uint64_t)element * 8 + number + 1), mst_base_mix((uint64_t)element * 8 + number + 77)};
    memcpy(bytes, value, sizeof value);
}

static field_t make_field(const halo_t *halo, random_array_t *choices, const maestro_field_t *kind, size_t number) {
    const places_t *places = &halo->at[rank];
    field_t field = {.size = kind->from & 0xff, .from_alloc = random_below(choices, 2)};
    size_t nbytes = (size_t)places->count * field.size + 2 * GUARD;
    unsigned char value[16];
    if (field.from_alloc) CHECK_OK(maestro_alloc(nbytes, &field.memory));
    else field.memory = malloc(nbytes);
    memset(field.memory, UNTOUCHED, nbytes);
    field.bytes = (unsigned char *)field.memory + GUARD;
    for (int64_t i = 0; i < places->count; i++) {
        if (!places->owned[i]) continue;
        element_value(places->element[i], number, value);
        memcpy(field.bytes + (size_t)i * field.size, value, field.size);
    }
    return field;
}

/* All that should be there is taken away; then nothing else may have been written. */
static bool check_field(const halo_t *halo, const field_t *field, size_t number) {
    const places_t *places = &halo->at[rank];
    size_t size = field->size, nbytes = (size_t)places->count * size + 2 * GUARD;
    bool good = true;
    unsigned char value[16];
    for (int64_t i = 0; i < places->count; i++) {
        if (places->element[i] < 0) continue;
        unsigned char *at = field->bytes + (size_t)i * size;
        element_value(places->element[i], number, value);
        good = good && memcmp(at, value, size) == 0;
        memset(at, UNTOUCHED, size);
    }
    for (size_t b = 0; b < nbytes; b++) good = good && ((unsigned char *)field->memory)[b] == UNTOUCHED;
    return good;
}

static void use_plan(const halo_t *halo, random_array_t *choices, maestro_plan_t *plan, size_t nfields, size_t number, bool in_steps) {
    field_t field[FIELDS];
    void *to[FIELDS];
    for (size_t f = 0; f < nfields; f++) {
        field[f] = make_field(halo, choices, &halo->kind[f], number + f);
        to[f] = field[f].bytes;
    }
    if (in_steps) {
        CHECK_OK(maestro_plan_start(plan, nfields, NULL, to));
        maestro_status_t status = maestro_plan_test(plan);
        CHECK(status == MAESTRO_OK || status == MAESTRO_IN_PROGRESS);
        if (status == MAESTRO_IN_PROGRESS) CHECK_OK(maestro_plan_wait(plan, 60));
    } else CHECK_OK(maestro_plan_run(plan, nfields, NULL, to));
    for (size_t f = 0; f < nfields; f++) {
        CHECK(check_field(halo, &field[f], number + f));
        if (field[f].from_alloc) CHECK_OK(maestro_dealloc(field[f].memory));
        else free(field[f].memory);
    }
}

static maestro_status_t make_plan(halo_t *halo, maestro_plan_t **plan_out) {
    halo->options.from_part = halo->at[rank].part;
    halo->options.fields = halo->kind;
    return maestro_halo(halo->at[rank].layout, MAESTRO_F64, world, &halo->options, plan_out); /* of which the fields say more */
}

/* With fields that a trial moves: they are as after a use then. */
static maestro_status_t make_plan_trying(halo_t *halo, random_array_t *choices, maestro_plan_t **plan_out) {
    field_t field[FIELDS];
    void *to[FIELDS];
    bool tried = false;
    for (size_t f = 0; f < halo->options.max_fields; f++) {
        field[f] = make_field(halo, choices, &halo->kind[f], f);
        to[f] = field[f].bytes;
    }
    halo->options.try_to = to;
    maestro_status_t status = make_plan(halo, plan_out);
    halo->options.try_to = NULL;
    for (int i = 0; i < MST_MPI_METHODS && *plan_out; i++) tried = tried || (*plan_out)->trial_s[i] > 0;
    for (size_t f = 0; f < halo->options.max_fields; f++) {
        CHECK(!tried || check_field(halo, &field[f], f));
        if (field[f].from_alloc) CHECK_OK(maestro_dealloc(field[f].memory));
        else free(field[f].memory);
    }
    return status;
}

/* `choices` differ from rank to rank. */
static void check_halo(halo_t *halo, random_array_t *choices) {
    maestro_plan_t *plan = NULL;
    mst_mpi_tuning = (mst_mpi_tuning_t){halo->options.max_fields % 2 ? 100 : 1 << 20, halo->options.max_fields > 1}; /* the same on all ranks */
    char said[64];
    if (halo->missing >= 0) {
        CHECK_STATUS(make_plan(halo, &plan), MAESTRO_NOT_FOUND);
        snprintf(said, sizeof said, "element %lld ", (long long)halo->missing);
        CHECK_ERROR_SAYS(said);
        CHECK(!plan);
        return;
    }
    bool tries = halo->options.max_fields < FIELDS; /* the same on all ranks */
    CHECK_OK(tries ? make_plan_trying(halo, choices, &plan) : make_plan(halo, &plan));
    if (plan) use_plan(halo, choices, plan, halo->options.max_fields, 0, false);
    if (plan) use_plan(halo, choices, plan, 1, FIELDS, true);
    CHECK_OK(maestro_plan_destroy(plan));
}

static void check_case(uint64_t seed) {
    halo_t halo;
    halo_init(&halo, seed);
    check_halo(&halo, &(random_array_t){.state = seed * 64 + (uint64_t)rank});
    halo_fini(&halo);
}

static void test_random_halos_are_exact(void) { cases_run(as_many_as_time_allows(1000, 300, 15), check_case); }

/* ---- A cubed sphere: six faces of n x n cells, each cut into tiles, of which a rank has some, one after the other in its memory.  Which cell lies beyond an
 * edge follows from folding the plane of a face around the cube; at the cube's corners three faces meet, so a ghost cell at a corner of a face is nothing. */
typedef struct point {
    int64_t x[3];
} point_t;

static const int64_t normals[6][3] = {{1, 0, 0}, {0, 1, 0}, {-1, 0, 0}, {0, -1, 0}, {0, 0, 1}, {0, 0, -1}};
static const int64_t firsts[6][3] = {{0, 1, 0}, {-1, 0, 0}, {0, 0, -1}, {0, 0, 1}, {0, 1, 0}, {-1, 0, 0}}; /* turned, so that edges meet in all ways */
static const int64_t seconds[6][3] = {{0, 0, 1}, {0, 0, 1}, {0, 1, 0}, {-1, 0, 0}, {-1, 0, 0}, {0, -1, 0}};

/* The middle of cell (a, b) of a face, on a cube from -n to n; false: it is at a corner. */
static bool fold(int64_t n, int face, int64_t a, int64_t b, point_t *point) {
    int64_t u = 2 * a + 1 - n, v = 2 * b + 1 - n, height = n;
    bool a_outside = a < 0 || a >= n, b_outside = b < 0 || b >= n;
    if (a_outside) height -= llabs(u) - n, u = u < 0 ? -n : n;
    if (b_outside) height -= llabs(v) - n, v = v < 0 ? -n : n;
    for (int i = 0; i < 3; i++) point->x[i] = height * normals[face][i] + u * firsts[face][i] + v * seconds[face][i];
    return !(a_outside && b_outside);
}

static int64_t cell_at(int64_t n, point_t point) {
    for (int64_t cell = 0; cell < 6 * n * n; cell++) {
        point_t other;
        fold(n, (int)(cell / (n * n)), cell / n % n, cell % n, &other);
        if (memcmp(&other, &point, sizeof point) == 0) return cell;
    }
    return -1;
}

static void hold_tile(places_t *places, int64_t *place, int64_t n, int64_t ntiles, int64_t tile, int64_t width) {
    int64_t length = n / ntiles, face = tile / (ntiles * ntiles), a0 = tile / ntiles % ntiles * length, b0 = tile % ntiles * length;
    for (int64_t a = -width; a < length + width; a++)
        for (int64_t b = -width; b < length + width; b++, ++*place) {
            point_t point;
            places->element[*place] = fold(n, (int)face, a0 + a, b0 + b, &point) ? cell_at(n, point) : -1;
            places->owned[*place] = a >= 0 && a < length && b >= 0 && b < length;
        }
}

static void sphere_init(halo_t *halo, int64_t length, int64_t ntiles, int64_t width, maestro_method_t method) {
    int64_t n = length * ntiles, all = 6 * ntiles * ntiles, room = (length + 2 * width) * (length + 2 * width), tile[6 * 9];
    *halo = (halo_t){.array = {.state = (uint64_t)(n * 8 + width), .ndims = 3, .shape = {6, n, n}, .count = 6 * n * n}};
    maestro_field_init(&halo->kind[0], MAESTRO_F64);
    maestro_field_init(&halo->kind[1], MAESTRO_F32);
    maestro_plan_options_init(&halo->options);
    halo->options.method = method;
    halo->options.max_fields = 2;
    for (int64_t t = 0; t < all; t++) tile[t] = t;
    scenario_shuffle(&halo->array, tile, all);
    for (int r = 0; r < nranks; r++) {
        int64_t place = 0;
        places_init(&halo->at[r], (all * (r + 1) / nranks - all * r / nranks) * room);
        for (int64_t t = all * r / nranks; t < all * (r + 1) / nranks; t++) hold_tile(&halo->at[r], &place, n, ntiles, tile[t], width);
        hold_list(halo, r);
    }
    find_missing(halo);
}

static void check_sphere(int64_t ntiles, int64_t width, maestro_method_t method) {
    halo_t halo;
    int64_t nghosts = 0, ncorners = 0;
    sphere_init(&halo, 4, ntiles, width, method);
    for (int r = 0; r < nranks; r++)
        for (int64_t i = 0; i < halo.at[r].count; i++) {
            nghosts += halo.at[r].element[i] >= 0 && !halo.at[r].owned[i];
            ncorners += halo.at[r].element[i] < 0;
        }
    CHECK(halo.missing < 0);
    CHECK(ncorners == 6 * 4 * width * width);
    CHECK(nghosts == 6 * ntiles * ntiles * (4 * 4 * width + 4 * width * width) - ncorners);
    check_halo(&halo, &(random_array_t){.state = (uint64_t)rank});
    halo_fini(&halo);
}

static void test_a_cubed_sphere_is_exact_at_all_edges_and_corners(void) {
    for (int64_t ntiles = 1; ntiles <= 3; ntiles++)
        for (int64_t width = 1; width <= 3; width++) check_sphere(ntiles, width, (maestro_method_t)((3 * ntiles + width) % (LAST_METHOD + 1)));
}

/* ---- Columns go whole, though the directory finds them piece by piece: its stretches are rows */
static int64_t count_moves(const mst_mpi_shares_t *shares) {
    int64_t count = 0;
    for (int64_t i = 0; i < shares->nshares; i++) count += shares->share[i].moves.nmoves;
    return count;
}

static void test_columns_of_boxes_are_one_move_each(void) {
    const int64_t shape[] = {4 * nranks, 3 * nranks};
    mst_mpi_request_t request = {.what = "halo", .is_halo = true, .element_nbytes = 8};
    mst_mpi_shares_t sends = {0}, receives = {0};
    mst_mpi_comm_t comm;
    maestro_layout_t *box = NULL;
    maestro_layout_options_t options;
    maestro_layout_options_init(&options);
    maestro_plan_options_init(&request.options);
    options.low[1] = options.high[1] = 1;
    request.options.periodic[1] = true;
    CHECK_OK(maestro_layout_boxes(2, shape, 1, (int64_t[]){0, 3 * rank}, (int64_t[]){4 * nranks, 3 * rank + 3}, &options, &box));
    request.from = box;
    CHECK_OK(mst_mpi_comm_open("a test", world, &comm));
    CHECK_OK(mst_mpi_match(&comm, &request, &sends, &receives));
    CHECK(count_moves(&sends) == 2);
    CHECK(count_moves(&receives) == (nranks > 1 ? 2 : 0)); /* what a rank keeps is among the sends alone */
    mst_mpi_shares_fini(&sends);
    mst_mpi_shares_fini(&receives);
    mst_mpi_comm_close(&comm);
    maestro_layout_destroy(box);
}

/* ---- Refusals: the same on all ranks, with the same words */
static void check_refused(const maestro_layout_t *layout, const maestro_plan_options_t *options, maestro_status_t expected, const char *said) {
    maestro_plan_t *plan = NULL;
    CHECK_STATUS(maestro_halo(layout, MAESTRO_F64, world, options, &plan), expected);
    CHECK_ERROR_SAYS(said);
    CHECK(!plan);
    check_words_are_alike();
}

static maestro_layout_t *line_of(int64_t nparts, int64_t width) { return scenario_line(4 * nparts, nparts, width); }

/* Four elements a rank, and a ghost cell of another one. */
static maestro_layout_t *list_of(int64_t first, int64_t ghost) {
    maestro_layout_t *layout = NULL;
    int64_t size = 4 * nranks + 1;
    const int64_t indices[] = {first, first + 1, first + 2, first + 3, ghost};
    CHECK_OK(maestro_layout_indices(1, &size, 5, indices, (bool[]){false, false, false, false, true}, &layout));
    return layout;
}

static void test_what_does_not_fit_is_refused_by_all(void) {
    maestro_layout_t *line = line_of(nranks, 1), *wider = line_of(nranks, 2), *more = line_of(nranks + 1, 1);
    maestro_layout_t *list = list_of(4 * rank, 4 * nranks), *twice = list_of(rank ? 4 * rank - 1 : 0, 0);
    maestro_plan_options_t options;
    char said[64];
    bool last = rank == nranks - 1;
    maestro_plan_options_init(&options);
    check_refused(NULL, NULL, MAESTRO_INVALID_ARGUMENT, "halo: no rank gives a layout");
    snprintf(said, sizeof said, "halo: element %d (%d), of which rank", 4 * nranks, 4 * nranks);
    check_refused(more, NULL, MAESTRO_NOT_FOUND, said);
    check_refused(list, NULL, MAESTRO_NOT_FOUND, said);
    options.from_part = last ? nranks : rank;
    check_refused(line, &options, MAESTRO_INVALID_ARGUMENT, "has no part");
    options.from_part = -1;
    if (nranks > 1) {
        check_refused(last ? wider : line, NULL, MAESTRO_INVALID_ARGUMENT, "halo: the ranks' layouts differ: dimension 0: low ghosts 2");
        check_refused(last ? list : line, NULL, MAESTRO_INVALID_ARGUMENT, "of one kind");
        check_refused(twice, NULL, MAESTRO_DUPLICATE, "halo: element 3 (3) of the layout is with rank 0 and with rank 1");
        options.periodic[0] = last;
        check_refused(line, &options, MAESTRO_INVALID_ARGUMENT, "periodic");
        options.periodic[0] = false;
        options.from_part = 0;
        check_refused(line, &options, MAESTRO_DUPLICATE, "part 0 of the layout is that of rank 0 and of rank 1");
    }
    maestro_layout_destroy(line);
    maestro_layout_destroy(wider);
    maestro_layout_destroy(more);
    maestro_layout_destroy(list);
    maestro_layout_destroy(twice);
}

/* Nothing to move is no error. */
static void test_layouts_without_ghosts_have_empty_halos(void) {
    maestro_layout_t *line = line_of(nranks, 0);
    maestro_plan_t *plan = NULL;
    double field[4] = {1, 2, 3, 4};
    CHECK_OK(maestro_halo(line, MAESTRO_F64, world, NULL, &plan));
    CHECK_OK(maestro_plan_run(plan, 1, NULL, (void *[]){field}));
    CHECK(field[0] == 1 && field[3] == 4);
    CHECK_OK(maestro_plan_destroy(plan));
    maestro_layout_destroy(line);
}

int main(int argc, char **argv) {
    MPI_Init(&argc, &argv);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &nranks);
    world = MPI_Comm_c2f(MPI_COMM_WORLD);
    test_random_halos_are_exact();
    test_a_cubed_sphere_is_exact_at_all_edges_and_corners();
    test_columns_of_boxes_are_one_move_each();
    test_what_does_not_fit_is_refused_by_all();
    test_layouts_without_ghosts_have_empty_halos();
    MPI_Finalize();
    return TEST_END;
}
