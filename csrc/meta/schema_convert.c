/* From what a user writes to the one form a value is stored in: case, aliases, padding, times and dates, hours, and the check against the
 * allowed values.  Errors name attribute and value and what is allowed.  Invariant: a canonical text is its own canonical form. */
#include <ctype.h>
#include <stdio.h>

#include "meta/schema_reader.h"
#include "meta/text.h"

bool mst_meta_is_time(const mst_meta_attribute_t *attribute) {
    return mst_meta_element_type(attribute->type) == MAESTRO_TYPE_STRING && attribute->unit && strcmp(attribute->unit, "hhmm") == 0;
}

bool mst_meta_is_date(const mst_meta_attribute_t *attribute) {
    return mst_meta_element_type(attribute->type) == MAESTRO_TYPE_STRING && attribute->unit && strcmp(attribute->unit, "yyyymmdd") == 0;
}

static bool is_hours(const mst_meta_attribute_t *attribute) { return attribute->unit && strcmp(attribute->unit, "h") == 0; }

static maestro_status_t refuse(const mst_meta_attribute_t *attribute, const char *text, size_t nbytes, const char *why) {
    return mst_base_fail(MAESTRO_BAD_VALUE, "attribute %s: '%.*s'%s %s", attribute->name, (int)(nbytes < 64 ? nbytes : 64), text,
                         nbytes > 64 ? "..." : "", why);
}

static maestro_status_t refuse_value(const mst_meta_attribute_t *attribute, const char *text, size_t nbytes) {
    char why[512];
    const char *nearest = mst_base_nearest(text, nbytes, attribute->values, attribute->nvalues);
    int at = snprintf(why, sizeof why, "is not allowed%s%s%s; allowed: ", nearest ? "; did you mean '" : "", nearest ? nearest : "", nearest ? "'?" : "");
    for (size_t i = 0; i < attribute->nvalues && at < 400; i++) {
        if (i == 16 && attribute->nvalues > 20) { /* enough to see what kind of word is meant */
            at += snprintf(why + at, sizeof why - (size_t)at, " and %zu more", attribute->nvalues - i);
            break;
        }
        at += snprintf(why + at, sizeof why - (size_t)at, "%s%.80s", i ? ", " : "", attribute->values[i]);
    }
    return refuse(attribute, text, nbytes, why);
}

static bool is_value(const mst_meta_attribute_t *attribute, const char *text, size_t nbytes) {
    if (!attribute->values) return true;
    for (size_t i = 0; i < attribute->nvalues; i++)
        if (strncmp(attribute->values[i], text, nbytes) == 0 && attribute->values[i][nbytes] == '\0') return true;
    return false;
}

static const char *alias(const mst_meta_attribute_t *attribute, const char *text, size_t nbytes) {
    for (size_t i = 0; i < attribute->naliases; i++)
        if (strncmp(attribute->aliases[i].from, text, nbytes) == 0 && attribute->aliases[i].from[nbytes] == '\0') return attribute->aliases[i].to;
    return NULL;
}

/* Two digits are hours, three and four hours and minutes; hh:mm too. */
static maestro_status_t canonical_time(const mst_meta_attribute_t *attribute, const char *text, size_t nbytes, char *out, size_t *nbytes_out) {
    int64_t value;
    char digits[5];
    size_t n = 0;
    bool colon = nbytes == 5 && text[2] == ':';
    for (size_t i = 0; i < nbytes && n < 5; i++)
        if (!(colon && i == 2)) digits[n++] = text[i];
    if (n == 0 || n > 4 || digits[0] == '-' || digits[0] == '+' || !mst_meta_text_parse_i64(digits, n, &value))
        return refuse(attribute, text, nbytes, "is no time of day; write hhmm, such as 0600");
    if (n <= 2) value *= 100;
    if (value / 100 > 23 || value % 100 > 59)
        return refuse(attribute, text, nbytes, n <= 2 ? "is no hour (0 to 23); write hhmm for minutes, such as 0030" : "is no time of day; write hhmm, 0000 to 2359");
    snprintf(out, 5, "%04u", (unsigned)value % 10000);
    *nbytes_out = 4;
    return MAESTRO_OK;
}

static maestro_status_t canonical_date(const mst_meta_attribute_t *attribute, const char *text, size_t nbytes, char *out, size_t *nbytes_out) {
    int64_t days;
    if (!mst_meta_text_parse_date(text, nbytes, &days)) {
        bool relative = nbytes && nbytes < 5 && (text[0] == '-' || strncmp(text, "0", nbytes) == 0);
        return refuse(attribute, text, nbytes, relative ? "is relative to a day that only its writer knows; write yyyymmdd" : "is no date of the calendar; write yyyymmdd or yyyy-mm-dd");
    }
    mst_meta_text_format_date(days, out);
    *nbytes_out = 8;
    return MAESTRO_OK;
}

maestro_status_t mst_meta_schema_canonical(const mst_meta_attribute_t *attribute, const char *text, size_t nbytes, char *out, size_t *nbytes_out) {
    if (nbytes > MST_META_TEXT_MAX)
        return mst_base_fail(MAESTRO_BAD_VALUE, "attribute %s: a text of %zu bytes is too long; at most %d", attribute->name, nbytes, MST_META_TEXT_MAX);
    if (!mst_meta_text_is_utf8(text, nbytes)) return mst_base_fail(MAESTRO_BAD_VALUE, "attribute %s: the text is not UTF-8 or has a NUL in it", attribute->name);
    if (mst_meta_is_time(attribute)) return canonical_time(attribute, text, nbytes, out, nbytes_out);
    if (mst_meta_is_date(attribute)) return canonical_date(attribute, text, nbytes, out, nbytes_out);
    for (size_t i = 0; i < nbytes; i++) out[i] = attribute->fold && text[i] >= 'A' && text[i] <= 'Z' ? (char)(text[i] + 32) : text[i];
    const char *target = alias(attribute, out, nbytes);
    if (target) memcpy(out, target, nbytes = strlen(target));
    if (nbytes < attribute->pad) {
        memmove(out + attribute->pad - nbytes, out, nbytes);
        memset(out, '0', attribute->pad - nbytes);
        nbytes = attribute->pad;
    }
    if (!is_value(attribute, out, nbytes)) return refuse_value(attribute, text, nbytes);
    *nbytes_out = nbytes;
    return MAESTRO_OK;
}

maestro_status_t mst_meta_schema_text_i64(const mst_meta_attribute_t *attribute, const char *text, size_t nbytes, int64_t *value_out) {
    const int64_t hour = 3600 * 1000000000ll;
    int64_t value;
    if (!is_hours(attribute)) {
        if (!mst_meta_text_parse_i64(text, nbytes, value_out)) return refuse(attribute, text, nbytes, "is no whole number");
        return MAESTRO_OK;
    }
    if (mst_meta_text_parse_i64(text, nbytes, value_out)) return MAESTRO_OK;
    if (!mst_meta_text_parse_duration(text, nbytes, 'h', &value))
        return refuse(attribute, text, nbytes, "is no number of hours; write 6, 6h, 2d, or 0-24 (which is its end)");
    if (value % hour) return refuse(attribute, text, nbytes, "is no whole number of hours; this schema counts hours");
    *value_out = value / hour;
    return MAESTRO_OK;
}

maestro_status_t mst_meta_schema_text_f64(const mst_meta_attribute_t *attribute, const char *text, size_t nbytes, double *value_out) {
    if (!mst_meta_text_parse_f64(text, nbytes, value_out)) return refuse(attribute, text, nbytes, "is no number");
    return MAESTRO_OK;
}

maestro_status_t mst_meta_schema_text_timestamp(const mst_meta_attribute_t *attribute, const char *text, size_t nbytes, int64_t *nanoseconds_out) {
    if (!mst_meta_text_parse_timestamp(text, nbytes, nanoseconds_out))
        return refuse(attribute, text, nbytes, "is no time; write ISO 8601, such as 2026-11-24T06:00:00Z or 20261124");
    return MAESTRO_OK;
}
