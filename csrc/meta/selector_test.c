/* Selectors one by one: what each form means, the request form, errors and the character they point at, bounds, globs, and back to text. */
#include "base/test.h"
#include "meta/selector.h"

#include <stdio.h>

static mst_meta_schema_t *mars;
static mst_meta_dictionary_t *dictionary;

typedef struct object {
    uint64_t words[64];
} object_t;

static const mst_meta_attributes_t *set_of(const object_t *object) { return (const mst_meta_attributes_t *)object->words; }

/* "param=t step=6": values by the setters' own rules; numbers as i64 where the attribute is one. */
static object_t make(const char *attributes) {
    object_t object;
    mst_meta_builder_t builder;
    char copy[300], *rest = NULL;
    size_t nbytes;
    snprintf(copy, sizeof copy, "%s", attributes);
    mst_meta_builder_init(&builder, mars, dictionary);
    for (char *pair = strtok_r(copy, " ", &rest); pair; pair = strtok_r(NULL, " ", &rest)) {
        char *value = strchr(pair, '=');
        *value++ = '\0';
        unsigned key = 0;
        CHECK_OK(mst_meta_schema_require_key(mars, pair, "test", &key));
        if (mars->attribute[key].type == MAESTRO_TYPE_I64 && !mars->attribute[key].unit) CHECK_OK(mst_meta_builder_set_i64(&builder, key, atoll(value)));
        else CHECK_OK(mst_meta_builder_set_text(&builder, key, value, strlen(value)));
    }
    CHECK_OK(mst_meta_builder_pack(&builder, 1, object.words, sizeof object.words, &nbytes));
    mst_meta_builder_fini(&builder);
    mst_meta_attributes_intern((mst_meta_attributes_t *)object.words, mars, dictionary, true);
    return object;
}

static mst_meta_selector_t *parse(const char *text) {
    mst_meta_selector_t *selector = NULL;
    CHECK_OK(mst_meta_selector_parse(mars, text, &selector));
    if (selector) mst_meta_selector_bind(selector, dictionary);
    return selector;
}

static bool matches(const char *text, const char *attributes) {
    object_t object = make(attributes);
    mst_meta_selector_t *selector = parse(text);
    bool matched = selector && mst_meta_selector_match(selector, set_of(&object), dictionary);
    mst_meta_selector_destroy(selector);
    return matched;
}

static void test_each_form_means_what_it_says(void) {
    static const struct { const char *selector, *object; bool match; } rows[] = {
        {"", "param=t", true}, {"  \n", "param=t", true}, {"param = t", "param=t", true}, {"param == t", "param=t", true}, {"param = 't'", "param=t", true}, {"mars.param = \"t\"", "param=t", true},
        {"param = T", "param=t", false}, {"stream = EF", "stream=enfo", true}, {"expver = 1", "expver=1", true}, {"expver = 0001", "expver=1", true}, {"time = 12", "time=1200", true},
        {"time = 06:30", "time=630", true}, {"date = 2026-01-30", "date=20260130", true}, {"param != t", "param=u", true}, {"param != t", "param=t", false}, {"param <> t", "step=1", false},
        {"not param = t", "step=1", true}, {"not levelist = 500", "param=t", true}, {"levelist != 500", "param=t", false}, {"levelist = .5", "levelist=0.5", true}, {"levelist = 500", "levelist=500", true},
        {"step = 6", "step=6", true}, {"step = 6h", "step=6", true}, {"step = 0-24", "step=24", true}, {"step < 6", "step=6", false}, {"step <= 6", "step=6", true}, {"step > 6", "step=7", true},
        {"step >= 7", "step=6", false}, {"step > -3", "step=-2", true}, {"step < 0", "step=-2", true}, {"levelist < 0", "levelist=-1.5", true}, {"levelist > -1.5", "levelist=-1.5", false},
        {"step in (0, 6, 12)", "step=12", true}, {"step IN (0, 6, 12)", "step=11", false}, {"step in 0/6/12", "step=6", true}, {"step not in (0, 6)", "step=12", true}, {"step not in (0, 6)", "param=t", false},
        {"step in 0/to/24", "step=7", true}, {"step in 0/to/24/by/6", "step=7", false}, {"step in 0/to/24/by/6", "step=18", true}, {"step in 0/TO/24/BY/6", "step=24", true}, {"step in 0/to/23/by/6", "step=24", false},
        {"step in 24/to/0/by/6", "step=18", true}, {"step in 24/to/0/by/-6", "step=18", true}, {"step in 24/to/1/by/6", "step=0", false}, {"step in (1, 10/to/20/by/5, 40)", "step=15", true},
        {"step in (1, 10/to/20/by/5, 40)", "step=40", true}, {"step in (1, 10/to/20/by/5, 40)", "step=11", false}, {"step in 1/10/to/12/40", "step=11", true},
        {"levelist in 1000/to/100/by/300", "levelist=400", true}, {"levelist in 1000/to/100/by/300", "levelist=500", false}, {"levelist in 0/to/1/by/0.1", "levelist=0.3", true}, {"levelist in 0/to/1/by/.1", "levelist=0.7", true},
        {"date in 20260130/to/20260202", "date=20260201", true}, {"date in 20260130/to/20260202", "date=20260203", false}, {"date in 2026-02-02/to/2026-01-30", "date=20260131", true}, {"date in 20260101/to/20260110/by/3", "date=20260104", true},
        {"time in 0/to/18/by/6", "time=12", true}, {"time in 0/to/18/by/6", "time=15", false}, {"time in 0000/to/0300", "time=2", true},
        {"has(number)", "number=1", true}, {"HAS ( number )", "param=t", false}, {"not has(number)", "param=t", true}, {"param like 'm*'", "param=msl", true}, {"param like ?2t", "param=2t", false}, {"stream like 'EN*'", "stream=enfo", true},
        {"param like [0-9]t", "param=2t", true}, {"maestro.name = 'a b'", "param=t", false}, {"type = or", "type=or", true}, {"class = to/od", "class=to", true}, {"class in (od, no)", "class=no", true},
        {"param = t and step = 6", "param=t step=6", true}, {"param = t and step = 6", "param=t step=7", false}, {"param = t or step = 6", "param=u step=6", true}, {"param = t or param = u and step = 6", "param=t step=7", true},
        {"(param = t or param = u) and step = 6", "param=t step=7", false}, {"not param = t and step = 6", "param=u step=6", true}, {"not (param = t and step = 6)", "param=t step=7", true}, {"not not param = t", "param=t", true},
        {"param=t/u,step=0/to/24/by/6", "param=u step=12", true}, {"param=t/u,step=0/to/24/by/6", "param=u step=13", false}, {"param=t,step=0/to/24", "param=t step=12", true}, {"param=t,step=0/to/24", "param=t step=6", false},
        {"step in 0/to/24", "step=6", true}, {"param=t,number=all", "param=t number=3", true}, {"param=t,number=*", "param=t", false}, {"time=0/to/18", "time=6", true}, {"time=0/to/18", "time=5", false}, {"date=20260130/to/20260202", "date=20260201", true},
        {"levelist=1/to/137,levtype=ml", "levelist=100 levtype=ml", true}, {"param = 'all'", "param=all", true}};
    for (size_t i = 0; i < MST_COUNT(rows); i++) {
        bool right = matches(rows[i].selector, rows[i].object) == rows[i].match;
        CHECK(right);
        if (!right) fprintf(stderr, "  %s on %s\n", rows[i].selector, rows[i].object);
    }
}

/* The mark \1 stands before the character that the message must point at. */
static void test_errors_point_at_the_character(void) {
    static const struct { const char *text; maestro_status_t status; const char *says; } rows[] = {
        {"\1stp = 6", MAESTRO_UNKNOWN_ATTRIBUTE, "'stp' is no attribute of schema mars; did you mean 'step'?"},
        {"param = t and \1levlist = 5", MAESTRO_UNKNOWN_ATTRIBUTE, "did you mean 'levelist'?"},
        {"\1name = x", MAESTRO_UNKNOWN_ATTRIBUTE, "did you mean 'maestro.name'?"},
        {"param = t \1&& step = 6", MAESTRO_BAD_SELECTOR, "write 'and' instead of '&'"},
        {"param = t \1|| step = 6", MAESTRO_BAD_SELECTOR, "write 'or' instead of '|'"},
        {"param = \1't", MAESTRO_BAD_SELECTOR, "the quote is not closed; expected another '"},
        {"param = t \1step = 6", MAESTRO_BAD_SELECTOR, "expected 'and', 'or' or the end"},
        {"param \1t", MAESTRO_BAD_SELECTOR, "expected =, !=, <, <=, >, >=, in, not in or like after 'param'"},
        {"param =\1", MAESTRO_BAD_SELECTOR, "expected a value for param (type string)"},
        {"param = t and\1", MAESTRO_BAD_SELECTOR, "expected an attribute's name"},
        {"param in (t, \1)", MAESTRO_BAD_SELECTOR, "expected a value for param"},
        {"param in (t \1u)", MAESTRO_BAD_SELECTOR, "expected ',' or ')'"},
        {"(param = t\1", MAESTRO_BAD_SELECTOR, "expected 'and', 'or' or ')'"},
        {"param = t\1)", MAESTRO_BAD_SELECTOR, "expected 'and', 'or' or the end"},
        {"has \1param", MAESTRO_BAD_SELECTOR, "expected '(' after 'has'"},
        {"has(param\1", MAESTRO_BAD_SELECTOR, "expected ')'"},
        {"has(\1prm)", MAESTRO_UNKNOWN_ATTRIBUTE, "did you mean 'param'?"},
        {"step = \1six", MAESTRO_BAD_VALUE, "attribute step: 'six' is no number of hours"},
        {"step = \1'six'", MAESTRO_BAD_VALUE, "is no number of hours"},
        {"step in (0, \0016.5)", MAESTRO_BAD_VALUE, "attribute step: '6.5'"},
        {"number = \1one", MAESTRO_BAD_VALUE, "attribute number: 'one' is no whole number"},
        {"levelist <= \1low", MAESTRO_BAD_VALUE, "attribute levelist: 'low' is no number"},
        {"stream = \1opera", MAESTRO_BAD_VALUE, "did you mean 'oper'?"},
        {"date = \00120260231", MAESTRO_BAD_VALUE, "no date of the calendar"},
        {"maestro.time > \1yesterday", MAESTRO_BAD_VALUE, "is no time; write ISO 8601"},
        {"param \1< t", MAESTRO_BAD_SELECTOR, "param is of type string, which has no order"},
        {"date \1>= 20260101", MAESTRO_BAD_SELECTOR, "in 20260101/to/20260131"},
        {"step \1like '1*'", MAESTRO_BAD_SELECTOR, "step is of type i64; patterns are for strings"},
        {"param not \1like x", MAESTRO_BAD_SELECTOR, "expected 'in' after 'not'"},
        {"param in \1t/to/u", MAESTRO_BAD_SELECTOR, "param is of type string, which has no ranges; list the values"},
        {"step in 0/to/24/by/\0010", MAESTRO_BAD_SELECTOR, "the step '0' of the range must be a whole number, not 0"},
        {"step in 0/to/24/by\1", MAESTRO_BAD_SELECTOR, "expected '/' and a number after 'by'"},
        {"step in 0/to\1", MAESTRO_BAD_SELECTOR, "expected '/' and the end of the range after 'to'"},
        {"levelist in \0010/to/1/by/1e-9", MAESTRO_BAD_SELECTOR, "a range of more than 65536 values; use >= and <= instead"},
        {"time in 0/to/18/by/\0019223372036854775807", MAESTRO_BAD_SELECTOR, "must be a number of hours"},
        {"date in 20260101/to/20260102/by/\001-9223372036854775808", MAESTRO_BAD_SELECTOR, "must be a number of days"},
        {"param = t or step = 6\1, number = 1", MAESTRO_BAD_SELECTOR, "a comma joins the pairs of a request (key=value,key=value); write 'and' here"},
        {"param=t,\1", MAESTRO_BAD_SELECTOR, "expected an attribute's name"},
        {"param = t \1{", MAESTRO_BAD_SELECTOR, "this character has no meaning here"},
        {"param = 'gr\xc3\xbc\xc3\x9f' and \1stp = 6", MAESTRO_UNKNOWN_ATTRIBUTE, "selector, character 20:"},
        {"param = t and param = u and param = v and param = w and param = x and \1stp = 6 and param = y and param = z and param = q", MAESTRO_UNKNOWN_ATTRIBUTE, "selector, character 71:"}};
    for (size_t i = 0; i < MST_COUNT(rows); i++) {
        char text[200];
        const char *mark = strchr(rows[i].text, '\1');
        snprintf(text, sizeof text, "%.*s%s", (int)(mark - rows[i].text), rows[i].text, mark + 1);
        mst_meta_selector_t *selector = NULL;
        CHECK_STATUS(mst_meta_selector_parse(mars, text, &selector), rows[i].status);
        CHECK(selector == NULL);
        CHECK_ERROR_SAYS(rows[i].says);
        const char *shown = strchr(maestro_last_error(), '\n'), *under = shown ? strchr(shown + 1, '\n') : NULL;
        CHECK(shown && under);
        if (!under) continue;
        size_t column = strlen(under + 1) - 1 - 4; /* characters before ^ that are text */
        const char *at = shown + 5;
        while (column && at < under) column -= ((unsigned char)*++at & 0xc0) != 0x80;
        bool right = mark[1] ? strncmp(at, mark + 1, (size_t)(under - at)) == 0 : at == under;
        CHECK(right);
        if (!right) fprintf(stderr, "  in\n%s\n", maestro_last_error());
    }
}

static mst_base_buffer_t repeated(const char *first, const char *part, const char *last, int times) {
    mst_base_buffer_t text = {0};
    mst_base_buffer_printf(&text, "%s", first);
    for (int i = 0; i < times; i++) mst_base_buffer_printf(&text, "%s", part);
    mst_base_buffer_printf(&text, "%s", last);
    return text;
}

static void test_bounds_are_errors_and_what_is_within_works(void) {
    static const struct { const char *first, *part, *last; int times; bool good; } rows[] = {
        {"step=1", " and step=1", "", 2000, true}, {"step=1", " and step=1", "", 2100, false}, {"step=1", " or step=1", "", 2000, true}, {"", "(", "step=1", 63, false}, {"", "not ", "step=1", 60, true}, {"", "not ", "step=1", 80, false},
        {"", "(", "step=1", 100000, false}, {"step in (1", ", 1", ")", 20000, true}, {"step in (1", ", 1", ")", 40000, false}, {"param like '", "*a", "'", 30000, true}, {"param = '", "x", "'", 70000, false}};
    for (size_t i = 0; i < MST_COUNT(rows); i++) {
        mst_base_buffer_t text = repeated(rows[i].first, rows[i].part, rows[i].last, rows[i].times);
        mst_meta_selector_t *selector = NULL;
        maestro_status_t status = mst_meta_selector_parse(mars, text.data, &selector);
        CHECK(status == (rows[i].good ? MAESTRO_OK : MAESTRO_BAD_SELECTOR) || (fprintf(stderr, "  row %zu: %s\n", i, maestro_last_error()), 0));
        if (selector) {
            object_t object = make("param=u step=1");
            mst_meta_selector_bind(selector, dictionary);
            mst_meta_selector_match(selector, set_of(&object), dictionary);
            char described[100];
            mst_meta_node_describe(selector->root, selector, described, sizeof described);
        }
        mst_meta_selector_destroy(selector);
        mst_base_buffer_fini(&text);
    }
    mst_meta_selector_t *selector = NULL;
    CHECK_STATUS(mst_meta_selector_parse(mars, "step in 0/to/100000 and number in (0/to/70000, 1)", &selector), MAESTRO_BAD_SELECTOR);
    CHECK_ERROR_SAYS("a list of more than 65536 values; use a comparison instead");
    CHECK(matches("step in -9223372036854775808/to/9223372036854775807/by/7", "step=-9223372036854775801"));
    CHECK(!matches("step > 9223372036854775807", "step=9223372036854775807") && !matches("step < -9223372036854775808", "step=-9223372036854775808"));
}

/* Recursive, with no care for time: what a glob means. */
static bool glob(const char *pattern, const char *text) {
    if (!*pattern) return !*text;
    if (*pattern == '*') return glob(pattern + 1, text) || (*text && glob(pattern, text + 1));
    if (!*text) return false;
    if (*pattern == '[') {
        const char *end = strchr(pattern + 2, ']');
        if (!end) return *text == '[' && glob(pattern + 1, text + 1);
        bool negated = pattern[1] == '!', found = false;
        for (const char *p = pattern + 1 + negated; p < end; p++) found |= *p == *text;
        return found != negated && glob(end + 1, text + 1);
    }
    return (*pattern == '?' || *pattern == *text) && glob(pattern + 1, text + 1);
}

static void test_globs_agree_with_their_definition(void) {
    static const char *const parts[] = {"a", "b", "*", "?", "[ab]", "[!a]", "*", "c", "["};
    uint64_t state = 9;
    unsigned matched = 0;
    for (int round = 0; round < 50000; round++) {
        char pattern[64] = "", text[12];
        uint64_t random = mst_base_mix(state += 0x9e3779b97f4a7c15ull);
        for (unsigned i = 0; i < random % 7; i++) strcat(pattern, parts[(random >> (8 + 6 * i)) % MST_COUNT(parts)]);
        size_t nbytes = (random >> 50) % 9;
        for (size_t i = 0; i < nbytes; i++) text[i] = "abc["[mst_base_mix(random + i) % 4];
        text[nbytes] = '\0';
        bool expected = glob(pattern, text);
        CHECK(mst_meta_glob(pattern, text, nbytes) == expected || (fprintf(stderr, "  %s on %s\n", pattern, text), 0));
        matched += expected;
    }
    CHECK(matched > 5000);
    char many[2001], long_text[20001];
    for (int i = 0; i < 1000; i++) memcpy(&many[2 * i], "a*", 2);
    strcpy(&many[1998], "*b");
    memset(long_text, 'a', sizeof long_text);
    int64_t start = mst_base_now_ns();
    CHECK(!mst_meta_glob(many, long_text, sizeof long_text)); /* exponential for the definition above */
    CHECK(mst_base_now_ns() - start < 2000000000);
    CHECK(mst_meta_glob("[a-c]x[]]", "bx]", 3) && !mst_meta_glob("[a-c]", "d", 1) && mst_meta_glob("[^a-c]", "d", 1) && mst_meta_glob("[a-]", "-", 1));
}

static void test_a_selector_written_back_means_the_same(void) {
    static const char *const texts[] = {"param = t", "param in ('a b', \"q\\\"x\\\\\")", "step in 0/to/24/by/6", "step in 0/to/24", "levelist in 0/to/1/by/.25", "not (param = t or has(number))", "maestro.time >= 2026-11-24T06:00:00.5Z",
                                        "maestro.time in 2026-11-24/to/2026-11-25/by/6h", "param != u", "step > 3 and step <= 9", "date in 20260130/to/20260202", "param like 'm*' and stream = EF", "step not in (1, 2)"};
    static const char *const objects[] = {"param=t step=6 levelist=0.25", "param=q\"x\\ number=2 step=4", "date=20260201 step=1", "param=msl stream=enfo", "maestro.time=2026-11-24T06:00:00.5", "maestro.time=2026-11-24T12:00", "param=u step=12", "step=9 number=1"};
    for (size_t i = 0; i < MST_COUNT(texts); i++) {
        char once[400], twice[400];
        mst_meta_selector_t *first = parse(texts[i]);
        mst_meta_node_describe(first->root, first, once, sizeof once);
        mst_meta_selector_t *second = parse(once);
        if (!second) continue;
        mst_meta_node_describe(second->root, second, twice, sizeof twice);
        CHECK(strcmp(once, twice) == 0 || (fprintf(stderr, "  %s\n  %s\n", once, twice), 0));
        for (size_t j = 0; j < MST_COUNT(objects); j++) {
            object_t object = make(objects[j]);
            CHECK(mst_meta_selector_match(first, set_of(&object), dictionary) == mst_meta_selector_match(second, set_of(&object), dictionary) || (fprintf(stderr, "  %s\n", once), 0));
        }
        mst_meta_selector_destroy(first);
        mst_meta_selector_destroy(second);
    }
}

static void test_conjuncts_are_the_parts_that_all_must_hold(void) {
    const mst_meta_node_t *nodes[8];
    char text[80];
    mst_meta_selector_t *selector = parse("param = t and (step = 6 and (number = 1 or number = 2)) and has(date)");
    CHECK(mst_meta_selector_conjuncts(selector, nodes, MST_COUNT(nodes)) == 4);
    CHECK(mst_meta_selector_conjuncts(selector, nodes, 1) == 4);
    CHECK(mst_meta_selector_conjuncts(selector, nodes, MST_COUNT(nodes)) == 4 && nodes[2]->op == MST_META_OP_OR);
    object_t object = make("param=t step=7 number=2 date=20260101");
    bool expected[] = {true, false, true, true};
    for (size_t i = 0; i < 4; i++) CHECK(mst_meta_node_match(nodes[i], selector, set_of(&object), dictionary) == expected[i]);
    mst_meta_node_describe(nodes[1], selector, text, sizeof text);
    CHECK(strcmp(text, "step = 6") == 0);
    CHECK(!selector->core_only);
    mst_meta_selector_destroy(selector);
    selector = parse("maestro.rank = 1 or has(maestro.name)");
    CHECK(selector->core_only);
    mst_meta_selector_destroy(selector);
    selector = parse("");
    CHECK(selector->core_only && selector->root->op == MST_META_OP_TRUE && strcmp(selector->source, "") == 0);
    mst_meta_selector_destroy(selector);
}

int main(void) {
    CHECK_OK(mst_meta_schema_load("mars", &mars));
    mars->number = 1;
    void *block = calloc(1, mst_meta_dictionary_nbytes(10000, 1 << 20));
    dictionary = mst_meta_dictionary_init(block, 10000, 1 << 20);
    test_each_form_means_what_it_says();
    test_errors_point_at_the_character();
    test_bounds_are_errors_and_what_is_within_works();
    test_globs_agree_with_their_definition();
    test_a_selector_written_back_means_the_same();
    test_conjuncts_are_the_parts_that_all_must_hold();
    mst_meta_schema_destroy(mars);
    free(block);
    return TEST_END;
}
