/* What meaning costs: nanoseconds to build, check and match one object's attributes, and for one query, as subscriptions and objects grow that
 * have nothing to do with it.  Every kind of comparison is measured with 1 to 1000 subscriptions of which one matches, and with 100 hits among
 * 1,000 and among 100,000 objects.  Medians over short batches, large and small in turn.  No process, no memory segment, no pool here.
 * Prints one JSON object; what is counted on the way (matches, hits) is checked. */
#include "bench.h"

#include "meta/index.h"
#include "meta/matcher.h"

enum { BATCHES = 41, BATCH = 500, QUERIES = 301, SPECIAL = 200, HITS = SPECIAL / 2, HANDLE_STEP = 16 };

static mst_meta_schema_t *schema;
static mst_meta_dictionary_t *dictionary;

static unsigned key_of(const char *name) {
    unsigned key = 0;
    BENCH_OK(mst_meta_schema_require_key(schema, name, "meta_cost", &key));
    return key;
}

static mst_meta_selector_t *selector_of(const char *text) {
    mst_meta_selector_t *selector = NULL;
    BENCH_OK(mst_meta_selector_parse(schema, text, &selector));
    mst_meta_selector_bind(selector, dictionary);
    return selector;
}

static void set_text(mst_meta_builder_t *builder, unsigned key, const char *text) { BENCH_OK(mst_meta_builder_set_text(builder, key, text, strlen(text))); }

/* ---- One object of ten attributes. */

static unsigned ten_keys[10];

static void set_ten(mst_meta_builder_t *builder, long i) {
    static const char *const text[] = {"od", "enfo", "pf", "20261124", "1200", "ml", "t"};
    for (unsigned k = 0; k < 7; k++) set_text(builder, ten_keys[k], text[k]);
    BENCH_OK(mst_meta_builder_set_f64(builder, ten_keys[7], (double)(i % 137 + 1)));
    BENCH_OK(mst_meta_builder_set_i64(builder, ten_keys[8], i % 50));
    BENCH_OK(mst_meta_builder_set_i64(builder, ten_keys[9], 6));
}

static size_t pack_ten(void *out, size_t capacity, long i) {
    mst_meta_builder_t builder;
    size_t nbytes = 0;
    mst_meta_builder_init(&builder, schema, dictionary);
    set_ten(&builder, i);
    BENCH_OK(mst_meta_builder_complete(&builder));
    BENCH_OK(mst_meta_builder_pack(&builder, schema->number, out, capacity, &nbytes));
    mst_meta_builder_fini(&builder);
    return nbytes;
}

static void init_keys(void) {
    static const char *const name[] = {"class", "stream", "type", "date", "time", "levtype", "param", "levelist", "number", "step"};
    for (unsigned k = 0; k < 10; k++) ten_keys[k] = key_of(name[k]);
}

static void measure_object(void) {
    static uint64_t packed[256];
    double build[BATCHES], take[BATCHES];
    uint64_t sum = 0;
    mst_meta_attributes_t *set = (mst_meta_attributes_t *)packed;
    mst_meta_attributes_intern((pack_ten(packed, sizeof packed, 0), set), schema, dictionary, true);
    for (int batch = 0; batch < BATCHES; batch++) {
        size_t nbytes = 0;
        int64_t start = mst_base_now_ns();
        for (int i = 0; i < BATCH; i++) nbytes = pack_ten(packed, sizeof packed, i);
        int64_t built = mst_base_now_ns();
        for (int i = 0; i < BATCH; i++) {
            set->value[mst_meta_attributes_rank(set, ten_keys[9])] = (uint64_t)i;
            BENCH_OK(mst_meta_attributes_check(set, nbytes, schema, dictionary, true));
            mst_meta_attributes_intern(set, schema, dictionary, true);
            sum += mst_meta_attributes_identity_hash(set, schema, 7);
        }
        build[batch] = (double)(built - start) / BATCH;
        take[batch] = (double)(mst_base_now_ns() - built) / BATCH;
    }
    BENCH_CHECK(sum != 0);
    printf("\"set_and_pack_ns\":%.1f,\"check_intern_identity_ns\":%.1f", bench_quantile(build, BATCHES, 0.5), bench_quantile(take, BATCHES, 0.5));
}

/* ---- One object against many subscriptions. */

typedef struct kind {
    const char *name, *own, *other; /* the subscription that matches; the others, with a number */
} kind_t;

static const kind_t kinds[] = {
    {"equality", "param = t", "param = p%d"},
    {"in", "param in (t, u)", "param in (p%d, q)"},
    {"range", "step <= 1000", "step >= 2%03d"},
    {"stepped", "step in 0/to/24/by/6", "step in 1%03d/to/9000/by/6"},
    {"has", "has(number)", "has(quantile) and step != %d"},
    {"and", "param = t and step = 6", "param = t and step = 1%03d"},
    {"name", "maestro.name = t", "maestro.name = n%d"}};

static const int counts[] = {1, 10, 100, 1000};

static void measure_matching(const kind_t *kind) {
    enum { COUNTS = MST_COUNT(counts), MOST = 1000 };
    static uint64_t packed[256];
    mst_meta_matcher_t *matcher[COUNTS];
    mst_meta_selector_t *selector[COUNTS][MOST];
    double samples[COUNTS][BATCHES];
    mst_meta_builder_t builder;
    size_t nbytes;
    mst_meta_builder_init(&builder, schema, dictionary);
    set_ten(&builder, 0);
    set_text(&builder, MST_META_KEY_NAME, "t");
    BENCH_OK(mst_meta_builder_pack(&builder, schema->number, packed, sizeof packed, &nbytes));
    mst_meta_builder_fini(&builder);
    for (unsigned c = 0; c < COUNTS; c++) {
        BENCH_OK(mst_meta_matcher_create(dictionary, &matcher[c]));
        for (int i = 0; i < counts[c]; i++) {
            char text[100];
            snprintf(text, sizeof text, i ? kind->other : kind->own, i);
            selector[c][i] = selector_of(text);
            BENCH_OK(mst_meta_matcher_add(matcher[c], &selector[c][i], selector[c][i], schema->number));
        }
    }
    for (int batch = 0; batch < BATCHES; batch++) {
        for (unsigned c = 0; c < COUNTS; c++) {
            void *const *found;
            size_t total = 0;
            int64_t start = mst_base_now_ns();
            for (int i = 0; i < BATCH; i++) total += mst_meta_matcher_match(matcher[c], (mst_meta_attributes_t *)packed, &found);
            samples[c][batch] = (double)(mst_base_now_ns() - start) / BATCH;
            BENCH_CHECK(total == BATCH);
        }
    }
    printf("%s\"%s\":{", kind == kinds ? "" : ",", kind->name);
    for (unsigned c = 0; c < COUNTS; c++) {
        printf("%s\"%d\":%.1f", c ? "," : "", counts[c], bench_quantile(samples[c], BATCHES, 0.5));
        mst_meta_matcher_destroy(matcher[c]);
        for (int i = 0; i < counts[c]; i++) mst_meta_selector_destroy(selector[c][i]);
    }
    printf(",\"ratio\":%.2f}", bench_quantile(samples[COUNTS - 1], BATCHES, 0.5) / bench_quantile(samples[0], BATCHES, 0.5));
}

/* ---- One query among many objects.  200 of them are special, the same number whatever their company. */

typedef struct store {
    char *bytes;
    const mst_meta_attributes_t **object; /* by handle / HANDLE_STEP: a pool's handles are not dense either */
    uint32_t count;
    mst_meta_index_t *index;
} store_t;

static const mst_meta_attributes_t *lookup(void *context, uint32_t handle) { return ((store_t *)context)->object[handle / HANDLE_STEP]; }

static void set_object(mst_meta_builder_t *builder, uint32_t i, uint32_t count) {
    char param[16];
    uint32_t apart = count / SPECIAL, special = i % apart == 0 ? i / apart : UINT32_MAX;
    bool hit = special != UINT32_MAX && special % 2 == 0;
    snprintf(param, sizeof param, "p%u", i % 50);
    set_ten(builder, i);
    mst_meta_builder_unset(builder, ten_keys[8]);
    set_text(builder, ten_keys[6], hit ? "hit" : param);
    set_text(builder, ten_keys[1], hit || i % 2 ? "enfo" : "oper");
    if (special != UINT32_MAX) set_text(builder, key_of("origin"), hit ? "ecmf" : "egrr");
    if (special != UINT32_MAX) set_text(builder, key_of("model"), "ifs");
    if (hit) BENCH_OK(mst_meta_builder_set_i64(builder, ten_keys[8], special));
    BENCH_OK(mst_meta_builder_set_f64(builder, ten_keys[7], hit ? 9000 + special / 2 % 10 : i % 137));
    BENCH_OK(mst_meta_builder_set_i64(builder, ten_keys[9], hit ? 5000 + special : i % 360));
    BENCH_OK(mst_meta_builder_set_timestamp(builder, MST_META_KEY_TIME, 1000000ll * i));
}

static store_t *store_create(uint32_t count) {
    enum { EACH = 512 };
    store_t *store = calloc(1, sizeof *store);
    BENCH_CHECK(store != NULL && (store->bytes = malloc((size_t)count * EACH)) && (store->object = calloc(count, sizeof *store->object)));
    store->count = count;
    BENCH_OK(mst_meta_index_create(lookup, store, dictionary, &store->index));
    BENCH_OK(mst_meta_index_know(store->index, schema));
    char *at = store->bytes;
    mst_meta_builder_t builder;
    for (uint32_t i = 0; i < count; i++) {
        size_t nbytes;
        mst_meta_builder_init(&builder, schema, dictionary);
        set_object(&builder, i, count);
        BENCH_OK(mst_meta_builder_pack(&builder, schema->number, at, EACH, &nbytes));
        mst_meta_builder_fini(&builder);
        mst_meta_attributes_intern((mst_meta_attributes_t *)at, schema, dictionary, true);
        store->object[i] = (mst_meta_attributes_t *)at;
        at += MST_ALIGN(nbytes, 64);
    }
    return store;
}

static void store_destroy(store_t *store) {
    mst_meta_index_destroy(store->index);
    free(store->object);
    free(store->bytes);
    free(store);
}

static double insert_ns(store_t *store) {
    int64_t start = mst_base_now_ns();
    for (uint32_t i = 0; i < store->count; i++) BENCH_OK(mst_meta_index_insert(store->index, i * HANDLE_STEP, store->object[i]));
    return (double)(mst_base_now_ns() - start) / store->count;
}

static const struct { const char *name, *text; } queries[] = {
    {"equality", "param = hit"}, {"in", "levelist in 9000/to/9009"}, {"range", "step >= 5000"}, {"has", "has(number)"},
    {"and", "stream = enfo and model = ifs and origin = ecmf"}, {"and_not", "model = ifs and not origin = egrr"}, {"or", "origin = ecmf or step in 5000/to/5100"}};

static double query_us(store_t *store, const mst_meta_selector_t *selector) {
    uint32_t *handles = NULL;
    size_t count = 0, capacity = 0;
    int64_t start = mst_base_now_ns();
    BENCH_OK(mst_meta_index_query(store->index, selector, &handles, &count, &capacity));
    double took = (double)(mst_base_now_ns() - start) / 1e3;
    BENCH_CHECK(count == HITS);
    free(handles);
    return took;
}

static void measure_queries(void) {
    static const uint32_t sizes[] = {1000, 100000};
    store_t *store[2];
    double insert[2];
    for (int s = 0; s < 2; s++) store[s] = store_create(sizes[s]), insert[s] = insert_ns(store[s]);
    printf(",\"query_us\":{");
    for (unsigned q = 0; q < MST_COUNT(queries); q++) {
        static double samples[2][QUERIES];
        mst_meta_selector_t *selector = selector_of(queries[q].text);
        for (int i = 0; i < QUERIES; i++)
            for (int s = 0; s < 2; s++) samples[s][i] = query_us(store[s], selector);
        double few = bench_quantile(samples[0], QUERIES, 0.5), many = bench_quantile(samples[1], QUERIES, 0.5);
        printf("%s\"%s\":{\"1000\":%.2f,\"100000\":%.2f,\"ratio\":%.2f}", q ? "," : "", queries[q].name, few, many, many / few);
        mst_meta_selector_destroy(selector);
    }
    printf("},\"insert_ns\":%.0f,\"index_bytes_per_object\":%.0f", insert[1], (double)mst_meta_index_memory(store[1]->index) / sizes[1]);
    for (int s = 0; s < 2; s++) store_destroy(store[s]);
}

int main(void) {
    BENCH_OK(mst_meta_schema_load("mars", &schema));
    schema->number = 1;
    void *block = calloc(1, mst_meta_dictionary_nbytes(1 << 16, 1 << 22));
    BENCH_CHECK(block != NULL);
    dictionary = mst_meta_dictionary_init(block, 1 << 16, 1 << 22);
    init_keys();
    printf("{");
    measure_object();
    printf(",\"match_ns\":{");
    for (unsigned k = 0; k < MST_COUNT(kinds); k++) measure_matching(&kinds[k]);
    printf("}");
    measure_queries();
    printf("}\n");
    mst_meta_schema_destroy(schema);
    free(block);
    return 0;
}
