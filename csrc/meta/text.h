/* Text forms of values: UTF-8, calendar dates, timestamps, numbers.  No schema here.  Invariant: a parser that fails writes nothing. */
#ifndef MST_META_TEXT_H
#define MST_META_TEXT_H

#include "base/base.h"

bool mst_meta_text_is_utf8(const char *text, size_t nbytes);            /* well-formed and without NUL */

bool mst_meta_text_parse_i64(const char *text, size_t nbytes, int64_t *value_out);
bool mst_meta_text_parse_f64(const char *text, size_t nbytes, double *value_out); /* decimal, finite */
size_t mst_meta_text_format_f64(double value, char out[32]);            /* shortest form that reads back the same */

bool mst_meta_text_parse_date(const char *text, size_t nbytes, int64_t *days_out); /* yyyymmdd, yyyy-mm-dd; days since 1970-01-01 */
void mst_meta_text_format_date(int64_t days, char out[9]);              /* yyyymmdd */
bool mst_meta_text_parse_timestamp(const char *text, size_t nbytes, int64_t *nanoseconds_out); /* ISO 8601; UTC unless it says otherwise */
size_t mst_meta_text_format_timestamp(int64_t nanoseconds, char out[40]);
/* "6", "6h", "30m", "2d", "10s", "0-24" (its end): nanoseconds; `unit` is that of a bare number. */
bool mst_meta_text_parse_duration(const char *text, size_t nbytes, char unit, int64_t *nanoseconds_out);

#endif
