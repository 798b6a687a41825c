/* Schemas: which attributes exist, of what type, and which of them make an object's identity.  Read from YAML (libyaml) with errors that say
 * source:line:column.  Immutable once parsed.  Keys 0 .. MST_META_CORE_KEYS-1 of every schema are the core schema's attributes
 * (namespace "maestro": maestro.name, maestro.dtype, ...); the schema's own follow.
 *
 * Conversion (the setters of attributes.h, literals of selectors): i64 -> f64 always; i64 -> string where `pad` is given (12 -> "0012") ;
 * string -> i64 where `unit: h` is given ("6", "30m" is refused unless it is whole hours, "0-24" -> its end) ; string -> f64 ("500", ".5");
 * string -> timestamp (ISO 8601, "2026-11-24", "20261124"); string -> string: case folded where `fold: true`, aliases replaced, padded,
 * then checked against `values`.  Anything else is WRONG_TYPE.
 *
 * Two units give strings a meaning (with pad 4 and 8):  `hhmm`, a time of day: 0 -> "0000", 12 -> "1200" (one or two digits are hours),
 * 630 -> "0630", "06:30" -> "0630";  `yyyymmdd`, a date: "2026-01-30" -> "20260130", checked against the calendar.  Ranges of such strings in
 * selectors count hours and days, across the ends of months.  Any other unit of a string, and every unit of a number but h, is a label. */
#ifndef MST_META_SCHEMA_H
#define MST_META_SCHEMA_H

#include "meta/attributes.h"

/* The core schema's keys, in this order (csrc/meta/schemas/core.yaml says the same; a test compares). */
typedef enum mst_meta_core_key {
    MST_META_KEY_NAME,      /* maestro.name       string             optional name of the object */
    MST_META_KEY_DTYPE,     /* maestro.dtype      string, common     element type as numpy writes it: "<f8" */
    MST_META_KEY_SHAPE,     /* maestro.shape      string, common     "181,360" */
    MST_META_KEY_ORDER,     /* maestro.order      string, common     C or F; absent: C */
    MST_META_KEY_COMPONENT, /* maestro.component  string, common     set by the manager: who offered, joined, left */
    MST_META_KEY_RANK,      /* maestro.rank       i64                set by the manager */
    MST_META_KEY_VERSION,   /* maestro.version    i64                set by the manager, where the schema says duplicate: version */
    MST_META_KEY_PID,       /* maestro.pid        i64                in joined and left events */
    MST_META_KEY_REASON,    /* maestro.reason     string, common     in left events: closed, died; in required ones: require, demand, subscription */
    MST_META_KEY_CHECKSUM,  /* maestro.checksum   i64                xxh3-64 of the bytes, by whoever cares to set it */
    MST_META_KEY_TIME,      /* maestro.time       timestamp          when the producer completed the bytes */
    MST_META_KEY_COLLECTION, /* maestro.collection string, common   of a record */
    MST_META_KEY_SEQUENCE,  /* maestro.sequence   i64                of a record */
    MST_META_KEY_ARRAYS,    /* maestro.arrays     string, common     where which arrays lie in a record, as JSON */
    MST_META_KEY_LIFETIME,  /* maestro.lifetime   f64                seconds after the offer */
    MST_META_KEY_NEED,      /* maestro.need       i64                in required and retracted events: which need */
    MST_META_KEY_SELECTOR,  /* maestro.selector   string             what it selects, */
    MST_META_KEY_SCHEMA,    /* maestro.schema     string, common     of which schema */
    MST_META_KEY_NODE,      /* maestro.node       string, common     of copies: where they come from */
    MST_META_KEY_PRIORITY,  /* maestro.priority   string, common     urgent, normal or background; absent: normal */
    MST_META_KEY_DEADLINE,  /* maestro.deadline   timestamp          when it has to be with its consumers */
    MST_META_KEY_DEMANDS,   /* maestro.demands    i64                how often it is read before it expires */
    MST_META_KEY_PERSIST,   /* maestro.persist    bool               it stays until an archive has it */
    MST_META_KEY_PARTS,     /* maestro.parts      i64                how many offers make the object */
    MST_META_KEY_PART,      /* maestro.part       i64                which of them this one is */
    MST_META_KEY_MISSING,   /* maestro.missing    string             in incomplete events: parts that had not come */
    MST_META_KEY_FENCE,     /* maestro.fence      string, common     collection of which all records of a sequence number are there */
    MST_META_KEY_DESCRIBES, /* maestro.describes  string, common     collection whose attributes these are */
    MST_META_CORE_KEYS
} mst_meta_core_key_t;

typedef struct mst_meta_alias {
    const char *from, *to;
} mst_meta_alias_t;

typedef struct mst_meta_attribute {
    const char *name;
    maestro_type_t type;        /* that of its values, with MAESTRO_TYPE_ARRAY where it has several */
    bool required, identity, common, fold;
    unsigned pad;               /* strings: pad with zeros on the left to this width */
    const char *unit;           /* NULL: none */
    double by;                  /* step of a range in a request (key=a/to/b) that gives none; 0: 1 */
    const char *const *values;  /* allowed values (strings), NULL: any */
    size_t nvalues;
    const mst_meta_alias_t *aliases;
    size_t naliases;
    const char *otherwise;      /* default, as canonical text; NULL: none */
    uint64_t otherwise_word;    /* the same for what is no string */
    const char *doc;            /* NULL: none */
} mst_meta_attribute_t;

typedef struct mst_meta_schema {
    const char *name;           /* also the namespace: "mars.param" and "param" are the same key */
    int64_t version;
    bool versions;              /* duplicate: version.  An offer of an identity that exists takes its place, with the next number; else it is refused */
    bool whole_pool;            /* reach: pool.  Component and rank are no part of the identity */
    uint64_t hash;              /* of the content: names in their order (it numbers the keys), types, flags, conversions, values, aliases,
                                   defaults; not of docs, comments, white space or the order of an attribute's entries */
    size_t nattributes;         /* core ones included */
    mst_meta_attribute_t attribute[MST_META_KEYS_MAX];
    uint16_t number;            /* in its pool; the pool sets it, the index reads it; 0 is the core schema */
    uint64_t required[2], identity[2], common[2]; /* masks over keys */
    uint64_t all[2], defaulted[2], checked[2];    /* every key; those with a default; those whose words can be wrong */
    uint8_t name_slot[512];     /* hash table of names: key + 1 */
    char *text;                 /* the YAML it came from */
    size_t text_nbytes;
    void *arena;                /* owns all strings */
} mst_meta_schema_t;

/* Parses a schema.  `source` names it in errors.  Error: BAD_SCHEMA "source:line:column: what; remedy".  Bounded: 1 MiB of text, depth 8. */
maestro_status_t mst_meta_schema_parse(const char *yaml, size_t nbytes, const char *source, mst_meta_schema_t **schema_out);
void mst_meta_schema_destroy(mst_meta_schema_t *schema);

/* By name: MAESTRO_SCHEMA_PATH, then the built-in ones ("core", "mars"); by path when it has a '/' or ends in .yaml / .yml. NULL: core.
 * Errors: BAD_SCHEMA (an unknown name lists the known ones), SYSTEM. */
maestro_status_t mst_meta_schema_load(const char *name_or_path, mst_meta_schema_t **schema_out);

/* Key of an attribute's name (plain or with namespace), or -1. */
int mst_meta_schema_key(const mst_meta_schema_t *schema, const char *name, size_t nbytes);
/* The same, failing with UNKNOWN_ATTRIBUTE that names the nearest known one; `operation` begins the message. */
maestro_status_t mst_meta_schema_require_key(const mst_meta_schema_t *schema, const char *name, const char *operation, unsigned *key_out);
const char *mst_meta_schema_nearest(const mst_meta_schema_t *schema, const char *name, size_t nbytes);

/* Canonical form of a text value of a string attribute: fold, alias, pad, allowed values.  `out` has room for MST_META_TEXT_MAX + 1. Error: BAD_VALUE. */
maestro_status_t mst_meta_schema_canonical(const mst_meta_attribute_t *attribute, const char *text, size_t nbytes, char *out, size_t *nbytes_out);
/* Conversions of text by the attribute's type and unit. */
maestro_status_t mst_meta_schema_text_i64(const mst_meta_attribute_t *attribute, const char *text, size_t nbytes, int64_t *value_out);
maestro_status_t mst_meta_schema_text_f64(const mst_meta_attribute_t *attribute, const char *text, size_t nbytes, double *value_out);
maestro_status_t mst_meta_schema_text_timestamp(const mst_meta_attribute_t *attribute, const char *text, size_t nbytes, int64_t *nanoseconds_out);

const char *mst_meta_type_name(maestro_type_t type);
/* What differs between two schemas of one name, for a message ("attribute step: i64 here, string there"). */
void mst_meta_schema_difference(const mst_meta_schema_t *here, const mst_meta_schema_t *there, char *text, size_t nbytes);
void mst_meta_schema_json(const mst_meta_schema_t *schema, mst_base_buffer_t *out);

#endif
