/* Text forms of values; see text.h. */
#include "meta/text.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>

static const int64_t SECOND = 1000000000;

/* Length of the well-formed sequence at `s` (Unicode 15, table 3-7), 0 if there is none. */
static size_t sequence(const unsigned char *s, size_t nbytes) {
    static const unsigned char least[] = {0, 0, 0x80, 0x80, 0x80};
    size_t length = s[0] < 0x80 ? 1 : s[0] >= 0xc2 && s[0] <= 0xdf ? 2 : (s[0] & 0xf0) == 0xe0 ? 3 : s[0] >= 0xf0 && s[0] <= 0xf4 ? 4 : 0;
    if (length == 0 || length > nbytes || s[0] == 0) return 0;
    for (size_t i = 1; i < length; i++)
        if ((s[i] & 0xc0) != 0x80) return 0;
    if (length < 3) return length;
    unsigned char low = s[0] == 0xe0 ? 0xa0 : s[0] == 0xf0 ? 0x90 : least[length];
    unsigned char high = s[0] == 0xed ? 0x9f : s[0] == 0xf4 ? 0x8f : 0xbf;
    return s[1] >= low && s[1] <= high ? length : 0;
}

bool mst_meta_text_is_utf8(const char *text, size_t nbytes) {
    const unsigned char *s = (const unsigned char *)text;
    for (size_t i = 0; i < nbytes;) {
        size_t length = s[i] - 1u < 0x7f ? 1 : sequence(s + i, nbytes - i);
        if (length == 0) return false;
        i += length;
    }
    return true;
}

bool mst_meta_text_parse_i64(const char *text, size_t nbytes, int64_t *value_out) {
    bool negative = nbytes && text[0] == '-';
    size_t i = nbytes && (text[0] == '-' || text[0] == '+');
    if (i == nbytes) return false;
    uint64_t value = 0;
    for (; i < nbytes; i++) {
        unsigned digit = (unsigned)(text[i] - '0');
        if (digit > 9 || value > (UINT64_MAX >> 1) / 10) return false;
        value = value * 10 + digit;
        if (value > (uint64_t)INT64_MAX + negative) return false;
    }
    *value_out = negative ? (int64_t)(0 - value) : (int64_t)value;
    return true;
}

bool mst_meta_text_parse_f64(const char *text, size_t nbytes, double *value_out) {
    char copy[64], *end;
    if (nbytes == 0 || nbytes >= sizeof copy) return false;
    for (size_t i = 0; i < nbytes; i++)
        if (!isdigit((unsigned char)text[i]) && !strchr("+-.eE", text[i])) return false; /* no "inf", "nan", "0x" */
    memcpy(copy, text, nbytes);
    copy[nbytes] = '\0';
    double value = strtod(copy, &end);
    if (end != copy + nbytes || !isfinite(value)) return false;
    *value_out = value;
    return true;
}

size_t mst_meta_text_format_f64(double value, char out[32]) {
    int nbytes = snprintf(out, 32, "%.15g", value);
    if (strtod(out, NULL) != value) nbytes = snprintf(out, 32, "%.17g", value);
    return (size_t)nbytes;
}

/* Days since 1970-01-01 of a Gregorian date and back: Howard Hinnant, "chrono-compatible low-level date algorithms". */
static int64_t days_from_civil(int64_t y, int64_t m, int64_t d) {
    y -= m <= 2;
    int64_t era = (y >= 0 ? y : y - 399) / 400, year = y - era * 400;
    int64_t day = (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + d - 1;
    return era * 146097 + year * 365 + year / 4 - year / 100 + day - 719468;
}

static void civil_from_days(int64_t days, int64_t *y, int64_t *m, int64_t *d) {
    days += 719468;
    int64_t era = (days >= 0 ? days : days - 146096) / 146097, rest = days - era * 146097;
    int64_t year = (rest - rest / 1460 + rest / 36524 - rest / 146096) / 365;
    int64_t day = rest - (365 * year + year / 4 - year / 100), month = (5 * day + 2) / 153;
    *d = day - (153 * month + 2) / 5 + 1;
    *m = month < 10 ? month + 3 : month - 9;
    *y = year + era * 400 + (*m <= 2);
}

/* Reads exactly `count` digits. */
static bool digits(const char **at, const char *end, int count, int64_t *value_out) {
    int64_t value = 0;
    if (end - *at < count) return false;
    for (int i = 0; i < count; i++, (*at)++) {
        if (!isdigit((unsigned char)**at)) return false;
        value = value * 10 + (**at - '0');
    }
    *value_out = value;
    return true;
}

static bool take(const char **at, const char *end, char c) {
    if (*at == end || **at != c) return false;
    (*at)++;
    return true;
}

static bool date(const char **at, const char *end, int64_t *days_out) {
    int64_t y, m, d, y2, m2, d2;
    if (!digits(at, end, 4, &y)) return false;
    bool dashes = take(at, end, '-');
    if (!digits(at, end, 2, &m) || (dashes && !take(at, end, '-')) || !digits(at, end, 2, &d)) return false;
    if (y < 1 || m < 1 || m > 12 || d < 1) return false;
    int64_t days = days_from_civil(y, m, d);
    civil_from_days(days, &y2, &m2, &d2);
    if (y != y2 || m != m2 || d != d2) return false; /* 31 June */
    *days_out = days;
    return true;
}

bool mst_meta_text_parse_date(const char *text, size_t nbytes, int64_t *days_out) {
    const char *at = text, *end = text + nbytes;
    int64_t days;
    if (!date(&at, end, &days) || at != end) return false;
    *days_out = days;
    return true;
}

void mst_meta_text_format_date(int64_t days, char out[9]) {
    int64_t y, m, d;
    civil_from_days(days, &y, &m, &d);
    snprintf(out, 9, "%04u%02u%02u", (unsigned)y % 10000, (unsigned)m % 100, (unsigned)d % 100);
}

/* Up to nine digits after the point, as nanoseconds. */
static bool fraction(const char **at, const char *end, int64_t *nanoseconds_out) {
    int64_t value = 0, scale = SECOND;
    const char *start = *at;
    for (; *at < end && isdigit((unsigned char)**at); (*at)++)
        if ((scale /= 10) > 0) value += (**at - '0') * scale;
    *nanoseconds_out = value;
    return *at > start && *at - start <= 9;
}

/* Z, +hh, +hhmm or +hh:mm; nothing is UTC. */
static bool zone(const char **at, const char *end, int64_t *seconds_out) {
    int64_t hours, minutes = 0;
    *seconds_out = 0;
    if (*at == end || take(at, end, 'Z')) return true;
    int sign = **at == '+' ? 1 : **at == '-' ? -1 : 0;
    (*at)++;
    if (sign == 0 || !digits(at, end, 2, &hours)) return false;
    bool colon = take(at, end, ':');
    if ((colon || *at < end) && !digits(at, end, 2, &minutes)) return false;
    *seconds_out = sign * (hours * 3600 + minutes * 60);
    return hours < 24 && minutes < 60;
}

bool mst_meta_text_parse_timestamp(const char *text, size_t nbytes, int64_t *nanoseconds_out) {
    const char *at = text, *end = text + nbytes;
    int64_t days, hours = 0, minutes = 0, seconds = 0, nanoseconds = 0, offset = 0, value;
    if (!date(&at, end, &days)) return false;
    if (at < end) {
        if (!take(&at, end, 'T') && !take(&at, end, ' ')) return false;
        if (!digits(&at, end, 2, &hours)) return false;
        bool colons = take(&at, end, ':');
        if (!digits(&at, end, 2, &minutes)) return false;
        bool more = colons ? take(&at, end, ':') : at < end && isdigit((unsigned char)*at);
        if (more && !digits(&at, end, 2, &seconds)) return false;
        if (more && take(&at, end, '.') && !fraction(&at, end, &nanoseconds)) return false;
        if (!zone(&at, end, &offset)) return false;
    }
    if (at != end || hours > 23 || minutes > 59 || seconds > 59) return false;
    if (__builtin_mul_overflow(days * 86400 + hours * 3600 + minutes * 60 + seconds - offset, SECOND, &value)) return false;
    if (__builtin_add_overflow(value, nanoseconds, &value)) return false;
    *nanoseconds_out = value;
    return true;
}

size_t mst_meta_text_format_timestamp(int64_t nanoseconds, char out[40]) {
    int64_t seconds = nanoseconds / SECOND, rest = nanoseconds % SECOND, y, m, d;
    if (rest < 0) { rest += SECOND; seconds--; }
    int64_t days = seconds / 86400, second = seconds % 86400;
    if (second < 0) { second += 86400; days--; }
    civil_from_days(days, &y, &m, &d);
    int nbytes = snprintf(out, 40, "%04d-%02d-%02dT%02d:%02d:%02d", (int)y, (int)m, (int)d, (int)(second / 3600), (int)(second / 60 % 60), (int)(second % 60));
    if (rest) nbytes += snprintf(out + nbytes, 40 - (size_t)nbytes, ".%09d", (int)rest);
    while (rest && out[nbytes - 1] == '0') nbytes--;
    return (size_t)(nbytes + snprintf(out + nbytes, 40 - (size_t)nbytes, "Z"));
}

bool mst_meta_text_parse_duration(const char *text, size_t nbytes, char unit, int64_t *nanoseconds_out) {
    for (size_t i = nbytes; i-- > 1;) /* "0-24": its end */
        if (text[i] == '-' && isdigit((unsigned char)text[i - 1])) {
            int64_t from;
            if (!mst_meta_text_parse_duration(text, i, unit, &from)) return false;
            text += i + 1;
            nbytes -= i + 1;
            break;
        }
    if (nbytes && isalpha((unsigned char)text[nbytes - 1])) unit = (char)tolower((unsigned char)text[--nbytes]);
    int64_t scale = unit == 's' ? 1 : unit == 'm' ? 60 : unit == 'h' ? 3600 : unit == 'd' ? 86400 : 0, count, value;
    if (scale == 0 || !mst_meta_text_parse_i64(text, nbytes, &count)) return false;
    if (__builtin_mul_overflow(count, scale * SECOND, &value)) return false;
    *nanoseconds_out = value;
    return true;
}
