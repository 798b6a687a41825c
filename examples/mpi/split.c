/* Two programs of one MPI job find each other by name, and one gives a field to the other.
 * mpirun -n 2 example_split land : -n 3 example_split water
 *
 * Each asks for two communicators: one of its own ranks, in which it works as if it were alone, and one of both programs.  It does not matter which comes first
 * on the command line, nor which other programs run beside them, as long as these take part in the split.  The land has the field in rows; the water gets
 * it in columns, with as many ranks as it has. */
#include <maestro.h>
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NROWS = 60, NCOLUMNS = 90 };

#define TRY(call)                                                          \
    do {                                                                   \
        if ((call) != MAESTRO_OK) {                                        \
            fprintf(stderr, "%s\n", maestro_last_error());                 \
            MPI_Abort(MPI_COMM_WORLD, 1);                                  \
        }                                                                  \
    } while (0)

typedef struct part {
    maestro_layout_t *layout;
    maestro_local_t local;
    double *values;
} part_t;

static double value_of(int64_t row, int64_t column) { return (double)(row * NCOLUMNS + column); }

/* This rank's part of a field that `comm` has, cut into rows or columns. */
static part_t make_part(MPI_Comm comm, bool by_rows) {
    part_t part;
    int rank, nranks;
    MPI_Comm_rank(comm, &rank);
    MPI_Comm_size(comm, &nranks);
    TRY(maestro_layout_blocks(2, (int64_t[]){NROWS, NCOLUMNS}, (int64_t[]){by_rows ? nranks : 1, by_rows ? 1 : nranks}, NULL, &part.layout));
    TRY(maestro_layout_local(part.layout, rank, &part.local));
    TRY(maestro_alloc((size_t)part.local.nelements * sizeof *part.values, (void **)&part.values));
    return part;
}

/* Land writes its part; water counts what is wrong in its own. */
static int visit(const part_t *part, bool write) {
    int wrong = 0;
    for (int64_t i = 0; i < part->local.shape[0]; i++)
        for (int64_t j = 0; j < part->local.shape[1]; j++) {
            double *value = &part->values[i * part->local.stride[0] + j], right = value_of(part->local.first[0] + i, part->local.first[1] + j);
            if (write) *value = right;
            wrong += *value != right;
        }
    return wrong;
}

int main(int argc, char **argv) {
    const char *names[] = {argc > 1 ? argv[1] : "", "land and water"};
    bool is_land = strcmp(names[0], "land") == 0;
    maestro_comm_t comms[2];
    int rank, wrong = 0;
    if (!is_land && strcmp(names[0], "water") != 0) return fprintf(stderr, "usage: example_split land|water\n"), 2;
    MPI_Init(&argc, &argv);
    TRY(maestro_comm_split(MPI_Comm_c2f(MPI_COMM_WORLD), 2, names, comms));
    MPI_Comm own = MPI_Comm_f2c(comms[0]), both = MPI_Comm_f2c(comms[1]);
    MPI_Comm_rank(own, &rank);

    part_t part = make_part(own, is_land);
    maestro_plan_t *plan;
    maestro_plan_options_t options;
    maestro_plan_options_init(&options);
    *(is_land ? &options.from_part : &options.to_part) = rank; /* in the own program; in `both` it has another number */
    TRY(maestro_redistribute(is_land ? part.layout : NULL, is_land ? NULL : part.layout, sizeof *part.values, comms[1], &options, &plan));
    if (is_land) visit(&part, true);
    TRY(maestro_plan_run(plan, 1, (const void *[]){part.values}, (void *[]){part.values}));
    if (!is_land) wrong = visit(&part, false);
    printf("%s, rank %d: %lld x %lld values, %d are wrong\n", names[0], rank, (long long)part.local.shape[0], (long long)part.local.shape[1], wrong);

    TRY(maestro_plan_destroy(plan));
    TRY(maestro_dealloc(part.values));
    maestro_layout_destroy(part.layout);
    MPI_Comm_free(&own);
    MPI_Comm_free(&both);
    MPI_Finalize();
    return wrong != 0;
}
