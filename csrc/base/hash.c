/* The one hash function of the core; a seam around the xxHash library, compiled in. */
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/base.h"

uint64_t mst_base_hash(const void *bytes, size_t nbytes) { return XXH3_64bits(bytes, nbytes); }

uint64_t mst_base_hash_seeded(const void *bytes, size_t nbytes, uint64_t seed) { return XXH3_64bits_withSeed(bytes, nbytes, seed); }
