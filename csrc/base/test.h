/* The whole test framework of the C core: CHECK prints what failed and goes on; TEST_END is main's return value. */
#ifndef MST_BASE_TEST_H
#define MST_BASE_TEST_H

#include <stdio.h>
#include <string.h>

static int test_failures;
static int test_checks;

#define CHECK(condition)                                                             \
    do {                                                                             \
        test_checks++;                                                               \
        if (!(condition)) {                                                          \
            test_failures++;                                                         \
            fprintf(stderr, "%s:%d: not true: %s\n", __FILE__, __LINE__, #condition); \
        }                                                                            \
    } while (0)

#define CHECK_STATUS(call, expected)                                                                              \
    do {                                                                                                          \
        maestro_status_t check_status_ = (call);                                                                  \
        test_checks++;                                                                                            \
        if (check_status_ != (expected)) {                                                                        \
            test_failures++;                                                                                      \
            fprintf(stderr, "%s:%d: %s gave %s (%s), expected %s\n", __FILE__, __LINE__, #call,                   \
                    maestro_status_name(check_status_), maestro_last_error(), maestro_status_name(expected));     \
        }                                                                                                         \
    } while (0)

#define CHECK_OK(call) CHECK_STATUS(call, MAESTRO_OK)
#define CHECK_ERROR_SAYS(part) CHECK(strstr(maestro_last_error(), part) != NULL || (fprintf(stderr, "  said: %s\n", maestro_last_error()), 0))

#define TEST_END (printf("%d checks, %d failed\n", test_checks, test_failures), test_checks == 0 || test_failures != 0)

#endif
