/* Memory on a device, where tests/helpers/fakecuda.c stands for the driver: how it is recognised, and copies in the order of a stream. */
#include "mem/device.h"
#include "base/test.h"

#include <fakecuda.h>

static bool has_context(void) {
    void *context;
    cuCtxGetCurrent(&context);
    return context != NULL;
}

static mst_mem_place_t find(const void *memory) {
    mst_mem_place_t place;
    CHECK_OK(mst_mem_device_find(memory, &place));
    return place;
}

static void test_before_the_process_uses_cuda_nothing_is_on_a_device(void) {
    int near = 1;
    mst_mem_device_look();
    CHECK(mst_mem_device_is_there());
    mst_mem_place_t place = find(fakecuda_far(&near));
    CHECK(!place.on_device && !place.managed);
    cuInit(0);
    place = find(fakecuda_far(&near));
    CHECK(place.on_device && !place.managed && place.context);
}

static void test_memory_that_the_host_reads_is_not_on_a_device(void) {
    static int plain, managed[4];
    fakecuda_manage(managed, sizeof managed);
    mst_mem_place_t place = find(&plain);
    CHECK(!place.on_device && !place.managed);
    place = find(&managed[3]);
    CHECK(!place.on_device && place.managed);
    place = find(NULL);
    CHECK(!place.on_device && !place.managed);
    fakecuda_manage(NULL, 0);
}

/* A kernel is under way, and the thread has no context. */
static void check_copies(void *far, void *stream) {
    double value[3] = {1, 2, 3}, other[3] = {0}, *near = fakecuda_near(far);
    mst_mem_place_t place = find(far);
    CHECK(place.on_device);
    CHECK(fakecuda_later(stream, far, value, sizeof value) == 0);
    CHECK(near[0] == 0);
    CHECK_OK(mst_mem_device_to_host(&place, stream, far, other, sizeof other));
    CHECK(memcmp(other, value, sizeof value) == 0);
    other[1] = 7;
    CHECK(fakecuda_later(stream, far, value, sizeof value) == 0);
    CHECK_OK(mst_mem_device_from_host(&place, stream, other, far, sizeof other));
    CHECK_STATUS(mst_mem_device_test(&place, stream), MAESTRO_IN_PROGRESS);
    CHECK_OK(mst_mem_device_wait(&place, stream));
    CHECK_OK(mst_mem_device_test(&place, stream));
    CHECK(near[1] == 7);
    CHECK(!has_context());
}

static void test_copies_are_made_in_the_order_of_the_stream(void) {
    double a[3] = {0}, b[3] = {0}, c[3] = {0};
    check_copies(fakecuda_far(a), NULL);
    check_copies(fakecuda_far(b), (void *)7);
    check_copies((void *)((uintptr_t)fakecuda_far(c) | FAKECUDA_POOLED), (void *)7);
}

static void test_what_the_driver_refuses_is_told(void) {
    static int near = 1, host; /* for ever: a copy that fails may stay on its stream */
    void *far = fakecuda_far(&near);
    mst_mem_place_t place = find(far);
    CHECK_STATUS(mst_mem_device_to_host(&place, (void *)777, far, &host, sizeof host), MAESTRO_INVALID_ARGUMENT);
    CHECK_ERROR_SAYS("cuMemcpyDtoHAsync: invalid resource handle (400); give memory and a stream that exist");
    CHECK_STATUS(mst_mem_device_test(&place, (void *)777), MAESTRO_INVALID_ARGUMENT);
    fakecuda_fail("cuStreamSynchronize", 719);
    CHECK_STATUS(mst_mem_device_to_host(&place, NULL, far, &host, sizeof host), MAESTRO_SYSTEM);
    CHECK_ERROR_SAYS("cuStreamSynchronize: unspecified launch failure (719)");
    fakecuda_fail("cuMemcpyHtoDAsync", 719);
    CHECK_STATUS(mst_mem_device_from_host(&place, NULL, &host, far, sizeof host), MAESTRO_SYSTEM);
    CHECK_ERROR_SAYS("cuMemcpyHtoDAsync");
    fakecuda_fail(NULL, 0);
    CHECK(!has_context());
}

int main(void) {
    test_before_the_process_uses_cuda_nothing_is_on_a_device();
    test_memory_that_the_host_reads_is_not_on_a_device();
    test_copies_are_made_in_the_order_of_the_stream();
    test_what_the_driver_refuses_is_told();
    return TEST_END;
}
