/* The dictionary of interned strings of a pool: append-only, in one block of (shared) memory with a single writer, the pool manager; clients
 * map it read-only and read it without locks.  Codes start at 1 and are never reused.  Text is zero-terminated and never moves. */
#ifndef MST_META_DICTIONARY_H
#define MST_META_DICTIONARY_H

#include "base/base.h"

typedef struct mst_meta_dictionary mst_meta_dictionary_t; /* header of the block itself: a pointer to it is the handle */

size_t mst_meta_dictionary_nbytes(uint32_t max_codes, uint32_t max_text_nbytes);
mst_meta_dictionary_t *mst_meta_dictionary_init(void *zeroed_block, uint32_t max_codes, uint32_t max_text_nbytes);
/* The reader's view of a block of `nbytes`; NULL if it is none (magic, version, sizes). */
const mst_meta_dictionary_t *mst_meta_dictionary_attach(const void *block, size_t nbytes);

uint32_t mst_meta_dictionary_find(const mst_meta_dictionary_t *dictionary, const char *text, size_t nbytes); /* 0: not there */
uint32_t mst_meta_dictionary_intern(mst_meta_dictionary_t *dictionary, const char *text, size_t nbytes);     /* 0: full, then for ever full */
const char *mst_meta_dictionary_text(const mst_meta_dictionary_t *dictionary, uint32_t code, uint32_t *nbytes_out); /* NULL: no such code */
uint64_t mst_meta_dictionary_id(const mst_meta_dictionary_t *dictionary); /* differs between any two dictionaries */
uint32_t mst_meta_dictionary_count(const mst_meta_dictionary_t *dictionary);

#endif
