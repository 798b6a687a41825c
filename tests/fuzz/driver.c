/* A small coverage-guided fuzzer for compilers without libFuzzer (gcc): it takes libFuzzer's arguments as far as the tests use them.
 * It replays the corpus, then mutates what reached new code, with a fixed seed, for a number of seconds.  What is fuzzed stands in the
 * targets beside this file, not here.  Invariant: when a run dies, the input that killed it has been written to crash-<target>.bin.
 *
 * Usage: fuzz_<target> [-max_total_time=S] [-seed=N] [-max_len=N] CORPUS_FOLDER_OR_FILE...     (S = 0: replay only) */
#include <dirent.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { INPUT_SECONDS = 10, CORPUS_MAX = 1 << 14, EDGES = 1 << 16, WORDS = 1 << 10 };

typedef struct input {
    uint8_t *bytes;
    size_t nbytes;
} input_t;

extern int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t nbytes);
extern void __sanitizer_set_death_callback(void (*callback)(void));

/* abort() in a target is a death like others. */
__attribute__((visibility("default"))) const char *__asan_default_options(void) { return "handle_abort=1"; }

static input_t corpus[CORPUS_MAX];
static size_t ncorpus, max_nbytes = 4096;
static uint64_t random_state = 1, nruns;
static double seconds = 5;
static input_t current;           /* what runs now */
static char crash_path[512];

/* ---- Coverage: the compiler calls these from instrumented code.  Counts go by powers of two, so that a loop's length is news. */
static uint8_t counts[EDGES], seen[EDGES];
static uint16_t reached[EDGES];   /* which counts are not zero: a run reaches few of them */
static size_t nreached;
static uint64_t words[WORDS];     /* operands of recent comparisons: good material for mutations */
static size_t nwords;

void __sanitizer_cov_trace_pc(void) {
    uintptr_t pc = (uintptr_t)__builtin_return_address(0);
    uint16_t edge = (uint16_t)(pc ^ pc >> 16);
    if (!counts[edge]) reached[nreached++] = edge;
    if (counts[edge] < 255) counts[edge]++;
}

static void note_word(uint64_t word) {
    if (word > 1) words[nwords++ % WORDS] = word;
}

void __sanitizer_cov_trace_cmp1(uint8_t a, uint8_t b) { note_word(a), note_word(b); }
void __sanitizer_cov_trace_cmp2(uint16_t a, uint16_t b) { note_word(a), note_word(b); }
void __sanitizer_cov_trace_cmp4(uint32_t a, uint32_t b) { note_word(a), note_word(b); }
void __sanitizer_cov_trace_cmp8(uint64_t a, uint64_t b) { note_word(a), note_word(b); }
void __sanitizer_cov_trace_const_cmp1(uint8_t a, uint8_t b) { (void)b, note_word(a); }
void __sanitizer_cov_trace_const_cmp2(uint16_t a, uint16_t b) { (void)b, note_word(a); }
void __sanitizer_cov_trace_const_cmp4(uint32_t a, uint32_t b) { (void)b, note_word(a); }
void __sanitizer_cov_trace_const_cmp8(uint64_t a, uint64_t b) { (void)b, note_word(a); }
void __sanitizer_cov_trace_cmpf(float a, float b) { (void)a, (void)b; }
void __sanitizer_cov_trace_cmpd(double a, double b) { (void)a, (void)b; }
void __sanitizer_cov_trace_switch(uint64_t value, uint64_t *cases) {
    (void)value;
    for (uint64_t i = 0; i < cases[0]; i++) note_word(cases[2 + i]);
}

/* Whether the last run reached something that no run before it reached. */
static bool take_news(void) {
    bool news = false;
    for (size_t i = 0; i < nreached; i++) {
        uint16_t edge = reached[i];
        uint8_t bit = (uint8_t)(1u << (31 - __builtin_clz(counts[edge])));
        if (!(seen[edge] & bit)) seen[edge] |= bit, news = true;
    }
    return news;
}

/* ---- Running one input */
static void write_crash(void) {
    FILE *file = fopen(crash_path, "wb");
    if (!file) return;
    fwrite(current.bytes, 1, current.nbytes, file);
    fclose(file);
    fprintf(stderr, "the input (%zu bytes) that did it: %s\n", current.nbytes, crash_path);
}

static void give_up(int signal_number) {
    (void)signal_number;
    fprintf(stderr, "an input took more than %d s\n", INPUT_SECONDS);
    abort();
}

/* The target gets an exact heap copy, so that the address sanitizer sees every read past the end. */
static void run(input_t input) {
    uint8_t *exact = malloc(input.nbytes ? input.nbytes : 1);
    memcpy(exact, input.bytes, input.nbytes);
    while (nreached) counts[reached[--nreached]] = 0;
    current = input;
    alarm(INPUT_SECONDS);
    LLVMFuzzerTestOneInput(exact, input.nbytes);
    alarm(0);
    free(exact);
    nruns++;
}

static void keep(input_t input) {
    size_t place = ncorpus < CORPUS_MAX ? ncorpus++ : nruns % CORPUS_MAX;
    free(corpus[place].bytes);
    corpus[place] = (input_t){malloc(input.nbytes ? input.nbytes : 1), input.nbytes};
    memcpy(corpus[place].bytes, input.bytes, input.nbytes);
}

/* ---- Mutation */
static uint64_t random_below(uint64_t bound) { /* xorshift64* */
    random_state ^= random_state >> 12, random_state ^= random_state << 25, random_state ^= random_state >> 27;
    return (random_state * 0x2545f4914f6cdd1dull >> 16) % bound;
}

static void open_gap(input_t *input, size_t at, size_t nbytes) {
    memmove(input->bytes + at + nbytes, input->bytes + at, input->nbytes - at);
    input->nbytes += nbytes;
}

static void insert(input_t *input, const void *bytes, size_t nbytes) {
    if (input->nbytes + nbytes > max_nbytes) return;
    size_t at = random_below(input->nbytes + 1);
    open_gap(input, at, nbytes);
    memcpy(input->bytes + at, bytes, nbytes);
}

static void erase(input_t *input) {
    if (!input->nbytes) return;
    size_t at = random_below(input->nbytes), nbytes = 1 + random_below(input->nbytes - at);
    memmove(input->bytes + at, input->bytes + at + nbytes, input->nbytes - at - nbytes);
    input->nbytes -= nbytes;
}

static void splice(input_t *input) {
    input_t other = corpus[random_below(ncorpus)];
    if (!other.nbytes) return;
    size_t from = random_below(other.nbytes);
    insert(input, other.bytes + from, 1 + random_below(other.nbytes - from));
}

static void overwrite_word(input_t *input) {
    size_t width = (size_t)1 << random_below(4);
    uint64_t word = nwords && random_below(2) ? words[random_below(nwords < WORDS ? nwords : WORDS)] : random_below(UINT64_MAX);
    if (random_below(4) == 0) word += random_below(3) - 1;
    if (input->nbytes >= width) memcpy(input->bytes + random_below(input->nbytes - width + 1), &word, width);
}

static void mutate(input_t *input) {
    uint8_t byte = (uint8_t)random_below(256);
    switch (random_below(7)) {
    case 0: if (input->nbytes) input->bytes[random_below(input->nbytes)] ^= (uint8_t)(1u << random_below(8)); break;
    case 1: if (input->nbytes) input->bytes[random_below(input->nbytes)] = byte; break;
    case 2: insert(input, &byte, 1); break;
    case 3: erase(input); break;
    case 4: splice(input); break;
    case 5: overwrite_word(input); break;
    default: insert(input, &words[random_below(WORDS)], (size_t)1 << random_below(4)); break;
    }
}

/* ---- Corpus and main loop */
static void load_file(const char *path, size_t nbytes) {
    FILE *file = fopen(path, "rb");
    if (!file) return;
    input_t input = {malloc(nbytes ? nbytes : 1), nbytes};
    input.nbytes = fread(input.bytes, 1, nbytes, file);
    fclose(file);
    if (input.nbytes > max_nbytes) max_nbytes = input.nbytes;
    run(input);
    take_news();
    keep(input);
    free(input.bytes);
}

static void load(const char *path) {
    struct stat status;
    if (stat(path, &status) != 0) return;
    if (!S_ISDIR(status.st_mode)) {
        load_file(path, (size_t)status.st_size);
        return;
    }
    struct dirent **entries;
    int nentries = scandir(path, &entries, NULL, alphasort);
    for (int i = 0; i < nentries; i++) {
        char file[4096];
        snprintf(file, sizeof file, "%s/%s", path, entries[i]->d_name);
        if (entries[i]->d_name[0] != '.') load(file);
        free(entries[i]);
    }
    if (nentries >= 0) free(entries);
}

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

static void fuzz(void) {
    uint8_t *bytes = malloc(max_nbytes + 1);
    for (double end = now() + seconds; now() < end;) {
        input_t parent = corpus[random_below(ncorpus)], child = {bytes, parent.nbytes};
        memcpy(bytes, parent.bytes, parent.nbytes);
        for (uint64_t n = 1 + random_below(4); n > 0; n--) mutate(&child);
        run(child);
        if (take_news()) keep(child);
    }
    free(bytes);
}

static size_t edges_seen(void) {
    size_t n = 0;
    for (size_t i = 0; i < EDGES; i++) n += seen[i] != 0;
    return n;
}

int main(int argc, char **argv) {
    const char *name = strrchr(argv[0], '/');
    snprintf(crash_path, sizeof crash_path, "crash-%s.bin", name ? name + 1 : argv[0]);
    __sanitizer_set_death_callback(write_crash);
    signal(SIGALRM, give_up);
    for (int i = 1; i < argc; i++) {
        if (sscanf(argv[i], "-max_total_time=%lf", &seconds) == 1) continue;
        if (sscanf(argv[i], "-seed=%lu", &random_state) == 1) continue;
        if (sscanf(argv[i], "-max_len=%zu", &max_nbytes) == 1) continue;
        load(argv[i]);
    }
    size_t nloaded = ncorpus;
    if (!ncorpus) keep((input_t){(uint8_t *)"", 0});
    random_state = random_state * 2 + 1; /* never zero */
    if (seconds > 0) fuzz();
    printf("%lu runs, %zu inputs given, %zu kept, %zu places reached\n", nruns, nloaded, ncorpus, edges_seen());
    for (size_t i = 0; i < ncorpus; i++) free(corpus[i].bytes);
    return seconds > 0 && nruns == 0;
}
