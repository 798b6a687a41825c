/* What tests of the client begin and end with: a folder of their own for pools, sessions and objects of the mars schema. */
#ifndef MST_CLIENT_SESSION_TEST_H
#define MST_CLIENT_SESSION_TEST_H

#include <maestro.h>

#include "base/test.h"

#include <stdlib.h>
#include <sys/types.h>

static inline maestro_session_t *open_session(const char *component, double timeout_s) {
    maestro_session_options_t options;
    maestro_session_t *session = NULL;
    maestro_session_options_init(&options);
    options.component = component;
    options.schema = "mars";
    options.timeout_s = timeout_s;
    CHECK_OK(maestro_session_open(&options, &session));
    if (!session) exit(1);
    return session;
}

static inline maestro_cdo_t *declare(maestro_session_t *session, const char *param, int64_t step) {
    maestro_cdo_t *cdo = NULL;
    CHECK_OK(maestro_cdo_declare(session, NULL, &cdo));
    CHECK_OK(maestro_cdo_set_str(cdo, "param", param));
    CHECK_OK(maestro_cdo_set_i64(cdo, "step", step));
    return cdo;
}

/* The process that keeps the session's pool. */
static inline pid_t manager_of(maestro_session_t *session) {
    char *json = NULL;
    CHECK_OK(maestro_session_stats(session, 5, &json));
    const char *at = json ? strstr(json, "\"pid\":") : NULL;
    pid_t pid = at ? (pid_t)strtol(at + 6, NULL, 10) : 0;
    maestro_free(json);
    CHECK(pid > 1);
    if (pid <= 1) exit(1);
    return pid;
}

/* `directory` is "/tmp/maestro-test-XXXXXX"; short, since socket paths end at 108 bytes. */
static inline void make_place(char *directory) {
    if (!mkdtemp(directory)) exit(1);
    setenv("MAESTRO_DIR", directory, 1);
    setenv("MAESTRO_LINGER_S", "0.2", 1);
}

static inline void remove_place(const char *directory) {
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", directory);
    CHECK(system(command) == 0);
}

#endif
