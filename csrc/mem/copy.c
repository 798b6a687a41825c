/* See copy.h.  From some hundred KiB on, processors with fast string moves write whole lines without reading them first: measured on an EPYC,
 * 1 MiB out of DRAM into warm memory at 31 GB/s instead of glibc's 25 (into cold memory 20 instead of 18). */
#include "mem/copy.h"

#ifndef __has_feature
#define __has_feature(what) 0
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1 /* these see no assembler */
#else
#define SANITIZED 0
#endif

#if defined(__x86_64__) && !SANITIZED
#include <cpuid.h>
#include <stdatomic.h>

enum { LARGE = 512 << 10 };

static bool has_fast_string_moves(void) {
    static _Atomic int known; /* 1: no, 2: yes */
    int answer = atomic_load_explicit(&known, memory_order_relaxed);
    if (MST_LIKELY(answer)) return answer == 2;
    unsigned eax, ebx = 0, ecx, edx = 0;
    bool fast = __get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) && ebx >> 9 & 1 && edx >> 4 & 1; /* ERMS and FSRM */
    atomic_store_explicit(&known, fast ? 2 : 1, memory_order_relaxed);
    return fast;
}

void mst_mem_copy(void *to, const void *from, size_t nbytes) {
    if (nbytes >= LARGE && has_fast_string_moves()) __asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(nbytes) : : "memory");
    else if (nbytes) memcpy(to, from, nbytes);
}
#else
void mst_mem_copy(void *to, const void *from, size_t nbytes) {
    if (nbytes) memcpy(to, from, nbytes);
}
#endif
