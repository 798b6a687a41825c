/* The dictionary: codes, the end of its room, readers beside the writer, blocks that are none. */
#include "base/test.h"
#include "meta/dictionary.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

static mst_meta_dictionary_t *make(uint32_t max_codes, uint32_t max_text) {
    return mst_meta_dictionary_init(calloc(1, mst_meta_dictionary_nbytes(max_codes, max_text)), max_codes, max_text);
}

static void test_equal_texts_have_one_code_and_read_back(void) {
    enum { TEXTS = 3000 };
    mst_meta_dictionary_t *dictionary = make(TEXTS, TEXTS * 8);
    uint32_t code[TEXTS];
    char text[16];
    for (int round = 0; round < 2; round++) {
        for (uint32_t i = 0; i < TEXTS; i++) {
            size_t nbytes = (size_t)snprintf(text, sizeof text, "t%u", i);
            if (round == 0) CHECK(mst_meta_dictionary_find(dictionary, text, nbytes) == 0);
            if (round == 0) code[i] = mst_meta_dictionary_intern(dictionary, text, nbytes);
            CHECK(code[i] == i + 1 && mst_meta_dictionary_intern(dictionary, text, nbytes) == code[i]);
            CHECK(mst_meta_dictionary_find(dictionary, text, nbytes) == code[i]);
            uint32_t length = 0;
            const char *back = mst_meta_dictionary_text(dictionary, code[i], &length);
            CHECK(back && length == nbytes && strcmp(back, text) == 0);
        }
    }
    CHECK(mst_meta_dictionary_count(dictionary) == TEXTS);
    uint32_t length;
    CHECK(mst_meta_dictionary_text(dictionary, 0, &length) == NULL && mst_meta_dictionary_text(dictionary, TEXTS + 1, &length) == NULL);
    free(dictionary);
}

static void test_empty_and_prefix_texts_are_their_own(void) {
    mst_meta_dictionary_t *dictionary = make(8, 100);
    CHECK(mst_meta_dictionary_intern(dictionary, "", 0) == 1 && mst_meta_dictionary_intern(dictionary, "ab", 1) == 2 && mst_meta_dictionary_intern(dictionary, "ab", 2) == 3);
    CHECK(mst_meta_dictionary_find(dictionary, "", 0) == 1 && mst_meta_dictionary_find(dictionary, "a", 1) == 2);
    free(dictionary);
}

/* What got no code once must never get one: two sets would write one text differently. */
static void test_full_stays_full(void) {
    mst_meta_dictionary_t *few = make(2, 100), *narrow = make(100, 8);
    CHECK(mst_meta_dictionary_intern(few, "a", 1) == 1 && mst_meta_dictionary_intern(few, "b", 1) == 2 && mst_meta_dictionary_intern(few, "c", 1) == 0);
    CHECK(mst_meta_dictionary_intern(few, "a", 1) == 1 && mst_meta_dictionary_find(few, "c", 1) == 0);
    CHECK(mst_meta_dictionary_intern(narrow, "abcde", 5) == 1 && mst_meta_dictionary_intern(narrow, "abcdefg", 7) == 0);
    CHECK(mst_meta_dictionary_intern(narrow, "x", 1) == 0); /* though it would fit */
    char longest[1025];
    mst_meta_dictionary_t *wide = make(4, 4096);
    memset(longest, 'x', sizeof longest);
    CHECK(mst_meta_dictionary_intern(wide, longest, 1025) == 0 && mst_meta_dictionary_intern(wide, longest, 1024) == 1); /* too long is not full */
    free(few);
    free(narrow);
    free(wide);
}

static void test_blocks_that_are_no_dictionary_are_refused(void) {
    size_t nbytes = mst_meta_dictionary_nbytes(16, 256);
    mst_meta_dictionary_t *dictionary = make(16, 256);
    CHECK(mst_meta_dictionary_attach(dictionary, nbytes) == dictionary);
    CHECK(mst_meta_dictionary_attach(dictionary, nbytes - 1) == NULL && mst_meta_dictionary_attach(dictionary, 4) == NULL && mst_meta_dictionary_attach(NULL, nbytes) == NULL);
    uint32_t *words = (uint32_t *)dictionary;
    for (size_t i = 0; i < 14; i++) { /* header words: magic, version, sizes, offsets; a wrong one is found or harmless */
        uint32_t old = words[i];
        words[i] = 0xffffffff;
        const mst_meta_dictionary_t *other = mst_meta_dictionary_attach(dictionary, nbytes);
        uint32_t length;
        if (other) CHECK(mst_meta_dictionary_find(other, "a", 1) == 0 && mst_meta_dictionary_text(other, 1, &length) == NULL);
        words[i] = old;
    }
    mst_meta_dictionary_t *another = make(16, 256);
    CHECK(mst_meta_dictionary_id(dictionary) != mst_meta_dictionary_id(another));
    free(another);
    free(dictionary);
}

/* ---- A reader beside the writer. */

enum { MANY = 20000 };

typedef struct race {
    mst_meta_dictionary_t *dictionary;
    atomic_bool done;
    atomic_ulong found;
    unsigned long wrong;
} race_t;

static void *read_along(void *argument) {
    race_t *race = argument;
    char text[16];
    for (uint32_t i = 0; !atomic_load(&race->done); i = (i + 7) % MANY) {
        uint32_t nbytes = (uint32_t)snprintf(text, sizeof text, "text %u", i), length = 0;
        uint32_t code = mst_meta_dictionary_find(race->dictionary, text, nbytes);
        if (!code) continue;
        const char *back = mst_meta_dictionary_text(race->dictionary, code, &length);
        race->wrong += code != i + 1 || !back || length != nbytes || memcmp(back, text, nbytes) != 0;
        atomic_fetch_add(&race->found, 1);
    }
    return NULL;
}

static void test_readers_see_whole_entries_while_the_writer_adds(void) {
    race_t race = {.dictionary = make(MANY, MANY * 16)};
    pthread_t thread;
    CHECK(mst_meta_dictionary_intern(race.dictionary, "text 0", 6) == 1);
    CHECK(pthread_create(&thread, NULL, read_along, &race) == 0);
    for (int i = 0; i < 10000 && !atomic_load(&race.found); i++) usleep(1000); /* from here on it reads while texts are added */
    char text[16];
    for (uint32_t i = 1; i < MANY; i++) {
        size_t nbytes = (size_t)snprintf(text, sizeof text, "text %u", i);
        if (mst_meta_dictionary_intern(race.dictionary, text, nbytes) != i + 1) CHECK(false);
    }
    for (int i = 0; i < 10000 && atomic_load(&race.found) < 1000; i++) usleep(1000); /* a busy machine starts the reader late */
    atomic_store(&race.done, true);
    pthread_join(thread, NULL);
    CHECK(atomic_load(&race.found) >= 1000);
    CHECK(race.wrong == 0);
    free(race.dictionary);
}

int main(void) {
    test_equal_texts_have_one_code_and_read_back();
    test_empty_and_prefix_texts_are_their_own();
    test_full_stays_full();
    test_blocks_that_are_no_dictionary_are_refused();
    test_readers_see_whole_entries_while_the_writer_adds();
    return TEST_END;
}
