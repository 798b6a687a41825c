/* What objects have in common, and their attributes, whole. */
#ifndef MST_POOL_TEMPLATE_H
#define MST_POOL_TEMPLATE_H

#include "pool/object.h"

typedef struct mst_pool_template {
    uint64_t no_id;         /* 0: no object, for whoever has a stale handle */
    uint32_t refs;          /* objects, open runs, and sessions that go on with it */
    uint32_t objects;       /* made from it so far */
    uint32_t nown;          /* words that lie with the object */
    uint64_t identity;      /* hash of the identity attributes that lie here */
    uint64_t own[2];        /* keys of the words that lie with the objects */
    uint64_t identity_own;  /* bit i: own word i belongs to the identity; of the first 64, which the others follow */
    bool anonymous;         /* its objects have neither name nor identity attributes: they are all different */
    mst_meta_attributes_t attributes; /* of the first object, without tail; then arrays: constants (all bits, or 0: own), positions and keys of own words */
} mst_pool_template_t;

/* The session's template that this set agrees with in all constants, which thus need no check; MST_POOL_NONE: none. */
uint32_t mst_pool_template_find(mst_pool_t *pool, mst_pool_session_t *session, const mst_meta_attributes_t *set);
/* A template that fits, in place of the one that did not; the session holds the reference.  The set is checked.  MST_POOL_NONE: no memory. */
uint32_t mst_pool_template_renew(mst_pool_t *pool, mst_pool_session_t *session, const mst_meta_attributes_t *set);
/* A template whose first reference is the caller's; words at the positions whose bits are set lie with the objects, and text. */
uint32_t mst_pool_template_make(mst_pool_t *pool, const mst_meta_attributes_t *set, const uint64_t *own);
void mst_pool_template_unref(mst_pool_t *pool, uint32_t handle);
bool mst_pool_template_check(mst_pool_t *pool, const mst_pool_template_t *template, const mst_meta_attributes_t *set); /* own words; the rest is */
uint64_t mst_pool_template_identity(mst_pool_t *pool, const mst_pool_template_t *template, const mst_meta_attributes_t *set); /* hash */
bool mst_pool_template_fits_run(const mst_pool_template_t *template); /* it has not too many own words */
/* Puts the template's constants and the positions of own words into the beginning of a run. */
void mst_pool_template_begin_run(const mst_pool_template_t *template, mst_wire_run_t *run);
/* A template of the session that agrees with the set, in which the words at the positions whose bits are set are own ones; made if need be. */
uint32_t mst_pool_template_for_run(mst_pool_t *pool, mst_pool_session_t *session, const mst_meta_attributes_t *set, const uint64_t *own);
/* Own words lie with objects, and in rows of runs, in one order.  The identity's hash by them alone, when none is text. */
uint64_t mst_pool_template_identity_of(mst_pool_t *pool, const mst_pool_template_t *template, const uint64_t *own);
void mst_pool_template_take(const mst_pool_template_t *template, const mst_meta_attributes_t *set, uint64_t *own); /* own words and tail */
/* An object's attributes, whole: written to `out`, or into memory of the pool that stays valid until the second next call. */
size_t mst_pool_attributes_nbytes(mst_pool_t *pool, const mst_pool_object_t *object);
void mst_pool_attributes_write(mst_pool_t *pool, const mst_pool_object_t *object, mst_meta_attributes_t *out);
const mst_meta_attributes_t *mst_pool_attributes(mst_pool_t *pool, const mst_pool_object_t *object);
bool mst_pool_same_value(const mst_pool_t *pool, const mst_meta_attributes_t *a, const mst_meta_attributes_t *b, unsigned key); /* or absent in both */

#endif
