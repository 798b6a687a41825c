/* Memory that is freed all at once: the strings of a schema, the nodes of a selector.  Blocks in a chain; NULL when memory is out.
 * Invariant: what was handed out does not move. */
#ifndef MST_META_ARENA_H
#define MST_META_ARENA_H

#include "base/base.h"

typedef struct mst_meta_arena mst_meta_arena_t;

mst_meta_arena_t *mst_meta_arena_create(void);
void mst_meta_arena_destroy(mst_meta_arena_t *arena);
void *mst_meta_arena_alloc(mst_meta_arena_t *arena, size_t nbytes); /* zeroed, 16-byte aligned */
char *mst_meta_arena_text(mst_meta_arena_t *arena, const char *text, size_t nbytes); /* copy, zero-terminated */

#endif
