/* maestro-link: joins this node's pool to the pools of other nodes; one per node, all in one MPI job. */
#include "mpi/link.h"

#include <stdio.h>

static int usage(FILE *to, int code) {
    fprintf(to, "usage: mpirun -ppn 1 maestro-link [--pool NAME] [--schema NAME|FILE] [--json] [--version]\n"
                "Joins the pools of the nodes on which it runs, for objects of one schema (default: the pool's), until SIGTERM or SIGINT.\n");
    return code;
}

int main(int argc, char **argv) {
    mst_mpi_link_options_t options = {0};
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--pool") == 0 && i + 1 < argc) options.pool = argv[++i];
        else if (strcmp(argv[i], "--schema") == 0 && i + 1 < argc) options.schema = argv[++i];
        else if (strcmp(argv[i], "--json") == 0) options.json = true;
        else if (strcmp(argv[i], "--version") == 0) return printf("%s\n", maestro_version()) < 0;
        else if (strcmp(argv[i], "--help") == 0) return usage(stdout, 0);
        else return usage(stderr, 2);
    }
    mst_base_settings_check();
    return mst_mpi_link_run(&argc, &argv, &options);
}
