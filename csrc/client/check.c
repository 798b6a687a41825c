/* Checking modes, for programs that write to an object after they have offered it (MAESTRO_CHECK):
 *
 *   pages   the object's pages are write-protected from its offer until its block is its producer's again: the write itself faults.  Blocks are whole pages
 *           in this mode, so that a small object shares none.
 *   sums    a checksum goes with the object (maestro.checksum) and is compared when a reader takes hold of the bytes, and when the producer withdraws the
 *           object or disposes the handle.
 *
 * Both are for objects that are offered one by one: what maestro_offer_many copies nobody else has the address of.  Off, they cost a test of a byte. */
#include "client/client.h"

#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

maestro_status_t mst_client_check_init(maestro_session_t *session) {
    const char *modes = mst_base_setting("MAESTRO_CHECK");
    if (!modes) return MAESTRO_OK;
    if (strcmp(modes, "pages") == 0) session->check = MST_CLIENT_CHECK_PAGES;
    else if (strcmp(modes, "sums") == 0) session->check = MST_CLIENT_CHECK_SUMS;
    else if (strcmp(modes, "pages,sums") == 0 || strcmp(modes, "sums,pages") == 0) session->check = MST_CLIENT_CHECK_PAGES | MST_CLIENT_CHECK_SUMS;
    else return mst_base_fail(MAESTRO_INVALID_ARGUMENT, "open a session: MAESTRO_CHECK is \"%.40s\"; write pages, sums or pages,sums, or unset it", modes);
    return MAESTRO_OK;
}

/* ---- Pages. */

uint64_t mst_client_check_nbytes(uint64_t nbytes) { /* classes of whole pages are multiples of pages, so blocks begin at pages too */
    uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
    return nbytes ? MST_ALIGN(nbytes, page) : page;
}

static bool protect(const maestro_session_t *session, uint32_t segment, uint64_t offset, int how) {
    uint64_t nbytes = mst_mem_allocator_block_nbytes(session->allocator, segment, offset);
    return !nbytes || mprotect((char *)session->segment[segment].base + offset, nbytes, how) == 0;
}

void mst_client_check_unprotect(const maestro_session_t *session, uint32_t segment, uint64_t offset) { protect(session, segment, offset, PROT_READ | PROT_WRITE); }

/* ---- Sums. */

static uint64_t sum_of(const maestro_cdo_t *cdo) { return mst_base_hash(cdo->data, cdo->nbytes); }

static maestro_status_t fail_changed(const maestro_cdo_t *cdo, const char *operation, uint64_t then, uint64_t now, const char *component, int64_t rank) {
    char description[512];
    maestro_cdo_describe(cdo, description, sizeof description);
    return mst_base_fail(MAESTRO_CORRUPT, "%s %s: its bytes are not those that component %s rank %lld offered (checksum %016llx then, %016llx now); something wrote to them since; MAESTRO_CHECK=pages in that component shows where",
                         operation, description, component, (long long)rank, (unsigned long long)then, (unsigned long long)now);
}

maestro_status_t mst_client_check_own(const maestro_cdo_t *cdo, const char *operation) {
    if (!cdo->summed || cdo->state != MST_CLIENT_OFFERED || cdo->block_is_back) return MAESTRO_OK;
    uint64_t then = cdo->builder.value[MST_META_KEY_CHECKSUM], now = sum_of(cdo);
    return then == now ? MAESTRO_OK : fail_changed(cdo, operation, then, now, cdo->session->component, cdo->session->rank);
}

maestro_status_t mst_client_check_leased(maestro_cdo_t *cdo, const char *operation) {
    int64_t then, rank = 0;
    const char *component = "?";
    if (cdo->state != MST_CLIENT_LEASED || cdo->summed || !cdo->nbytes || !maestro_cdo_has(cdo, "maestro.checksum")) return MAESTRO_OK;
    MST_TRY(maestro_cdo_get_i64(cdo, "maestro.checksum", &then));
    uint64_t now = sum_of(cdo);
    cdo->summed = (uint64_t)then == now; /* once is enough */
    if (cdo->summed) return MAESTRO_OK;
    maestro_cdo_get_str(cdo, "maestro.component", &component);
    maestro_cdo_get_i64(cdo, "maestro.rank", &rank);
    return fail_changed(cdo, operation, (uint64_t)then, now, component, rank);
}

/* ---- The offer. */

maestro_status_t mst_client_check_offer(maestro_cdo_t *cdo) {
    const maestro_session_t *session = cdo->session;
    mst_meta_builder_t *builder = &cdo->builder;
    bool given = builder->mask[0] >> MST_META_KEY_CHECKSUM & 1 && !cdo->summed;
    if (!cdo->has_block) return MAESTRO_OK;
    if (session->check & MST_CLIENT_CHECK_SUMS && !given) {
        MST_TRY(mst_meta_builder_set_i64(builder, MST_META_KEY_CHECKSUM, (int64_t)sum_of(cdo)));
        cdo->summed = true;
    }
    if (session->check & MST_CLIENT_CHECK_PAGES && !protect(session, cdo->place.segment, cdo->place.offset, PROT_READ))
        return mst_base_fail_errno("offer: protect the object's pages (MAESTRO_CHECK=pages)");
    return MAESTRO_OK;
}
