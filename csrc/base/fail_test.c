/* The last error: what is recorded, by whom, and that it is never longer than its room. */
#include "base/base.h"

#include "base/test.h"

#include <errno.h>

static void test_the_last_error_is_what_was_recorded_last(void) {
    CHECK(mst_base_fail(MAESTRO_NOT_FOUND, "find %s: none", "x") == MAESTRO_NOT_FOUND);
    CHECK(strcmp(maestro_last_error(), "find x: none") == 0);
    CHECK(mst_base_fail_context(MAESTRO_NOT_FOUND, "demand") == MAESTRO_NOT_FOUND);
    CHECK(strcmp(maestro_last_error(), "demand: find x: none") == 0);
    errno = ENOENT;
    CHECK(mst_base_fail_errno("open %d", 7) == MAESTRO_SYSTEM);
    CHECK(strcmp(maestro_last_error(), "open 7: No such file or directory") == 0);
}

static void test_libraries_on_top_record_theirs(void) {
    char longer[3000];
    maestro_error_record("from elsewhere");
    CHECK(strcmp(maestro_last_error(), "from elsewhere") == 0);
    maestro_error_record(NULL);
    CHECK(strcmp(maestro_last_error(), "") == 0);
    memset(longer, 'a', sizeof longer);
    longer[sizeof longer - 1] = '\0';
    maestro_error_record(longer);
    CHECK(strlen(maestro_last_error()) == MST_BASE_ERROR_NBYTES - 1);
    CHECK(mst_base_fail_context(MAESTRO_SYSTEM, "%s", longer) == MAESTRO_SYSTEM);
    CHECK(strlen(maestro_last_error()) == MST_BASE_ERROR_NBYTES - 1);
}

int main(void) {
    test_the_last_error_is_what_was_recorded_last();
    test_libraries_on_top_record_theirs();
    return TEST_END;
}
