/* The detail of the calling thread's last error as Fortran programs see it: the library's, or what the module itself refused.
 * It is kept here, since a variable of a Fortran module would be shared by all threads. */
#include <stdio.h>

void mst_fortran_keep_detail(const char *text);
const char *mst_fortran_detail(void);

static _Thread_local char detail[2048];

void mst_fortran_keep_detail(const char *text) { snprintf(detail, sizeof detail, "%s", text); }

const char *mst_fortran_detail(void) { return detail; }
